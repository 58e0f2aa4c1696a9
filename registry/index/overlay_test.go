package index_test

import (
	"context"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/index"
)

// model is a registry that changes, as filings and names on the blacklist.
type model struct {
	*generator
	filings   map[int]registry.Filing
	ids       []int // of filings, to draw from
	next      int
	byName    map[registry.Domain][]int
	byAddr    map[netip.Addr][]int
	blacklist map[registry.Domain]bool
	revision  registry.Revision
	past      []registry.Domain // names that were filed or listed once
	changes   int               // how many there were
}

func newModel(seed uint64, labels, filings, blacklisted int) *model {
	m := &model{
		generator: newGenerator(seed, labels), filings: map[int]registry.Filing{}, byName: map[registry.Domain][]int{},
		byAddr: map[netip.Addr][]int{}, blacklist: map[registry.Domain]bool{}, revision: testRevision,
	}
	fs, blacklist := m.registry(filings, blacklisted)
	for _, f := range fs {
		m.add(f)
	}
	for _, d := range blacklist {
		m.blacklist[d] = true
		m.past = append(m.past, d)
	}
	return m
}

func (m *model) add(f registry.Filing) {
	m.filings[m.next] = f
	m.ids = append(m.ids, m.next)
	if f.Addr.IsValid() {
		m.byAddr[f.Addr.Unmap()] = append(m.byAddr[f.Addr.Unmap()], m.next)
	}
	for _, d := range f.Site.Domains {
		if !slices.Contains(m.byName[d], m.next) {
			m.byName[d] = append(m.byName[d], m.next)
			m.past = append(m.past, d)
		}
	}
	m.next++
}

func (m *model) remove(at int) registry.Filing {
	id := m.ids[at]
	f := m.filings[id]
	delete(m.filings, id)
	m.ids[at] = m.ids[len(m.ids)-1]
	m.ids = m.ids[:len(m.ids)-1]
	is := func(other int) bool { return other == id }
	for _, d := range f.Site.Domains {
		m.byName[d] = slices.DeleteFunc(m.byName[d], is)
	}
	if f.Addr.IsValid() {
		m.byAddr[f.Addr.Unmap()] = slices.DeleteFunc(m.byAddr[f.Addr.Unmap()], is)
	}
	return f
}

// step changes the registry at random, and returns the changes of one revision.
func (m *model) step(parts int) (changes []registry.Change) {
	m.revision.Rev++
	m.changes += parts
	names, addrs := map[registry.Domain]bool{}, map[netip.Addr]bool{}
	touch := func(f registry.Filing) {
		for _, d := range f.Site.Domains {
			names[d] = true
		}
		if f.Addr.IsValid() {
			addrs[f.Addr] = true
		}
	}
	for range parts {
		switch what := m.IntN(10); {
		case what < 4 || len(m.ids) == 0:
			f := m.filing()
			m.again(&f)
			m.add(f)
			touch(f)
		case what < 6:
			touch(m.remove(m.IntN(len(m.ids))))
		case what < 8:
			old := m.remove(m.IntN(len(m.ids)))
			f := m.replaced(old)
			m.add(f)
			touch(old)
			touch(f)
		default:
			changes = append(changes, m.relist())
		}
	}
	for d := range names {
		changes = append(changes, registry.Change{Revision: m.revision, Kind: registry.ChangeFilings, Name: d, Filings: m.of(m.byName[d])})
	}
	for a := range addrs {
		changes = append(changes, registry.Change{Revision: m.revision, Kind: registry.ChangeFilings, Addr: a, Filings: m.of(m.byAddr[a.Unmap()])})
	}
	if len(changes) == 0 {
		changes = append(changes, registry.Change{Revision: m.revision})
	}
	return changes
}

func (m *model) of(ids []int) (fs []registry.Filing) {
	for _, i := range ids {
		fs = append(fs, m.filings[i])
	}
	m.Shuffle(len(fs), func(i, j int) { fs[i], fs[j] = fs[j], fs[i] })
	return fs
}

