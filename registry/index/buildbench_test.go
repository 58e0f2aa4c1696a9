package index_test

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	filings "github.com/icpgate/icpgate/bench/corpus"
	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/index"
)

// benchFilings is how many filings of bench/corpus are built, mapped and merged.
func benchFilings() int {
	if n, err := strconv.Atoi(os.Getenv("ICPGATE_BENCH_NAMES")); err == nil {
		return n
	}
	return 100_000
}

// builtCorpus is a snapshot of them, made once a run.
var builtCorpus = sync.OnceValue(func() *index.Index { return buildCorpus(nil) })

// buildCorpus makes one. With b it times Add and Build.
func buildCorpus(b *testing.B) *index.Index {
	builder := index.NewBuilder(testOptions)
	fillCorpus(b, builder)
	x, err := builder.Build()
	if err != nil {
		panic(err)
	}
	return x
}

// fillCorpus adds all of them. With b it times that, not the making of filings.
func fillCorpus(b *testing.B, builder *index.Builder) {
	const batch = 1000
	fs := make([]registry.Filing, 0, batch)
	for i, n := 0, benchFilings(); i < n; {
		if b != nil {
			b.StopTimer()
		}
		for fs = fs[:0]; len(fs) < batch && i < n; i++ {
			fs = append(fs, filings.Filing(i))
		}
		if b != nil {
			b.StartTimer()
		}
		for _, f := range fs {
			if err := builder.Add(f); err != nil {
				panic(err)
			}
		}
	}
}

// BenchmarkBuild: time for each filing, from Add to the Index, and what it takes
// in the file and of it in the table.
func BenchmarkBuild(b *testing.B) {
	var x *index.Index
	for range b.N {
		x = buildCorpus(b)
	}
	n := float64(benchFilings())
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/n/float64(b.N), "ns/filing")
	b.ReportMetric(float64(x.Info().Bytes)/n, "B/filing-file")
	b.ReportMetric(float64(x.DecisionBytes())/n, "B/filing")
}

// BenchmarkBuilderWriteFile: time for each filing from Add by one goroutine to the file.
func BenchmarkBuilderWriteFile(b *testing.B) {
	path := filepath.Join(b.TempDir(), "registry.icpidx")
	for range b.N {
		builder := index.NewBuilder(testOptions)
		fillCorpus(b, builder)
		if _, err := builder.WriteFile(path); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(benchFilings())/float64(b.N), "ns/filing")
}

// BenchmarkMap maps and verifies a snapshot whose pages are in memory.
func BenchmarkMap(b *testing.B) {
	path := written(b, builtCorpus())
	b.SetBytes(builtCorpus().Info().Bytes)
	for b.Loop() {
		if _, err := index.Map(path); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkMerge writes a snapshot with one filing in a hundred changed.
func BenchmarkMerge(b *testing.B) {
	x, err := index.Map(written(b, builtCorpus()))
	if err != nil {
		b.Fatal(err)
	}
	c := index.Changes{Names: map[registry.Domain][]registry.Filing{}, Addrs: map[netip.Addr][]registry.Filing{}}
	for i := 0; i < benchFilings(); i += 100 {
		f := filings.Filing(i)
		f.Status = registry.StatusCancelled
		c.Names[f.Site.Domains[0]] = []registry.Filing{f}
	}
	path := filepath.Join(b.TempDir(), "merged.icpidx")
	b.SetBytes(x.Info().Bytes)
	for b.Loop() {
		if err := index.Merge(context.Background(), path, x, c, index.Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
