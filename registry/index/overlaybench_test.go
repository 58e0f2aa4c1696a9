package index_test

import (
	"math/rand/v2"
	"sync"
	"testing"

	filings "github.com/icpgate/icpgate/bench/corpus"
	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/index"
)

// overlaySize is how many names the overlay of the benchmarks holds: a third
// each is new, has another filing, and has none any more.
const overlaySize = 50_000

// benchLive holds the benchmark's registry with an overlay, and the next changes.
type benchLive struct {
	live    index.Live
	changed []registry.Change // what the overlay holds
	changes []registry.Change // what may come next
}

var benchOverlay = sync.OnceValue(func() *benchLive {
	c := benchCorpus()
	b := &benchLive{}
	b.live.Swap(c.x)
	r := rand.New(rand.NewPCG(5, 6))
	for i := range 3 * overlaySize {
		b.changes = append(b.changes, benchChange(c, r, i))
	}
	b.changed, b.changes = b.changes[:overlaySize], b.changes[overlaySize:]
	b.apply(b.changed)
	return b
})

// apply takes changes in, a thousand a revision.
func (b *benchLive) apply(changes []registry.Change) {
	for len(changes) > 0 {
		some := changes[:min(1000, len(changes))]
		if err := b.live.Apply(b.next(some)...); err != nil {
			panic(err)
		}
		changes = changes[len(some):]
	}
}

// next gives changes the next revision.
func (b *benchLive) next(changes []registry.Change) []registry.Change {
	rev := b.live.View().Revision()
	rev.Rev++
	for i := range changes {
		changes[i].Revision = rev
	}
	return changes
}

func benchChange(c *corpus, r *rand.Rand, i int) registry.Change {
	f := filings.Filing(r.IntN(c.n))
	if i%3 == 0 {
		f = filings.Filing(c.n + i)
	}
	ch := registry.Change{Kind: registry.ChangeFilings, Name: f.Site.Domains[0]}
	if i%3 < 2 {
		f.Restricted = true
		ch.Filings = []registry.Filing{f}
	}
	return ch
}

// BenchmarkApply is one change of one name a revision, with 50,000 names in the
// overlay and more.
func BenchmarkApply(b *testing.B) {
	o := benchOverlay()
	changes := append([]registry.Change(nil), o.changes...)
	l := &benchLive{}
	l.live.Swap(benchCorpus().x)
	l.apply(changes[:overlaySize])
	changes = changes[overlaySize:]
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if err := l.live.Apply(l.next(changes[i : i+1])...); err != nil {
			b.Fatal(err)
		}
		if i++; i == len(changes) {
			i = 0
		}
	}
}

func BenchmarkViewCover(b *testing.B) {
	for _, over := range []string{"empty", "overlay", "changed"} {
		for _, heat := range []string{"hot", "random"} {
			for _, kind := range []string{"filed", "sub", "unfiled"} {
				b.Run(over+"/"+heat+"/"+kind, func(b *testing.B) { benchView(b, over, heat == "hot", kind) })
			}
		}
	}
}

// benchView asks an overlay-free view, one with an overlay for names that it
// does not concern (but for a few in a hundred), and for those that it does.
func benchView(b *testing.B, over string, hot bool, kind string) {
	v, qs := index.NewView(benchCorpus().x), benchCorpus().queries(kind, hot)
	if over != "empty" {
		v = benchOverlay().live.View()
	}
	if over == "changed" {
		for i := range qs {
			qs[i] = benchOverlay().changed[i%overlaySize].Name
			switch kind {
			case "sub":
				qs[i] = registry.MustParseDomain("www." + qs[i].String())
			case "unfiled":
				qs[i] = registry.MustParseDomain("a.b." + qs[i].String())
			}
		}
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		sink = v.Cover(qs[i])
		if i++; i == len(qs) {
			i = 0
		}
	}
}
