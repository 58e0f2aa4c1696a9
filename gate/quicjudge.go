package gate

import (
	"bytes"
	"net/netip"
	"slices"
	"time"

	"github.com/icpgate/icpgate/gate/sniff"
	"github.com/icpgate/icpgate/registry"
)

// datagram takes one datagram of a client that is not simply sent on; f is the
// client's flow, if there is one.
func (l *quicLoop) datagram(t *quicTuple, f *quicFlow, d []byte) {
	if !isLong(d[0]) {
		l.short(t, f, d)
		return
	}
	scan := sniff.ScanQUIC(d, 0)
	id, ok := quicIDOf(scan.First.DCID)
	if ok && f != nil {
		if c := f.conn(id); c != nil {
			l.known(f, c, d, &scan)
			return
		}
	}
	if p := l.pending.byID[id]; ok && p != nil {
		if p.conn.tuple != *t {
			l.counts.drop(quicForeign)
			return
		}
		l.wait(p, d, &scan)
		return
	}
	if r := l.refusals.find(t, &id); ok && r != nil {
		l.counts.drop(quicRefused)
		l.tell(r, len(d))
		return
	}
	if f != nil && scan.Cause == sniff.NoCause && l.secret(f, d, scan.Types) {
		return
	}
	l.first(t, d, &scan)
}

// secret takes a datagram whose id nobody has seen, if it can be one that a server
// has told of in secret: quic-go takes such a one for the end of its handshake
// already. A Handshake packet begins nothing, and an Initial packet that opens with
// the keys of a connection is that one's.
func (l *quicLoop) secret(f *quicFlow, d []byte, types sniff.QUICTypes) bool {
	if !types.Has(sniff.QUICHandshake) || types.Has(sniff.QUICZeroRTT) || types.Has(sniff.QUICRetry) {
		return false
	}
	l.goOn(f, false)
	if !types.Has(sniff.QUICInitial) {
		l.forward(f, d, len(d))
		return true
	}
	for _, c := range f.conns {
		if c.hello == nil {
			continue
		}
		if seen := c.hello.Feed(d, &l.work); seen.Opened > 0 {
			c.through = true
			l.more(f, c, d, &seen)
			return true
		}
	}
	return false
}

// first takes a datagram that belongs to nothing, and may begin a connection.
func (l *quicLoop) first(t *quicTuple, d []byte, scan *sniff.QUICDatagram) {
	s := l.l.service.Load()
	cause := scan.Begins(len(d))
	switch {
	case cause == sniff.NoCause && l.l.hand.after.Load() != nil && l.foreign(scan):
		l.counts.drop(quicForeign)
		return // nor does it begin one in the process after
	case l.handOver(t, d, len(d)):
		return
	case cause == sniff.OtherVersion:
		l.negotiate(s, t, d)
		return
	case cause != sniff.NoCause:
		l.counts.refuse(cause)
		return
	case l.l.leaving.Load():
		l.counts.drop(quicEnding)
		return
	case !l.budget.take(l.now, t, scan.First.DCID):
		l.counts.drop(quicBusy)
		return
	case !l.rate.take(s.limiter.key(t.addr()), s.initials, l.now):
		l.counts.drop(quicTooFast)
		return
	}
	id, _ := quicIDOf(scan.First.DCID)
	if why, ok := l.l.ids.begins(id); !ok {
		l.counts.drop(why)
		return
	}
	p := l.pending.begin()
	c := p.conn
	c.tuple, c.begun, c.first = *t, l.now, id
	c.client, _ = quicIDOf(scan.First.SCID)
	c.hello = l.pending.hello()
	c.hello.Start(scan.First.Version, scan.First.DCID)
	l.feed(s, p, d)
}

// foreign reports whether the id of a datagram is another connection's, or was.
func (l *quicLoop) foreign(scan *sniff.QUICDatagram) bool {
	id, _ := quicIDOf(scan.First.DCID)
	why, ok := l.l.ids.begins(id)
	return !ok && why == quicForeign
}

// addr is the client's address.
func (t *quicTuple) addr() netip.Addr { return netip.AddrFrom16(t.client.Addr).Unmap() }

// negotiate answers a version that nobody here speaks.
func (l *quicLoop) negotiate(s *service, t *quicTuple, d []byte) {
	answer, ok := sniff.AppendQUICNegotiation(nil, d)
	if !ok || len(answer) > 3*len(d) || !l.rate.take(s.limiter.key(t.addr()), s.initials, l.now) {
		l.counts.refuse(sniff.OtherVersion)
		return
	}
	l.counts.answered(quicNegotiated)
	l.down.Add(l.sock, t.client, t.local, answer, len(answer))
}

// wait takes another datagram of a connection that waits.
func (l *quicLoop) wait(p *quicPending, d []byte, scan *sniff.QUICDatagram) {
	s := l.l.service.Load()
	switch {
	case scan.Cause != sniff.NoCause:
		l.counts.refuse(scan.Cause)
	case !scan.Types.Has(sniff.QUICInitial):
		if !scan.Types.Has(sniff.QUICZeroRTT) {
			l.counts.refuse(sniff.NoInitial)
			return
		}
		l.hold(p, d)
	case len(d) < sniff.MinQUICDatagram:
		l.counts.refuse(sniff.SmallDatagram)
	case !l.rate.take(s.limiter.key(p.conn.tuple.addr()), s.initials, l.now):
		l.counts.drop(quicTooFast)
	default:
		l.feed(s, p, d)
	}
}

