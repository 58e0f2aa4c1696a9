package index_test

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"

	filings "github.com/icpgate/icpgate/bench/corpus"
	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/index"
)

// The benchmarks run on the first ICPGATE_BENCH_NAMES filings of bench/corpus
// (default 100,000):
//
//	go test -run - -bench . -benchmem ./registry/index
//	ICPGATE_BENCH_NAMES=5000000 go test -run - -bench 'Cover|Reference' -timeout 20m ./registry/index

// corpus is the registry that is asked.
type corpus struct {
	n int
	x *index.Index
}

// benchCorpus is made once a run.
var benchCorpus = sync.OnceValue(func() *corpus { return &corpus{benchFilings(), builtCorpus()} })

// queries are names to ask: hot ones are a thousand, random ones all over. They
// lie one after the other in memory, as a name that was just received is near:
// what is measured is not how far away the question is.
func (c *corpus) queries(kind string, hot bool) []registry.Domain {
	n := 1 << 20
	if hot {
		n = 1000
	}
	var all strings.Builder
	ends := make([]int, n)
	q := filings.NewQueries(c.n, 3)
	for i := range ends {
		switch kind {
		case "filed":
			all.WriteString(filings.Name(q.Index()))
		case "sub":
			all.WriteString(filings.Sub(q.Index(), uint64(i)))
		case "unfiled":
			all.WriteString(filings.Unfiled(q.Index()))
		default:
			all.WriteString(q.Next())
		}
		ends[i] = all.Len()
	}
	text, start := all.String(), 0
	qs := make([]registry.Domain, n)
	for i, end := range ends {
		qs[i] = registry.MustParseDomain(text[start:end])
		start = end
	}
	return qs
}

var sink registry.Coverage

// kinds of questions; a mix is half names below filed ones, three in ten filed and
// two in ten unfiled ones.
var (
	kinds    = []string{"filed", "sub", "unfiled", "mix"}
	keyKinds = []string{"filed", "unfiled"}
)

// heated runs a benchmark for hot and for random names of every kind.
func heated(b *testing.B, kinds []string, bench func(b *testing.B, kind string, hot bool)) {
	for _, heat := range []string{"hot", "random"} {
		for _, kind := range kinds {
			b.Run(heat+"/"+kind, func(b *testing.B) {
				b.ReportAllocs()
				bench(b, kind, heat == "hot")
			})
		}
	}
}

// BenchmarkCover is from the name to the answer.
func BenchmarkCover(b *testing.B) {
	heated(b, kinds, func(b *testing.B, kind string, hot bool) {
		c := benchCorpus()
		qs, i := c.queries(kind, hot), 0
		for b.Loop() {
			sink = c.x.Cover(qs[i])
			if i++; i == len(qs) {
				i = 0
			}
		}
	})
}

// BenchmarkFind is from a computed key to the answer.
func BenchmarkFind(b *testing.B) {
	heated(b, keyKinds, func(b *testing.B, kind string, hot bool) {
		c := benchCorpus()
		keys, i := c.keys(kind, hot), 0
		for b.Loop() {
			sink = c.x.CoverSum(keys[i])
			if i++; i == len(keys) {
				i = 0
			}
		}
	})
}

func (c *corpus) keys(kind string, hot bool) (keys []index.Sum) {
	for _, d := range c.queries(kind, hot) {
		keys = append(keys, c.x.Sum(d))
	}
	return keys
}

// BenchmarkCache: what the cache pays for names that need a mapping, and would
// cost plain ones.
func BenchmarkCache(b *testing.B) {
	c := benchCorpus()
	names := map[string][]string{}
	for _, d := range c.queries("filed", true) {
		names["plain"] = append(names["plain"], "www."+d.String())
		names["mapped"] = append(names["mapped"], "www.例"+d.String())
	}
	for _, kind := range []string{"plain", "mapped"} {
		for _, size := range []int{0, 100_000} {
			b.Run(fmt.Sprintf("%s/size=%d", kind, size), func(b *testing.B) {
				cache := index.NewCache(size)
				b.ReportAllocs()
				i := 0
				for b.Loop() {
					_, sink, _ = cache.Cover(c.x, names[kind][i])
					if i++; i == len(names[kind]) {
						i = 0
					}
				}
			})
		}
	}
}

// BenchmarkHeap is what an index keeps on the heap beside its mapped file.
func BenchmarkHeap(b *testing.B) {
	path := written(b, builtCorpus())
	before := heap()
	x, err := index.Map(path)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
	}
	b.ReportMetric(float64(heap()-before)/1e6, "heap-MB")
	b.ReportMetric(float64(x.Info().Bytes)/1e6, "mapped-MB")
	b.ReportMetric(0, "ns/op")
	runtime.KeepAlive(x)
}
