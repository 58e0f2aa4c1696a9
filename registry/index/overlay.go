package index

import (
	"net/netip"

	"github.com/icpgate/icpgate/registry"
)

// Changes are what is newer than a snapshot: per name and address the filings
// that it has now, and the changes of the blacklist. What is not named is as it
// was. The zero value changes nothing; the maps are shared and not written to.
type Changes struct {
	Names     map[registry.Domain][]registry.Filing // all filings under a name; none: there are none any more
	Addrs     map[netip.Addr][]registry.Filing      // the same of an address, IPv4 unmapped and without zone
	Blacklist map[registry.Domain]bool              // true: on the blacklist, false: not any more
}

// overlay is what a Live was told since its snapshot, as answers that lie ready.
// It is immutable and shares what did not change with the one before it. The
// items of its set are the changed names and addresses, the hosts that a changed
// government's filing singles out, and all names above these: a name with a
// level that is no item has none below, either. (Single labels are items only if
// they are changed themselves.)
type overlay struct {
	set      *set
	revision registry.Revision
	tops     bool // single labels are items, too
	filings  int  // how many more filings, names … there are than in the snapshot
	names    int
	addrs    int
	listed   int
}

// item is what is newer of one name or address. It is immutable.
type item struct {
	name  registry.Domain // only where filed or list are set
	below bool            // there are items below
	list  listing
	since uint64   // revision of list
	filed *refiled // nil: the filings are the snapshot's
	gov   *tally   // of a government registrable name, where the overlay bears on GovFiled
}

// changed reports whether the item is one for its own sake.
func (it *item) changed() bool { return it.filed != nil || it.list != listedAsBefore }

// listing is what became of a name on the blacklist.
type listing uint8

const (
	listedAsBefore listing = iota
	listedNow
	unlistedNow
)

// tally tells whether a site's filing stands under a government registrable name.
type tally struct {
	more     int // names with a standing site, beyond those of the snapshot
	standing bool
}

// edit makes the next overlay of the one before it.
type edit struct {
	base *Index
	over overlay
	sets setEdit
}

// editOverlay begins with old; nil is an empty one.
func editOverlay(base *Index, old *overlay) *edit {
	e := &edit{base: base}
	if old != nil {
		e.over = *old
	}
	e.sets = editSet(e.over.set)
	return e
}

// done ends the edit; e must not be used any more. The overlay is a copy: it must
// not keep the edit, and with it a snapshot.
func (e *edit) done(rev registry.Revision) *overlay {
	o := e.over
	o.set, o.revision = e.sets.set, rev
	return &o
}

// apply takes in a change that has been checked.
func (e *edit) apply(c *registry.Change) {
	switch c.Kind {
	case registry.ChangeFilings:
		e.refile(newRefiled(c.Name, c.Addr, c.Filings, c.Revision.Rev))
	case registry.ChangeListed:
		e.relist(c.Name, listedNow, c.Revision.Rev)
	case registry.ChangeUnlisted:
		e.relist(c.Name, unlistedNow, c.Revision.Rev)
	}
}

// item returns a copy of what stands under a sum, to be changed and put back.
func (e *edit) item(s sum) *item {
	if it := e.sets.set.find(s); it != nil {
		c := *it
		return &c
	}
	return &item{}
}

// refile gives a name or an address its filings.
func (e *edit) refile(f *refiled) {
	s := e.sumOf(f)
	it := e.item(s)
	was := it.filed
	if was == nil {
		was = e.base.filedBefore(f)
	}
	it.name, it.filed = f.name, f
	e.sets.put(s, it)
	e.over.filings += f.first - was.first
	more := some(len(f.self)) - some(len(was.self))
	if !f.byName() {
		e.over.addrs += more
		return
	}
	e.over.names += more
	e.mark(f.name)
	for _, host := range f.hosts {
		e.single(host)
	}
	if f.stands != was.stands {
		e.tally(f.name.GovRegistrable(), count(f.stands)-count(was.stands))
	}
}

