package index_test

import (
	"hash/maphash"
	"math/bits"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"

	lru "github.com/hashicorp/golang-lru/v2"

	filings "github.com/icpgate/icpgate/bench/corpus"
	"github.com/icpgate/icpgate/registry/index"
)

// BenchmarkReference is what look-ups are compared with, in the same run: a bare
// table of fingerprints of the same width and hash, which has no answer but yes
// and no, from the name ("bare") and from a computed key ("key"); a Go map and a walk
// over the parents; an LRU of 100,000 entries with all the names in it, plain and
// in 16 shards; and one access to memory that waits for the one before.
func BenchmarkReference(b *testing.B) {
	b.Run("bare", func(b *testing.B) { heated(b, kinds, benchBare) })
	b.Run("key", func(b *testing.B) { heated(b, keyKinds, benchKey) })
	b.Run("map", func(b *testing.B) { heated(b, kinds, benchMap) })
	b.Run("lru/hot/filed", func(b *testing.B) { benchLRU(b, 1) })
	b.Run("lru16/hot/filed", func(b *testing.B) { benchLRU(b, 16) })
	b.Run("memory", benchMemory)
}

// bare is an open-addressed table of fingerprints of 96 bits, of whose places 85 in
// a hundred are taken: as full as the index.
type bare []fingerprint

type fingerprint struct {
	h1 uint64
	h0 uint32 // the low half; the high one tells the place
}

func bareOf(s index.Sum) fingerprint { return fingerprint{index.Second(s), uint32(index.First(s))} }

var bareTable = sync.OnceValue(func() bare {
	c := benchCorpus()
	t := make(bare, c.n*20/17)
	for n := range c.n {
		s := c.x.Sum(filings.Filing(n).Site.Domains[0])
		i := t.home(s)
		for t[i] != (fingerprint{}) {
			if i++; i == uint64(len(t)) {
				i = 0
			}
		}
		t[i] = bareOf(s)
	}
	return t
})

func (t bare) home(s index.Sum) uint64 {
	i, _ := bits.Mul64(index.First(s), uint64(len(t)))
	return i
}

func (t bare) has(s index.Sum) bool {
	f := bareOf(s)
	for i := t.home(s); t[i] != (fingerprint{}); {
		if t[i] == f {
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
		c.x.Walk(qs[i], func(s index.Sum) bool {
			found := t.has(s)
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
		if t.has(keys[i]) {
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
	for i := range benchFilings() {
		m[filings.Name(i)] = uint32(i)
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

func benchLRU(b *testing.B, shards int) {
	const size = 100_000
	seed := maphash.MakeSeed()
	caches := make([]*lru.Cache[string, uint32], shards)
	for i := range caches {
		caches[i], _ = lru.New[string, uint32](2 * size / shards) // fails for a size below 1 only
	}
	shard := func(s string) *lru.Cache[string, uint32] {
		if shards == 1 {
			return caches[0]
		}
		return caches[maphash.String(seed, s)%uint64(shards)]
	}
	for i := range min(size, benchFilings()) {
		s := filings.Name(i)
		shard(s).Add(s, uint32(i))
	}
	qs := benchCorpus().queries("filed", true)
	for _, d := range qs {
		shard(d.String()).Add(d.String(), 0)
	}
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for i := rand.IntN(len(qs)); pb.Next(); i++ { // not all the same name at the same time
			s := qs[i%len(qs)].String()
			if _, ok := shard(s).Get(s); !ok {
				b.Error("a name is missing")
			}
		}
	})
}

// benchMemory goes through 1 GiB, in an order that no hardware foresees, each line
// telling where the next one is.
func benchMemory(b *testing.B) {
	const lines = 1 << 24
	memory := make([][8]uint64, lines)
	for i := range uint64(lines) {
		memory[shuffled(i, lines)][0] = shuffled((i+1)%lines, lines) // all of them in one ring
	}
	at := uint64(0)
	for b.Loop() {
		at = memory[at][0]
	}
	runtime.KeepAlive(at)
}

// shuffled is a permutation of the numbers below n, a power of two.
func shuffled(i, n uint64) uint64 {
	i = i * 0x9e3779b1 % n
	i ^= i >> 12
	i = i * 0x85ebca6b % n
	return i ^ i>>11
}
