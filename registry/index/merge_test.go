package index_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/index"
)

// changesBetween is what a follower would have heard on the way from one
// registry to another: some of it for nothing.
func changesBetween(g *generator, old, now []registry.Filing, was, is []registry.Domain) index.Changes {
	c := index.Changes{
		Names: map[registry.Domain][]registry.Filing{}, Addrs: map[netip.Addr][]registry.Filing{},
		Blacklist: map[registry.Domain]bool{},
	}
	isOf := func(f *registry.Filing) func(registry.Filing) bool {
		return func(o registry.Filing) bool { return sameFiling(&o, f) }
	}
	touch := func(f *registry.Filing) {
		for _, d := range f.Site.Domains {
			c.Names[d] = nil
		}
		if f.Addr.IsValid() {
			c.Addrs[f.Addr.Unmap()] = nil
		}
	}
	for i := range old {
		if !slices.ContainsFunc(now, isOf(&old[i])) || g.IntN(8) == 0 {
			touch(&old[i])
		}
	}
	for i := range now {
		if !slices.ContainsFunc(old, isOf(&now[i])) {
			touch(&now[i])
		}
	}
	for _, f := range now {
		for i, d := range f.Site.Domains {
			if _, ok := c.Names[d]; ok && !slices.Contains(f.Site.Domains[:i], d) {
				c.Names[d] = append(c.Names[d], f)
			}
		}
		if _, ok := c.Addrs[f.Addr.Unmap()]; ok {
			c.Addrs[f.Addr.Unmap()] = append(c.Addrs[f.Addr.Unmap()], f)
		}
	}
	for _, d := range was {
		if !slices.Contains(is, d) {
			c.Blacklist[d] = false
		}
	}
	for _, d := range is {
		c.Blacklist[d] = true
	}
	return c
}

func sameFiling(a, b *registry.Filing) bool {
	return a.Site.Number == b.Site.Number && slices.Equal(a.Site.Domains, b.Site.Domains) && a.Addr == b.Addr &&
		a.Site.Kind == b.Site.Kind && a.Status == b.Status && a.Restricted == b.Restricted && a.Site.Name == b.Site.Name &&
		a.Entity == b.Entity && slices.Equal(a.Accesses, b.Accesses) && a.AccessesKnown == b.AccessesKnown &&
		slices.Equal(a.Covers, b.Covers) && a.UpdatedAt.Equal(b.UpdatedAt)
}

// changed draws what becomes of a registry: some of it goes, some comes.
func (g *generator) changed(fs []registry.Filing, blacklist []registry.Domain, parts int) ([]registry.Filing, []registry.Domain) {
	fs, blacklist = slices.Clone(fs), slices.Clone(blacklist)
	g.Shuffle(len(fs), func(i, j int) { fs[i], fs[j] = fs[j], fs[i] })
	fs = fs[:len(fs)-min(len(fs), g.IntN(parts+1))]
	more, listed := g.registry(g.IntN(parts+1), g.IntN(min(parts, 3)+1))
	if len(blacklist) > 0 && g.IntN(2) == 0 {
		blacklist = blacklist[:len(blacklist)-1]
	}
	for _, d := range listed {
		if !slices.Contains(blacklist, d) {
			blacklist = append(blacklist, d)
		}
	}
	return append(fs, more...), blacklist
}

// TestMerge: a merged snapshot is the one that a Builder makes of the same
// filings, to the byte, over several generations.
func TestMerge(t *testing.T) {
	for _, test := range []struct{ rounds, filings, labels, blacklist, parts int }{
		{1, 0, 3, 0, 0}, {60, 5, 2, 1, 4}, {30, 60, 4, 3, 10}, {2, 2000, 20, 20, 100}, {1, 3000, 300, 20, 3000},
	} {
		for round := range test.rounds {
			g := newGenerator(uint64(round), test.labels)
			mergeOften(t, g, test.filings, test.blacklist, test.parts)
		}
	}
}

