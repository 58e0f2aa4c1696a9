package gate

import (
	"sync/atomic"
	"time"

	"github.com/icpgate/icpgate/gate/sniff"
)

// minStateful is the least that a datagram with a short header has: one that is
// shorter can neither be authentic nor be told from a Stateless Reset (RFC 9000
// §10.3).
const minStateful = 21

// welcome takes a datagram with a short header that comes from nowhere known, and
// opens a flow for it if its client may be one that has moved: to the upstream of
// the connection whose id it bears. Where it bears none that was seen, but there
// is one upstream only, it goes to that one if its client moves on purpose, and
// sends as much as it must then (RFC 9000 §8.2.1), or if its address has flows, and
// it is but the port that a translator has changed. An upstream that does not know
// it either drops it, or answers with a Stateless Reset.
//
// Nothing is allowed by that: what would begin a connection is judged on such a
// flow as on any other.
func (l *quicLoop) welcome(t *quicTuple, d []byte) *quicFlow {
	s := l.l.service.Load()
	const fixedBit = 0x40 // RFC 9000 §17.3.1
	if len(d) < minStateful || d[0]&fixedBit == 0 {
		l.counts.refuse(sniff.NoInitial)
		return nil
	}
	if l.handUnknown(t, d, len(d)) {
		return nil
	}
	found, known := l.l.ids.find(d)
	one := s.quic.same(found.upstream)
	switch {
	case !known && l.l.leaving.Load():
		l.counts.drop(quicEnding)
		return nil
	case !known && (len(s.quic.all) != 1 || l.now < l.l.closedUntil() || len(d) < sniff.MinQUICDatagram && !l.l.ids.knows(t)), known && one == nil:
		l.counts.drop(quicUnknown)
		return nil
	case !l.rate.take(s.limiter.key(t.addr()), s.initials, l.now):
		l.counts.drop(quicTooFast)
		return nil
	case l.l.guestsOf(!known).Load() >= s.limiter.max/guestShare+1:
		l.counts.drop(quicTooMuch)
		return nil
	}
	how := byID
	if !known {
		one, how = s.quic.all[0], byNothing
	}
	f := l.begin(s, t, one, how)
	if f == nil {
		return nil
	}
	f.guest, f.stray = true, !known
	l.l.guestsOf(f.stray).Add(1)
	if !known {
		l.l.strays.begin()
	} else {
		f.id = found.id
		c := &quicConn{tuple: *t, begun: l.now}
		l.l.ids.settle(c, found.asked, one)
		f.conns = append(f.conns, c)
	}
	return f
}

// guestShare is the part of all connections that may be guests by an id, and as
// many again strays: anybody can send what makes a stray, from any address.
const guestShare = 16

// guestsOf counts the guests that are strays, or those that are not.
func (l *quicListener) guestsOf(stray bool) *atomic.Int64 {
	if stray {
		return &l.guests[1]
	}
	return &l.guests[0]
}

// accept has a guest stay: its upstream knows it.
func (l *quicLoop) accept(f *quicFlow) {
	l.dismiss(f)
	how := movedUnseen
	if f.id.n > 0 {
		how = movedByID
		l.l.ids.move(f.conns[0], f.id)
	}
	l.l.metrics.moved.WithLabelValues(l.l.name, movedWords[how]).Inc()
}

// dismiss has a flow be no guest any more.
func (l *quicLoop) dismiss(f *quicFlow) {
	if f.guest {
		f.guest = false
		l.l.guestsOf(f.stray).Add(-1)
	}
}

// closedFor is how long no guest without an id is taken after connections were
// ended because their name is blocked: until their servers have forgotten them,
// or they would go on from another port. Servers wait a minute or two, Caddy for
// five.
const closedFor = 10 * time.Minute
