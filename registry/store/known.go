package store

import (
	"context"
	"database/sql"
	"encoding/binary"
	"hash/maphash"
	"slices"
	"sync/atomic"

	"github.com/icpgate/icpgate/registry"
)

// known is what the registry holds, small enough to have all of it in memory: a
// hash of each key with the beginnings of its digests. It is filled by one
// goroutine and then asked by many.
type known struct {
	seed  maphash.Seed
	slots []knownSlot // open addressing; hash 0 is free
	n     int
	live  int // not cancelled
	// bare tells that there are filings whose number is unknown.
	bare bool
}

type knownSlot struct {
	hash, facts, accesses uint64
	id                    uint32        // of the site, its low bits
	state                 atomic.Uint32 // slotSeen, slotCancelled, and the id's high bits
}

const (
	slotSeen      = 1 << 0
	slotCancelled = 1 << 1
	slotHigh      = 16 // shift
)

func (k *knownSlot) site() int64 { return int64(k.state.Load()>>slotHigh)<<32 | int64(k.id) }

func (k *knownSlot) cancelled() bool { return k.state.Load()&slotCancelled != 0 }

// see notes that an import names the filing; false if it did before.
func (k *knownSlot) see() bool { return k.state.Or(slotSeen)&slotSeen == 0 }

func newKnown(n int) *known {
	size := 1 << 10
	for size*3/4 <= n {
		size *= 2
	}
	return &known{seed: maphash.MakeSeed(), slots: make([]knownSlot, size)}
}

// hash of a key; never 0.
func (k *known) hash(key string) uint64 { return max(1, maphash.String(k.seed, key)) }

// find returns the slot of a key, nil if there is none.
func (k *known) find(key string) *knownSlot {
	h := k.hash(key)
	for i := h; ; i++ {
		s := &k.slots[i&uint64(len(k.slots)-1)]
		if s.hash == h {
			return s
		}
		if s.hash == 0 {
			return nil
		}
	}
}

// add takes a filing in; false if another key has the same hash.
func (k *known) add(key string, id int64, facts, accesses []byte, cancelled bool) bool {
	h := k.hash(key)
	for i := h; ; i++ {
		s := &k.slots[i&uint64(len(k.slots)-1)]
		if s.hash == h {
			return false
		}
		if s.hash != 0 {
			continue
		}
		s.hash, s.facts, s.accesses, s.id = h, head(facts), head(accesses), uint32(id)
		state := uint32(id>>32) << slotHigh
		if cancelled {
			state |= slotCancelled
		} else {
			k.live++
		}
		s.state.Store(state)
		k.n++
		return true
	}
}

// head is the beginning of a digest, enough to tell it from others.
func head(digest []byte) uint64 {
	if len(digest) < 8 {
		return 0
	}
	return binary.LittleEndian.Uint64(digest)
}

// same reports whether the filing in the slot says what incoming says. What
// incoming does not know of accesses does not count.
func (s *knownSlot) same(sums *digests, incoming *registry.Filing, part Part) bool {
	facts, accesses := s.facts == head(sums.facts[:]), s.accesses == head(sums.accesses[:])
	switch part {
	case PartFilings:
		return facts
	case PartAccesses:
		return accesses
	}
	return facts && (accesses || !incoming.AccessesKnown)
}

// loadKnown reads what the registry holds at the revision of a view.
func (v *View) loadKnown(ctx context.Context) (*known, error) {
	for {
		k := newKnown(v.Count)
		clash := false
		err := v.s.each(ctx, v.tx, "SELECT id, key, facts, accesses, status FROM site", nil, func(rows *sql.Rows) error {
			var id int64
			var key, facts, accesses sql.RawBytes
			var status uint8
			if err := rows.Scan(&id, &key, &facts, &accesses, &status); err != nil {
				return err
			}
			if k.n >= len(k.slots)-1 {
				return errBytes // more filings than meta says
			}
			text := string(key)
			clash = !k.add(text, id, facts, accesses, registry.Status(status) == registry.StatusCancelled) || clash
			k.bare = k.bare || text[len(text)-1] == ')'
			return nil
		})
		if err != nil || !clash {
			return k, err
		}
		// Two keys have one hash: another seed parts them.
	}
}

// unseen returns the ids of filings that were not seen, cancelled ones only if
// they count.
func (k *known) unseen(cancelled bool) (ids []int64) {
	for i := range k.slots {
		s := &k.slots[i]
		if s.hash != 0 && s.state.Load()&slotSeen == 0 && (cancelled || !s.cancelled()) {
			ids = append(ids, s.site())
		}
	}
	slices.Sort(ids)
	return ids
}
