package gate

import (
	"time"

	"github.com/icpgate/icpgate/gate/sniff"
)

// quicPending is a connection whose hello is not all there, or not judged yet.
type quicPending struct {
	conn         *quicConn
	waits        bool     // it is of quicPendings
	held         [][]byte // its datagrams, in the order in which they came
	size         int      // what it counts for
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
	blank          *quicPending // for the next connection, or nil
}

// Bounds of what waits, for all loops of a listener together. What a connection
// holds beside its datagrams are the ciphers that open them.
const (
	maxQUICPending     = 1 << 14
	maxQUICPendingSize = 64 << 20
	quicPendingSize    = 6 << 10
	// maxQUICHeld bounds the datagrams of one connection: those of the largest hello
	// and as much early data.
	maxQUICHeld = 4 * sniff.MaxQUICCrypto
	// quicSpare is how many readers of hellos are kept for the next.
	quicSpare = 256
)

// begin returns one for a new connection. Most are forgotten as they come.
func (q *quicPendings) begin() *quicPending {
	p := q.blank
	if q.blank = nil; p == nil {
		p = &quicPending{conn: new(quicConn)}
	}
	return p
}

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
	p.waits = true
	if p.older = q.newest; p.older != nil {
		p.older.newer = p
	} else {
		q.oldest = p
	}
	q.newest = p
	l.counts.waits++
	q.grow(l, p, quicPendingSize)
}

// grow counts n more bytes for p, and makes room.
func (q *quicPendings) grow(l *quicLoop, p *quicPending, n int) {
	p.size += n
	q.size += n
	l.counts.waitBytes += n
	loops := len(l.l.loops)
	for q.oldest != p && (len(q.byID) > maxQUICPending/loops || q.size > maxQUICPendingSize/loops) {
		l.counts.drop(quicPushedOut)
		l.discard(q.oldest)
	}
}

// remove takes p out of those that wait.
func (q *quicPendings) remove(l *quicLoop, p *quicPending) {
	if !p.waits {
		return
	}
	p.waits = false
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
	l.counts.waits--
	l.counts.waitBytes -= p.size
	p.size = 0
}

// expire discards what has waited too long.
func (q *quicPendings) expire(l *quicLoop) {
	limit := l.now - l.l.service.Load().head
	for p := q.oldest; p != nil && p.conn.begun <= limit; p = q.oldest {
		l.l.service.Load().metrics.sniffed(sniff.More, sniff.NoCause)
		l.discard(p)
	}
}

// clear discards all.
func (q *quicPendings) clear(l *quicLoop) {
	for q.oldest != nil {
		l.discard(q.oldest)
	}
}

// discard forgets a connection that waits, or was not judged yet. Nobody may use p
// any more.
func (l *quicLoop) discard(p *quicPending) {
	l.pending.remove(l, p)
	l.pending.giveBack(p.conn.hello)
	if len(p.conn.ids) > 0 {
		l.l.ids.release(p.conn, p.conn.passed, l.now)
	}
	*p.conn = quicConn{}
	*p = quicPending{conn: p.conn}
	l.pending.blank = p
}

// claim has the id of a connection lead to it, if it does not yet. Where it leads
// to another one, p is forgotten.
func (l *quicLoop) claim(p *quicPending) bool {
	if len(p.conn.ids) > 0 || l.l.ids.claim(p.conn, p.conn.first) {
		return true
	}
	l.counts.drop(quicForeign)
	l.discard(p)
	return false
}

// hold has a datagram wait for the rest of its hello.
func (l *quicLoop) hold(p *quicPending, d []byte) {
	if !p.waits {
		if !l.claim(p) {
			return
		}
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
