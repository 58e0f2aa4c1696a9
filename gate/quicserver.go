package gate

import (
	"slices"

	"github.com/icpgate/icpgate/gate/internal/udp"
	"github.com/icpgate/icpgate/gate/sniff"
)

// answered looks at what an upstream has sent to a client that is not established
// yet.
func (l *quicLoop) answered(f *quicFlow, p *udp.Packet) {
	if !f.heard {
		f.heard, f.hello = true, nil
		f.one.answered.Store(int64(l.now))
		if f.one.cfg.Check == 0 && f.one.down.Load() != 0 {
			f.one.down.Store(0)
		}
	}
	for b := p.Data; len(b) > 0; {
		n := min(p.Size, len(b))
		switch {
		case isLong(b[0]):
			l.serverSaid(f, b[:n])
		case f.goesOn:
			l.prove(f)
		}
		b = b[n:]
	}
	// RFC 9000 §10.3.3: a server's Stateless Reset, which anybody gets, is to be
	// shorter than what it answers; and none is longer than what asks a client whether
	// it is where it says (§8.2.1), which is all that it gets back where it sends more.
	// nginx draws the length of its own by lot, up to three times what it answers and
	// to 1,200 bytes: with it some stay as long as is idle that are nobody's, within
	// the limits of their client.
	if f.guest && p.Size >= min(f.longest, sniff.MinQUICDatagram) {
		l.accept(f)
	}
	f.settle()
}

// serverSaid learns from a server's long header by which id it goes.
func (l *quicLoop) serverSaid(f *quicFlow, d []byte) {
	p, _, cause := sniff.NextQUIC(d, 0)
	client, ok := quicIDOf(p.DCID)
	id, ok2 := quicIDOf(p.SCID)
	c := f.underway(client)
	if cause != sniff.NoCause || !ok || !ok2 || c == nil {
		return
	}
	switch p.Type {
	case sniff.QUICNegotiate:
		// Its client begins again, with another version and another hello. This server
		// keeps nothing of the first one; another, that was silent, may.
		if id == c.first {
			f.drop(c)
			l.l.ids.release(c, f.again, l.now)
			l.leave(c)
		}
	case sniff.QUICRetry:
		if len(c.ids) == 1 && c.hello.Retry(&p) {
			l.l.ids.learn(c, id)
		}
	case sniff.QUICInitial, sniff.QUICHandshake:
		l.l.ids.learn(c, id)
	}
}

// underway is the youngest connection whose handshake is not over, of those that
// the server sends to by an id.
func (f *quicFlow) underway(client quicID) *quicConn {
	for _, c := range slices.Backward(f.conns) {
		if c.hello != nil && c.client == client {
			return c
		}
	}
	return nil
}
