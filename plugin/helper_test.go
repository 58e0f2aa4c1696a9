package icp_test

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

func addrOf(s string) netip.Addr { return netip.MustParseAddr(s) }

func addrsOf(list ...string) (addrs []netip.Addr) {
	for _, s := range list {
		addrs = append(addrs, addrOf(s))
	}
	return addrs
}

func equal(a, b []string) bool { return slices.Equal(a, b) || len(a) == 0 && len(b) == 0 }

// addresses returns every address of a message's answer section.
func addresses(m *dns.Msg) []string { return addressesOf(m.Answer) }

// addressesOf is the tests' own reading of records, apart from the plugin's.
func addressesOf(rrs []dns.RR) (all []string) {
	for _, rr := range rrs {
		switch rr := rr.(type) {
		case *dns.A:
			all = append(all, rr.A.String())
		case *dns.AAAA:
			all = append(all, rr.AAAA.String())
		case *dns.HTTPS:
			all = append(all, hints(&rr.SVCB)...)
		case *dns.SVCB:
			all = append(all, hints(rr)...)
		}
	}
	return all
}

func hints(rr *dns.SVCB) (all []string) {
	for _, kv := range rr.Value {
		if k := kv.Key(); k == dns.SVCB_IPV4HINT || k == dns.SVCB_IPV6HINT {
			all = append(all, strings.Split(kv.String(), ",")...)
		}
	}
	return all
}

// trimID cuts the header line with the random identifier.
func trimID(s string) string {
	_, rest, _ := strings.Cut(s, "\n")
	return rest
}

func prefixOf(s string) netip.Prefix { return netip.MustParsePrefix(s) }
