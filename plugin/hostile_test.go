package icp_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/test"
	"github.com/miekg/dns"

	icp "github.com/icpgate/icpgate/plugin"
	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/edge"
)

// TestHostile lets a plugin below answer with random messages, made to get an
// address of the mainland past the directive: unusual types, classes, sections,
// owners, encodings, chains. What is written is read by wireTwin, which shares no
// code with the directive and not even the library's unpacking.
func TestHostile(t *testing.T) {
	h := newHostile(t)
	random := rand.New(rand.NewPCG(20, 26))
	left := 0
	for range 20_000 {
		tape := make([]byte, 40+random.IntN(400))
		for i := range tape {
			tape[i] = byte(random.Uint32())
		}
		left += h.attack(t, tape)
	}
	if left < 1000 {
		t.Errorf("%d addresses of the mainland were in what passed; want many, those of name servers and filed names", left)
	}
}

// FuzzHostile is the same, led by the fuzzer.
func FuzzHostile(f *testing.F) {
	h := newHostile(f)
	for i := range 32 {
		tape := make([]byte, 120)
		random := rand.New(rand.NewPCG(7, uint64(i)))
		for i := range tape {
			tape[i] = byte(random.Uint32())
		}
		f.Add(tape)
	}
	f.Fuzz(func(t *testing.T, tape []byte) { h.attack(t, tape) })
}

// hostile is a directive in several settings over a plugin that says anything.
type hostile struct {
	handlers []*icp.ICP
	reply    *dns.Msg
	packed   []byte // written in place of reply if set
}

func newHostile(t testing.TB) *hostile {
	w, h := newWorld(t), &hostile{}
	next := plugin.HandlerFunc(func(_ context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
		if r.Question[0].Qtype == dns.TypeSOA && h.reply.Question[0].Qtype != dns.TypeSOA {
			return dns.RcodeServerFailure, nil // the question for the zone behind a block answer
		}
		if h.packed != nil {
			_, err := w.Write(h.packed)
			return 0, err
		}
		return 0, w.WriteMsg(h.reply)
	})
	for _, edit := range []func(*edge.Config){
		func(*edge.Config) {},
		func(c *edge.Config) { c.Policy.Mixed, c.MaxTTL = registry.MixedBlock, 60 },
		func(c *edge.Config) { c.StripECH, c.Block.Action = edge.StripECHUnfiled, edge.NXDomain },
		func(c *edge.Config) { c.StripECH, c.Block.Action = edge.StripECHOff, edge.Refused },
		func(c *edge.Config) { c.Block = edge.Block{Action: edge.Redirect, Addrs: addrsOf(notice, notice6)} },
	} {
		cfg := w.cfg
		edit(&cfg)
		h.handlers = append(h.handlers, icp.Open(t, cfg, next, "."))
	}
	return h
}

// attack makes one message and sends it through every handler. It returns how
// many mainland addresses were rightly left.
func (h *hostile) attack(t *testing.T, tape []byte) (left int) {
	t.Helper()
	m := maker{tape: tape}
	q, filed := m.question()
	m.answer(q, filed)
	if isTransfer(q.Qtype, q.Name, m.msg) {
		return 0
	}
	original, err := m.msg.Pack()
	if err != nil {
		return 0 // the server could not send it either
	}
	h.reply, h.packed = m.msg, nil
	if m.one(3) {
		h.packed = original
		filed = filed && new(dns.Msg).Unpack(original) == nil // else it is refused, see TestPacked
	}
	before := m.msg.String()
	for i, p := range h.handlers {
		out := &wire{}
		if _, err := p.ServeDNS(context.Background(), out, q.request(m.edns)); err != nil {
			t.Fatal(err)
		}
		if m.msg.String() != before {
			t.Fatalf("the plugin's own message was altered:\n%s\nwas\n%s", m.msg, before)
		}
		if filed && i != 1 && !slices.Equal(out.bytes, original) { // the second handler caps TTLs
			t.Fatalf("the filed name's message was altered:\n%s\nwas\n%s", m.msg, before)
		}
		twin := wireTwin{asked: q.Question, original: parseWire(t, original)}
		for _, rr := range parseWire(t, out.bytes) {
			for _, a := range rr.mainland() {
				if left++; !filed && !twin.allows(rr) {
					t.Fatalf("handler %d, question %v: %s of %q in section %d is left of\n%s", i, q.Question, a, rr.owner, rr.section, before)
				}
			}
		}
	}
	return left
}

// wire is a client that keeps what it is sent as bytes.
type wire struct {
	test.ResponseWriter
	bytes []byte
}

func (w *wire) Write(b []byte) (int, error) {
	w.bytes = append([]byte(nil), b...)
	return len(b), nil
}

func (w *wire) WriteMsg(m *dns.Msg) error {
	b, err := m.Pack()
	w.bytes = b
	return err
}

// asking is a question with the means to ask it.
type asking struct{ dns.Question }

func (q asking) request(edns bool) *dns.Msg {
	m := &dns.Msg{Question: []dns.Question{q.Question}}
	m.Id, m.RecursionDesired = 4711, true
	if edns {
		m.SetEdns0(1232, true)
	}
	return m
}
