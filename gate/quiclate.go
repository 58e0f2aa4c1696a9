package gate

import (
	"hash/maphash"
	"math/bits"
	"time"
)

// quicLateIDs are the ids of connections that were not known to be complete when their
// flow ended. The server may wait for more of a hello, and put together what it has of
// it with what comes with the same id and was judged as another, so such an id begins
// nothing as long as the server may wait. That holds for every one, in a flood too:
// whoever could have some forgotten could begin again with his own.
//
// So it keeps marks of ids, four bytes each, in parts that are forgotten as a whole.
// Of 10,000,000 ids that are new hardly one is taken for one that is kept; its client
// hears nothing, and comes again with another. When there are too many no connection
// begins (quicIDs). The zero value is ready.
type quicLateIDs struct {
	parts []latePart // the oldest first
	n     int        // marks in all of them
	seed  maphash.Seed
}

// latePart are the marks of some seconds.
type latePart struct {
	begun, last time.Duration // that of the first and the last
	marks       []uint32      // by hash, or in the next places that were free; 0 is free
	n           int
}

const (
	// lateQUIC is how long a server may wait for more of a handshake, after something
	// came of it: longer than the 10 s and 30 s that are usual.
	lateQUIC = time.Minute
	// maxLateQUIC is how many there may be, with the ids that lead to connections and
	// may become such: 120,000 a second for as long as the oldest of a part is kept.
	maxLateQUIC = 8 << 20
	// latePartTime is for how long marks come to one part.
	latePartTime = 10 * time.Second
	// A part has room for so many marks, of which it takes three quarters: 4 KiB at
	// least and 8 MiB at most.
	minLatePart = 1 << 10
	maxLatePart = 1 << 21
)

// add keeps an id.
func (q *quicLateIDs) add(id quicID, now time.Duration) {
	if q.parts == nil {
		q.seed = maphash.MakeSeed()
	}
	p := q.part(now)
	h := q.hash(id)
	at, found := p.find(h)
	if p.last = max(p.last, now); found {
		return
	}
	p.marks[at] = mark(h)
	p.n++
	q.n++
}

// has reports whether an id is kept.
func (q *quicLateIDs) has(id quicID) bool {
	if len(q.parts) == 0 {
		return false
	}
	h := q.hash(id)
	for i := range q.parts {
		if _, found := q.parts[i].find(h); found {
			return true
		}
	}
	return false
}

// expire forgets the parts whose last id servers have forgotten.
func (q *quicLateIDs) expire(now time.Duration) {
	for len(q.parts) > 0 && q.parts[0].last+lateQUIC <= now {
		q.n -= q.parts[0].n
		q.parts[0].marks = nil
		q.parts = q.parts[1:]
	}
	if len(q.parts) == 0 {
		q.parts = nil
	}
}

func (q *quicLateIDs) hash(id quicID) uint64 { return maphash.Bytes(q.seed, id.bytes()) }

// part is the one that takes another mark.
func (q *quicLateIDs) part(now time.Duration) *latePart {
	room := minLatePart
	if n := len(q.parts); n > 0 {
		p := &q.parts[n-1]
		full := p.n >= len(p.marks)/4*3
		if !full && now < p.begun+latePartTime {
			return p
		}
		// As many again find room, and in less time four times as many.
		room = 1 << bits.Len(uint(2*p.n))
		if full {
			room = 4 * len(p.marks)
		}
	}
	room = min(max(room, minLatePart), maxLatePart)
	q.parts = append(q.parts, latePart{begun: now, last: now, marks: make([]uint32, room)})
	return &q.parts[len(q.parts)-1]
}

// find is the place of a mark, or the one where it is to be.
func (p *latePart) find(h uint64) (at uint64, found bool) {
	last, m := uint64(len(p.marks)-1), mark(h)
	for at = h & last; p.marks[at] != 0; at = (at + 1) & last {
		if p.marks[at] == m {
			return at, true
		}
	}
	return at, false
}

// mark is the half of a hash that its place does not tell; not 0.
func mark(h uint64) uint32 { return max(uint32(h>>32), 1) }