// again files a name that was filed before, now and then.
func (m *model) again(f *registry.Filing) {
	if len(f.Site.Domains) == 0 || len(f.Covers) > 0 || len(m.past) == 0 || m.IntN(2) == 0 {
		return
	}
	if d := m.past[m.IntN(len(m.past))]; d.Fileable() == nil {
		f.Site.Domains[0] = d
	}
}

// replaced is a filing with another status, accesses or kind, often of the same names.
func (m *model) replaced(old registry.Filing) registry.Filing {
	f := m.filing()
	if (f.Site.Kind == registry.KindIP) != (old.Site.Kind == registry.KindIP) || m.IntN(4) == 0 {
		return f
	}
	f.Site.Domains, f.Addr, f.Covers = old.Site.Domains, old.Addr, old.Covers
	return f
}

// relist puts a name on the blacklist or takes it off.
func (m *model) relist() registry.Change {
	c := registry.Change{Revision: m.revision, Kind: registry.ChangeListed, Name: m.name()}
	switch listed := slices.Collect(maps.Keys(m.blacklist)); {
	case len(listed) > 0 && m.IntN(2) == 0:
		slices.SortFunc(listed, func(a, b registry.Domain) int { return strings.Compare(a.String(), b.String()) })
		c.Kind, c.Name = registry.ChangeUnlisted, listed[m.IntN(len(listed))]
	case m.IntN(20) == 0:
		c.Name = registry.MustParseDomain(m.one("com", "xn--zfr164b", "test", "com.cn", "gov.cn"))
	case m.IntN(3) > 0 && len(m.past) > 0:
		c.Name = m.past[m.IntN(len(m.past))]
		for m.IntN(3) == 0 && c.Name.Labels() > 2 {
			c.Name = c.Name.Parent()
		}
	}
	if m.IntN(10) == 0 {
		c.Kind = registry.ChangeUnlisted // of a name that may not be listed at all
	}
	if c.Kind == registry.ChangeListed {
		m.blacklist[c.Name] = true
		m.past = append(m.past, c.Name)
	} else {
		delete(m.blacklist, c.Name)
	}
	return c
}

// build makes the index that the model has come to.
func (m *model) build(t testing.TB) *index.Index {
	t.Helper()
	o := testOptions
	o.Revision = m.revision
	fs := make([]registry.Filing, 0, len(m.ids))
	for _, id := range m.ids {
		fs = append(fs, m.filings[id])
	}
	return build(t, o, fs, slices.Collect(maps.Keys(m.blacklist))...)
}

// ask draws a name near those that are or were known.
func (m *model) ask() registry.Domain {
	d := m.name()
	if len(m.past) > 0 && m.IntN(4) > 0 {
		d = m.past[m.IntN(len(m.past))]
		if m.IntN(2) == 0 {
			d = m.past[len(m.past)-1-m.IntN(min(8, len(m.past)))]
		}
	}
	for m.IntN(3) == 0 && !d.Parent().IsZero() {
		d = d.Parent()
	}
	for m.IntN(2) == 0 {
		d = registry.MustParseDomain(m.label() + "." + d.String())
	}
	return d
}

