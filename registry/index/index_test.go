package index_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/index"
)

var testKey = [16]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}

var testRevision = registry.Revision{Epoch: registry.Epoch{Made: 1_700_000_000_000, Random: 7}, Rev: 42}

var testOptions = index.Options{Key: testKey, Revision: testRevision, MadeAt: time.UnixMilli(1_700_000_000_123)}

// build makes an index, and fails the test where that fails.
func build(t testing.TB, o index.Options, filings []registry.Filing, blacklist ...registry.Domain) *index.Index {
	t.Helper()
	b := index.NewBuilder(o)
	for _, f := range filings {
		if err := b.Add(f); err != nil {
			t.Fatalf("Add(%v): %v", f.Site.Domains, err)
		}
	}
	for _, d := range blacklist {
		b.Blacklist(d)
	}
	x, err := b.Build()
	if err != nil {
		t.Fatalf("Build: %v", err)
	}
	return x
}

// generator draws registries from few labels, so that names often meet.
type generator struct {
	*rand.Rand
	labels int
}

func newGenerator(seed uint64, labels int) *generator {
	return &generator{rand.New(rand.NewPCG(seed, 1)), labels}
}

func (g *generator) one(words ...string) string { return words[g.IntN(len(words))] }

func (g *generator) label() string {
	if g.IntN(6+g.labels/4) == 0 {
		return "www"
	}
	n := g.IntN(g.labels)
	// Long labels move the dots across the blocks of the hash.
	if g.IntN(3) == 0 {
		return fmt.Sprintf("label-%d-%d", n, n*n)
	}
	return fmt.Sprintf("%c%d", 'a'+n%26, n/26)
}

func (g *generator) name() registry.Domain {
	s := g.one("com", "cn", "com.cn", "gov.cn", "gov.cn", "xn--zfr164b", "xn--fiqs8s")
	for range 1 + g.IntN(g.IntN(4)+1) {
		s = g.label() + "." + s
	}
	return registry.MustParseDomain(s)
}

func (g *generator) addr() netip.Addr {
	if g.IntN(2) == 0 {
		return netip.AddrFrom4([4]byte{192, 0, 2, byte(g.IntN(16))})
	}
	if g.IntN(2) == 0 {
		return netip.MustParseAddr(fmt.Sprintf("::ffff:192.0.2.%d", g.IntN(16)))
	}
	return netip.MustParseAddr(fmt.Sprintf("2001:db8::%x", g.IntN(16)))
}

func (g *generator) filing() registry.Filing {
	f := registry.Filing{Status: registry.Status(g.IntN(5)), Restricted: g.IntN(8) == 0}
	if g.IntN(2) == 0 {
		f.Status = registry.StatusNormal
	}
	n, _, err := registry.ParseNumber(fmt.Sprintf("京ICP备%08d号-%d", g.IntN(50), 1+g.IntN(3)))
	if err != nil {
		panic(err)
	}
	f.Site.Number, f.Entity.Number = n, n.Entity()
	f.Entity.Name, f.Entity.Nature = "示例单位", registry.Nature(g.IntN(6))
	f.Site.Name = g.one("", "示例网站")
	if g.IntN(2) == 0 {
		f.UpdatedAt = time.Unix(int64(g.IntN(1000)), 0)
	}
	if f.AccessesKnown = g.IntN(3) > 0; f.AccessesKnown {
		for _, p := range []registry.ProviderID{registry.Tencent, registry.Aliyun, registry.Huawei} {
			if g.IntN(2) == 0 {
				f.Accesses = append(f.Accesses, registry.Access{
					Provider: p, Status: registry.AccessStatus(g.IntN(4)), At: int64(g.IntN(3)),
				})
			}
		}
	}
	g.placed(&f)
	return f
}

// placed gives f its kind and its names or address.
func (g *generator) placed(f *registry.Filing) {
	if g.IntN(10) == 0 {
		f.Site.Kind, f.Addr = registry.KindIP, g.addr()
		return
	}
	if g.IntN(8) == 0 {
		f.Site.Kind = registry.Kind(1 + g.IntN(3))
	}
	for range 1 + g.IntN(g.IntN(3)+1) {
		f.Site.Domains = append(f.Site.Domains, g.name())
	}
	d := f.Site.Domains[0]
	for range g.IntN(g.IntN(3) + 1) {
		f.Covers = append(f.Covers, g.one("*", g.label(), g.label()+"."+g.label(), g.label()+"."+d.String()))
	}
}

func (g *generator) registry(filings, blacklisted int) (fs []registry.Filing, blacklist []registry.Domain) {
	for range filings {
		fs = append(fs, g.filing())
	}
	for range blacklisted {
		blacklist = append(blacklist, g.name())
	}
	if blacklisted > 0 && g.IntN(4) == 0 {
		blacklist = append(blacklist, registry.MustParseDomain(g.one("com", "xn--zfr164b", "test")))
	}
	return fs, blacklist
}

