package icp_test

import (
	"strings"
	"testing"

	"github.com/miekg/dns"
)

const structured = `structured-error 65500 contact mailto:icp@provider.example tel:+86-10-55550100 organisation "Example 接入商" lang zh-Hans`

// askStructured asks with an EDNS option.
func askStructured(t *testing.T, s *server, name string, size uint16, option uint16, data ...byte) *dns.Msg {
	t.Helper()
	m := query{name: name, qtype: dns.TypeA}.msg()
	m.SetEdns0(size, false)
	m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_LOCAL{Code: option, Data: data}}
	return exchange(t, "udp", s.udp(), m)
}

func TestStructuredErrors(t *testing.T) {
	w := newWorld(t)
	long := strings.Repeat(strings.Repeat("x", 60)+".", 3) + "unfiled.test."
	up := newUpstream(t, "unfiled.test. 60 IN A "+ours, long+" 60 IN A "+ours)
	contact := "mailto:" + strings.Repeat("x", 100) + "@provider.example"
	verbose := "structured-error 65500 contact " + contact + " organisation " + strings.Repeat("o", 120)
	tests := []struct {
		name, options, host string
		size, option        uint16
		data                []byte
		want                string // the text
	}{
		{"asked", structured, "unfiled.test.", 1232, 65500, nil,
			`{"c":["mailto:icp@provider.example","tel:+86-10-55550100"],"j":"icp: not filed","o":"Example 接入商","l":"zh-Hans"}`},
		{"with redirect", structured + "\nblock redirect " + notice, "unfiled.test.", 1232, 65500, nil,
			`{"c":["mailto:icp@provider.example","tel:+86-10-55550100"],"j":"icp: not filed","o":"Example 接入商","l":"zh-Hans"}`},
		{"with another code", structured + "\nede 4", "unfiled.test.", 1232, 65500, nil,
			`{"c":["mailto:icp@provider.example","tel:+86-10-55550100"],"j":"icp: not filed","o":"Example 接入商","l":"zh-Hans"}`},
		{"small packet", verbose, long, 512, 65500, nil, `{"c":["` + contact + `"]}`},
		{"packet of no size", verbose, long, 0, 65500, nil, `{"c":["` + contact + `"]}`},
		{"not empty", structured, "unfiled.test.", 1232, 65500, []byte{1}, "icp: not filed"},
		{"another option", structured, "unfiled.test.", 1232, 65501, nil, "icp: not filed"},
		{"off", "", "unfiled.test.", 1232, 65500, nil, "icp: not filed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := w.start(t, ".:0 {\nSERVER\nICP("+tt.options+")\nforward . "+up.addr+"\n}")
			m := askStructured(t, s, tt.host, tt.size, tt.option, tt.data...)
			code, text := ede(m)
			if code != 16 || text != tt.want || len(m.Answer) != 0 {
				t.Errorf("got\n%s; want EDE 16 with %s and no answer", m, tt.want)
			}
			m.Compress = true
			if n := m.Len(); n > max(int(tt.size), dns.MinMsgSize) || m.Truncated {
				t.Errorf("got %d bytes, truncated %t; want %d at most", n, m.Truncated, tt.size)
			}
		})
	}
}

// TestStructuredErrorsLeaveOthers: without the option, a redirect is one, with
// its own code.
func TestStructuredErrorsLeaveOthers(t *testing.T) {
	w := newWorld(t)
	up := newUpstream(t, "unfiled.test. 60 IN A "+ours)
	s := w.start(t, ".:0 {\nSERVER\nICP("+structured+"\nblock redirect "+notice+")\nforward . "+up.addr+"\n}")
	m := s.ask(t, query{name: "unfiled.test", qtype: dns.TypeA, edns: true})
	if code, text := ede(m); code != 4 || text != "icp: not filed" || !equal(addresses(m), []string{notice}) {
		t.Errorf("got\n%s; want the notice host and EDE 4", m)
	}
}

// TestStructuredErrorsOverDig: as dig asks for them.
func TestStructuredErrorsOverDig(t *testing.T) {
	dig := need(t, "dig", "bind9-dnsutils")
	w := newWorld(t)
	up := newUpstream(t, "unfiled.test. 60 IN A "+ours)
	s := w.start(t, ".:0 {\nSERVER\nICP(structured-error 65500 contact mailto:icp@provider.example organisation Example)\nforward . "+up.addr+"\n}")
	const json = `\{"c":\["mailto:icp@provider.example"\],"j":"icp: not filed","o":"Example","l":"en"\}`
	for addr, transport := range map[string]string{s.udp(): "+notcp", s.tcp(): "+tcp"} {
		wantText(t, dig.run(t, at(addr, transport, "+ednsopt=65500", "unfiled.test", "A")...), `EDE: 16 \(Censored\): \(`+json, "ANSWER: 0,", "!WARNING")
		wantText(t, dig.run(t, at(addr, transport, "unfiled.test", "A")...), `EDE: 16 \(Censored\): \(icp: not filed\)`)
	}
}
