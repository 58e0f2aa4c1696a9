package icp_test

import (
	"net"
	"testing"

	_ "github.com/coredns/coredns/plugin/dnstap"
	tap "github.com/dnstap/golang-dnstap"
	"github.com/miekg/dns"
	"google.golang.org/protobuf/proto"
)

// TestDnstap: dnstap, which stands above the directive, records the answer that
// the client got and, with the metadata, why.
func TestDnstap(t *testing.T) {
	w := newWorld(t)
	up := newUpstream(t, "unfiled.test. 60 IN A "+ours, "accessed.test. 60 IN A "+ours)
	listener, err := net.Listen("unix", w.path("tap.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	frames := make(chan []byte, 16)
	go tap.NewFrameStreamSockInput(listener).ReadInto(frames)
	s := w.start(t, ".:0 {\nSERVER\nmetadata\ndnstap "+w.path("tap.sock")+" full {\nextra \"{/icp/verdict} {/icp/reason} {/icp/filed}\"\n}\nICP\nforward . "+up.addr+"\n}")
	wantBlocked(t, s.ask(t, query{name: "unfiled.test", qtype: dns.TypeA, edns: true}), "not filed")
	wantAddresses(t, s.ask(t, query{name: "accessed.test", qtype: dns.TypeA, edns: true}), ours)

	want := map[string]struct {
		extra   string
		answers int
	}{"unfiled.test.": {"block unfiled ", 0}, "accessed.test.": {"pass accessed accessed.test", 1}}
	for len(want) > 0 {
		var d tap.Dnstap
		if err := proto.Unmarshal(<-frames, &d); err != nil {
			t.Fatal(err)
		}
		m := new(dns.Msg)
		if d.GetMessage().GetType() != tap.Message_CLIENT_RESPONSE {
			continue
		}
		if err := m.Unpack(d.GetMessage().GetResponseMessage()); err != nil {
			t.Fatal(err)
		}
		name := m.Question[0].Name
		is, ok := want[name]
		if !ok {
			continue // of the start
		}
		delete(want, name)
		if got := string(d.GetExtra()); got != is.extra || len(addresses(m)) != is.answers {
			t.Errorf("%s: recorded %q with\n%s; want %q and %d addresses", name, got, m, is.extra, is.answers)
		}
	}
}
