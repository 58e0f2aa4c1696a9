package gate

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"
)

// quicStrays are the flows of clients that have moved and bear ids that nobody has
// seen: which connection goes on there cannot be told, and so neither its name. It
// is one of those that have a flow of their own, or had one while their server may
// not have forgotten them, so that a stray ends, and none begins, when one of these
// is blocked. All methods may be used concurrently. The zero value is ready.
type quicStrays struct {
	open atomic.Int64
	mu   sync.Mutex
	// left are the names of flows that have ended, those that did before turned in
	// the second. While there is a stray all are kept: it may go on with any of them.
	left   [2]map[strayName]quicTuple
	turned time.Duration
	// lost: there were more of them than are kept.
	lost [2]bool
}

// strayName is a name, and where its client came to.
type strayName struct {
	asked asked
	local [16]byte
}

// maxStrayNames bounds the names that are kept, twice: some 20 MB.
const maxStrayNames = 1 << 16

// begin counts one more.
func (q *quicStrays) begin() { q.open.Add(1) }

// end counts one less.
func (q *quicStrays) end() { q.open.Add(-1) }

// leave keeps the names of a flow that ends, since a stray may go on, or begin, with
// one of its connections; s is the service in force. Connections of a flow that is
// unproven are not through with their handshake, and a stray cannot bring them there:
// unless the client has gone on, and what is missing is the server's answer alone.
func (q *quicStrays) leave(s *service, f *quicFlow, now time.Duration) {
	if len(f.conns)+len(f.former) == 0 || q.open.Load() == 0 && (f.doubted && !f.goesOn || len(s.quic.all) != 1) {
		return
	}
	if enforces, exempt := s.treatment(f.tuple.addr()); !enforces || exempt {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.turn(now)
	if q.left[0] == nil {
		q.left[0] = map[strayName]quicTuple{}
	}
	for _, a := range f.names() {
		name := strayName{a, f.tuple.local}
		name.asked.alpn = ""
		if q.lost[0] = q.lost[0] || len(q.left[0]) == maxStrayNames; !q.lost[0] {
			q.left[0][name] = f.tuple
		}
	}
}

// turn forgets names that left more than closedFor ago, when servers have forgotten
// their connections too.
func (q *quicStrays) turn(now time.Duration) {
	for now >= q.turned+closedFor && q.open.Load() == 0 {
		q.left, q.lost = [2]map[strayName]quicTuple{1: q.left[0]}, [2]bool{1: q.lost[0]}
		q.turned = max(q.turned+closedFor, now-closedFor)
	}
}

// blocked reports whether one of the names that are kept is blocked now, or may be.
// They are forgotten then: the caller lets no stray be that may go on with any.
func (q *quicStrays) blocked(now time.Duration, blocks func(t *quicTuple, a asked) bool) bool {
	q.mu.Lock()
	q.turn(now)
	left, lost := [2]map[strayName]quicTuple{maps.Clone(q.left[0]), maps.Clone(q.left[1])}, q.lost[0] || q.lost[1]
	q.mu.Unlock()
	for _, names := range left {
		for name, t := range names {
			if lost = lost || blocks(&t, name.asked); lost {
				break
			}
		}
	}
	if lost {
		q.mu.Lock()
		q.left, q.lost = [2]map[strayName]quicTuple{}, [2]bool{}
		q.mu.Unlock()
	}
	return lost
}
