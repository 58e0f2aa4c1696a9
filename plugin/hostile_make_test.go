package icp_test

import (
	"fmt"
	"net"
	"strings"

	"github.com/miekg/dns"
)

// maker makes a message out of a tape of choices; an empty tape chooses the
// first of everything.
type maker struct {
	tape []byte
	msg  *dns.Msg
	edns bool
	own  []string // owners to choose from, by what was asked
}

func (m *maker) n(below int) int {
	if len(m.tape) == 0 {
		return 0
	}
	b := int(m.tape[0])
	m.tape = m.tape[1:]
	return b % below
}

func (m *maker) one(in int) bool { return m.n(in) == in-1 }

func pick[T any](m *maker, from []T) T { return from[m.n(len(from))] }

var (
	unfiledNames = []string{"unfiled.test.", "www.unfiled.test.", "UnFiled.TEST.", "_8443._https.unfiled.test.", `a\.b.test.`,
		`\255.accessed.test.`, "notaccessed.test.", "accessed.test.unfiled.test.", "_x.test.", "unfiled.test.cluster.local.example."}
	filedNames = []string{"accessed.test.", "www.ACCESSED.test.", "_8443._https.accessed.test.", "x.cluster.local.", "host."}
	// otherNames may stand beside the answer to an unfiled name.
	otherNames = []string{"unfiled.test.", "www.unfiled.test.", "accessed.test.", "cdn.accessed.test.", "ns.accessed.test.", "ns.other.test.",
		".", "host.", "1.113.0.203.in-addr.arpa.", "x.cluster.local.", "localhost.", `accessed\.test.`, "_dns.accessed.test."}
	// ownNames are those whose addresses a filed name may have beside its own.
	ownNames   = []string{"accessed.test.", "mail.accessed.test.", "WWW.Accessed.Test."}
	addresses4 = []string{ours, abroad, theirs, nobodys, private, ourCDN}
	addresses6 = []string{ours6, abroad6, mapped, "2002:cb00:7101::1", "::ffff:203.0.113.1", "64:ff9b:1:1::cb00:7101", "64:ff9b:1:cb00:71:100::",
		"64:ff9b:1:2:cb:71:100::",
		"2001:0:0:0:0:0:34ff:8efe", "fd00::1", "2001:db8:86:ffff:ffff:ffff:ffff:ffff"}
	askedTypes = []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeHTTPS, dns.TypeSVCB, dns.TypeANY, dns.TypeMX, dns.TypeNS, dns.TypeSRV,
		dns.TypeTXT, dns.TypeCNAME, dns.TypeSOA, dns.TypeDNAME, dns.TypePTR, 4711, dns.TypeAXFR, dns.TypeIXFR}
	classes = []uint16{dns.ClassINET, dns.ClassINET, dns.ClassINET, dns.ClassINET, dns.ClassCHAOS, dns.ClassHESIOD, dns.ClassNONE, dns.ClassANY, 4711}
)

// question chooses what is asked, and tells whether nothing of it is to be withheld.
func (m *maker) question() (asking, bool) {
	names, filed := unfiledNames, m.one(4)
	m.own = append(m.own, otherNames...)
	if filed {
		names, m.own = filedNames, ownNames
	}
	q := dns.Question{Name: pick(m, names), Qtype: pick(m, askedTypes), Qclass: pick(m, classes)}
	m.own = append([]string{q.Name, strings.ToUpper(q.Name)}, m.own...)
	m.edns = m.one(2)
	return asking{q}, filed
}

// answer makes the message.
func (m *maker) answer(q asking, filed bool) {
	m.msg = q.request(m.edns)
	m.msg.Response, m.msg.Compress = true, !m.one(3)
	m.msg.Authoritative, m.msg.Truncated = m.one(2), m.one(5)
	m.msg.AuthenticatedData, m.msg.Rcode = m.one(2), m.n(6)
	m.msg.Extra = nil
	if m.one(8) {
		m.msg.Question[0].Name = pick(m, otherNames)
	}
	if !filed && m.one(6) {
		m.chain(q.Name, 1+m.n(256))
	}
	for range m.n(7) {
		m.msg.Answer = append(m.msg.Answer, m.record())
	}
	for range m.n(5) {
		m.msg.Ns = append(m.msg.Ns, m.record())
	}
	for range m.n(7) {
		m.msg.Extra = append(m.msg.Extra, m.record())
	}
	if m.one(3) {
		m.msg.Extra = append(m.msg.Extra, m.options())
	}
}

