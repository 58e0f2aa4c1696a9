package index

import (
	"net/netip"
	"runtime"

	"github.com/icpgate/icpgate/registry"
)

// View is a registry at one revision: a snapshot, and what was changed since.
// It answers as an Index built from the resulting filings would, except that
// Cut may be deeper. It is immutable and safe for concurrent use. The nil View
// is a registry that was never loaded.
type View struct {
	base *Index
	over *overlay // nil: nothing was changed
	id   uint64   // tells the views and indexes of a process apart
}

// NewView returns the view of a snapshot alone; nil for no snapshot.
func NewView(x *Index) *View {
	if x == nil {
		return nil
	}
	return &View{base: x, id: x.id}
}

// Cover returns what the registry knows of a name, as Index.Cover does. It
// allocates only where filings of the snapshot and newer ones meet on one name.
func (v *View) Cover(d registry.Domain) registry.Coverage {
	if v == nil {
		return registry.Coverage{}
	}
	if v.over == nil {
		return v.base.Cover(d)
	}
	answer, near := v.walk(d.String())
	c := *answer
	c.Revision = v.over.revision
	if near.level == 0 {
		return c
	}
	// Below the deepest item there is nothing that the overlay knows of; whatever
	// shares both cuts has the same items and the same answer beneath them.
	c.Cut = max(c.Cut, near.cut())
	if near.gov != nil {
		c.GovFiled = near.gov.standing
	}
	if near.changed > 0 {
		v.combine(d, &c, &near)
	}
	return c
}

// around is what the overlay has at and above a name.
type around struct {
	level   int // labels of the deepest item; 0 is none
	gov     *tally
	below   bool // of the deepest item
	uneven  bool
	changed int   // how many items are there for their own sake
	last    *item // the deepest of them
	at      int   // its labels
}

// find takes in the item of a sum, and reports whether there is one.
func (a *around) find(t *set, s sum, level int) bool {
	it := t.find(s)
	if it == nil {
		return false
	}
	a.level, a.below = level, it.below
	if it.gov != nil {
		a.gov = it.gov
	}
	if it.changed() {
		a.changed++
		a.last, a.at = it, level
		a.uneven = a.uneven || it.filed != nil && it.filed.uneven
	}
	return true
}

// cut is as that of Index.Cover, for the overlay alone.
func (a *around) cut() uint8 {
	if a.below || a.uneven {
		return uint8(a.level + 1)
	}
	return uint8(a.level)
}

// walk asks snapshot and overlay in one pass over the name: what it hashes serves
// both. The answer is the snapshot's. Like Index.answer it is key.walk with the
// visit written out.
func (v *View) walk(name string) (answer *registry.Coverage, near around) {
	x, o := v.base, v.over
	tops := x.tops || o.tops
	n := &x.nodes[0]
	answer = &n.below
	inBase, inOver := true, true
	v0, v1, v2, v3 := x.key.start()
	level := 0
	for rest := len(name); ; rest -= 8 {
		block, last := blockOf(name, rest)
		for dots := dotsOf(block); dots != 0; {
			bits := before(dots)
			dots &= dots - 1
			if level++; level == 1 && !tops {
				continue
			}
			s := finish(v0, v1, v2, v3, ending(block, bits, len(name)-rest))
			// The overlay first: it is near, and what the table says may be far away.
			if inOver {
				inOver = o.set.filter.mayHave(s) && near.find(o.set, s, level) || level == 1
			}
			if inBase {
				switch i, _ := x.table.find(s); {
				case i == 0:
					answer, inBase = &n.below, level == 1
				case last && dots == 0:
					answer = &x.nodes[i].self
				default:
					n = &x.nodes[i]
					answer, inBase = &n.below, n.flags&hasBelow != 0
				}
			}
			if !inBase && !inOver {
				runtime.KeepAlive(v)
				return answer, near
			}
		}
		if last {
			runtime.KeepAlive(v)
			return answer, near
		}
		v3 ^= block
		v0, v1, v2, v3 = round(v0, v1, v2, v3)
		v0, v1, v2, v3 = round(v0, v1, v2, v3)
		v0 ^= block
	}
}

// combine makes the answer for a name at or below changed ones from that of the
// snapshot.
func (v *View) combine(d registry.Domain, c *registry.Coverage, near *around) {
	m := merging{old: c.Filings}
	listed, unlisted := false, false
	take := func(it *item, level int) {
		if it.filed != nil {
			isItem := near.level == d.Labels()
			m.replace(uint8(level), it.filed.reach(d, isItem))
		}
		listed = listed || it.list == listedNow
		unlisted = unlisted || it.list == unlistedNow
	}
	if near.changed == 1 {
		take(near.last, near.at)
	} else {
		items := v.items(d)
		for level := len(items) - 1; level > 0; level-- {
			if items[level] != nil {
				take(items[level], level)
			}
		}
	}
	c.Filings = m.rest()
	if listed || unlisted && c.Blacklisted {
		c.Blacklisted = listed || v.blacklisted(d)
	}
}

