package index_test

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"github.com/icpgate/icpgate/registry"
)

// twin answers the questions of an Index from maps, the plain way.
type twin struct {
	filings   []registry.Filing
	byName    map[registry.Domain][]*registry.Filing
	byAddr    map[netip.Addr][]*registry.Filing
	blacklist map[registry.Domain]bool
	known     map[registry.Domain]bool // filed, blacklisted or singled out
	below     map[registry.Domain]bool // something known is below
	standing  map[registry.Domain]bool
	revision  registry.Revision
}

func newTwin(filings []registry.Filing, blacklist []registry.Domain, rev registry.Revision) *twin {
	t := &twin{
		filings: filings, revision: rev,
		byName: map[registry.Domain][]*registry.Filing{}, byAddr: map[netip.Addr][]*registry.Filing{},
		blacklist: map[registry.Domain]bool{}, known: map[registry.Domain]bool{},
		below: map[registry.Domain]bool{}, standing: map[registry.Domain]bool{},
	}
	for i := range filings {
		f := &filings[i]
		if f.Site.Kind == registry.KindIP {
			a := f.Addr.Unmap()
			t.byAddr[a] = append(t.byAddr[a], f)
			continue
		}
		for _, d := range f.Site.Domains {
			if slices.Contains(t.byName[d], f) {
				continue
			}
			t.byName[d] = append(t.byName[d], f)
			t.know(d)
			t.single(f, d)
			if f.Site.Kind == registry.KindSite && f.Status.Stands() && d.IsGov() {
				t.standing[d.GovRegistrable()] = true
			}
		}
	}
	for _, d := range blacklist {
		t.blacklist[d] = true
		t.know(d)
	}
	return t
}

func (t *twin) know(d registry.Domain) {
	t.known[d] = true
	for up := d.Parent(); !up.IsZero(); up = up.Parent() {
		t.below[up] = true
	}
}

// single notes the hosts that f singles out below a government's name.
func (t *twin) single(f *registry.Filing, d registry.Domain) {
	if !d.IsGov() || slices.Contains(f.Covers, "*") {
		return
	}
	for _, c := range append([]string{"www"}, f.Covers...) {
		for _, text := range []string{c, c + "." + d.String()} {
			host, err := registry.ParseDomain(text)
			if err == nil && host != d && f.Scope(d, host) == registry.ScopeCovers {
				t.know(host)
			}
		}
	}
}

func (t *twin) cover(d registry.Domain) registry.Coverage {
	c := registry.Coverage{Loaded: true, Revision: t.revision, GovFiled: t.standing[d.GovRegistrable()]}
	for up := d; !up.IsZero(); up = up.Parent() {
		c.Blacklisted = c.Blacklisted || t.blacklist[up]
		for _, f := range t.byName[up] {
			switch f.Scope(up, d) {
			case registry.ScopeCovers:
				c.Filings = append(c.Filings, covering(f, up.Labels(), false))
			case registry.ScopeInherited:
				c.Filings = append(c.Filings, covering(f, up.Labels(), true))
			}
		}
	}
	c.Cut = t.cut(d)
	sortCoverings(c.Filings)
	return c
}

// cut finds the deepest name at or above d that is known or has something known
// below, and asks whether it answers alike for all below.
func (t *twin) cut(d registry.Domain) uint8 {
	for n := d.Labels(); n >= 2; n-- {
		up := d.Last(n)
		if !t.known[up] && !t.below[up] {
			continue
		}
		if t.below[up] || t.uneven(up) {
			return uint8(n + 1)
		}
		return uint8(n)
	}
	return 2
}

// uneven: does a name below up that nobody singled out fare otherwise than up?
func (t *twin) uneven(up registry.Domain) bool {
	other := registry.MustParseDomain("q-q." + up.String())
	for at := up; !at.IsZero(); at = at.Parent() {
		for _, f := range t.byName[at] {
			if f.Scope(at, up) != f.Scope(at, other) {
				return true
			}
		}
	}
	return false
}

func (t *twin) coverAddr(a netip.Addr) registry.Coverage {
	c := registry.Coverage{Loaded: true, Revision: t.revision}
	for _, f := range t.byAddr[a.Unmap()] {
		c.Filings = append(c.Filings, covering(f, 0, false))
	}
	sortCoverings(c.Filings)
	return c
}

func covering(f *registry.Filing, labels int, inherited bool) registry.Covering {
	c := registry.Covering{
		Filed: uint8(labels), Kind: f.Site.Kind, Status: f.Status, Inherited: inherited,
		Restricted: f.Restricted, AccessesKnown: f.AccessesKnown,
	}
	for _, a := range f.Accesses {
		if a.Status != registry.AccessReviewed {
			a.At = 0
		}
		c.Accesses = append(c.Accesses, a)
	}
	slices.SortFunc(c.Accesses, func(a, b registry.Access) int { return cmp.Compare(a.Provider, b.Provider) })
	return c
}

// sortCoverings orders by name, the most specific first, and then in any one
// way: the order within a name is the index's own.
func sortCoverings(cs []registry.Covering) { slices.SortStableFunc(cs, compareCoverings) }

func compareCoverings(a, b registry.Covering) int {
	number := func(c registry.Covering) (n int) {
		for i, set := range []bool{c.Inherited, c.Restricted, c.AccessesKnown} {
			if set {
				n |= 1 << i
			}
		}
		return n | int(c.Kind)<<8 | int(c.Status)<<16
	}
	return cmp.Or(cmp.Compare(b.Filed, a.Filed), cmp.Compare(number(a), number(b)),
		slices.CompareFunc(a.Accesses, b.Accesses, func(a, b registry.Access) int {
			return cmp.Or(cmp.Compare(a.Provider, b.Provider), cmp.Compare(a.Status, b.Status), cmp.Compare(a.At, b.At))
		}))
}

// equal compares two answers to the last bit and in order.
func equal(a, b registry.Coverage) bool {
	fa, fb := a.Filings, b.Filings
	if !slices.EqualFunc(fa, fb, func(a, b registry.Covering) bool { return compareCoverings(a, b) == 0 }) {
		return false
	}
	a.Filings, b.Filings = nil, nil
	return fmt.Sprint(a) == fmt.Sprint(b)
}

// same compares the answer of an index with the twin's.
func same(got, want registry.Coverage) error {
	if !slices.IsSortedFunc(got.Filings, func(a, b registry.Covering) int { return cmp.Compare(b.Filed, a.Filed) }) {
		return fmt.Errorf("filings are not the most specific first: %+v", got.Filings)
	}
	got.Filings = slices.Clone(got.Filings)
	sortCoverings(got.Filings)
	if !equal(got, want) {
		return fmt.Errorf("got %+v; want %+v", got, want)
	}
	return nil
}