func mergeOften(t *testing.T, g *generator, filings, blacklisted, parts int) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "registry.icpidx")
	fs, blacklist := g.registry(filings, blacklisted)
	x := build(t, testOptions, fs, blacklist...)
	o := testOptions
	for range 3 {
		o.Revision.Rev++
		now, listed := g.changed(fs, blacklist, parts)
		c := changesBetween(g, fs, now, blacklist, listed)
		o.Key = [16]byte{}
		if err := index.Merge(context.Background(), path, x, c, o); err != nil {
			t.Fatal(err)
		}
		got, err := index.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		o.Key = testKey
		want := build(t, o, now, listed...)
		if !bytes.Equal(got.Image(), want.Image()) {
			t.Fatalf("%d filings, %d changed names: %s", len(fs), len(c.Names), difference(got, want))
		}
		x, fs, blacklist = got, now, listed
	}
}

// difference tells where two snapshots part.
func difference(a, b *index.Index) string {
	if a.Info() != b.Info() {
		return "infos differ"
	}
	ia, ib := a.Image(), b.Image()
	for i := range min(len(ia), len(ib)) {
		if ia[i] != ib[i] {
			return "they differ in section " + a.SectionAt(i) + " of " + b.SectionAt(i)
		}
	}
	return "one is longer"
}

// TestMergeAll: nothing and everything.
func TestMergeAll(t *testing.T) {
	path := filepath.Join(t.TempDir(), "registry.icpidx")
	g := newGenerator(1, 5)
	fs, blacklist := g.registry(300, 5)
	whole := build(t, testOptions, fs, blacklist...)
	there := changesBetween(g, nil, fs, nil, blacklist)
	back := changesBetween(g, fs, nil, blacklist, nil)
	for _, step := range []struct {
		name string
		base *index.Index
		c    index.Changes
		want *index.Index
	}{
		{"everything onto nothing", nil, there, whole},
		{"nothing onto everything", whole, index.Changes{}, whole},
		{"everything onto an empty one", build(t, testOptions, nil), there, whole},
		{"the same again", whole, there, whole},
		{"everything away", whole, back, build(t, testOptions, nil)},
	} {
		if err := index.Merge(context.Background(), path, step.base, step.c, testOptions); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		got, err := index.Map(path)
		if err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if !bytes.Equal(got.Image(), step.want.Image()) {
			t.Errorf("%s: %s", step.name, difference(got, step.want))
		}
	}
}

func TestMergeErrors(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "registry.icpidx")
	x := build(t, testOptions, []registry.Filing{filingOf("a.example")})
	if err := index.WriteFile(path, x); err != nil {
		t.Fatal(err)
	}
	other := testOptions
	other.Key[0]++
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	d := registry.MustParseDomain("a.example")
	addr := netip.MustParseAddr("192.0.2.1")
	ip := registry.Filing{Addr: addr}
	ip.Site.Kind = registry.KindIP
	tests := []struct {
		name string
		ctx  context.Context
		o    index.Options
		c    index.Changes
		want string
	}{
		{"key", context.Background(), other, index.Changes{}, "key"},
		{"ended", ended, testOptions, index.Changes{}, "canceled"},
		{"another name", context.Background(), testOptions,
			index.Changes{Names: map[registry.Domain][]registry.Filing{d: {filingOf("b.example")}}}, "a.example"},
		{"no filing", context.Background(), testOptions,
			index.Changes{Names: map[registry.Domain][]registry.Filing{registry.MustParseDomain("com.cn"): {filingOf("com.cn")}}}, "public suffix"},
		{"twice", context.Background(), testOptions,
			index.Changes{Addrs: map[netip.Addr][]registry.Filing{addr: {ip}, netip.AddrFrom16(addr.As16()): {ip}}}, "192.0.2.1"},
	}
	for _, test := range tests {
		err := index.Merge(test.ctx, path, x, test.c, test.o)
		if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v; want an error with %q and the path", test.name, err, test.want)
		}
	}
	if err := index.Merge(ended, path, x, index.Changes{}, testOptions); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v; want context.Canceled", err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("got %d files; want the old snapshot alone", len(left))
	}
	if y, err := index.ReadFile(path); err != nil || !bytes.Equal(y.Image(), x.Image()) {
		t.Errorf("the old snapshot is another one, %v", err)
	}
}

