package index_test

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/index"
)

// The benchmarks run on ICPGATE_BENCH_NAMES names (default one million):
//
//	go test -run - -bench . -benchmem ./registry/index
//	ICPGATE_BENCH_NAMES=5000000 go test -run - -bench Cover -timeout 20m ./registry/index

// corpus is a deterministic registry of registrable names.
type corpus struct {
	names []registry.Domain
	x     *index.Index
	built time.Duration
}

// benchCorpus is made once a run.
var benchCorpus = sync.OnceValue(func() *corpus {
	n := 1_000_000
	if s, err := strconv.Atoi(os.Getenv("ICPGATE_BENCH_NAMES")); err == nil {
		n = s
	}
	c := &corpus{names: make([]registry.Domain, n)}
	r := rand.New(rand.NewPCG(1, 2))
	for i := range c.names {
		c.names[i] = corpusName(r, i)
	}
	b := index.NewBuilder(testOptions)
	for i, d := range c.names {
		f := corpusFiling(i, d)
		start := time.Now()
		if err := b.Add(f); err != nil {
			panic(err)
		}
		c.built += time.Since(start)
	}
	start := time.Now()
	x, err := b.Build()
	if err != nil {
		panic(err)
	}
	c.x, c.built = x, c.built+time.Since(start)
	return c
})

// corpusName: 4 to 17 letters under the TLDs in which the mainland files.
func corpusName(r *rand.Rand, i int) registry.Domain {
	tlds := []string{"com", "com", "com", "com", "com", "cn", "cn", "cn", "com.cn", "com.cn", "net", "top", "xyz", "org.cn"}
	var s strings.Builder
	for range 3 + r.IntN(10) {
		s.WriteByte("abcdefghijklmnopqrstuvwxyz"[r.IntN(26)])
	}
	fmt.Fprintf(&s, "%s.%s", strconv.FormatInt(int64(i), 36), tlds[r.IntN(len(tlds))])
	return registry.MustParseDomain(s.String())
}

func corpusFiling(i int, d registry.Domain) registry.Filing {
	f := registry.Filing{AccessesKnown: true}
	f.Site.Domains = []registry.Domain{d}
	f.Site.Number = registry.MustParseNumber(fmt.Sprintf("京ICP备%08d号-1", i))
	f.Entity.Number = f.Site.Number.Entity()
	f.Entity.Nature, f.Entity.Name = registry.Enterprise, "示例科技有限公司"
	f.Site.FiledAt = time.Unix(1_500_000_000+int64(i)*20, 0)
	f.Site.FiledAt, f.UpdatedAt = f.Site.FiledAt.UTC(), f.Site.FiledAt.UTC()
	providers := []registry.ProviderID{registry.Aliyun, registry.Tencent, registry.Huawei, "example-one", "example-two"}
	f.Accesses = []registry.Access{{Provider: providers[i%5], At: f.Site.FiledAt.Unix()}}
	if i%7 == 0 {
		f.Accesses = append(f.Accesses, registry.Access{Provider: providers[(i+1)%5], Status: registry.AccessStatus(i % 4)})
	}
	return f
}

// queries are names to ask: hot ones are a thousand, random ones all over.
func (c *corpus) queries(kind string, hot bool) []registry.Domain {
	r := rand.New(rand.NewPCG(3, 4))
	qs := make([]registry.Domain, 1<<20)
	if hot {
		qs = qs[:1000]
	}
	for i := range qs {
		d := c.names[r.IntN(len(c.names))]
		switch kind {
		case "sub":
			d = registry.MustParseDomain("www." + d.String())
		case "unfiled":
			d = registry.MustParseDomain("x" + d.First()[1:] + "q." + d.Parent().String())
		}
		qs[i] = d
	}
	return qs
}

var sink registry.Coverage

func BenchmarkCover(b *testing.B) {
	for _, heat := range []string{"hot", "random"} {
		for _, kind := range []string{"filed", "sub", "unfiled"} {
			b.Run(heat+"/"+kind, func(b *testing.B) {
				c := benchCorpus()
				qs := c.queries(kind, heat == "hot")
				b.ReportAllocs()
				i := 0
				for b.Loop() {
					sink = c.x.Cover(qs[i])
					if i++; i == len(qs) {
						i = 0
					}
				}
				b.ReportMetric(float64(c.x.DecisionBytes())/float64(len(c.names)), "B/filing")
				b.ReportMetric(float64(c.x.Info().Bytes)/float64(len(c.names)), "B/filing-file")
			})
		}
	}
}

