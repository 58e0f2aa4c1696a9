package index

import (
	"fmt"
	"slices"

	"github.com/icpgate/icpgate/registry"
)

// collector is what one goroutine has taken in for a snapshot.
type collector struct {
	key      key
	parts    [256]part  // by the first byte of h0
	arenas   [256]arena // the encoded records of the parts
	protos   protos
	specials map[sum]*special
	slab     []special // to make the next of them in
	texts    texts
	gov      []govFiling
	standing map[registry.Domain]bool // government registrable names under which a site's filing stands
	govNames map[registry.Domain]bool // the names that such filings are made under
	filings  int
	scratch  []byte
}

func newCollector(k key) collector {
	return collector{
		key:      k,
		specials: map[sum]*special{},
		standing: map[registry.Domain]bool{},
		govNames: map[registry.Domain]bool{},
	}
}

// add takes a filing in, or nothing of it.
func (c *collector) add(f *registry.Filing) error {
	if err := f.Check(); err != nil {
		return err
	}
	if err := checkSize(f); err != nil {
		return err
	}
	c.filings++
	proto := c.protos.of(f)
	if f.Site.Kind == registry.KindIP {
		c.enter(f, registry.Domain{}, entry{sum: c.key.addr(plain(f.Addr)), proto: proto})
		return nil
	}
	for i, d := range f.Site.Domains {
		if slices.Contains(f.Site.Domains[:i], d) {
			continue
		}
		e := entry{sum: c.mark(d), proto: proto}
		if d.IsGov() {
			e.gov = c.addGov(f, d)
		}
		c.enter(f, d, e)
	}
	return nil
}

// checkSize refuses what no snapshot can hold, before anything of f is added.
func checkSize(f *registry.Filing) error {
	// Name, numbers, days and lengths together take less than a kilobyte.
	n := 1024 + len(f.Entity.Name) + len(f.Site.Name)
	for _, a := range f.Accesses {
		n += len(a.Provider) + 32
		if a.Status > registry.AccessCancelled {
			return fmt.Errorf("the filing %s has an access of status %d, which there is not", f.Site.Number, a.Status)
		}
	}
	for _, host := range f.Covers {
		n += len(host) + 8
	}
	switch {
	case n > maxRecord:
		return fmt.Errorf("the filing %s takes %d bytes; a snapshot keeps at most %d of one", f.Site.Number, n, maxRecord)
	case f.Site.Kind > registry.KindIP || f.Status > registry.StatusCancelled:
		return fmt.Errorf("the filing %s is of kind %d and status %d, which there is not", f.Site.Number, f.Site.Kind, f.Status)
	}
	return nil
}

// enter files the encoded record and the entry that leads to it.
func (c *collector) enter(f *registry.Filing, filed registry.Domain, e entry) {
	c.scratch = appendItem(c.scratch[:0], f, filed)
	e.record = c.arenas[e.h0>>56].add(c.scratch)
	c.parts[e.h0>>56].add(e)
}

// mark notes all names above d as having something below, and returns d's sum.
func (c *collector) mark(d registry.Domain) (all sum) {
	c.key.walk(d.String(), 2, func(s sum, level int, whole bool) bool {
		if whole {
			all = s
			return false
		}
		sp := c.specials[s]
		if sp == nil {
			sp = c.single(d.Last(level))
		}
		sp.below = true
		return true
	})
	return all
}

// addGov notes the names that a filing under a government suffix singles out.
func (c *collector) addGov(f *registry.Filing, filed registry.Domain) uint32 {
	if f.Site.Kind == registry.KindSite && f.Status.Stands() {
		own := c.texts.domain(filed)
		c.standing[own.GovRegistrable()] = true
		c.govNames[own] = true
	}
	g := govFiling{filed: c.texts.domain(filed)}
	for _, host := range f.Covers {
		g.filing.Covers = append(g.filing.Covers, c.texts.clone(host))
	}
	c.gov = append(c.gov, g)
	if !g.coversAll() {
		for _, host := range g.hosts() {
			c.single(host)
			c.mark(host)
		}
	}
	return uint32(len(c.gov))
}

// item returns the encoded record of an entry; nil if it has none.
func (c *collector) item(e entry) []byte { return c.arenas[e.h0>>56].get(e.record) }
