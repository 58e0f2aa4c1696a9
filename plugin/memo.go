package icp

import (
	"crypto/rand"
	"encoding/binary"
	"sync"
	"sync/atomic"

	"github.com/icpgate/icpgate/registry"
)

// memo remembers what became of messages, so that the same message need not be
// judged again and again: a look-up in the registry and one among the prefixes
// are few instructions, but wait for memory that is far away. It is a table of
// fixed size in which a message costs 16 bytes. Its zero value is not usable; it
// is safe for concurrent use, and nobody waits in it but who finds a new outcome.
//
// An entry is found by 116 bits of a fingerprint, and the fingerprint is taken
// with a secret key over all that the outcome depends on (see identity). Nothing
// is ever removed: what is no longer so bears the number of a generation that is
// no more.
type memo struct {
	k0, k1 uint64
	sets   []memoSet

	outcomes atomic.Pointer[[]outcome]
	mu       sync.Mutex         // held to add an outcome
	ids      map[outcome]uint64 // by what is in outcomes
	lately   [64]atomic.Uint64  // numbers that were looked for in ids
}

// memoSet are the places that a message may be remembered at: one cache line.
type memoSet [4]memoSlot

// memoSlot is one entry, in two words: one is the second half of the fingerprint
// with the outcome's number in its low bits, the other the first half, mixed with
// the former. So an entry of which a reader sees one word before and one after it
// was overwritten has a fingerprint that no message has.
type memoSlot struct{ mixed, rest atomic.Uint64 }

const (
	// memoSets makes room for 262,144 messages in 4 MiB. Of 100,000 that are asked
	// for evenly 3 in 100 find the places of their set taken; with half as many sets
	// it would be 12.
	memoSets = 1 << 16
	// outcomeMask has the bits of an outcome's number. There are some dozens in a
	// process; what exceeds the bits is not remembered.
	outcomeMask = 1<<12 - 1
)

// outcome is what becomes of a message, but for what the message itself says. The
// message passes as it is, or is blocked as a whole. Outcomes are comparable.
type outcome struct {
	verdict registry.Verdict
	place   registry.Place
	owner   registry.ProviderID
	product registry.Product
	effect  registry.Effect
	judged  bool  // an address is in the mainland, so that the name was looked at
	at      uint8 // which of the answer's addresses the verdict is on, if judged
	// registrable is how many labels the registrable name has of what is blocked; 0
	// where there is none.
	registrable uint8
}

// processMemo is that of all handlers of a process: they share the memory, and no
// entries, since the number of its Edge is in the fingerprint of each.
var processMemo = sync.OnceValue(newMemo)

func newMemo() *memo {
	var key [16]byte
	rand.Read(key[:]) // never fails
	return &memo{
		k0: binary.LittleEndian.Uint64(key[:8]), k1: binary.LittleEndian.Uint64(key[8:]),
		sets: make([]memoSet, memoSets), ids: map[outcome]uint64{},
	}
}

// find returns the outcome of a fingerprint; nil if it is not remembered.
func (t *memo) find(p fingerprint) *outcome {
	set := &t.sets[p.h0%memoSets]
	for i := range set {
		rest := set[i].rest.Load()
		if (rest^p.h1)&^outcomeMask != 0 || set[i].mixed.Load()^rest != p.h0 {
			continue
		}
		if id := rest & outcomeMask; id != 0 {
			return &(*t.outcomes.Load())[id-1]
		}
	}
	return nil
}

// put remembers an outcome, in place of another one if it has to.
func (t *memo) put(p fingerprint, o outcome) {
	id := t.number(o)
	if id == 0 {
		return
	}
	set := &t.sets[p.h0%memoSets]
	slot := &set[p.h0>>62] // as good as any
	for i := range set {
		if set[i].rest.Load() == 0 {
			slot = &set[i]
			break
		}
	}
	rest := p.h1&^outcomeMask | id
	slot.mixed.Store(p.h0 ^ rest)
	slot.rest.Store(rest)
}

// number returns that of an outcome, from 1; 0 where there are too many. Nearly
// always it is one of those that were asked for lately.
func (t *memo) number(o outcome) uint64 {
	at := &t.lately[(uint(o.verdict.Reason)*5+uint(o.verdict.Filed)*3+uint(o.product)+uint(o.at))%uint(len(t.lately))]
	if id := at.Load(); id != 0 && (*t.outcomes.Load())[id-1] == o {
		return id
	}
	id := t.numberOf(o)
	at.Store(id)
	return id
}

// numberOf is number for one that is looked for or given a number.
func (t *memo) numberOf(o outcome) uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	if id, ok := t.ids[o]; ok {
		return id
	}
	id := uint64(len(t.ids) + 1)
	if id > outcomeMask {
		return 0
	}
	var all []outcome
	if old := t.outcomes.Load(); old != nil {
		all = append(all, *old...)
	}
	all = append(all, o)
	t.outcomes.Store(&all)
	t.ids[o] = id
	return id
}