// chain leads from a name over aliases, now and then back to where they began.
func (m *maker) chain(from string, hops int) {
	owner := from
	for i := range hops {
		target := fmt.Sprintf("h%d.accessed.test.", i)
		if i == hops-1 && m.one(2) {
			target = from
		}
		m.msg.Answer = append(m.msg.Answer, &dns.CNAME{Hdr: m.header(owner, dns.TypeCNAME), Target: target})
		owner = target
	}
	m.own = append(m.own, owner)
}

func (m *maker) header(owner string, rrtype uint16) dns.RR_Header {
	return dns.RR_Header{Name: owner, Rrtype: rrtype, Class: pick(m, classes), Ttl: uint32(m.n(256))}
}

// record makes one of any type that matters, those with addresses now and then
// as RFC 3597 writes them.
func (m *maker) record() dns.RR {
	rr := m.known()
	if h := rr.Header(); h.Rrtype != dns.TypeA && h.Rrtype != dns.TypeAAAA && h.Rrtype != dns.TypeHTTPS && h.Rrtype != dns.TypeSVCB || !m.one(4) {
		return rr
	}
	u := new(dns.RFC3597)
	if err := u.ToRFC3597(rr); err != nil {
		return rr
	}
	return u
}

func (m *maker) known() dns.RR {
	owner := pick(m, m.own)
	switch m.n(13) {
	case 0, 1, 2:
		return &dns.A{Hdr: m.header(owner, dns.TypeA), A: net.ParseIP(pick(m, addresses4)).To4()}
	case 3, 4:
		return &dns.AAAA{Hdr: m.header(owner, dns.TypeAAAA), AAAA: net.ParseIP(pick(m, addresses6)).To16()}
	case 5:
		return &dns.HTTPS{SVCB: m.service(owner, dns.TypeHTTPS)}
	case 6:
		s := m.service(owner, dns.TypeSVCB)
		return &s
	case 7:
		return &dns.CNAME{Hdr: m.header(owner, dns.TypeCNAME), Target: pick(m, m.own)}
	case 8:
		return &dns.DNAME{Hdr: m.header(owner, dns.TypeDNAME), Target: pick(m, m.own)}
	case 9:
		return &dns.NS{Hdr: m.header(owner, dns.TypeNS), Ns: pick(m, m.own)}
	case 10:
		return &dns.MX{Hdr: m.header(owner, dns.TypeMX), Mx: pick(m, m.own)}
	case 11:
		return &dns.SRV{Hdr: m.header(owner, dns.TypeSRV), Port: 443, Target: pick(m, m.own)}
	}
	return &dns.TXT{Hdr: m.header(owner, dns.TypeTXT), Txt: []string{ours}}
}

// service makes a record with hints; mandatory ones, several, with and without keys.
func (m *maker) service(owner string, rrtype uint16) dns.SVCB {
	s := dns.SVCB{Hdr: m.header(owner, rrtype), Priority: uint16(m.n(3)), Target: pick(m, append([]string{"."}, m.own...))}
	var mandatory []dns.SVCBKey
	if m.one(2) {
		h := &dns.SVCBIPv4Hint{}
		for range 1 + m.n(3) {
			h.Hint = append(h.Hint, net.ParseIP(pick(m, addresses4)).To4())
		}
		s.Value, mandatory = append(s.Value, h), append(mandatory, h.Key())
	}
	if m.one(2) {
		s.Value = append(s.Value, &dns.SVCBECHConfig{ECH: []byte{1}})
	}
	switch m.n(4) {
	case 1, 2:
		h := &dns.SVCBIPv6Hint{}
		for range 1 + m.n(3) {
			if ip := net.ParseIP(pick(m, addresses6)); ip.To4() == nil { // mapped ones cannot be packed
				h.Hint = append(h.Hint, ip)
			}
		}
		if len(h.Hint) > 0 {
			s.Value, mandatory = append(s.Value, h), append(mandatory, h.Key())
		}
	case 3:
		s.Value = append(s.Value, &dns.SVCBLocal{KeyCode: dns.SVCB_IPV6HINT, Data: net.ParseIP(pick(m, addresses6)).To16()})
	}
	if len(mandatory) > 0 && m.one(3) {
		s.Value = append(s.Value, &dns.SVCBMandatory{Code: mandatory})
	}
	return s
}

// options makes an OPT record that holds an address too: nobody goes to it.
func (m *maker) options() dns.RR {
	o := &dns.OPT{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeOPT, Class: 1232}}
	o.Option = append(o.Option, &dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: 32, Address: net.ParseIP(ours).To4()})
	if m.one(2) {
		o.Option = append(o.Option, &dns.EDNS0_LOCAL{Code: 65001, Data: net.ParseIP(ours).To4()})
	}
	return o
}
