package icp_test

import (
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

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

// freeAddr is an address of loopback that nobody listens on, by TCP or UDP, and that
// is given once. Where all of 127.0.0.0/8 is this machine, as on Linux, its host is
// one of this process alone: on 127.0.0.1 anybody's connection might take the port
// before who it is for.
func freeAddr(t testing.TB) string {
	t.Helper()
	host := own()
	for range 1000 {
		addr := net.JoinHostPort(host, strconv.Itoa(20000+int(triedPorts.Add(1))))
		l, err := net.Listen("tcp", addr)
		if err != nil {
			continue
		}
		l.Close()
		if u, err := net.ListenPacket("udp", addr); err == nil {
			u.Close()
			return addr
		}
	}
	t.Fatalf("no port of %s is free for TCP and UDP", host)
	return ""
}

// triedPorts is how many ports were tried, from a first one that the system gives
// nobody by itself.
var triedPorts atomic.Int32

// own is a host of loopback for this process.
var own = sync.OnceValue(func() string {
	pid := os.Getpid()
	host := netip.AddrFrom4([4]byte{127, byte(64 | pid>>16&63), byte(pid >> 8), byte(pid)}).String()
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return "127.0.0.1"
	}
	l.Close()
	return host
})
