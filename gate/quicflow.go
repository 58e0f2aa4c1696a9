package gate

import (
	"bytes"
	"errors"
	"slices"
	"syscall"
	"time"

	"github.com/icpgate/icpgate/gate/internal/udp"
	"github.com/icpgate/icpgate/gate/sniff"
)

// quicFlow is what goes between a client's port and an upstream, by a socket of
// its own: clients' connection ids may be empty, so that answers can be told apart
// by nothing else. It belongs to its loop.
type quicFlow struct {
	tuple quicTuple
	s     *service // that it began with
	one   *upstream
	sock  *udp.Socket
	slot  uint32
	conns []*quicConn
	// former are the names of connections that are not looked at any more, and may go on.
	former []asked
	begun  time.Duration // or the upstream was changed
	last   time.Duration // something came, either way
	said   time.Duration // the upstream sent something, or it began
	// settled: there is nothing to look at in what comes.
	settled bool
	heard   bool // the upstream has answered
	// hello is what goes to the next upstream if this one does not answer.
	hello [][]byte
	again bool // there was one before
	ended bool
	// doubted: it is among those that are unproven, beside older and newer; goesOn:
	// its client has gone on with the handshake, so that it is proven if its upstream
	// does too.
	doubted      bool
	goesOn       bool
	older, newer *quicFlow
	// guest is for datagrams with short headers of a client that nobody knows: one
	// that has moved, perhaps. It is until the upstream has answered as it would not
	// answer anybody: by longest, the longest datagram that came.
	guest   bool
	longest int
	id      quicID // by which it was found; empty if by none
	stray   bool   // it was found by none; of quicStrays
}

// settle notes whether there is something to look at.
func (f *quicFlow) settle() {
	f.settled = f.heard && !f.guest && !f.doubted && !slices.ContainsFunc(f.conns, func(c *quicConn) bool { return c.hello != nil })
}

// names are those that its client may mean.
func (f *quicFlow) names() []asked {
	list := slices.Clone(f.former)
	for _, c := range f.conns {
		list = append(list, c.asked)
	}
	return list
}

// conn is the connection that an id leads to.
func (f *quicFlow) conn(id quicID) *quicConn {
	for _, c := range f.conns {
		if slices.Contains(c.ids, id) {
			return c
		}
	}
	return nil
}

// begin opens a flow to an upstream, or to the next one if that is nil; nil if
// none can be.
func (l *quicLoop) begin(s *service, t *quicTuple, one *upstream, how beginning) *quicFlow {
	switch {
	case l.now < l.open.until:
		l.counts.drop(quicSystem)
		return nil
	case !l.room(s, t, how):
		s.metrics.total.Inc()
		return nil
	case !s.limiter.acquireClient(t.addr()):
		s.limiter.release()
		s.metrics.perClient.Inc()
		return nil
	}
	f := &quicFlow{tuple: *t, s: s, begun: l.now, last: l.now, said: l.now, one: one}
	if !l.dial(f) {
		s.limiter.releaseClient(t.addr())
		s.limiter.release()
		return nil
	}
	l.flows[*t] = f
	l.l.ids.from(t, 1)
	s.limiter.hold(t.addr(), 1)
	l.l.open.open.Add(1)
	l.l.flows.Add(1)
	s.metrics.accepted.Inc()
	s.metrics.open.Inc()
	return f
}

// dial opens the socket of a flow, in place of the one that it has.
func (l *quicLoop) dial(f *quicFlow) bool {
	one, next := f.one, (*upstream)(nil)
	if one == nil {
		one, next = f.s.quic.pick()
	}
	for ; one != nil; one, next = next, nil {
		sock, err := one.dialUDP()
		if err == nil {
			err = l.place(f, sock)
		}
		switch {
		case err == nil:
			f.one = one
			l.open = quicPause{}
			return true
		case exhausted(err):
			l.pushOut()
			l.open.failed(l.now)
			f.s.metrics.acceptFailed()
			return false
		}
		f.s.quic.failed(one)
		f.s.metrics.upstreamFailed()
	}
	return false
}

