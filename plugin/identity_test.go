package icp_test

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"testing"

	"github.com/miekg/dns"

	icp "github.com/icpgate/icpgate/plugin"
	"github.com/icpgate/icpgate/registry"
)

// TestIdentity: two messages are the same if and only if slowIdentity says so.
func TestIdentity(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	bySlow, byFast := map[string]string{}, map[string]string{}
	for range 40_000 {
		tape := make([]byte, 8+random.IntN(24))
		for i := range tape {
			tape[i] = byte(random.Uint32())
		}
		checkIdentity(t, tape, bySlow, byFast)
	}
	if len(bySlow) < 5000 || len(bySlow) > 30_000 {
		t.Errorf("%d identities in 40000 messages; want many, and many that are seen again", len(bySlow))
	}
}

// FuzzIdentity is the same for messages that the fuzzer makes: all that it ever
// makes have to be told apart.
func FuzzIdentity(f *testing.F) {
	bySlow, byFast := map[string]string{}, map[string]string{}
	f.Add([]byte{})
	f.Add([]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12})
	f.Fuzz(func(t *testing.T, tape []byte) { checkIdentity(t, tape, bySlow, byFast) })
}

func checkIdentity(t *testing.T, tape []byte, bySlow, byFast map[string]string) {
	t.Helper()
	q, m, mode := (&simple{maker{tape: tape}}).message()
	slow, fast := slowIdentity(q, m, mode), icp.Identify(q, m, mode)
	switch {
	case slow == "" && fast != "":
		t.Fatalf("is remembered, and must not be:\n%s", m)
	case slow != "" && fast == "" && len(slow) < 200:
		t.Fatalf("is not remembered:\n%s", m)
	case slow == "" || fast == "":
		return
	}
	if f, ok := bySlow[slow]; ok && f != fast {
		t.Fatalf("has two identities, %q and %q:\n%s", f, fast, m)
	}
	if s, ok := byFast[fast]; ok && s != slow {
		t.Fatalf("shares the identity %q with another message, of %s:\n%s", fast, s, m)
	}
	bySlow[slow], byFast[fast] = fast, slow
}

// slowIdentity writes all that an outcome may depend on as text; "" for messages
// that must not be remembered.
func slowIdentity(q dns.Question, m *dns.Msg, mode registry.Mode) string {
	plain := func(s string) bool {
		return !strings.ContainsFunc(s, func(r rune) bool { return r == '\\' || r > 0x7e })
	}
	if !plain(q.Name) {
		return ""
	}
	text, found := fmt.Sprintf("%s %d %s\n", strings.ToLower(q.Name), q.Qtype, mode), false
	for _, rr := range m.Answer {
		content := ""
		if rr.Header().Rrtype != typeOf(rr) {
			return ""
		}
		switch rr := rr.(type) {
		case *dns.A:
			content, found = fmt.Sprintf("%x", []byte(rr.A)), true
		case *dns.AAAA:
			content, found = fmt.Sprintf("%x", []byte(rr.AAAA)), true
		case *dns.CNAME:
			content = "to " + strings.ToLower(rr.Target)
		case *dns.RRSIG:
			text += "signed\n"
			continue
		default:
			return ""
		}
		if !plain(rr.Header().Name + content) {
			return ""
		}
		text += strings.ToLower(rr.Header().Name) + " " + content + "\n"
	}
	for _, rr := range append(append([]dns.RR{}, m.Ns...), m.Extra...) {
		switch rr.Header().Rrtype {
		case dns.TypeNS, dns.TypeSOA, dns.TypeOPT, dns.TypeRRSIG:
		default:
			return ""
		}
	}
	if !found {
		return ""
	}
	return text
}

// typeOf is the type that a record should have by what it is; 0 for others.
func typeOf(rr dns.RR) uint16 {
	switch rr.(type) {
	case *dns.A:
		return dns.TypeA
	case *dns.AAAA:
		return dns.TypeAAAA
	case *dns.CNAME:
		return dns.TypeCNAME
	case *dns.RRSIG:
		return dns.TypeRRSIG
	}
	return 0
}

// simple makes messages as they mostly are, out of so few pieces that many are
// alike.
type simple struct{ maker }