// TestMergeMisplaced: a table in which names do not lie where its header says
// makes no snapshot, whatever its checksums are.
func TestMergeMisplaced(t *testing.T) {
	var fs []registry.Filing
	for i := range 5000 {
		fs = append(fs, filingOf(fmt.Sprintf("n%d.example", i)))
	}
	good := build(t, testOptions, fs).Image()
	buckets, spill := binary.LittleEndian.Uint32(good[112:]), binary.LittleEndian.Uint32(good[120:])
	for name, change := range map[string]struct{ at, to uint32 }{
		"nothing": {120, spill}, "spill": {120, spill - 1}, "fewer buckets": {112, buckets / 2}, "more buckets": {112, buckets + 1},
	} {
		b := slices.Clone(good)
		binary.LittleEndian.PutUint32(b[change.at:], change.to)
		index.FixSums(b)
		x, err := index.Load(b)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		err = index.Merge(context.Background(), filepath.Join(t.TempDir(), "x"), x, index.Changes{}, index.Options{})
		if (err == nil) != (name == "nothing") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// endingContext ends after so many questions.
type endingContext struct {
	context.Context
	left int
}

func (c *endingContext) Err() error {
	if c.left--; c.left < 0 {
		return context.Canceled
	}
	return nil
}

// TestMergeEnds: wherever it is stopped, nothing is left and nothing is replaced.
func TestMergeEnds(t *testing.T) {
	g := newGenerator(2, 4000)
	fs, _ := g.registry(20_000, 0)
	x := build(t, testOptions, fs)
	c := changesBetween(g, nil, []registry.Filing{filingOf("u.gov.cn")}, nil, nil)
	dir := t.TempDir()
	path := filepath.Join(dir, "registry.icpidx")
	for left := 0; ; left++ {
		err := index.Merge(&endingContext{context.Background(), left}, path, x, c, testOptions)
		files, _ := os.ReadDir(dir)
		if err == nil {
			if left < 4 || len(files) != 1 {
				t.Errorf("got %d files after %d questions; want one, and more questions", len(files), left)
			}
			return
		}
		if len(files) != 0 {
			t.Fatalf("got %d files when it ended after %d questions; want none", len(files), left)
		}
	}
}

// TestAll: what All tells makes the same snapshot again.
func TestAll(t *testing.T) {
	g := newGenerator(4, 6)
	fs, blacklist := g.registry(500, 20)
	for i := range fs {
		if ds := fs[i].Site.Domains; len(ds) > 1 {
			fs[i].Site.Domains = ds[:1]
		}
		fs[i].Covers = nil
	}
	want := build(t, testOptions, fs, blacklist...)
	var again []registry.Filing
	first := 0
	for f, counts := range want.All() {
		again = append(again, f)
		if counts {
			first++
		}
	}
	if first != want.Info().Filings {
		t.Errorf("got %d filings; want %d", first, want.Info().Filings)
	}
	if got := build(t, testOptions, again, slices.Collect(want.Blacklisted())...); !bytes.Equal(got.Image(), want.Image()) {
		t.Errorf("what All tells makes another snapshot: %s", difference(got, want))
	}
	for range want.All() {
		break
	}
	var none *index.Index
	for range none.All() {
		t.Error("no index has filings")
	}
}

// TestGovFilings: the section tells what the filings say.
func TestGovFilings(t *testing.T) {
	g := newGenerator(5, 5)
	fs, _ := g.registry(400, 0)
	want := map[registry.Domain]map[registry.Domain]bool{}
	for _, f := range fs {
		for _, d := range f.Site.Domains {
			if reg := d.GovRegistrable(); !reg.IsZero() && f.Site.Kind == registry.KindSite && f.Status.Stands() {
				if want[reg] == nil {
					want[reg] = map[registry.Domain]bool{}
				}
				want[reg][d] = true
			}
		}
	}
	x := build(t, testOptions, fs)
	for _, reg := range []string{"a0.gov.cn", "b0.gov.cn", "label-1-1.gov.cn", "label-2-4.xn--zfr164b", "www.gov.cn", "none.gov.cn", "0.gov.cn"} {
		d := registry.MustParseDomain(reg)
		got := map[registry.Domain]bool{}
		for _, name := range x.GovFilings(d) {
			got[name] = true
		}
		if !maps.Equal(got, want[d]) {
			t.Errorf("%s: got %v; want %v", d, got, want[d])
		}
	}
}
