package index_test

import (
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/index"
)

func filingOf(names ...string) registry.Filing {
	f := registry.Filing{AccessesKnown: true, Accesses: []registry.Access{{Provider: registry.Aliyun}}}
	for _, n := range names {
		f.Site.Domains = append(f.Site.Domains, registry.MustParseDomain(n))
	}
	return f
}

func TestNoIndex(t *testing.T) {
	var live index.Live
	d := registry.MustParseDomain("a.example")
	if c := live.Load().Cover(d); c.Loaded || c.Filings != nil {
		t.Errorf("got %+v; want the zero Coverage", c)
	}
	if c := live.Load().CoverAddr(netip.MustParseAddr("192.0.2.1")); c.Loaded {
		t.Errorf("got %+v; want the zero Coverage", c)
	}
	if live.Load().Records(d) != nil || live.Load().Info() != (index.Info{}) {
		t.Error("no index has records or info")
	}
}

func TestAddErrors(t *testing.T) {
	b := index.NewBuilder(index.Options{})
	for _, bad := range []registry.Filing{{}, filingOf("com.cn"), filingOf("a.example", "com")} {
		if b.Add(bad) == nil {
			t.Errorf("%v was added", bad.Site.Domains)
		}
	}
	x, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	if got := x.Info(); got.Filings != 0 || got.Names != 0 || got.Revision.Rev != 1 || got.Revision.Epoch.Random == 0 {
		t.Errorf("got %+v; want an empty first revision of a new epoch", got)
	}
	if _, err := b.Build(); err == nil || b.Add(filingOf("a.example")) == nil {
		t.Error("a builder built twice")
	}
}

// TestNoAllocs: answers lie ready.
func TestNoAllocs(t *testing.T) {
	x := build(t, testOptions, []registry.Filing{filingOf("a.example"), filingOf("b.a.example"), filingOf("u.gov.cn")})
	for _, name := range []string{"a.example", "www.a.example", "x.b.a.example", "www.u.gov.cn", "x.u.gov.cn", "a.b.c.d.e.f.test"} {
		d := registry.MustParseDomain(name)
		if n := testing.AllocsPerRun(100, func() { sink = x.Cover(d) }); n != 0 {
			t.Errorf("Cover(%q): got %v allocations; want 0", d, n)
		}
	}
	a := netip.MustParseAddr("192.0.2.1")
	if n := testing.AllocsPerRun(100, func() { sink = x.CoverAddr(a) }); n != 0 {
		t.Errorf("CoverAddr: got %v allocations; want 0", n)
	}
}

// TestSwap: while two indexes are swapped, every answer is wholly one of theirs.
func TestSwap(t *testing.T) {
	var live index.Live
	cache := index.NewCache(100)
	one, two := testOptions, testOptions
	two.Revision.Rev++
	xs := []*index.Index{build(t, one, []registry.Filing{filingOf("a.example")}), build(t, two, nil)}
	live.Swap(xs[0])
	var stop atomic.Bool
	var readers sync.WaitGroup
	for i := range 3 {
		readers.Go(func() {
			for n := 0; !stop.Load(); n++ {
				_, c, err := cache.Cover(live.Load(), fmt.Sprintf("例%d.a.example", n%5*i))
				if filed := len(c.Filings) == 1; err != nil || filed != (c.Revision == one.Revision) {
					t.Errorf("got %+v, %v; want one index or the other", c, err)
					return
				}
			}
		})
	}
	for i := range 2000 {
		if old := live.Swap(xs[(i+1)%2]); old != xs[i%2] {
			t.Errorf("swap %d returned another index than the one in force", i)
		}
	}
	stop.Store(true)
	readers.Wait()
}

