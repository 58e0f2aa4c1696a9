package index_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/index"
)

// TestThinFloodBelow: random names below one domain are one entry.
func TestThinFloodBelow(t *testing.T) {
	thin := newThin(t, index.ThinConfig{Source: newRemote(t).source, Timeout: time.Minute})
	defer thin.Close()
	thin.Cover(background, name("b.example"))
	for i := range 10_000 {
		thin.Cover(background, name("x%d.a.example", i))
		thin.Cover(background, name("x%d.y.c.example", i))
	}
	if s := thin.Stats(); s.Entries != 3 || s.Requests != 3 || s.Evictions != 0 || s.Hits != 20_001-3 {
		t.Errorf("got %+v; want 3 entries and requests, no eviction", s)
	}
}

// flood mixes questions about hot names with others that come once each, or twice
// in a row as for A and AAAA, and returns the share of the hot that hit.
func flood(ask func(registry.Domain) bool, others, times int, tail string) float64 {
	const hot, warm = 1000, 20_000
	measured := 30_000 / others
	r := rand.New(rand.NewPCG(1, 2))
	z := rand.NewZipf(r, 1.1, 8, hot-1)
	hits := 0
	for i := range warm + measured {
		hit := ask(name("www.hot%d.example", z.Uint64()))
		if i < warm {
			continue
		}
		if hit {
			hits++
		}
		for n := range others {
			d := name("x%d%s", others*i+n, tail)
			for range times {
				ask(d)
			}
		}
	}
	return float64(hits) / float64(measured)
}

// TestThinFlood: neither random names of a top-level domain nor random hosts
// beside filed ones, each an entry of its own, displace the names in use. An LRU
// of the same size, and the 2Q of the same module, show what would happen.
func TestThinFlood(t *testing.T) {
	const size = 2000
	x := build(t, testOptions, []registry.Filing{filingOf("filed.a.example"), filingOf("u.gov.cn")})
	for _, test := range []struct {
		others, times int
		tail          string
	}{{10, 1, ".test"}, {10, 2, ".a.example"}, {100, 2, ".u.gov.cn"}} {
		calls, source := 0, plain(x)
		counting := func(ctx context.Context, names []registry.Domain) ([]registry.Coverage, error) {
			calls++
			return source(ctx, names)
		}
		thin := newThin(t, index.ThinConfig{Source: counting, Size: size, Now: fixed, Timeout: time.Minute})
		got := flood(func(d registry.Domain) bool {
			before := calls
			thin.Cover(background, d)
			return calls == before // Cover has waited for the call
		}, test.others, test.times, test.tail)
		thin.Close()
		one, _ := lru.New[registry.Domain, bool](size)
		two, _ := lru.New2Q[registry.Domain, bool](size)
		lruHits := flood(func(d registry.Domain) bool {
			_, hit := one.Get(d)
			one.Add(d, true)
			return hit
		}, test.others, test.times, test.tail)
		twoHits := flood(func(d registry.Domain) bool {
			_, hit := two.Get(d)
			if !hit {
				two.Add(d, true)
			}
			return hit
		}, test.others, test.times, test.tail)
		t.Logf("%d others, %d times, %s: hits %.2f; lru.Cache %.2f, lru.TwoQueueCache %.2f",
			test.others, test.times, test.tail, got, lruHits, twoHits)
		if got < 0.9 || got < lruHits {
			t.Errorf("%+v: got %.2f hits of hot names; want 0.9 at least, and not fewer than an LRU", test, got)
		}
	}
}

// plain is a source that reads an index.
func plain(x *index.Index) index.Source {
	return func(_ context.Context, names []registry.Domain) ([]registry.Coverage, error) {
		cs := make([]registry.Coverage, len(names))
		for i, d := range names {
			cs[i] = x.Cover(d)
		}
		return cs, nil
	}
}

func fixed() time.Time { return time.Unix(1_700_000_000, 0) }