// place gives a flow a socket, which is the flow's from now on, and a slot where
// it is found.
func (l *quicLoop) place(f *quicFlow, sock *udp.Socket) error {
	var slot uint32
	if n := len(l.free); n > 0 {
		slot, l.free = l.free[n-1], l.free[:n-1]
	} else {
		slot = uint32(len(l.slots))
		l.slots = append(l.slots, quicSlot{})
	}
	s := &l.slots[slot]
	if err := l.poll.Add(sock, uint64(s.number)<<32|uint64(slot)); err != nil {
		l.free = append(l.free, slot)
		sock.Close()
		return err
	}
	if f.sock != nil {
		l.vacate(f)
	}
	s.flow, f.slot, f.sock = f, slot, sock
	return nil
}

// vacate closes the socket of a flow and frees its slot.
func (l *quicLoop) vacate(f *quicFlow) {
	l.up.Flush()
	s := &l.slots[f.slot]
	s.flow = nil
	s.number++
	l.free = append(l.free, f.slot)
	f.sock.Close()
}

// exhausted reports whether an error is for lack of something that others will
// give back: descriptors, memory, ports.
func exhausted(err error) bool {
	for _, e := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EADDRNOTAVAIL, syscall.EAGAIN, syscall.ENOSPC} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// end ends a flow; its client hears nothing, as when a cable is cut.
func (l *quicLoop) end(f *quicFlow) {
	if f.ended {
		return
	}
	f.ended = true
	if l.last == f {
		l.last = nil
	}
	delete(l.flows, f.tuple)
	l.l.ids.from(&f.tuple, -1)
	f.s.limiter.hold(f.tuple.addr(), -1)
	l.vacate(f)
	if f.stray {
		l.l.strays.end()
	}
	l.l.strays.leave(l.l.service.Load(), f, l.now)
	l.prove(f)
	for _, c := range f.conns {
		l.leave(c)
	}
	l.dismiss(f)
	f.s.limiter.releaseClient(f.tuple.addr())
	f.s.limiter.release()
	f.s.metrics.open.Dec()
	l.l.flows.Add(-1)
	l.l.open.open.Add(-1)
}

// leave forgets a connection of a flow. That its handshake seems to be over may be
// what its client wants to have believed: its server may wait for more of it all the
// same, and so its ids begin nothing.
func (l *quicLoop) leave(c *quicConn) {
	l.l.ids.release(c, c.hello != nil || l.now-c.begun < quicHandshake+lateQUIC, l.now)
	l.pending.giveBack(c.hello)
	c.hello = nil
}

// known takes a datagram with a long header of a connection that may pass. What it
// holds of a hello must be what was judged.
func (l *quicLoop) known(f *quicFlow, c *quicConn, d []byte, scan *sniff.QUICDatagram) {
	switch id, _ := quicIDOf(scan.First.DCID); {
	case id != c.first:
		l.goOn(f, len(scan.First.DCID) >= minToldID)
	case scan.Types.Has(sniff.QUICHandshake):
		l.goOn(f, false)
	}
	c.through = c.through || scan.Types.Has(sniff.QUICHandshake)
	switch {
	case c.unread:
		l.forward(f, d, len(d))
		return
	case scan.Cause != sniff.NoCause:
		l.counts.refuse(scan.Cause)
		return
	case scan.Types.Has(sniff.QUICOther), scan.Types.Has(sniff.QUICNegotiate), scan.Types.Has(sniff.QUICRetry):
		l.counts.refuse(sniff.NoInitial)
		return
	case !scan.Types.Has(sniff.QUICInitial):
		l.forward(f, d, len(d))
		return
	case c.hello == nil: // its handshake is over
		l.counts.drop(quicLate)
		return
	}
	seen := c.hello.Feed(d, &l.work)
	l.more(f, c, d, &seen)
}

// more takes what a connection that may pass has sent of its handshake since.
func (l *quicLoop) more(f *quicFlow, c *quicConn, d []byte, seen *sniff.QUICSeen) {
	switch {
	case seen.Hello.Kind == sniff.Malformed:
		l.spoiled(f, c, d, seen.Hello.Cause)
	case !seen.Fit():
		l.counts.refuse(seen.Cause)
	default:
		l.forward(f, d, len(d))
		if seen.Closed {
			l.close(f, c)
		}
	}
}