// items are those at and above d, by their labels.
func (v *View) items(d registry.Domain) []*item {
	items := make([]*item, 1, 8)
	v.base.key.walk(d.String(), 1, func(s sum, level int, _ bool) bool {
		it := v.over.set.find(s)
		items = append(items, it)
		return it != nil || level == 1
	})
	return items
}

// blacklisted looks at every level of d on its own.
func (v *View) blacklisted(d registry.Domain) bool {
	items := v.items(d)
	for l := d.Labels(); l > 0; l-- {
		list := listedAsBefore
		if l < len(items) && items[l] != nil {
			list = items[l].list
		}
		if list == listedNow || list == listedAsBefore && v.base.blacklists(d.Last(l)) {
			return true
		}
	}
	return false
}

// merging puts the coverings of changed levels in place of the snapshot's. It
// goes from the deepest level up, and copies only where two lists meet.
type merging struct {
	old  []registry.Covering // of the snapshot, from the level that was last replaced up
	list []registry.Covering
	own  bool // list is not shared
}

func (m *merging) replace(level uint8, list []registry.Covering) {
	n := 0
	for n < len(m.old) && m.old[n].Filed > level {
		n++
	}
	m.add(m.old[:n:n])
	for n < len(m.old) && m.old[n].Filed == level {
		n++
	}
	m.old = m.old[n:]
	m.add(list)
}

func (m *merging) rest() []registry.Covering {
	m.add(m.old)
	return m.list
}

func (m *merging) add(list []registry.Covering) {
	switch {
	case len(list) == 0:
	case len(m.list) == 0:
		m.list = list
	case m.own:
		m.list = append(m.list, list...)
	default:
		both := make([]registry.Covering, 0, len(m.list)+len(list)+2)
		m.list, m.own = append(append(both, m.list...), list...), true
	}
}

// CoverAddr returns what the registry knows of an address, as Index.CoverAddr does.
func (v *View) CoverAddr(a netip.Addr) registry.Coverage {
	switch {
	case v == nil:
		return registry.Coverage{}
	case v.over == nil:
		return v.base.CoverAddr(a)
	}
	c := v.base.CoverAddr(a)
	if f := v.refiledAddr(a); f != nil {
		c.Filings = f.self
	}
	c.Revision = v.over.revision
	return c
}

func (v *View) refiledAddr(a netip.Addr) *refiled {
	if !a.IsValid() {
		return nil
	}
	if it := v.over.set.find(v.base.key.addr(plain(a))); it != nil {
		return it.filed
	}
	return nil
}

// Records returns what is kept of the filings of Cover(d).Filings, in the same
// order; nil on a nil View. It allocates.
func (v *View) Records(d registry.Domain) []Record {
	if v == nil {
		return nil
	}
	old := v.base.Records(d)
	if v.over == nil {
		return old
	}
	var recs []Record
	for n := d.Labels(); n >= 2; n-- {
		filed := d.Last(n)
		if it := v.over.set.find(v.base.key.name(filed.String())); it != nil && it.filed != nil {
			recs = append(recs, it.filed.read()...)
			continue
		}
		for _, r := range old {
			if r.Domain == filed {
				recs = append(recs, r)
			}
		}
	}
	return recs
}

// RecordsAddr is Records for CoverAddr.
func (v *View) RecordsAddr(a netip.Addr) []Record {
	if v == nil {
		return nil
	}
	if v.over != nil {
		if f := v.refiledAddr(a); f != nil {
			return f.read()
		}
	}
	return v.base.RecordsAddr(a)
}

// Revision is what the view shows; the zero Revision on a nil View.
func (v *View) Revision() registry.Revision {
	switch {
	case v == nil:
		return registry.Revision{}
	case v.over != nil:
		return v.over.revision
	}
	return v.base.info.Revision
}

// Info says what v holds; the zero Info on a nil View. MadeAt and Bytes are those
// of the snapshot.
func (v *View) Info() Info {
	if v == nil {
		return Info{}
	}
	i := v.base.info
	if o := v.over; o != nil {
		i.Revision = o.revision
		i.Filings += o.filings
		i.Names += o.names
		i.Addresses += o.addrs
		i.Blacklisted += o.listed
	}
	return i
}

// Key returns the secret of the fingerprints, as Index.Key does.
func (v *View) Key() [16]byte { return v.Snapshot().Key() }

// ID is a number that no other view of the process has, unless it is of the same
// snapshot without changes; 0 for the nil View.
func (v *View) ID() uint64 {
	if v == nil {
		return 0
	}
	return v.id
}

// Snapshot returns the snapshot beneath the changes; nil on a nil View.
func (v *View) Snapshot() *Index {
	if v == nil {
		return nil
	}
	return v.base
}