var (
	simpleNames = []string{"accessed.test.", "www.accessed.test.", "elsewhere.test.", "unfiled.test.", "www.unfiled.test.", "pending.test.", "until.test.",
		"turn.test.", "restricted.test.", "cancelled.test.", "_8443._https.accessed.test.", "accessed.test.svc.cluster.local.", "x.cluster.local.",
		"host.", "ab.test.", "a.b.test.", "abroad.below.test."}
	simpleTargets = []string{"accessed.test.", "unfiled.test.", "x.cluster.local.", "a.w.kunlunsl.com.", "cdn.example.", "ab.test."}
	simpleOdd     = []string{`a\.b.test.`, `\255.accessed.test.`, "b\xfccher.test.", "中国.test."}
)

func (s *simple) message() (q dns.Question, m *dns.Msg, mode registry.Mode) {
	q = dns.Question{Name: s.cased(pick(&s.maker, simpleNames)), Qtype: pick(&s.maker, []uint16{dns.TypeA, dns.TypeA, dns.TypeAAAA, dns.TypeANY}), Qclass: dns.ClassINET}
	if s.n(30) == 29 {
		q.Name = pick(&s.maker, simpleOdd)
	}
	m = new(dns.Msg)
	m.Question, m.Response = []dns.Question{q}, true
	owner := q.Name
	for range s.n(4) {
		rr := s.usual(owner)
		if c, ok := rr.(*dns.CNAME); ok {
			owner = c.Target
		}
		m.Answer = append(m.Answer, rr)
	}
	if s.n(6) == 5 {
		m.Ns = append(m.Ns, pick(&s.maker, []dns.RR{
			&dns.SOA{Hdr: dns.RR_Header{Name: "test.", Rrtype: dns.TypeSOA, Class: dns.ClassINET}, Ns: "a.test.", Mbox: "b.test."},
			&dns.NS{Hdr: dns.RR_Header{Name: "test.", Rrtype: dns.TypeNS, Class: dns.ClassINET}, Ns: "ns.test."},
			&dns.A{Hdr: dns.RR_Header{Name: "ns.test.", Rrtype: dns.TypeA, Class: dns.ClassINET}, A: net.ParseIP(ours).To4()},
		}))
	}
	if s.n(10) == 9 {
		m.Extra = append(m.Extra, s.usual(pick(&s.maker, simpleTargets)))
	}
	return q, m, pick(&s.maker, []registry.Mode{registry.Enforce, registry.Monitor})
}

// usual makes a record of an answer; rarely one that is not so usual.
func (s *simple) usual(owner string) dns.RR {
	h := func(rrtype uint16) dns.RR_Header {
		return dns.RR_Header{Name: s.cased(owner), Rrtype: rrtype, Class: dns.ClassINET, Ttl: uint32(s.n(3)) * 100}
	}
	switch s.n(16) {
	case 0, 1, 2, 3:
		return &dns.CNAME{Hdr: h(dns.TypeCNAME), Target: s.cased(pick(&s.maker, simpleTargets))}
	case 4, 5:
		return &dns.AAAA{Hdr: h(dns.TypeAAAA), AAAA: net.ParseIP(pick(&s.maker, addresses6)).To16()}
	case 6:
		return &dns.RRSIG{Hdr: h(dns.TypeRRSIG), TypeCovered: dns.TypeA, SignerName: "test."}
	case 7:
		return &dns.A{Hdr: h(dns.TypeA), A: net.ParseIP(pick(&s.maker, addresses4)).To16()}
	case 8:
		return pick(&s.maker, []dns.RR{
			&dns.TXT{Hdr: h(dns.TypeTXT), Txt: []string{"x"}},
			&dns.A{Hdr: h(dns.TypeTXT), A: net.ParseIP(ours).To4()}, // a plugin's mistake
			&dns.RFC3597{Hdr: h(dns.TypeA), Rdata: "cb007101"},
			&dns.HTTPS{SVCB: dns.SVCB{Hdr: h(dns.TypeHTTPS), Priority: 1, Target: ".", Value: []dns.SVCBKeyValue{&dns.SVCBIPv4Hint{Hint: []net.IP{net.ParseIP(ours).To4()}}}}},
			&dns.CNAME{Hdr: h(dns.TypeCNAME), Target: pick(&s.maker, simpleOdd)},
		})
	}
	return &dns.A{Hdr: h(dns.TypeA), A: net.ParseIP(pick(&s.maker, addresses4)).To4()}
}

// cased writes a name in one of three ways.
func (s *simple) cased(name string) string {
	switch s.n(8) {
	case 6:
		return strings.ToUpper(name)
	case 7:
		n := min(1, len(name))
		return strings.ToUpper(name[:n]) + name[n:]
	}
	return name
}
