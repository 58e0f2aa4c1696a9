package index_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/index"
)

// BenchmarkFlood asks for a thousand names in use among a hundred times as many
// random names below one domain, in both modes, with room for two thousand. It
// reports the share of the names in use that the cache still knew ("kept-%").
func BenchmarkFlood(b *testing.B) {
	x := build(b, testOptions, []registry.Filing{filingOf("xn--fsqu00a.cn"), filingOf("a.example")})
	b.Run("full", func(b *testing.B) {
		cache := index.NewCache(2000)
		benchFlood(b, func(s string) (hit bool) {
			before := cache.Stats().Hits
			_, sink, _ = cache.Cover(x, s)
			return cache.Stats().Hits > before
		}, "www.例%d.cn", "x%d.例子.cn")
	})
	b.Run("thin", func(b *testing.B) {
		calls, source := 0, plain(x)
		thin := newThin(b, index.ThinConfig{Size: 2000, Timeout: time.Minute, Source: func(ctx context.Context, names []registry.Domain) ([]registry.Coverage, error) {
			calls++
			return source(ctx, names)
		}})
		defer thin.Close()
		benchFlood(b, func(s string) (hit bool) {
			before := calls
			sink = thin.Cover(background, registry.MustParseDomain(s))
			return calls == before // Cover has waited for the call
		}, "www.hot%d.example", "x%d.a.example")
	})
}

func benchFlood(b *testing.B, ask func(name string) (hit bool), hot, flood string) {
	const names = 1000
	for i := range names {
		ask(fmt.Sprintf(hot, i))
	}
	kept, asked, n := 0, 0, 0
	for b.Loop() {
		for range 100 {
			ask(fmt.Sprintf(flood, n))
			n++
		}
		if ask(fmt.Sprintf(hot, asked%names)) {
			kept++
		}
		asked++
	}
	b.ReportMetric(100*float64(kept)/float64(asked), "kept-%")
}
