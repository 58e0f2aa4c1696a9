package gate

import (
	"time"

	"github.com/icpgate/icpgate/gate/sniff"
)

// quicPending is a connection whose hello is not all there, or that was refused.
type quicPending struct {
	conn *quicConn
	held [][]byte // its datagrams, in the order in which they came
	size int      // what it counts for
	// refused: it was judged and may not pass. answer is what it is told then, nil
	// if nothing, at its first, second, fourth, eighth … datagram (RFC 9000 §10.2.1).
	refused      bool
	answer       []byte
	asks         uint32
	older, newer *quicPending
}

// quicPendings are the connections of a loop that wait, the oldest first. Both
// their number and their size are bounded: new ones push the oldest out. The zero
// value is ready.
type quicPendings struct {
	byID           map[quicID]*quicPending
	oldest, newest *quicPending
	size           int
	spare          []*sniff.QUICHello
}

// Bounds of what waits, for all loops of a listener together. What a connection
// holds beside its datagrams are the ciphers that open them.
const (
	maxQUICPending     = 1 << 14
	maxQUICPendingSize = 64 << 20
	quicPendingSize    = 6 << 10
	quicRefusedSize    = 1 << 10
	// maxQUICHeld bounds the datagrams of one connection: those of the largest hello
	// and as much early data.
	maxQUICHeld = 4 * sniff.MaxQUICCrypto
	// quicSpare is how many readers of hellos are kept for the next.
	quicSpare = 256
)

// hello returns a reader of a hello.
func (q *quicPendings) hello() *sniff.QUICHello {
	if n := len(q.spare); n > 0 {
		h := q.spare[n-1]
		q.spare = q.spare[:n-1]
		return h
	}
	return new(sniff.QUICHello)
}

// giveBack takes a reader that is not needed any more.
func (q *quicPendings) giveBack(h *sniff.QUICHello) {
	if h != nil && len(q.spare) < quicSpare {
		h.Shrink(4 << 10)
		q.spare = append(q.spare, h)
	}
}

// add has p wait.
func (q *quicPendings) add(l *quicLoop, p *quicPending) {
	if q.byID == nil {
		q.byID = map[quicID]*quicPending{}
	}
	q.byID[p.conn.first] = p
	if p.older = q.newest; p.older != nil {
		p.older.newer = p
	} else {
		q.oldest = p
	}
	q.newest = p
	l.l.waiting(1, 0)
	q.grow(l, p, quicPendingSize)
}

// grow counts n more bytes for p, and makes room.
func (q *quicPendings) grow(l *quicLoop, p *quicPending, n int) {
	p.size += n
	q.size += n
	l.l.waiting(0, n)
	loops := len(l.l.loops)
	for q.oldest != p && (len(q.byID) > maxQUICPending/loops || q.size > maxQUICPendingSize/loops) {
		l.counts.drop(quicPushedOut)
		l.discard(q.oldest)
	}
}

// remove takes p out of those that wait.
func (q *quicPendings) remove(l *quicLoop, p *quicPending) {
	if q.byID[p.conn.first] != p {
		return
	}
	delete(q.byID, p.conn.first)
	if p.older != nil {
		p.older.newer = p.newer
	} else {
		q.oldest = p.newer
	}
	if p.newer != nil {
		p.newer.older = p.older
	} else {
		q.newest = p.older
	}
	p.older, p.newer = nil, nil
	q.size -= p.size
	l.l.waiting(-1, -p.size)
	p.size = 0
}

// expire discards what has waited too long.
func (q *quicPendings) expire(l *quicLoop) {
	limit := l.now - l.l.service.Load().head
	for p := q.oldest; p != nil && p.conn.begun <= limit; p = q.oldest {
		if !p.refused {
			l.l.service.Load().metrics.sniffed(sniff.More, sniff.NoCause)
		}
		l.discard(p)
	}
}

// clear discards all.
func (q *quicPendings) clear(l *quicLoop) {
	for q.oldest != nil {
		l.discard(q.oldest)
	}
}

// discard forgets a connection of which nothing has passed.
func (l *quicLoop) discard(p *quicPending) {
	l.pending.remove(l, p)
	l.pending.giveBack(p.conn.hello)
	p.conn.hello = nil
	l.l.ids.release(p.conn, false, l.now)
}

// hold has a datagram wait for the rest of its hello.
func (l *quicLoop) hold(p *quicPending, d []byte) {
	if l.pending.byID[p.conn.first] != p {
		l.pending.add(l, p)
	}
	n := 2 * len(d) // it, and what it brings of the hello
	if p.size+n > maxQUICHeld+quicPendingSize {
		l.counts.drop(quicTooMuch)
		return
	}
	p.held = append(p.held, append([]byte(nil), d...))
	l.pending.grow(l, p, n)
}

// refuse has p stay as one that may not pass.
func (q *quicPendings) refuse(l *quicLoop, p *quicPending) {
	if q.byID[p.conn.first] != p {
		q.add(l, p)
	}
	p.refused, p.held = true, nil
	q.giveBack(p.conn.hello)
	p.conn.hello = nil
	less := p.size - quicRefusedSize
	p.size, q.size = quicRefusedSize, q.size-less
	l.l.waiting(0, -less)
}

// told answers a connection that was refused, if it is time to.
func (l *quicLoop) told(p *quicPending, received int) {
	p.asks++
	if len(p.answer) == 0 || p.asks&(p.asks-1) != 0 || len(p.answer) > 3*received {
		return
	}
	l.counts.answered(quicClosed)
	t := &p.conn.tuple
	l.down.Add(l.sock, t.client, t.local, p.answer, len(p.answer))
}

// quicPause holds loops from opening sockets while there are no descriptors.
type quicPause struct {
	until time.Duration
	next  time.Duration
}

// failed makes the pause longer.
func (p *quicPause) failed(now time.Duration) {
	p.next = min(max(2*p.next, minPause), maxPause)
	p.until = now + p.next
}
