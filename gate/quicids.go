package gate

import (
	"slices"
	"sync"
	"time"

	"github.com/icpgate/icpgate/gate/internal/udp"
	"github.com/icpgate/icpgate/gate/sniff"
)

// quicTuple is a way between a client and the gate.
type quicTuple struct {
	client udp.Endpoint
	local  [16]byte // zero where the listener has one address
}

// quicID is a connection id as a value. The zero value is the empty one.
type quicID struct {
	n uint8
	b [sniff.MaxQUICID]byte
}

// quicIDOf is b as a quicID; false if it is too long for one.
func quicIDOf(b []byte) (id quicID, ok bool) {
	if len(b) > len(id.b) {
		return id, false
	}
	id.n = uint8(copy(id.b[:], b))
	return id, true
}

// bytes is the id as it stands in packets.
func (id *quicID) bytes() []byte { return id.b[:id.n] }

// quicConn is one connection of QUIC, from its hello to the end of its flow. It
// belongs to the loop of its flow, but for what quicIDs says.
type quicConn struct {
	tuple quicTuple
	ids   []quicID  // those that lead here; of quicIDs
	room  [1]quicID // where most ids of one that is refused or waits are
	// asked and upstream are set when it may pass; of quicIDs until then.
	asked    asked
	upstream *upstream

	first  quicID // that the client chose for the server
	client quicID // that the server sends to
	// hello reads what the client sends of its handshake; nil once that is over.
	hello *sniff.QUICHello
	begun time.Duration
	// through: its client has sent a Handshake packet, and no Initial packet any more.
	through bool
	// passed: it went on to a server, which may still wait for the rest of it.
	passed bool
	// unread: nothing is read of it any more, since it passes whatever it holds.
	unread bool
}

// maxQUICIDs bounds the ids of a connection: the client's first, that of a Retry,
// and the server's own. Those in NEW_CONNECTION_ID nobody can see.
const maxQUICIDs = 4

// quicIDs are the connection ids of a listener by which its loops find each
// other's connections. To a server, packets with the id of a connection belong to
// it, whatever address they come from; so an id that leads to the connection of
// one client begins none of another. All methods may be used concurrently. The
// zero value is ready.
type quicIDs struct {
	mu      sync.Mutex
	holders map[quicID]*quicConn
	lengths [sniff.MaxQUICID + 1]int // how many ids there are of each length
	// addrs counts the flows of each client's address.
	addrs map[[16]byte]int
	late  quicLateIDs
}

// claim has an id lead to c, and reports whether it does: not where it leads to
// another connection already, or did a moment ago.
func (q *quicIDs) claim(c *quicConn, id quicID) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch held := q.holders[id]; {
	case held == c:
		return true
	case held != nil || len(c.ids) == maxQUICIDs || q.late.has(id):
		return false
	}
	if q.holders == nil {
		q.holders = map[quicID]*quicConn{}
	}
	q.holders[id] = c
	q.lengths[id.n]++
	if c.ids == nil {
		c.ids = c.room[:0]
	}
	c.ids = append(c.ids, id)
	return true
}

// begins reports whether an id may begin a connection, or else why not: it leads to
// one, or did and its server may wait for more of that, or there is no room for any
// more such.
func (q *quicIDs) begins(id quicID) (why quicDrop, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.holders[id] != nil || q.late.has(id):
		return quicForeign, false
	case q.late.n+len(q.holders) >= maxLateQUIC:
		return quicTooMuch, false
	}
	return 0, true
}

// learn has an id that a server has chosen lead to c. Where it leads to another
// connection, as servers with short ones may choose, it is known to the flow of c
// alone.
func (q *quicIDs) learn(c *quicConn, id quicID) {
	if id.n == 0 || len(c.ids) == maxQUICIDs || slices.Contains(c.ids, id) {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	c.ids = append(c.ids, id)
	if q.holders[id] == nil {
		q.lengths[id.n]++
		q.holders[id] = c
	}
}

// settle says where a connection goes, for those that come from elsewhere with
// its ids.
func (q *quicIDs) settle(c *quicConn, a asked, up *upstream) {
	q.mu.Lock()
	c.asked, c.upstream = a, up
	q.mu.Unlock()
}

// release has the ids of c lead nowhere. Where its handshake was under way they
// are kept for a while, so that they begin nothing.
func (q *quicIDs) release(c *quicConn, underway bool, now time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, id := range c.ids {
		if q.holders[id] != c {
			continue // it has moved on
		}
		delete(q.holders, id)
		q.lengths[id.n]--
		if underway && id.n >= sniff.MinQUICID {
			q.late.add(id, now)
		}
	}
	c.ids = nil
}

// expire forgets ids for which servers do not wait any more.
func (q *quicIDs) expire(now time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.late.expire(now)
}

// followed is what is known of a connection whose client comes from elsewhere.
type followed struct {
	id       quicID
	asked    asked
	upstream *upstream
}

// find looks for the connection that a datagram with a short header bears the id
// of.
func (q *quicIDs) find(datagram []byte) (f followed, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for n := len(q.lengths) - 1; n > 0; n-- {
		if q.lengths[n] == 0 || len(datagram) < 1+n {
			continue
		}
		id, _ := quicIDOf(datagram[1 : 1+n])
		if c := q.holders[id]; c != nil && c.upstream != nil {
			return followed{id, c.asked, c.upstream}, true
		}
	}
	return f, false
}

// from counts n more flows of a client.
func (q *quicIDs) from(t *quicTuple, n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.addrs == nil {
		q.addrs = map[[16]byte]int{}
	}
	if q.addrs[t.client.Addr] += n; q.addrs[t.client.Addr] == 0 {
		delete(q.addrs, t.client.Addr)
	}
}

// knows reports whether there are flows from a client's address.
func (q *quicIDs) knows(t *quicTuple) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.addrs[t.client.Addr] > 0
}

// move has an id lead to c that led elsewhere.
func (q *quicIDs) move(c *quicConn, id quicID) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch q.holders[id] {
	case c:
		return
	case nil:
		q.lengths[id.n]++
	}
	q.holders[id] = c
	c.ids = append(c.ids, id)
}

// idle reports whether there is nothing that expires.
func (q *quicIDs) idle() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.late.n == 0
}