// BenchmarkFind is the table alone, from a computed key.
func BenchmarkFind(b *testing.B) {
	for _, heat := range []string{"hot", "random"} {
		for _, kind := range []string{"filed", "unfiled"} {
			b.Run(heat+"/"+kind, func(b *testing.B) {
				c := benchCorpus()
				keys := c.keys(kind, heat == "hot")
				i, n := 0, uint32(0)
				for b.Loop() {
					n += c.x.Find(keys[i])
					if i++; i == len(keys) {
						i = 0
					}
				}
				runtime.KeepAlive(n)
			})
		}
	}
}

func (c *corpus) keys(kind string, hot bool) (keys []index.Sum) {
	for _, d := range c.queries(kind, hot) {
		keys = append(keys, c.x.Sum(d))
	}
	return keys
}

// BenchmarkReference is what the table is compared with, in the same run: an
// open-addressed table of bare 64-bit fingerprints with 13.5 bytes an entry, from
// a computed key ("key") and from the name with the same hash ("bare"), and a Go
// map with a walk over the parents. None of them has an answer but yes and no.
func BenchmarkReference(b *testing.B) {
	for _, heat := range []string{"hot", "random"} {
		for _, kind := range []string{"filed", "unfiled"} {
			b.Run("key/"+heat+"/"+kind, func(b *testing.B) { benchKey(b, kind, heat == "hot") })
		}
		for _, kind := range []string{"filed", "sub", "unfiled"} {
			b.Run("bare/"+heat+"/"+kind, func(b *testing.B) { benchBare(b, kind, heat == "hot") })
			b.Run("map/"+heat+"/"+kind, func(b *testing.B) { benchMap(b, kind, heat == "hot") })
		}
	}
}

type bare []uint64

var bareTable = sync.OnceValue(func() bare {
	c := benchCorpus()
	t := make(bare, len(c.names)*27/16)
	for _, d := range c.names {
		h := c.x.Sum(d)
		i, _ := bits.Mul64(index.First(h), uint64(len(t)))
		for t[i] != 0 {
			if i++; i == uint64(len(t)) {
				i = 0
			}
		}
		t[i] = index.First(h)
	}
	return t
})

func (t bare) has(h uint64) bool {
	i, _ := bits.Mul64(h, uint64(len(t)))
	for t[i] != 0 {
		if t[i] == h {
			return true
		}
		if i++; i == uint64(len(t)) {
			i = 0
		}
	}
	return false
}

func benchBare(b *testing.B, kind string, hot bool) {
	t, c := bareTable(), benchCorpus()
	qs := c.queries(kind, hot)
	i, n := 0, 0
	for b.Loop() {
		c.x.Walk(qs[i], func(h uint64) bool {
			found := t.has(h)
			if found {
				n++
			}
			return !found
		})
		if i++; i == len(qs) {
			i = 0
		}
	}
	runtime.KeepAlive(n)
}

func benchKey(b *testing.B, kind string, hot bool) {
	t, keys := bareTable(), benchCorpus().keys(kind, hot)
	i, n := 0, 0
	for b.Loop() {
		if t.has(index.First(keys[i])) {
			n++
		}
		if i++; i == len(keys) {
			i = 0
		}
	}
	runtime.KeepAlive(n)
}

var goMap = sync.OnceValue(func() map[string]uint32 {
	m := map[string]uint32{}
	for i, d := range benchCorpus().names {
		m[d.String()] = uint32(i)
	}
	return m
})

func benchMap(b *testing.B, kind string, hot bool) {
	m, qs := goMap(), benchCorpus().queries(kind, hot)
	i, n := 0, 0
	for b.Loop() {
		for s := qs[i].String(); s != ""; {
			if _, ok := m[s]; ok {
				n++
				break
			}
			_, s, _ = strings.Cut(s, ".")
		}
		if i++; i == len(qs) {
			i = 0
		}
	}
	runtime.KeepAlive(n)
}

// BenchmarkLoad verifies and loads a snapshot from memory.
func BenchmarkLoad(b *testing.B) {
	c := benchCorpus()
	image := c.x.Image()
	b.SetBytes(int64(len(image)))
	for b.Loop() {
		if _, err := index.Load(image); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(c.built.Seconds(), "build-s")
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