// agree compares a view with an index built of the same filings.
func (m *model) agree(t *testing.T, v *index.View, x *index.Index, queries int) {
	t.Helper()
	for range queries {
		d := m.ask()
		got, want := v.Cover(d), x.Cover(d)
		if got.Cut < want.Cut || d.Labels() > 1 && int(got.Cut) > d.Labels()+1 {
			t.Fatalf("Cover(%q): got cut %d; want at least %d", d, got.Cut, want.Cut)
		}
		m.cut(t, v, d, got)
		want.Cut = got.Cut
		if !equal(got, want) {
			t.Fatalf("Cover(%q) at %s: got %+v; want %+v", d, m.revision, got, want)
		}
		if m.IntN(8) == 0 {
			if got, want := v.Records(d), x.Records(d); !reflect.DeepEqual(got, want) {
				t.Fatalf("Records(%q): got %+v; want %+v", d, got, want)
			}
		}
	}
	for range queries / 10 {
		a := m.addr()
		if got, want := v.CoverAddr(a), x.CoverAddr(a); !equal(got, want) {
			t.Fatalf("CoverAddr(%s): got %+v; want %+v", a, got, want)
		}
		if got, want := v.RecordsAddr(a), x.RecordsAddr(a); !reflect.DeepEqual(got, want) {
			t.Fatalf("RecordsAddr(%s): got %+v; want %+v", a, got, want)
		}
	}
	got, want := v.Info(), x.Info()
	if got.Revision != want.Revision || got.Filings != want.Filings || got.Names != want.Names || got.Addresses != want.Addresses || got.Blacklisted != want.Blacklisted {
		t.Fatalf("got %+v; want %+v", got, want)
	}
}

// cut: a name that shares the cut with d has its coverage.
func (m *model) cut(t *testing.T, v *index.View, d registry.Domain, c registry.Coverage) {
	t.Helper()
	shared := d.Last(int(c.Cut))
	if shared.Labels() < int(c.Cut) {
		return
	}
	e := registry.MustParseDomain(m.one("", "www.", m.label()+".", m.label()+"."+m.label()+".") + shared.String())
	if got := v.Cover(e); !equal(got, c) {
		t.Fatalf("%q and %q share %q, but: got %+v; want %+v", d, e, shared, got, c)
	}
}

// TestModel changes registries at random and compares the view with a new index
// of what has come of them, at every revision.
func TestModel(t *testing.T) {
	tests := []struct{ rounds, filings, labels, blacklist, steps, parts, queries int }{
		{20, 0, 2, 0, 12, 2, 40},
		{50, 8, 2, 2, 20, 3, 60},
		{5, 60, 4, 4, 30, 6, 100},
		{1, 2000, 60, 40, 12, 60, 1000},
	}
	if os.Getenv("ICP_SOAK") != "" {
		tests = []struct{ rounds, filings, labels, blacklist, steps, parts, queries int }{
			{600, 8, 2, 2, 20, 3, 100},
			{150, 60, 4, 4, 40, 5, 200},
			{1, 10_000, 300, 200, 800, 200, 2000},
			{1, 100_000, 3000, 1000, 60, 1000, 20_000},
		}
	}
	mapped, changes := index.Mappings(), 0
	for _, test := range tests {
		for round := range test.rounds {
			m := newModel(uint64(round), test.labels, test.filings, test.blacklist)
			m.run(t, test.steps, test.parts, test.queries)
			changes += m.changes
		}
	}
	awaitMappings(t, mapped)
	t.Logf("%d changes", changes)
}

// run applies steps and, in between, puts other snapshots beneath.
func (m *model) run(t *testing.T, steps, parts, queries int) {
	t.Helper()
	var live index.Live
	live.Swap(m.build(t))
	var between *index.Index
	for range steps {
		changes := m.step(1 + m.IntN(parts))
		before := live.View()
		if err := live.Apply(changes...); err != nil {
			t.Fatal(err)
		}
		x := m.build(t)
		m.agree(t, live.View(), x, queries)
		if r := before.Revision(); r.Rev+1 != m.revision.Rev {
			t.Fatalf("the view before went from %d on to %d", m.revision.Rev-1, r.Rev)
		}
		switch m.IntN(8) {
		case 0:
			between = x
		case 1:
			if between != nil && between.Info().Revision.Compare(live.View().Snapshot().Info().Revision) >= 0 {
				live.Swap(between)
				m.agree(t, live.View(), x, queries)
			}
		case 2:
			path := filepath.Join(t.TempDir(), "registry.icpidx")
			if err := live.Compact(context.Background(), path); err != nil {
				t.Fatal(err)
			}
			m.agree(t, live.View(), x, queries)
		}
	}
}