// query draws a name near the filed ones: one of them, above, below or beside.
func (g *generator) query(fs []registry.Filing) registry.Domain {
	d := g.name()
	if len(fs) > 0 && g.IntN(3) > 0 {
		if ds := fs[g.IntN(len(fs))].Site.Domains; len(ds) > 0 {
			d = ds[g.IntN(len(ds))]
		}
	}
	for g.IntN(3) == 0 && !d.Parent().IsZero() {
		d = d.Parent()
	}
	for g.IntN(2) == 0 {
		d = registry.MustParseDomain(g.label() + "." + d.String())
	}
	return d
}

// TestTwin compares the index with maps, on small crowded registries and on
// larger ones; and the cut with what caches make of it.
func TestTwin(t *testing.T) {
	for _, test := range []struct{ rounds, filings, labels, blacklist, queries int }{
		{1, 0, 3, 0, 200},
		{150, 8, 2, 1, 200},
		{60, 60, 4, 3, 400},
		{4, 1000, 20, 20, 5000},
		{1, 50_000, 4000, 500, 100_000},
	} {
		for round := range test.rounds {
			g := newGenerator(uint64(round), test.labels)
			compare(t, g, test.filings, test.blacklist, test.queries)
		}
	}
}

func compare(t *testing.T, g *generator, filings, blacklisted, queries int) {
	t.Helper()
	fs, blacklist := g.registry(filings, blacklisted)
	slow := newTwin(fs, blacklist, testRevision)
	x := build(t, testOptions, fs, blacklist...)
	byCut := map[registry.Domain]registry.Coverage{}
	for range queries {
		d := g.query(fs)
		got := x.Cover(d)
		if err := same(got, slow.cover(d)); err != nil {
			t.Fatalf("%d filings, Cover(%q): %v", filings, d, err)
		}
		checkRecords(t, d, got.Filings, x.Records(d))
		byCut[d] = got
	}
	checkCuts(t, g, x, byCut)
	for range 40 {
		a := g.addr()
		got := x.CoverAddr(a)
		if err := same(got, slow.coverAddr(a)); err != nil {
			t.Fatalf("CoverAddr(%s): %v", a, err)
		}
		checkRecords(t, registry.Domain{}, got.Filings, x.RecordsAddr(a))
	}
}

// checkRecords: the records stand in the order of the coverings.
func checkRecords(t *testing.T, d registry.Domain, filings []registry.Covering, recs []index.Record) {
	t.Helper()
	if len(filings) != len(recs) {
		t.Fatalf("%q: got %d records; want %d", d, len(recs), len(filings))
	}
	for i, r := range recs {
		f := &filings[i]
		if r.Kind != f.Kind || r.Status != f.Status || r.Restricted != f.Restricted ||
			r.AccessesKnown != f.AccessesKnown || len(r.Accesses) != len(f.Accesses) || r.Domain.Labels() != int(f.Filed) {
			t.Fatalf("%q: got record %+v; want one of %+v", d, r, f)
		}
		for j, a := range r.Accesses {
			if b := f.Accesses[j]; a.Provider != b.Provider || a.Status != b.Status || b.At != 0 && a.At != b.At {
				t.Fatalf("%q: got accesses %+v; want %+v", d, r.Accesses, f.Accesses)
			}
		}
	}
}

// checkCuts: whatever shares Last(Cut) with a name has its coverage.
func checkCuts(t *testing.T, g *generator, x *index.Index, asked map[registry.Domain]registry.Coverage) {
	t.Helper()
	for d, c := range asked {
		if c.Cut < 2 || d.Labels() > 1 && int(c.Cut) > d.Labels()+1 {
			t.Fatalf("%q: got cut %d; want 2 to %d", d, c.Cut, d.Labels()+1)
		}
		shared := d.Last(int(c.Cut))
		if shared.Labels() < int(c.Cut) {
			continue // no other name shares it
		}
		for _, front := range []string{"", g.label() + ".", "www.", g.label() + "." + g.label() + "."} {
			e := registry.MustParseDomain(front + shared.String())
			if got, want := x.Cover(e), c; !equal(got, want) {
				t.Fatalf("%q and %q share %q, but: got %+v; want %+v", d, e, shared, got, want)
			}
		}
	}
}

// FuzzTwin lets the fuzzer choose the registry.
func FuzzTwin(f *testing.F) {
	f.Add(uint64(1), uint8(5), uint8(2), uint8(1))
	f.Add(uint64(2), uint8(40), uint8(3), uint8(0))
	f.Fuzz(func(t *testing.T, seed uint64, filings, labels, blacklisted uint8) {
		compare(t, newGenerator(seed, int(labels)%8+1), int(filings), int(blacklisted)%8, 100)
	})
}