// spoiled deals with a connection that contradicts the hello it was judged by.
func (l *quicLoop) spoiled(f *quicFlow, c *quicConn, d []byte, cause sniff.Cause) {
	r := l.l.route(&f.tuple)
	f.s.metrics.sniffed(sniff.Malformed, cause)
	s := l.l.service.Load()
	if enforces, _ := s.treatment(r.from.Addr()); !enforces {
		c.unread = true
		l.pending.giveBack(c.hello)
		c.hello = nil
		f.settle()
		l.forward(f, d, len(d))
		return
	}
	s.malformed(&r, c.asked.channel, cause, "")
	l.end(f)
}

// close deals with the end that a client has told of.
func (l *quicLoop) close(f *quicFlow, c *quicConn) {
	if len(f.conns) == 1 && len(f.former) == 0 {
		l.end(f)
		return
	}
	f.drop(c)
	l.leave(c)
}

func (f *quicFlow) drop(c *quicConn) {
	f.conns = slices.DeleteFunc(f.conns, func(x *quicConn) bool { return x == c })
	f.settle()
}

// short takes a datagram with a short header.
func (l *quicLoop) short(t *quicTuple, f *quicFlow, d []byte) {
	if f == nil {
		if f = l.welcome(t, d); f == nil {
			return
		}
	}
	if !f.settled {
		f.longest = max(f.longest, len(d))
		for _, c := range f.conns {
			// A client sends none before it is through with its handshake.
			if c.hello != nil && (len(f.conns) == 1 || c.leads(d)) {
				l.pending.giveBack(c.hello)
				c.hello = nil
			}
		}
		l.goOn(f, slices.ContainsFunc(f.conns, func(c *quicConn) bool { return c.told(d) }))
		f.settle()
	}
	l.forward(f, d, len(d))
}

// leads reports whether a datagram with a short header bears an id of c.
func (c *quicConn) leads(d []byte) bool {
	return slices.ContainsFunc(c.ids, func(id quicID) bool { return bytes.HasPrefix(d[1:], id.bytes()) })
}

// told reports whether a datagram with a short header bears an id that the server
// has told its client.
func (c *quicConn) told(d []byte) bool {
	return slices.ContainsFunc(c.ids, func(id quicID) bool {
		return id != c.first && id.n >= minToldID && bytes.HasPrefix(d[1:], id.bytes())
	})
}

// refused deals with an upstream that is not there.
func (l *quicLoop) refused(f *quicFlow) {
	f.s.quic.failed(f.one)
	f.s.metrics.upstreamFailed()
	if f.heard || !l.elsewhere(f) {
		l.end(f)
	}
}

// elsewhere has a flow go on with another upstream, one time.
func (l *quicLoop) elsewhere(f *quicFlow) bool {
	if f.again || len(f.hello) == 0 || len(f.s.quic.all) < 2 {
		return false
	}
	one, next := f.s.quic.pick()
	if one == f.one {
		one = next
	}
	if one == nil {
		return false
	}
	f.one, f.again, f.begun = one, true, l.now
	if !l.dial(f) {
		return false
	}
	for _, c := range f.conns {
		l.l.ids.settle(c, c.asked, one)
	}
	for _, b := range f.hello {
		l.forward(f, b, len(b))
	}
	return true
}

// quicHandshake is how long the end of a handshake is waited for: as long as
// Chromium and quic-go have it take, and longer.
const quicHandshake = 30 * time.Second

// look ends a flow that has taken too long.
func (l *quicLoop) look(f *quicFlow) {
	switch {
	case l.now-f.last >= f.s.idle:
		l.end(f)
	case f.guest && l.now-f.begun >= f.s.head:
		l.end(f)
	case !f.heard && l.now-f.begun >= f.patience():
		if time.Duration(f.one.answered.Load()) < f.begun { // others may be answered where this one is not
			f.s.quic.failed(f.one)
		}
		f.s.metrics.upstreamFailed()
		if !l.elsewhere(f) {
			l.end(f)
		}
	default:
		for _, c := range f.conns {
			if c.hello != nil && l.now-c.begun >= quicHandshake {
				l.pending.giveBack(c.hello)
				c.hello = nil
				f.settle()
			}
		}
	}
}

// patience is how long an upstream may take to answer: half the time is left for
// a second one.
func (f *quicFlow) patience() time.Duration {
	if !f.again && len(f.hello) > 0 && len(f.s.quic.all) > 1 {
		return f.s.dial / 2
	}
	return f.s.dial
}
