package gate

import (
	"hash/maphash"
	"time"

	"github.com/icpgate/icpgate/gate/sniff"
)

// quicRefusal is a connection that was judged and may not pass: what else it sends
// is not judged again. Nothing of it has gone on, so that another client's with the
// same id is another connection. There are no pointers in it, since a flood has
// many.
type quicRefusal struct {
	tuple      quicTuple
	id, client quicID // as in quicConn
	version    uint32
	asks       uint32 // its datagrams
	silent     bool   // it is told nothing
	begun      time.Duration
	hash       uint64
	next       int32 // in the ring, of those that share a place; -1 is none
}

// quicRefusals are the connections of a loop that were refused a moment ago, in a
// ring, the oldest first. Their number is bounded: new ones push the oldest out.
// The zero value is ready.
type quicRefusals struct {
	ring   []quicRefusal
	oldest int
	n      int
	places []int32 // by hash, the youngest of those that share it; a power of two
	seed   maphash.Seed
}

const (
	// maxQUICRefused is how many there are, for all loops of a listener together.
	maxQUICRefused = 1 << 14
	// quicRefusedSize is what one counts for, with its places.
	quicRefusedSize = 192
	firstRefused    = 1 << 6
)

// find is the connection that an id leads to from a client; nil if there is none.
// It is valid until the next add.
func (q *quicRefusals) find(t *quicTuple, id *quicID) *quicRefusal {
	if q.n == 0 {
		return nil
	}
	h := maphash.Bytes(q.seed, id.bytes())
	for i := q.places[h&uint64(len(q.places)-1)]; i >= 0; i = q.ring[i].next {
		if r := &q.ring[i]; r.hash == h && r.id == *id && r.tuple == *t {
			return r
		}
	}
	return nil
}

// add remembers one, of which most bounds the number.
func (q *quicRefusals) add(r quicRefusal, most int) *quicRefusal {
	if q.n >= most {
		q.drop()
	}
	if q.n == len(q.ring) {
		q.enlarge()
	}
	r.hash = maphash.Bytes(q.seed, r.id.bytes())
	i := (q.oldest + q.n) % len(q.ring)
	q.n++
	q.ring[i] = r
	q.place(i)
	return &q.ring[i]
}

// place has one be found.
func (q *quicRefusals) place(i int) {
	r := &q.ring[i]
	first := &q.places[r.hash&uint64(len(q.places)-1)]
	r.next, *first = *first, int32(i)
}

// enlarge makes room for twice as many.
func (q *quicRefusals) enlarge() {
	if q.ring == nil {
		q.seed = maphash.MakeSeed()
	}
	ring := make([]quicRefusal, max(2*len(q.ring), firstRefused))
	copy(ring[copy(ring, q.ring[q.oldest:]):], q.ring[:q.oldest])
	q.ring, q.oldest = ring, 0
	q.places = make([]int32, 2*len(ring))
	for i := range q.places {
		q.places[i] = -1
	}
	for i := range q.n {
		q.place(i)
	}
}

// drop forgets the oldest, of those there are.
func (q *quicRefusals) drop() {
	r := &q.ring[q.oldest]
	at := &q.places[r.hash&uint64(len(q.places)-1)]
	for *at != int32(q.oldest) {
		at = &q.ring[*at].next
	}
	*at = r.next
	q.oldest = (q.oldest + 1) % len(q.ring)
	q.n--
}

// expire forgets those that were refused by then, and the memory with the last one.
func (q *quicRefusals) expire(limit time.Duration) {
	for q.n > 0 && q.ring[q.oldest].begun <= limit {
		q.drop()
	}
	if q.n == 0 {
		*q = quicRefusals{}
	}
}

// refuse has a connection not pass: p, which is forgotten. One whose hello is
// malformed hears nothing: it is nobody's client.
func (l *quicLoop) refuse(s *service, p *quicPending, d []byte, h *sniff.Hello) {
	q, c := p.conn.hello, p.conn
	r := l.refusals.add(quicRefusal{
		tuple: c.tuple, id: c.first, client: c.client, version: q.Version(), begun: l.now,
		silent: h.Kind == sniff.Malformed || s.silent,
	}, maxQUICRefused/len(l.l.loops))
	l.discard(p)
	l.tell(r, len(d))
}

// tell answers a connection that was refused at its first, second, fourth, eighth …
// datagram (RFC 9000 §10.2.1).
func (l *quicLoop) tell(r *quicRefusal, received int) {
	r.asks++
	if r.silent || r.asks&(r.asks-1) != 0 {
		return
	}
	if cap(l.words)-len(l.words) < closeSize {
		l.down.Flush() // what lies in it
		l.words = l.words[:0]
	}
	at := len(l.words)
	l.words = l.work.AppendClose(l.words, sniff.QUICAnswer{
		Version: r.version, ID: r.id.bytes(), Client: r.client.bytes(), Error: sniff.QUICError(sniff.AlertUnrecognizedName),
	})
	answer := l.words[at:]
	if len(answer) > 3*received {
		return
	}
	l.counts.answered(quicClosed)
	l.down.Add(l.sock, r.tuple.client, r.tuple.local, answer, len(answer))
}

// closeSize is what AppendClose appends at most.
const closeSize = 100
