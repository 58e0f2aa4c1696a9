package gate

import (
	"maps"
	"sync"
	"sync/atomic"
)

// quicStrays are the flows of clients that have moved and bear ids that nobody has
// seen: which connection goes on there cannot be told, and so neither its name. It
// is one of those that had a flow of their own meanwhile, so that a stray ends when
// one of these is blocked. All methods may be used concurrently. The zero value is
// ready.
type quicStrays struct {
	open atomic.Int64
	mu   sync.Mutex
	// left are the names of flows that have ended while there was a stray.
	left map[strayName]quicTuple
	// lost: there were more of them than are kept.
	lost bool
}

// strayName is a name, and where its client came to.
type strayName struct {
	asked asked
	local [16]byte
}

// maxStrayNames bounds the names that are kept: some 10 MB.
const maxStrayNames = 1 << 16

// begin counts one more.
func (q *quicStrays) begin() { q.open.Add(1) }

// end counts one less. With the last one the names are forgotten.
func (q *quicStrays) end() {
	if q.open.Add(-1) > 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.open.Load() == 0 {
		q.left, q.lost = nil, false
	}
}

// leave keeps the names of a flow that ends, if there is a stray that may go on
// with one of its connections; s is the service in force.
func (q *quicStrays) leave(s *service, f *quicFlow) {
	if q.open.Load() == 0 || len(f.conns) == 0 {
		return
	}
	if enforces, exempt := s.treatment(f.tuple.addr()); !enforces || exempt {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.left == nil {
		q.left = map[strayName]quicTuple{}
	}
	for _, c := range f.conns {
		name := strayName{c.asked, f.tuple.local}
		name.asked.alpn = ""
		if q.lost = q.lost || len(q.left) == maxStrayNames; !q.lost {
			q.left[name] = f.tuple
		}
	}
}

// blocked reports whether one of the names that are kept is blocked now, or may be.
func (q *quicStrays) blocked(blocks func(t *quicTuple, a asked) bool) bool {
	q.mu.Lock()
	left, lost := maps.Clone(q.left), q.lost
	q.mu.Unlock()
	for name, t := range left {
		if blocks(&t, name.asked) {
			return true
		}
	}
	return lost
}
