package icp_test

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/request"
	"github.com/miekg/dns"

	icp "github.com/icpgate/icpgate/plugin"
)

// TestLentAnswers: block answers that are used again are each client's own, however
// many ask at once, for what names, and with EDNS or without.
func TestLentAnswers(t *testing.T) {
	w := newWorld(t)
	s := w.start(t, ".:0 {\nSERVER\nICP\ntemplate IN A {\nanswer \"{{ .Name }} 60 IN A "+ours+"\"\n}\n}")
	var clients sync.WaitGroup
	for i := range 16 {
		clients.Go(func() {
			network, addr := "udp", s.udp()
			if i%4 == 3 {
				network, addr = "tcp", s.tcp()
			}
			conn, err := (&dns.Client{Net: network, Timeout: time.Minute}).Dial(addr)
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			for k := range 400 {
				q := query{name: fmt.Sprintf("%d.n%d.unfiled.test", i/2, k%20), qtype: dns.TypeA, edns: (i+k)%2 == 0, do: (i+k)%4 == 0}
				if err := blockedFor(conn, q); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	clients.Wait()
	if !icp.Lends() {
		t.Error("no answer was used again; want those over UDP and TCP")
	}
}

// blockedFor asks q, and returns an error unless the answer is all of a block
// answer to it.
func blockedFor(conn *dns.Conn, q query) error {
	asked := q.msg()
	conn.SetDeadline(time.Now().Add(time.Minute))
	if err := conn.WriteMsg(asked); err != nil {
		return err
	}
	m, err := conn.ReadMsg()
	if err != nil {
		return err
	}
	extra := 0
	if q.edns || q.do {
		extra = 1
	}
	if m.Id != asked.Id || !m.Response || m.Rcode != dns.RcodeSuccess || len(m.Question) != 1 || m.Question[0] != asked.Question[0] ||
		len(m.Answer) != 0 || len(m.Ns) != 1 || len(m.Extra) != extra {
		return fmt.Errorf("got\n%s\nto\n%s; want a block answer", m, asked)
	}
	if soa, ok := m.Ns[0].(*dns.SOA); !ok || soa.Hdr.Name != asked.Question[0].Name || soa.Ns != "." {
		return fmt.Errorf("got %s; want the SOA of %s", m.Ns[0], asked.Question[0].Name)
	}
	if extra == 0 {
		return nil
	}
	if code, text := ede(m); code != 16 || text != "icp: not filed" || m.IsEdns0().Do() != q.do || m.IsEdns0().UDPSize() != 1232 {
		return errors.New("got " + m.IsEdns0().String() + "; want DO as asked and EDE 16")
	}
	return nil
}

// TestKeptAnswers: who may keep a message gets one that is never used again, even
// where only the server's own writer is in between.
func TestKeptAnswers(t *testing.T) {
	w := newWorld(t)
	q := questions["block-edns"]
	p := icp.Open(t, w.cfg, replies{q.reply(t)}, ".")
	var kept []*dns.Msg
	for range 20 {
		client, r := &sink{}, q.request()
		if _, err := p.ServeDNS(serving(), request.NewScrubWriter(r, client), r); err != nil {
			t.Fatal(err)
		}
		kept = append(kept, client.last)
	}
	for _, m := range kept {
		wantBlocked(t, m, "not filed")
		checkSOA(t, m, true, q.name)
	}
}

// packer is a client that packs every answer and keeps none.
type packer struct{ sink }

func (p *packer) WriteMsg(m *dns.Msg) error {
	_, err := m.Pack()
	return err
}

// TestLentAllocations: where the answer is used again, a blocked one takes no more
// memory than a passed one.
func TestLentAllocations(t *testing.T) {
	w := newWorld(t)
	icp.LendTo(t, &packer{})
	for name, q := range map[string]question{"block": questions["block"], "pass": questions["pass-mainland"]} {
		next := replies{q.reply(t)}
		p := icp.Open(t, w.cfg, next, ".")
		ctx, r := serving(), q.request()
		client := request.NewScrubWriter(r, &packer{})
		allocs := func(h plugin.Handler) float64 {
			least := math.Inf(1)
			for range 10 { // what others in the process allocate is counted too
				least = min(least, testing.AllocsPerRun(200, func() { h.ServeDNS(ctx, client, r) }))
			}
			return least
		}
		if more := allocs(p) - allocs(next); more > 2 {
			t.Errorf("%s: got %v allocations more than without the directive; want 2 at most", name, more)
		}
	}
}