// TestThinBounds: entries and bytes stay within their bounds, whatever comes.
func TestThinBounds(t *testing.T) {
	g := newGenerator(31, 1000)
	fs, _ := g.registry(500, 0)
	x := build(t, testOptions, fs)
	for _, bound := range []struct{ size, bytes int }{{1, 0}, {100, 0}, {5000, 0}, {5000, 1 << 20}, {5000, 20_000}, {5000, 1}} {
		thin := newThin(t, index.ThinConfig{Source: plain(x), Size: bound.size, MaxBytes: bound.bytes, Timeout: time.Minute})
		for i := range 6000 {
			thin.Cover(background, name("%d-%s", i, g.query(fs)))
		}
		s := thin.Stats()
		if s.Entries > bound.size+15 || bound.bytes > 0 && s.Bytes > int64(bound.bytes)+15 || s.Evictions == 0 {
			t.Errorf("%+v: got %+v; want it within bounds", bound, s)
		}
		thin.Close()
	}
}

// TestThinBytes weighs entries: what Stats says of them is near the truth.
func TestThinBytes(t *testing.T) {
	filing := filingOf("a.example")
	filing.Accesses = append(filing.Accesses, registry.Access{Provider: registry.Tencent})
	filed := build(t, testOptions, []registry.Filing{filing}).Cover(name("a.example"))
	for _, c := range []registry.Coverage{{Loaded: true, Cut: 2}, filed} {
		source := func(_ context.Context, names []registry.Domain) (cs []registry.Coverage, err error) {
			for range names {
				cs = append(cs, c)
			}
			return cs, nil
		}
		before := heap()
		thin := newThin(t, index.ThinConfig{Source: source, Timeout: time.Minute, Size: 100_000, MaxBytes: 1 << 30})
		empty := heap()
		for i := range 50_000 {
			thin.Cover(background, name("some-name-%d.example", i))
		}
		got, want := float64(thin.Stats().Bytes), float64(heap()-empty)
		t.Logf("%d filings: %.0f bytes an entry estimated, %.0f on the heap, and %d for the tables", len(c.Filings), got/50_000, want/50_000, empty-before)
		if got < want*0.8 || got > want*1.3 {
			t.Errorf("got %.0f bytes; want about %.0f", got, want)
		}
		thin.Close()
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkThin: a hit on names in use, on one goroutine and on all; a hit after
// changes, which must look for stamps; a miss with a source that costs nothing.
// The references are one look-up in one LRU, and the clock, which a hit reads.
func BenchmarkThin(b *testing.B) {
	const hot = 1000
	x := build(b, testOptions, []registry.Filing{filingOf("a.example")})
	thin := newThin(b, index.ThinConfig{Source: plain(x), Timeout: time.Minute})
	defer thin.Close()
	names := make([]registry.Domain, hot)
	for i := range names {
		names[i] = name("www.hot%d.test", i)
		thin.Cover(background, names[i])
	}
	hits := func(b *testing.B) {
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			sink = thin.Cover(background, names[i])
			if i++; i == hot {
				i = 0
			}
		}
	}
	b.Run("reference/lru", func(b *testing.B) {
		one, _ := lru.New[registry.Domain, registry.Coverage](2 * hot)
		for _, d := range names {
			one.Add(d.Last(2), registry.Coverage{})
		}
		i := 0
		for b.Loop() {
			sink, _ = one.Get(names[i].Last(2))
			if i++; i == hot {
				i = 0
			}
		}
	})
	b.Run("reference/now", func(b *testing.B) {
		for b.Loop() {
			time.Now()
		}
	})
	b.Run("hit", hits)
	b.Run("hit/parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for i := rand.IntN(hot); pb.Next(); i++ {
				thin.Cover(background, names[i%hot])
			}
		})
	})
	thin.Invalidate(name("elsewhere.test"))
	b.Run("hit/changed", hits)
	b.Run("invalidate", func(b *testing.B) {
		b.ReportAllocs()
		d := name("www.elsewhere.test")
		for b.Loop() {
			thin.Invalidate(d)
		}
	})
	b.Run("miss", func(b *testing.B) {
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			thin.Cover(background, registry.MustParseDomain(fmt.Sprintf("x%d.test", i)))
			i++
		}
	})
}
