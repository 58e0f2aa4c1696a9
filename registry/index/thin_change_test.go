package index_test

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/index"
)

// TestThinInvalidate: a change drops what lies at its name, above and below.
func TestThinInvalidate(t *testing.T) {
	filed := []string{"a.example", "b.c.example", "u.gov.cn", "v.gov.cn"}
	for _, test := range []struct {
		known, change string
		dropped       bool
	}{
		{"a.example", "a.example", true},
		{"www.a.example", "a.example", true},
		{"www.a.example", "x.y.a.example", true}, // its cut holds no longer
		{"www.a.example", "b.example", false},
		{"www.a.example", "xa.example", false},
		{"x.b.c.example", "c.example", true},
		{"x.b.c.example", "example", true},
		{"x.b.c.example", "b.c.example", true},
		{"x.b.c.example", "d.c.example", false},
		{"x.d.c.example", "b.c.example", false},
		{"c.example", "b.c.example", true},
		{"x.q.example", "q.example", true},
		{"q.gov.cn", "r.gov.cn", false},
		{"x.u.gov.cn", "u.gov.cn", true},
		{"x.u.gov.cn", "y.z.u.gov.cn", true}, // something is filed below the same unit
		{"u.gov.cn", "y.z.u.gov.cn", true},
		{"x.u.gov.cn", "v.gov.cn", false},
		{"x.u.gov.cn", "gov.cn", true},
		{"gov.cn", "u.gov.cn", true},
		{"example", "a.example", true},
		{"example", "a.test", false},
		{"b.example", "cn", true}, // a top-level domain: all
	} {
		r := &remote{cover: build(t, testOptions, []registry.Filing{filingOf(filed...)}).Cover}
		// Two names may meet in a stamp, but not in several tables.
		dropped := 0
		for range 4 {
			thin := newThin(t, index.ThinConfig{Source: r.source, Timeout: time.Minute})
			thin.Cover(background, name("%s", test.known))
			thin.Invalidate(name("%s", test.change), registry.Domain{})
			thin.Cover(background, name("%s", test.known))
			dropped += int(thin.Stats().Requests) - 1
			thin.Close()
		}
		if got := dropped == 4; got != test.dropped || dropped == 3 {
			t.Errorf("%q after a change at %q: dropped %d of 4 times; want %t", test.known, test.change, dropped, test.dropped)
		}
	}
}

// TestThinInvalidateAll: nothing stays, not even where the source is away.
func TestThinInvalidateAll(t *testing.T) {
	r := newRemote(t)
	thin := newThin(t, index.ThinConfig{Source: r.source, Timeout: time.Minute})
	defer thin.Close()
	thin.Cover(background, name("a.example"))
	thin.Cover(background, name("c.example"))
	thin.InvalidateAll()
	if s := thin.Stats(); s.Entries != 0 || s.Bytes != 0 {
		t.Errorf("got %+v; want no entries and bytes", s)
	}
	r.set(context.Canceled, nil)
	if got := state(thin.Cover(background, name("a.example"))); got != "undecided" {
		t.Errorf("got %s; want undecided", got)
	}
}

// TestThinInvalidateInFlight: an answer from before a change reaches nobody who
// asks after it, and is not kept.
func TestThinInvalidateInFlight(t *testing.T) {
	for _, invalidate := range []func(*index.Thin){
		func(thin *index.Thin) { thin.Invalidate(name("c.example")) },
		func(thin *index.Thin) { thin.Invalidate(name("x.www.c.example")) },
		(*index.Thin).InvalidateAll,
	} {
		synctest.Test(t, func(t *testing.T) {
			r, hold := newRemote(t), make(chan struct{})
			r.set(nil, hold)
			thin := newThin(t, index.ThinConfig{Source: r.source})
			defer thin.Close()
			var all sync.WaitGroup
			ask := func() {
				all.Go(func() {
					if got := state(thin.Cover(background, name("www.c.example"))); got != "filed" {
						t.Errorf("got %s; want filed", got)
					}
				})
				synctest.Wait()
			}
			ask() // the call has its old answer, and is held
			r.Lock()
			r.cover = build(t, testOptions, []registry.Filing{filingOf("c.example")}).Cover
			r.hold = nil
			r.Unlock()
			invalidate(thin)
			ask()
			close(hold)
			all.Wait()
			if n := len(r.asked()); n != 2 {
				t.Errorf("got %d calls; want 2", n)
			}
		})
	}
}

// TestThinInvalidateStale: who waits while its stale answer becomes doubtful has
// none.
func TestThinInvalidateStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRemote(t)
		thin := newThin(t, index.ThinConfig{Source: r.source, TTL: time.Minute, CallTimeout: time.Hour})
		defer thin.Close()
		thin.Cover(background, name("a.example"))
		thin.Cover(background, name("b.example"))
		time.Sleep(time.Minute)
		r.set(nil, make(chan struct{})) // never answers
		var all sync.WaitGroup
		for text, want := range map[string]string{"a.example": "undecided", "b.example": "filed"} {
			all.Go(func() {
				if got := state(thin.Cover(background, name("%s", text))); got != want {
					t.Errorf("%q: got %s; want %s", text, got, want)
				}
			})
		}
		synctest.Wait()
		thin.Invalidate(name("a.example"))
		all.Wait()
	})
}

