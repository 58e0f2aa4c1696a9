package gate

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// limiter counts the connections of a server block, all and by client. All
// methods may be used concurrently. Its memory is bounded by the connections
// that are open: a client without one is forgotten.
type limiter struct {
	max, perClient int64
	v4, v6         int // bits of an address that are one client
	open           atomic.Int64
	strangers      atomic.Int64 // of those open, that may not ask and are told so
	shards         [limiterShards]limiterShard
}

// limiterShards keeps cores from waiting for each other; a power of two.
const limiterShards = 64

// limiterShard counts some of the clients. The padding keeps its neighbour's
// lock out of its cache line.
type limiterShard struct {
	mu    sync.Mutex
	count map[clientPrefix]int32
	flows map[clientPrefix]int32 // of QUIC; nil if there never were any
	_     [40]byte
}

// clientPrefix is a masked address, IPv4 as it is mapped into IPv6.
type clientPrefix struct{ hi, lo uint64 }

func newLimiter(l Limits) *limiter {
	l = l.WithDefaults()
	m := &limiter{max: int64(l.Connections), perClient: int64(l.PerClient), v4: l.PrefixV4, v6: l.PrefixV6}
	for i := range m.shards {
		m.shards[i].count = map[clientPrefix]int32{}
	}
	return m
}

// acquire takes one of all connections, or reports that there is none left.
func (m *limiter) acquire() bool {
	if m.open.Add(1) <= m.max {
		return true
	}
	m.open.Add(-1)
	return false
}

// release gives back what acquire took.
func (m *limiter) release() { m.open.Add(-1) }

// strangerShare is the part of all connections that may be of peers that may not
// ask: they are told so, but must not keep out those that may.
const strangerShare = 16

// acquireStranger takes one of the connections of such peers, which is one of all
// already, or reports that there is none left.
func (m *limiter) acquireStranger() bool {
	if m.strangers.Add(1) <= max(m.max/strangerShare, 1) {
		return true
	}
	m.releaseStranger()
	return false
}

// releaseStranger gives back what acquireStranger took.
func (m *limiter) releaseStranger() { m.strangers.Add(-1) }

// acquireClient takes one of a client's connections, or reports that it has
// none left. The address is the client's, not that of a proxy before it; without
// one (a unix socket) there is no limit.
func (m *limiter) acquireClient(a netip.Addr) bool {
	if m.perClient == 0 || !a.IsValid() {
		return true
	}
	key := m.key(a)
	s := m.shard(key)
	s.mu.Lock()
	n := s.count[key]
	ok := int64(n) < m.perClient
	if ok {
		s.count[key] = n + 1
	}
	s.mu.Unlock()
	return ok
}

// releaseClient gives back what acquireClient took for the same address.
func (m *limiter) releaseClient(a netip.Addr) {
	if m.perClient == 0 || !a.IsValid() {
		return
	}
	key := m.key(a)
	s := m.shard(key)
	s.mu.Lock()
	if n := s.count[key]; n > 1 {
		s.count[key] = n - 1
	} else {
		delete(s.count, key)
	}
	s.mu.Unlock()
}

// hold counts n more flows of QUIC of a client, whatever its limit is.
func (m *limiter) hold(a netip.Addr, n int32) {
	key := m.key(a)
	s := m.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flows == nil {
		s.flows = map[clientPrefix]int32{}
	}
	if s.flows[key] += n; s.flows[key] == 0 {
		delete(s.flows, key)
	}
}

// held is how many flows of QUIC a client has.
func (m *limiter) held(a netip.Addr) int32 {
	key := m.key(a)
	s := m.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.flows[key]
}

func (m *limiter) key(a netip.Addr) clientPrefix {
	n := m.v6
	if a.Is4() || a.Is4In6() {
		n = 96 + m.v4
	}
	b := a.As16()
	k := clientPrefix{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
	if n <= 64 {
		return clientPrefix{hi: k.hi &^ (1<<(64-n) - 1)}
	}
	k.lo &^= 1<<(128-n) - 1
	return k
}

// shard spreads clients by Fibonacci hashing: neighbours differ in low bits only.
func (m *limiter) shard(k clientPrefix) *limiterShard {
	const golden = 0x9e3779b97f4a7c15
	h := (k.hi ^ bits.RotateLeft64(k.lo, 32)) * golden
	return &m.shards[h>>32%limiterShards]
}

// The window that a body's rate is measured over. A client has as long before it
// is judged at all, and a burst counts as long: a phone in a lift is no attack.
const (
	rateSlots  = 10
	rateSlot   = time.Second
	rateWindow = rateSlots * rateSlot
)

// bodyRate holds a body to a minimum rate over a sliding window. Make one with
// newBodyRate; it is used by one goroutine and holds no clock: every method is
// told the time, which must not run backwards.
type bodyRate struct {
	min   int64 // bytes a second; 0: no minimum
	begin time.Time
	slot  int64            // the youngest that counts, since begin
	bytes [rateSlots]int64 // by slot, round and round
}

// newBodyRate begins to watch a body that must come with min bytes a second.
func newBodyRate(min int, now time.Time) bodyRate {
	return bodyRate{min: int64(min), begin: now}
}

// count notes n bytes that have come.
func (r *bodyRate) count(now time.Time, n int) {
	r.turn(now)
	r.bytes[r.slot%rateSlots] += int64(n)
}

// stalled takes a time out of the measurement in which the client could not
// send, since the upstream took nothing.
func (r *bodyRate) stalled(d time.Duration) { r.begin = r.begin.Add(d) }

// tooSlow reports whether less has come in the window than must.
func (r *bodyRate) tooSlow(now time.Time) bool {
	if r.min == 0 || now.Sub(r.begin) < rateWindow {
		return false
	}
	r.turn(now)
	var sum int64
	for _, n := range r.bytes {
		sum += n
	}
	return sum < r.min*int64(rateWindow/time.Second)
}

// look is when to ask tooSlow next: a read waits no longer. The zero time is
// never.
func (r *bodyRate) look(now time.Time) time.Time {
	if r.min == 0 {
		return time.Time{}
	}
	first := r.begin.Add(rateWindow)
	if first.After(now) {
		return first
	}
	return now.Add(rateSlot)
}

// turn empties the slots that the window has left since it was last looked at.
func (r *bodyRate) turn(now time.Time) {
	slot := int64(now.Sub(r.begin) / rateSlot)
	for n := 0; r.slot < slot && n < rateSlots; n++ {
		r.slot++
		r.bytes[r.slot%rateSlots] = 0
	}
	r.slot = max(r.slot, slot)
}
