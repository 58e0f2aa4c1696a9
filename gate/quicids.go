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
	// late are ids whose connection was not known to be complete when its flow
	// ended; the server may still wait for the rest of it.
	late []lateQUICID
}

type lateQUICID struct {
	id    quicID
	until time.Duration
}

const (
	// lateQUIC is how long a server may wait for the end of a handshake: longer than
	// the 10 s and 30 s that are usual.
	lateQUIC = time.Minute
	// maxLateQUIC bounds what is kept of such.
	maxLateQUIC = 1 << 16
)

// claim has an id lead to c, and reports whether it does: not where it leads to
// another connection already.
func (q *quicIDs) claim(c *quicConn, id quicID) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch held := q.holders[id]; {
	case held == c:
		return true
	case held != nil || len(c.ids) == maxQUICIDs:
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

// leads reports whether an id leads to a connection.
func (q *quicIDs) leads(id quicID) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.holders[id] != nil
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
	switch held := q.holders[id]; {
	case held == nil:
		q.lengths[id.n]++
		fallthrough
	case held == lateHolder:
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
		if underway && len(q.late) < maxLateQUIC {
			q.holders[id] = lateHolder
			q.late = append(q.late, lateQUICID{id, now + lateQUIC})
			continue
		}
		q.forget(id)
	}
	c.ids = nil
}

// lateHolder holds the ids of connections that are no more.
var lateHolder = new(quicConn)

func (q *quicIDs) forget(id quicID) {
	delete(q.holders, id)
	q.lengths[id.n]--
}

// expire forgets late ids.
func (q *quicIDs) expire(now time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := 0
	for n < len(q.late) && q.late[n].until <= now {
		if id := q.late[n].id; q.holders[id] == lateHolder {
			q.forget(id)
		}
		n++
	}
	if q.late = q.late[n:]; len(q.late) == 0 {
		q.late = nil
	}
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
		if c := q.holders[id]; c != nil && c != lateHolder && c.upstream != nil {
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
	if held := q.holders[id]; held != nil && held != c {
		q.holders[id] = c
		c.ids = append(c.ids, id)
	}
}

// idle reports whether there is nothing that expires.
func (q *quicIDs) idle() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.late) == 0
}
