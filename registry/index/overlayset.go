package index

import (
	"math/bits"
	"sync/atomic"
)

// set finds items by their sums. It is immutable: who changes it copies the
// shards that change, and shares the others. All 128 bits of a sum are compared.
// The nil set is none; editSet makes an empty one.
type set struct {
	filter filter
	groups [fan]*group // by the top bits of h0
	n      int         // items
}

// fan: the pointers that are copied for a change take 1 KB, and a shard of an
// overlay of 50,000 holds a dozen items.
const (
	fanBits = 6
	fan     = 1 << fanBits
)

// group has the shards by the next bits of h0; nil is an empty one.
type group [fan]*shard

// shard is an open-addressed table of a power of two of slots, at most two
// thirds of them taken; nil is an empty one.
type shard struct {
	n    int
	held []held
}

// held is a slot; the item is nil in an empty one.
type held struct {
	sum
	item *item
}

// filter tells most sums that are not in a set from those that may be, in one
// access to a table small enough for the cache of a core: two bits per item in
// one word of at most four items in the mean, so that one absent sum in seventy
// passes. Bits are only ever set, before the view is stored that needs them; sets
// therefore share one, and what a newer one sets costs an older one a look-up in
// vain.
type filter []atomic.Uint64

// minFilter is how many words the filter has that a set begins with: 8 KB.
const minFilter = 1 << 10

func filterBits(s sum) uint64 { return 1<<(s.h1>>58) | 1<<(s.h1>>52&63) }

func (f filter) mayHave(s sum) bool {
	b := filterBits(s)
	return f[s.h0&uint64(len(f)-1)].Load()&b == b
}

func (f filter) add(s sum) { f[s.h0&uint64(len(f)-1)].Or(filterBits(s)) }

// branches are the way from a set to the shard of a sum.
func branches(s sum) (group, shard uint64) {
	return s.h0 >> (64 - fanBits), s.h0 >> (64 - 2*fanBits) % fan
}

// find returns the item of a sum; nil if there is none.
func (t *set) find(s sum) *item {
	if !t.filter.mayHave(s) {
		return nil
	}
	i, j := branches(s)
	g := t.groups[i]
	if g == nil || g[j] == nil {
		return nil
	}
	slots := g[j].held
	mask := uint64(len(slots) - 1)
	for k := s.h1 & mask; ; k = (k + 1) & mask {
		e := &slots[k]
		if e.h1 == s.h1 && e.h0 == s.h0 || e.item == nil {
			return e.item
		}
	}
}

// all calls f with every item, in no order that means anything.
func (t *set) all(f func(s sum, it *item)) {
	for _, g := range t.groups {
		if g == nil {
			continue
		}
		for _, h := range g {
			h.all(f)
		}
	}
}

func (h *shard) all(f func(s sum, it *item)) {
	if h == nil {
		return
	}
	for i := range h.held {
		if e := &h.held[i]; e.item != nil {
			f(e.sum, e.item)
		}
	}
}

// setEdit makes a new set of an old one.
type setEdit struct {
	set    *set
	groups uint64      // those that are copies already
	shards [fan]uint64 // the same, by group
}

// editSet begins with old; nil is an empty one.
func editSet(old *set) setEdit {
	if old == nil {
		return setEdit{set: &set{filter: make(filter, minFilter)}}
	}
	t := *old
	return setEdit{set: &t}
}

// put puts an item in place of the one that stands under its sum.
func (e *setEdit) put(s sum, it *item) {
	if !e.shard(s).put(s, it) {
		return
	}
	e.set.filter.add(s)
	if e.set.n++; e.set.n > 4*len(e.set.filter) {
		e.grow()
	}
}

// shard returns the shard of a sum, with room for one more, as a copy that
// nobody else has seen.
func (e *setEdit) shard(s sum) *shard {
	i, j := branches(s)
	if bit := uint64(1) << i; e.groups&bit == 0 {
		e.groups |= bit
		g := new(group)
		if old := e.set.groups[i]; old != nil {
			*g = *old
		}
		e.set.groups[i] = g
	}
	h := &e.set.groups[i][j]
	if bit := uint64(1) << j; e.shards[i]&bit == 0 || (*h).full() {
		e.shards[i] |= bit
		*h = (*h).copied()
	}
	return *h
}

// grow gives the set a filter of its own of twice the size.
func (e *setEdit) grow() {
	e.set.filter = make(filter, 2*len(e.set.filter))
	e.set.all(func(s sum, _ *item) { e.set.filter.add(s) })
}

// full reports whether one more would be more than two thirds.
func (h *shard) full() bool { return 3*(h.n+1) > 2*len(h.held) }

// copied returns a copy of h with room for one more.
func (h *shard) copied() *shard {
	if h == nil {
		return &shard{held: make([]held, 4)}
	}
	if !h.full() {
		c := &shard{n: h.n, held: make([]held, len(h.held))}
		copy(c.held, h.held)
		return c
	}
	c := &shard{held: make([]held, 1<<bits.Len(uint(len(h.held))))}
	h.all(func(s sum, it *item) { c.put(s, it) })
	return c
}

// put writes into a shard that nobody else has seen, and reports whether the sum
// is new.
func (h *shard) put(s sum, it *item) bool {
	mask := uint64(len(h.held) - 1)
	i := s.h1 & mask
	for h.held[i].item != nil && h.held[i].sum != s {
		i = (i + 1) & mask
	}
	added := h.held[i].item == nil
	h.held[i] = held{s, it}
	if added {
		h.n++
	}
	return added
}