// sumOf is what the name or address of f stands under.
func (e *edit) sumOf(f *refiled) sum {
	if f.byName() {
		return e.base.key.name(f.name.String())
	}
	return e.base.key.addr(f.addr)
}

// blacklists reports whether d itself is on the blacklist after the edit so far.
func (e *edit) blacklists(d registry.Domain) bool {
	it := e.sets.set.find(e.base.key.name(d.String()))
	if it == nil || it.list == listedAsBefore {
		return e.base.blacklists(d)
	}
	return it.list == listedNow
}

// tally notes that more names under a government registrable name have a
// standing site than before, or fewer.
func (e *edit) tally(reg registry.Domain, more int) {
	s := e.base.key.name(reg.String())
	it := e.item(s)
	t := tally{more: more}
	if it.gov != nil {
		t.more += it.gov.more
	}
	switch {
	case t.more > 0:
		t.standing = true
	case t.more == 0:
		t.standing = e.base.Cover(reg).GovFiled
	default:
		t.standing = e.base.standingUnder(reg)+t.more > 0
	}
	it.gov = &t
	e.sets.put(s, it)
}

// standingUnder counts the names of a snapshot with a standing filing of a site
// at or below a government registrable name.
func (x *Index) standingUnder(reg registry.Domain) int { return len(x.govFilings(reg)) }

// relist puts a name on the blacklist or takes it off.
func (e *edit) relist(d registry.Domain, l listing, rev uint64) {
	s := e.base.key.name(d.String())
	was := e.blacklists(d)
	it := e.item(s)
	it.name, it.list, it.since = d, l, rev
	if d.Labels() == 1 {
		// As in a snapshot: a cut of 1 is not worth a rule.
		e.over.tops, it.below = true, true
	}
	e.sets.put(s, it)
	e.mark(d)
	e.over.listed += count(l == listedNow) - count(was)
}

// single makes an item of a host that a filing singles out.
func (e *edit) single(d registry.Domain) {
	s := e.base.key.name(d.String())
	if e.sets.set.find(s) == nil {
		e.sets.put(s, &item{})
	}
	e.mark(d)
}

// mark notes all names above d as having items below.
func (e *edit) mark(d registry.Domain) {
	e.base.key.walk(d.String(), 2, func(s sum, _ int, whole bool) bool {
		if whole {
			return false
		}
		if it := e.sets.set.find(s); it == nil || !it.below {
			it := e.item(s)
			it.below = true
			e.sets.put(s, it)
		}
		return true
	})
}

// some is 1 for any number of things.
func some(n int) int { return count(n > 0) }

func count(b bool) int { return int(flag(b)) }

// after returns what of o is newer than a revision, over another snapshot that
// has that revision; nil if there is nothing.
func (o *overlay) after(base *Index, rev uint64) *overlay {
	e := editOverlay(base, nil)
	o.set.all(func(_ sum, it *item) {
		if it.filed != nil && it.filed.rev > rev {
			e.refile(it.filed)
		}
		if it.list != listedAsBefore && it.since > rev {
			e.relist(it.name, it.list, it.since)
		}
	})
	return e.done(o.revision)
}

// told is all of o, for a merge. It holds the blacklist's changes; the filings stay
// where they are.
func (o *overlay) told() told {
	t := told{size: o.set.n, blacklist: map[registry.Domain]bool{}}
	o.set.all(func(_ sum, it *item) {
		if it.list != listedAsBefore {
			t.blacklist[it.name] = it.list == listedNow
		}
	})
	t.names = func(yield func(registry.Domain, []registry.Filing) bool) {
		more := true
		o.set.all(func(_ sum, it *item) {
			if f := it.filed; f != nil && f.byName() {
				more = more && yield(f.name, f.filings)
			}
		})
	}
	t.addrs = func(yield func(netip.Addr, []registry.Filing) bool) {
		more := true
		o.set.all(func(_ sum, it *item) {
			if f := it.filed; f != nil && !f.byName() {
				more = more && yield(f.addr, f.filings)
			}
		})
	}
	return t
}