// history is a registry that changes, and all that it was. The revision of an
// answer is its place in the history.
type history struct {
	g       *generator
	filings []registry.Filing
	black   []registry.Domain
	states  []atomic.Pointer[twin]
	now     atomic.Int64
}

func newHistory(seed uint64, changes int) *history {
	h := &history{g: newGenerator(seed, 4), states: make([]atomic.Pointer[twin], changes+1)}
	h.filings, h.black = h.g.registry(20, 2)
	h.note(0)
	return h
}

func (h *history) note(n int) {
	rev := registry.Revision{Epoch: testRevision.Epoch, Rev: uint64(n)}
	h.states[n].Store(newTwin(slices.Clone(h.filings), slices.Clone(h.black), rev))
	h.now.Store(int64(n))
}

func (h *history) source(_ context.Context, names []registry.Domain) (cs []registry.Coverage, err error) {
	t := h.states[h.now.Load()].Load()
	for _, d := range names {
		cs = append(cs, t.cover(d))
	}
	return cs, nil
}

// change makes the next state and returns the names it touches.
func (h *history) change() (names []registry.Domain) {
	touch := func(f registry.Filing) { names = append(names, f.Site.Domains...) }
	switch i := h.g.IntN(max(len(h.filings), 1)); h.g.IntN(6) {
	case 0:
		d := h.g.name()
		if h.black = append(h.black, d); len(h.black) > 4 {
			names, h.black = append(names, h.black[0]), h.black[1:]
		}
		names = append(names, d)
	case 1, 2:
		if len(h.filings) > 10 {
			touch(h.filings[i])
			h.filings = slices.Delete(slices.Clone(h.filings), i, i+1)
		}
	case 3:
		if len(h.filings) > i {
			touch(h.filings[i])
			h.filings = slices.Clone(h.filings)
			h.filings[i] = h.g.filing()
			touch(h.filings[i])
		}
	default:
		h.filings = append(h.filings, h.g.filing())
		touch(h.filings[len(h.filings)-1])
	}
	h.note(int(h.now.Load()) + 1)
	return names
}

// right reports whether c is what a state from first to last answers for d. Its
// cut may be deeper: what is gone no longer shows, but the entry holds.
func (h *history) right(d registry.Domain, c registry.Coverage, first, last int64) bool {
	slices.SortStableFunc(c.Filings, compareCoverings)
	for n := first; n <= last; n++ {
		want := h.states[n].Load().cover(d)
		if c.Cut < want.Cut {
			continue
		}
		want.Cut, want.Revision = c.Cut, c.Revision
		if equal(c, want) {
			return true
		}
	}
	return false
}

// TestThinModel: whatever changes, with each change told, every answer is the
// registry's. The cache is small, so that entries come and go; it must still be
// one, not ask for everything.
func TestThinModel(t *testing.T) {
	const changes, queries = 300, 60
	for seed := range uint64(4) {
		h := newHistory(seed, changes)
		thin := newThin(t, index.ThinConfig{Source: h.source, Timeout: time.Minute, Size: 200, MaxBytes: 60_000})
		for n := range int64(changes) {
			for range queries {
				d := h.g.query(h.filings)
				if got := thin.Cover(background, d); !h.right(d, cloned(got), n, n) {
					t.Fatalf("seed %d, state %d, %q: got %+v; want %+v", seed, n, d, got, h.states[n].Load().cover(d))
				}
			}
			thin.Invalidate(h.change()...)
		}
		if s := thin.Stats(); s.Hits < s.Misses || s.Evictions == 0 {
			t.Errorf("seed %d: got %+v; want more hits than misses, and evictions", seed, s)
		}
		thin.Close()
	}
}

// cloned has filings of its own, to sort.
func cloned(c registry.Coverage) registry.Coverage {
	c.Filings = slices.Clone(c.Filings)
	return c
}

// TestThinModelConcurrent: an answer is one of those between the last change that
// was told before the question and the newest one.
func TestThinModelConcurrent(t *testing.T) {
	const changes = 100
	h := newHistory(9, changes)
	thin := newThin(t, index.ThinConfig{Source: h.source, Timeout: time.Minute, Size: 100})
	defer thin.Close()
	var told atomic.Int64
	var askers sync.WaitGroup
	for i := range 4 {
		g, names := newGenerator(uint64(i), 4), slices.Clone(h.filings)
		askers.Go(func() {
			for told.Load() < changes {
				d := g.query(names)
				first := told.Load()
				got := thin.Cover(background, d)
				if last := h.now.Load(); !h.right(d, cloned(got), first, last) {
					t.Errorf("%q: got %+v; want what it was at one of the states %d to %d", d, got, first, last)
					return
				}
			}
		})
	}
	for n := range int64(changes) {
		for seen := thin.Stats().Hits; thin.Stats().Hits < seen+20 && !t.Failed(); {
			runtime.Gosched()
		}
		thin.Invalidate(h.change()...)
		told.Store(n + 1)
	}
	askers.Wait()
}
