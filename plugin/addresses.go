package icp

import (
	"encoding/binary"
	"encoding/hex"
	"net"
	"net/netip"

	"github.com/miekg/dns"
)

// addresses calls f with every address that a record carries until f returns
// false, and reports whether it never did.
func addresses(rr dns.RR, f func(netip.Addr) bool) bool {
	switch rr := rr.(type) {
	case *dns.A:
		return address(rr.A, f)
	case *dns.AAAA:
		return address(rr.AAAA, f)
	case *dns.HTTPS:
		return hints(&rr.SVCB, f)
	case *dns.SVCB:
		return hints(rr, f)
	case *dns.RFC3597:
		if known := typed(rr); known != nil {
			return addresses(known, f)
		}
	}
	return true
}

func address(ip net.IP, f func(netip.Addr) bool) bool {
	a, ok := netip.AddrFromSlice(ip)
	return !ok || f(a)
}

// hints calls f with the address hints of a service record.
func hints(rr *dns.SVCB, f func(netip.Addr) bool) bool {
	for _, kv := range rr.Value {
		for _, ip := range hintsOf(kv) {
			if !address(ip, f) {
				return false
			}
		}
	}
	return true
}

// hintsOf returns the addresses of one parameter.
func hintsOf(kv dns.SVCBKeyValue) []net.IP {
	switch kv := kv.(type) {
	case *dns.SVCBIPv4Hint:
		return kv.Hint
	case *dns.SVCBIPv6Hint:
		return kv.Hint
	case *dns.SVCBLocal:
		return localHints(kv)
	}
	return nil
}

// localHints reads hints that a plugin wrote under their numbers.
func localHints(kv *dns.SVCBLocal) (ips []net.IP) {
	size := 0
	switch kv.KeyCode {
	case dns.SVCB_IPV4HINT:
		size = net.IPv4len
	case dns.SVCB_IPV6HINT:
		size = net.IPv6len
	default:
		return nil
	}
	for b := kv.Data; len(b) >= size; b = b[size:] {
		ips = append(ips, net.IP(b[:size]))
	}
	return ips
}

// typed returns a record that came in the form of RFC 3597 as what it is, if its
// type can carry an address; else nil.
func typed(rr *dns.RFC3597) dns.RR {
	if !carries(rr.Hdr.Rrtype) {
		return nil
	}
	b, err := hex.DecodeString(rr.Rdata)
	switch {
	case err != nil:
	case serves(rr.Hdr.Rrtype):
		return typedService(rr.Hdr, b)
	case rr.Hdr.Rrtype == dns.TypeA && len(b) == net.IPv4len:
		return &dns.A{Hdr: rr.Hdr, A: b}
	case rr.Hdr.Rrtype == dns.TypeAAAA && len(b) == net.IPv6len:
		return &dns.AAAA{Hdr: rr.Hdr, AAAA: b}
	}
	return nil
}

// typedService reads a service record as far as it goes: the library refuses one
// as a whole for what a client may overlook, a mapped address among the hints.
func typedService(h dns.RR_Header, b []byte) dns.RR {
	const priority = 2
	if len(b) < priority {
		return nil
	}
	target, i, err := dns.UnpackDomainName(b, priority)
	if err != nil {
		return nil
	}
	s := &dns.SVCB{Hdr: h, Priority: binary.BigEndian.Uint16(b), Target: target}
	for b = b[i:]; len(b) >= 4; {
		key, n := dns.SVCBKey(binary.BigEndian.Uint16(b)), int(binary.BigEndian.Uint16(b[2:]))
		b = b[4:]
		value := b[:min(n, len(b))]
		s.Value = append(s.Value, &dns.SVCBLocal{KeyCode: key, Data: value})
		b = b[len(value):]
	}
	return s
}

// carries reports whether records of a type can carry addresses.
func carries(rrtype uint16) bool {
	switch rrtype {
	case dns.TypeA, dns.TypeAAAA:
		return true
	}
	return serves(rrtype)
}

// serves reports whether records of a type describe a service.
func serves(rrtype uint16) bool { return rrtype == dns.TypeHTTPS || rrtype == dns.TypeSVCB }