// feed reads the hello of a connection on, and decides when it is all there.
func (l *quicLoop) feed(s *service, p *quicPending, d []byte) {
	seen := p.conn.hello.Feed(d, &l.work)
	switch {
	case seen.Closed && seen.Hello.Kind != sniff.Malformed:
		l.discard(p)
	case seen.Hello.Kind == sniff.Malformed, seen.Fit() && seen.Hello.Kind != sniff.More:
		l.decide(s, p, d, &seen)
	case !seen.Fit():
		l.counts.refuse(seen.Cause)
		if !p.waits {
			l.discard(p)
		}
	default:
		l.hold(p, d)
	}
}

// decide decides on a connection whose hello is there, and lets it pass or not.
func (l *quicLoop) decide(s *service, p *quicPending, d []byte, seen *sniff.QUICSeen) {
	h := &seen.Hello
	l.l.open.heads.Add(1)
	s.metrics.sniffed(h.Kind, h.Cause)
	if h.ECH {
		s.metrics.ech.Inc()
	}
	a := hostOf(h.Kind, h.Name, registry.ChannelQUIC)
	if s.log != nil {
		a.alpn = protocols(h.ALPN)
	}
	r := l.l.route(&p.conn.tuple)
	enforces, exempt := s.treatment(r.from.Addr())
	v := registry.Verdict{Reason: registry.Malformed, Block: true}
	switch {
	case exempt:
		v = registry.Verdict{Reason: registry.Exempt}
	case h.Kind != sniff.Malformed:
		v = s.judge(a, &r)
	}
	s.report(&r, a, v, enforces, h.Cause, "")
	if enforces && (v.Block || h.ECH && s.echRefused) {
		l.refuse(s, p, d, h)
		return
	}
	p.conn.unread = h.Kind == sniff.Malformed
	l.admit(s, p, d, a)
}

// protocols are those of an ALPN extension as text, for the log.
func protocols(list []byte) string {
	var text []byte
	for len(list) > 0 {
		n := min(int(list[0]), len(list)-1)
		if len(text) > 0 {
			text = append(text, ',')
		}
		text = append(text, list[1:1+n]...)
		list = list[1+n:]
	}
	return string(text)
}

// admit lets a connection pass: what was held of it, and then this datagram.
func (l *quicLoop) admit(s *service, p *quicPending, d []byte, a asked) {
	if !l.claim(p) {
		return
	}
	c := p.conn
	l.pending.remove(l, p)
	f := l.flows[c.tuple]
	if f == nil {
		if f = l.begin(s, &c.tuple, nil, byHello); f != nil {
			l.doubt(f)
		}
	}
	if f == nil || !l.join(f, c) {
		l.discard(p)
		return
	}
	l.l.ids.settle(c, a, f.one)
	for _, b := range p.held {
		l.forward(f, b, len(b))
	}
	l.forward(f, d, len(d))
	if !f.heard && !f.again && len(f.s.quic.all) > 1 { // another may have to hear it
		f.hello = append(append(f.hello, p.held...), bytes.Clone(d))
	}
}

// join adds a connection to a flow. Where there are too many, one of those before
// makes room.
func (l *quicLoop) join(f *quicFlow, c *quicConn) bool {
	if len(f.conns) >= maxFlowConns && !l.makeRoom(f) {
		l.counts.drop(quicTooMuch)
		return false
	}
	f.conns = append(f.conns, c)
	if c.unread {
		l.pending.giveBack(c.hello)
		c.hello = nil
	}
	f.settle()
	return true
}

const (
	// maxFlowConns is how many connections one flow may have that are looked at:
	// clients that use a socket for all have one for each server and name, and another
	// for each that they have closed, which nobody sees.
	maxFlowConns = 16
	// maxFlowNames is how many names of others there may be.
	maxFlowNames = 256
)

// makeRoom forgets a connection of a flow, but for its name: the oldest that is
// through with its handshake, or has had the time for it. Before the upstream has
// answered none is; and that of a guest is needed until it is known.
func (l *quicLoop) makeRoom(f *quicFlow) bool {
	if !f.heard || f.guest {
		return false
	}
	i := slices.IndexFunc(f.conns, func(c *quicConn) bool { return c.hello == nil || c.through })
	if i < 0 && l.now-f.conns[0].begun >= flowConnTime {
		i = 0
	}
	if i < 0 {
		return false
	}
	c := f.conns[i]
	name := c.asked
	name.alpn = ""
	if !slices.Contains(f.former, name) {
		if len(f.former) >= maxFlowNames {
			return false
		}
		f.former = append(f.former, name)
	}
	l.leave(c)
	f.conns = slices.Delete(f.conns, i, i+1)
	return true
}

// flowConnTime is how long a handshake may take before another connection of its
// client may displace it.
const flowConnTime = time.Second
