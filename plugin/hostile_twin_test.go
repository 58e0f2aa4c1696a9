package icp_test

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// wireRR is a record as the tests' own reader of messages finds it.
type wireRR struct {
	section int    // 1 answer, 2 authority, 3 additional
	owner   string // labels in lower case, each behind its length
	rrtype  uint16
	data    []byte
	target  string // of records whose content ends in one name, like owner
	params  []byte // of service records
}

// wireReader reads a message; it fails the test where that cannot be read.
type wireReader struct {
	t testing.TB
	b []byte
	i int
}

// parseWire returns the records of a packed message.
func parseWire(t testing.TB, b []byte) (all []wireRR) {
	t.Helper()
	r := &wireReader{t: t, b: b, i: 12}
	for range binary.BigEndian.Uint16(b[4:]) {
		r.name()
		r.i += 4
	}
	for section := 1; section <= 3; section++ {
		for range binary.BigEndian.Uint16(b[4+2*section:]) {
			rr := r.record()
			rr.section = section
			all = append(all, rr)
		}
	}
	if r.i != len(b) {
		t.Fatalf("%d bytes behind the message", len(b)-r.i)
	}
	return all
}

func (r *wireReader) record() (rr wireRR) {
	rr.owner = r.name()
	rr.rrtype = binary.BigEndian.Uint16(r.b[r.i:])
	start := r.i + 10
	end := start + int(binary.BigEndian.Uint16(r.b[r.i+8:]))
	rr.data = r.b[start:end]
	r.i = start
	switch rr.rrtype {
	case dns.TypeNS, dns.TypeCNAME, dns.TypeDNAME:
		rr.target = r.name()
	case dns.TypeSVCB, dns.TypeHTTPS:
		r.i += 2
		rr.target = r.name()
		rr.params = r.b[r.i:end]
	}
	r.i = end
	return rr
}

// name reads a name at the reader's place and goes behind it.
func (r *wireReader) name() string {
	var labels []byte
	i, behind := r.i, 0
	for range 256 {
		n := int(r.b[i])
		switch {
		case n == 0:
			if behind == 0 {
				behind = i + 1
			}
			r.i = behind
			return string(labels)
		case n >= 0xc0:
			if behind == 0 {
				behind = i + 2
			}
			i = n&0x3f<<8 | int(r.b[i+1])
		default:
			labels = append(labels, byte(n))
			labels = append(labels, lower(r.b[i+1:i+1+n])...)
			i += 1 + n
		}
	}
	r.t.Fatal("a name without an end")
	return ""
}

// mainland returns the addresses of the tests' mainland in a record, but not
// those of the notice host.
func (rr wireRR) mainland() (all []netip.Addr) {
	for _, a := range rr.addresses() {
		v := leadsTo(a)
		if (prefixOf("203.0.113.0/24").Contains(v) || prefixOf("2001:db8:86::/48").Contains(v)) && v != addrOf(notice) && v != addrOf(notice6) {
			all = append(all, a)
		}
	}
	return all
}

func (rr wireRR) addresses() (all []netip.Addr) {
	switch rr.rrtype {
	case dns.TypeA:
		if len(rr.data) == 4 {
			all = append(all, netip.AddrFrom4([4]byte(rr.data)))
		}
	case dns.TypeAAAA:
		if len(rr.data) == 16 {
			all = append(all, netip.AddrFrom16([16]byte(rr.data)))
		}
	}
	for b := rr.params; len(b) >= 4; {
		key, n := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
		value := b[4 : 4+n]
		b = b[4+n:]
		for size := map[uint16]int{4: 4, 6: 16}[key]; size > 0 && len(value) >= size; value = value[size:] {
			a, _ := netip.AddrFromSlice(value[:size])
			all = append(all, a)
		}
	}
	return all
}

// leadsTo tells the host that an IPv6 address stands for, by textual prefix.
func leadsTo(a netip.Addr) netip.Addr {
	if a.Is4() {
		return a
	}
	b := a.As16()
	last := netip.AddrFrom4([4]byte(b[12:]))
	hex := strings.ReplaceAll(a.StringExpanded(), ":", "")
	switch {
	case a.Is4In6():
		return a.Unmap()
	case strings.HasPrefix(hex, "2002"):
		return netip.AddrFrom4([4]byte(b[2:6]))
	case strings.HasPrefix(hex, "20010000"):
		return netip.AddrFrom4([4]byte{^b[12], ^b[13], ^b[14], ^b[15]})
	case strings.HasPrefix(hex, "0064ff9b0001cb0000710"):
		return netip.AddrFrom4([4]byte{b[6], b[7], b[9], b[10]})
	case strings.HasPrefix(hex, "0064ff9b0001000200cb0071"):
		return netip.AddrFrom4([4]byte(b[9:13]))
	case strings.HasPrefix(hex, "0064ff9b0001"), strings.HasPrefix(hex, "0064ff9b0000000000000000"):
		return last
	}
	return a
}

// wireTwin says what may be left in the answer to an unfiled name.
type wireTwin struct {
	asked    dns.Question
	original []wireRR
}

// allows reports whether a mainland address may stand in a record: beside the
// answer, under a name server's name, or under a filed one's where no address
// was asked for; never where the client is led to it.
func (w wireTwin) allows(rr wireRR) bool {
	asksAddress := slices.Contains([]uint16{1, 28, 64, 65, 251, 252, 255}, w.asked.Qtype)
	if rr.section == 1 || asksAddress && rr.owner == labelsOf(w.asked.Name) || w.ledTo(rr.owner, asksAddress) {
		return false
	}
	if (rr.rrtype == dns.TypeA || rr.rrtype == dns.TypeAAAA) && w.nameServer(rr.owner) {
		return true
	}
	return !asksAddress && below(rr.owner, labelsOf("accessed.test."))
}

func (w wireTwin) nameServer(owner string) bool {
	return slices.ContainsFunc(w.original, func(rr wireRR) bool {
		return rr.rrtype == dns.TypeNS && rr.section != 3 && rr.target == owner
	})
}

// ledTo reports whether an alias or a service record sends the client to a name.
func (w wireTwin) ledTo(owner string, asksAddress bool) bool {
	return slices.ContainsFunc(w.original, func(rr wireRR) bool {
		switch rr.rrtype {
		case dns.TypeDNAME:
			return rr.section == 1 && below(owner, rr.target)
		case dns.TypeCNAME, dns.TypeSVCB, dns.TypeHTTPS:
			return (rr.section == 1 || asksAddress) && rr.target == owner
		}
		return false
	})
}

// below reports whether a name is another or below it, both as wireRR has them.
func below(name, zone string) bool {
	for ; len(name) >= len(zone); name = name[1+name[0]:] {
		if name == zone {
			return true
		}
		if name == "" {
			break
		}
	}
	return false
}

// labelsOf is a name of the tests in the form of wireRR; packing reads escapes.
func labelsOf(name string) string {
	b := make([]byte, 256)
	n, err := dns.PackDomainName(name, b, 0, nil, false)
	if err != nil {
		panic(err)
	}
	return string(lower(b[:n-1]))
}

// lower is for bytes that need not be text; the length of a label is no letter.
func lower(b []byte) []byte {
	b = slices.Clone(b)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return b
}
