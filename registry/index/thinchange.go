package index

import (
	"hash/maphash"
	"sync"
	"sync/atomic"

	"github.com/icpgate/icpgate/registry"
)

// stamps tell which entries a change has made doubtful. Changes are numbered. One
// at a name touches the entries at and below it, which inherit from it, and those
// above, whose cut it may deepen. It is written down once, at its name, in below,
// and at each name above it in above; an entry is current if neither its key in
// above nor a suffix of its key in below has a number higher than the last one
// when the source was asked. So a change costs the same however many entries it
// touches, and an answer that was under way when it came is doubtful as well.
//
// Both are tables of the hashes of names. Where two names meet in a place, an
// entry is asked for once too often: with two places an entry, a change touches
// about one entry in 10,000 of a full cache of the default size by chance.
type stamps struct {
	changes      sync.Mutex    // held by who stamps
	last         atomic.Uint64 // number of the last change
	floor        atomic.Uint64 // no answer from before this change holds good
	below, above []atomic.Uint64
}

// leastStamps and mostStamps bound the tables to 2 × 32 KiB and 2 × 2 MiB.
const (
	leastStamps = 1 << 12
	mostStamps  = 1 << 18
)

func (s *stamps) init(size int) {
	n := leastStamps
	for n < 2*size && n < mostStamps {
		n *= 2
	}
	s.below, s.above = make([]atomic.Uint64, n), make([]atomic.Uint64, n)
}

// place returns the place of a hash in either table.
func (s *stamps) place(hash uint64) uint64 { return hash & uint64(len(s.below)-1) }

// Invalidate drops what a change of the registry may have altered: the answers at
// these names, above and below them, and those that are under way. names are all
// at which a filing or an entry of the blacklist came, changed or went; for the
// blacklist of an entity, all its domains. The registry that is asked must know
// of the change already. Below a government suffix everything of the unit's
// registrable name is dropped, since what one files there shows in all of it.
func (t *Thin) Invalidate(names ...registry.Domain) {
	if t == nil {
		return
	}
	t.changes.Lock()
	defer t.changes.Unlock()
	change := t.last.Add(1)
	for _, d := range names {
		t.stamp(d, change)
	}
}

// InvalidateAll drops all answers, and those that are under way: the registry is
// another one, or it is not known what has changed.
func (t *Thin) InvalidateAll() {
	if t == nil {
		return
	}
	t.changes.Lock()
	defer t.changes.Unlock()
	t.floor.Store(t.last.Add(1))
	for i := range t.shards {
		t.shards[i].purge()
	}
}

// stamp writes down a change at d. One at a top-level domain is rare, and a stamp
// for it would have to be looked at for every entry: it touches all.
func (t *Thin) stamp(d registry.Domain, change uint64) {
	if gov := d.GovRegistrable(); !gov.IsZero() {
		d = gov
	}
	if d.Labels() == 1 {
		t.floor.Store(change)
	}
	t.below[t.placeOf(d.String())].Store(change)
	for up := d.Parent(); !up.IsZero(); up = up.Parent() {
		t.above[t.placeOf(up.String())].Store(change)
	}
}

func (t *Thin) placeOf(name string) uint64 { return t.place(maphash.String(t.seed, name)) }

// current reports whether nothing has changed that e may depend on.
func (t *Thin) current(e *thinEntry) bool {
	if e.change >= t.last.Load() {
		return true
	}
	p := t.place(e.hash)
	if e.change < t.floor.Load() || e.change < t.above[p].Load() || e.change < t.below[p].Load() {
		return false
	}
	// The suffixes of two labels and more; the whole key is done.
	for at := lastLabel(e.key, max(lastLabel(e.key, len(e.key))-1, 0)); at > 0; at = lastLabel(e.key, at-1) {
		if e.change < t.below[t.placeOf(e.key[at:])].Load() {
			return false
		}
	}
	return true
}