func TestCache(t *testing.T) {
	g := newGenerator(11, 6)
	fs, blacklist := g.registry(300, 10)
	fs = append(fs, filingOf("xn--fsqu00a.cn"), filingOf("b.xn--fsqu00a.cn"))
	x := build(t, testOptions, fs, blacklist...)
	for _, size := range []int{0, 8, 10_000} {
		cache := index.NewCache(size)
		for range 20_000 {
			name := g.query(fs).String()
			if g.IntN(2) == 0 {
				name = g.one("例子.cn", "例.b.例子.cn", "\xff.例子.cn", "b.例子。cn", "..例子.cn", "例子.cn.", "例子.cn:80", "X.例子.cn", "例."+name)
			}
			d, got, err := cache.Cover(x, name)
			want, wantErr := registry.ParseDomain(name)
			if d != want || (err == nil) != (wantErr == nil) {
				t.Fatalf("size %d, %q: got %q, %v; want %q, %v", size, name, d, err, want, wantErr)
			}
			if err == nil && !equal(got, x.Cover(want)) {
				t.Fatalf("size %d, %q: got %+v; want %+v", size, name, got, x.Cover(want))
			}
		}
		if s := cache.Stats(); size > 0 && (s.Hits == 0 || s.Misses == 0 || s.Entries == 0) {
			t.Errorf("size %d: got %+v; want some of each", size, s)
		}
	}
}

// TestCacheDNS: names of DNS are read with their escapes, from the cache as
// without it, and the two forms of a name do not meet in it.
func TestCacheDNS(t *testing.T) {
	g := newGenerator(12, 6)
	x := build(t, testOptions, []registry.Filing{filingOf("xn--fsqu00a.cn"), filingOf("b.xn--fsqu00a.cn"), filingOf("a.example")})
	cache := index.NewCache(1000)
	const escaped = `\228\190\139\229\173\144` // 例子
	for range 20_000 {
		name := g.one("a.example.", "b.a.example", escaped+".cn.", "x."+escaped+".cn.", "b."+escaped+".cn.", "y.b."+escaped+".cn",
			`x\.`+escaped+".cn.", `a\046`+escaped+".cn.", escaped+`.cn\.`, `\255.`+escaped+".cn.", `\\.`+escaped+".cn.", `\0`, `\`, ".", `x..`+escaped+".cn.")
		if g.IntN(8) == 0 {
			_, _, _ = cache.Cover(x, g.one("例子.cn", "b.例子.cn", `\.例子.cn`))
		}
		d, got, err := cache.CoverDNS(x, name)
		want, wantErr := registry.ParseDNSName(name)
		if d != want || (err == nil) != (wantErr == nil) {
			t.Fatalf("%q: got %q, %v; want %q, %v", name, d, err, want, wantErr)
		}
		if err == nil && !equal(got, x.Cover(want)) {
			t.Fatalf("%q: got %+v; want %+v", name, got, x.Cover(want))
		}
	}
	if s := cache.Stats(); s.Hits == 0 || s.Misses == 0 {
		t.Errorf("got %+v; want hits and misses", s)
	}
}

// TestCachePlain: names that need no mapping pass the cache by, without a trace of
// them and without memory.
func TestCachePlain(t *testing.T) {
	x := build(t, testOptions, []registry.Filing{filingOf("a.example")})
	cache := index.NewCache(64)
	for _, name := range []string{"a.example", "www.a.example", "b.example.", "WWW.a.example", "long.enough.for.more.than.one.word.a.example:80"} {
		if n := testing.AllocsPerRun(100, func() {
			if _, _, err := cache.Cover(x, name); err != nil {
				t.Error(err)
			}
		}); n != 0 {
			t.Errorf("%q: got %v allocations; want none", name, n)
		}
	}
	if s := cache.Stats(); s != (index.CacheStats{}) {
		t.Errorf("got %+v; want nothing", s)
	}
}

// TestCacheFlood: random names below one domain are one entry.
func TestCacheFlood(t *testing.T) {
	x := build(t, testOptions, []registry.Filing{filingOf("xn--fsqu00a.cn"), filingOf("a.example")})
	cache := index.NewCache(64)
	for _, name := range []string{"例.a.example", "例子.cn"} {
		if _, _, err := cache.Cover(x, name); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 10_000 {
		if _, _, err := cache.Cover(x, fmt.Sprintf("x%d.例子.cn", i)); err != nil {
			t.Fatal(err)
		}
	}
	if s := cache.Stats(); s.Entries != 2 || s.Evictions != 0 || s.Hits != 10_000 {
		t.Errorf("got %+v; want 2 entries, 10000 hits and no eviction", s)
	}
}
