package icp

import (
	"cmp"
	"context"
	"reflect"
	"testing"
	"time"

	"github.com/coredns/coredns/plugin"
	"github.com/miekg/dns"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/edge"
	"github.com/icpgate/icpgate/registry/index"
)

// Open makes a handler as setup does, for the time of the test.
func Open(t testing.TB, cfg edge.Config, next plugin.Handler, zones ...string) *ICP {
	t.Helper()
	e, err := edge.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	p := &ICP{Next: next, zones: zones, cfg: cfg, memo: processMemo()}
	p.edge.Store(e)
	return p
}

// OpenForgetful is Open for a handler that judges every message anew.
func OpenForgetful(t testing.TB, cfg edge.Config, next plugin.Handler, zones ...string) *ICP {
	t.Helper()
	p := Open(t, cfg, next, zones...)
	p.memo = nil
	return p
}

// SOAPatience sets how long a zone's SOA record is waited for, for the time of the
// test; 0 is what programs have.
func SOAPatience(t testing.TB, d time.Duration) {
	before := soaPatience
	t.Cleanup(func() { soaPatience = before })
	soaPatience = cmp.Or(d, programPatience)
}

// programPatience is the one of programs.
var programPatience = soaPatience

// NoHurry makes all tests wait for a zone's SOA record until they are told it: where
// many programs share a processor, it may come late.
func NoHurry() { soaPatience = time.Minute }

// Refresh makes the handler look at its files.
func (p *ICP) Refresh() { p.edge.Load().Refresh() }

// Remembers reports whether what p does with a message is remembered, where it is
// the answer to r.
func (p *ICP) Remembers(w dns.ResponseWriter, r, m *dns.Msg) bool {
	_, wrapped := p.wrap(context.Background(), w, r)
	in, ok := wrapped.(*inspector)
	if !ok {
		return false
	}
	id, ok := in.identify(m)
	return ok && p.memo.find(id.fingerprint) != nil
}

// Identify returns what is hashed of a message beside the generation; "" if it is
// not to be remembered.
func Identify(q dns.Question, m *dns.Msg, mode registry.Mode) string {
	var e encoding
	in := &inspector{question: [1]dns.Question{q}, mode: mode}
	if !e.head(in, new(identity)) || !e.answer(m.Answer) || !silent(m.Ns) || !silent(m.Extra) {
		return ""
	}
	return string(e.b[:e.n])
}

// Memo is a memo of its own for tests of the table.
type Memo struct{ t *memo }

// NewMemo makes an empty one.
func NewMemo() Memo { return Memo{newMemo()} }

// Put remembers a reason under a fingerprint.
func (m Memo) Put(h0, h1 uint64, r registry.Reason, filed uint8) {
	m.t.put(fingerprint{h0, h1}, outcome{verdict: registry.Verdict{Reason: r, Filed: filed}})
}

// Find returns it.
func (m Memo) Find(h0, h1 uint64) (registry.Reason, uint8, bool) {
	o := m.t.find(fingerprint{h0, h1})
	if o == nil {
		return 0, 0, false
	}
	return o.verdict.Reason, o.verdict.Filed, true
}

// The sizes of a memo.
const (
	MemoSlots    = memoSets * len(memoSet{})
	MaxOutcomes  = outcomeMask
	MemoSetsMask = memoSets - 1
)

// Refresh makes every started handler look at its files.
func Refresh() {
	opened.Range(func(k, _ any) bool {
		k.(*ICP).Refresh()
		return true
	})
}

// Opened counts the handlers that have started and not stopped.
func Opened() (n int) {
	opened.Range(func(any, any) bool { n++; return true })
	return n
}

// Indexes returns the registries that the process holds.
func Indexes() (all []*index.Index) {
	for _, x := range edge.Registries() {
		all = append(all, x.View.Snapshot())
	}
	return all
}

// Lends reports whether a writer was seen to which answers are lent.
func Lends() bool { return packing.Load() != nil }

// LendTo makes handlers lend their answers to writers of w's type alone, for the
// time of the test.
func LendTo(t testing.TB, w dns.ResponseWriter) {
	before, of := packing.Load(), reflect.TypeOf(w)
	packing.Store(&of)
	t.Cleanup(func() { packing.Store(before) })
}
