package gate

import (
	"hash/maphash"
	"time"

	"github.com/icpgate/icpgate/gate/internal/udp"
)

// quicBudget bounds what a loop judges while it does not keep up with what comes.
// Whatever it does not read the kernel drops, blindly: of a handshake that takes ten
// datagrams hardly one gets through. So it looks at all that comes, and of what
// begins a connection, which costs ten times as much, it judges some: who has got in
// is not held up. Who was not taken and comes again with the same id, as clients do
// in a moment, goes before those that are new, as those of a flood are.
//
// The zero value is ready; it is for one goroutine.
type quicBudget struct {
	// new and again are how many were judged since the time, or since there was
	// nothing left to read.
	new, again int
	since      time.Duration
	behind     bool // so much waits to be read that the kernel may have to drop some
	seed       maphash.Seed
	// turned are marks of those that were turned away, by hash; 0 is none. They share
	// places: some that are new pass for one that comes again.
	turned []uint32
}

// Bounds of a budget.
const (
	// maxJudged is how many are judged in budgetTime at most while too much waits to
	// be read, of those that are new and of those that come again: some 14 ms of work
	// each, in which less comes at any rate that the kernel's buffer is made for
	// (listenBuffer of udp). The rest of the time is for what flows have.
	maxJudged  = 2048
	budgetTime = 100 * time.Millisecond
	// turnedBits make half a megabyte, once somebody was turned away: of 50,000 a
	// second nearly all of a second are still known.
	turnedBits = 17
)

// take reports whether the connection that a client wants to begin may be judged.
func (b *quicBudget) take(now time.Duration, t *quicTuple, id []byte) bool {
	if now >= b.since+budgetTime {
		b.new, b.again, b.since = 0, 0, now
	}
	if b.new < maxJudged || !b.behind {
		b.new++
		return true
	}
	return b.cameAgain(t, id)
}

// cameAgain reports whether it was turned away before, and may be judged now.
func (b *quicBudget) cameAgain(t *quicTuple, id []byte) bool {
	if b.turned == nil {
		b.turned, b.seed = make([]uint32, 1<<turnedBits), maphash.MakeSeed()
	}
	key := make([]byte, 0, 16+2+len(quicID{}.b))
	key = append(key, t.client.Addr[:]...)
	key = append(key, byte(t.client.Port>>8), byte(t.client.Port))
	h := maphash.Bytes(b.seed, append(key, id...))
	place, mark := &b.turned[h>>(64-turnedBits)], uint32(h)|1
	if *place != mark {
		*place = mark
		return false
	}
	if b.again == maxJudged {
		return false
	}
	b.again++
	return true
}

// read is told of n packets that were read from a socket, as many as may be unless
// there are no more.
func (b *quicBudget) read(n int, s *udp.Socket) {
	switch {
	case n < udp.Batch:
		b.new, b.again, b.behind = 0, 0, false
	case b.new >= maxJudged:
		b.behind = s.Behind()
	}
}
