package sniff

import (
	"bytes"
	"slices"
)

// QUICHello reads the hello of one QUIC connection from the datagrams of its
// client. The zero value wants Start. It is for one goroutine at a time, and can
// be used again and again: it keeps its buffers.
//
//	if d, cause := sniff.FirstQUIC(b); cause == sniff.NoCause {
//		q.Start(d.First.Version, d.First.DCID)
//		seen := q.Feed(b, &work)
//		…
//	}
//
// Who may be reached follows from the hello only as long as no Initial packet
// goes on to the server that was not read here, so a caller that forwards what
// belongs to a connection
//
//   - feeds every datagram with an Initial packet, the first and all later ones,
//     and forwards none that is not Fit;
//   - keeps one QUICHello for each connection id, whatever addresses its client
//     sends from: datagrams of two clients with the same id are to the server one
//     connection, and what each of them left out may add up to another hello;
//   - keeps it until Handshake packets of both sides have gone by: then the server
//     has its hello, the client sends no more Initial packets, and what looks like
//     one is judged anew;
//   - gives a datagram with an id of its own another QUICHello, also where it
//     comes from a known address;
//   - forwards nothing of a client that has a Cause in ScanQUIC, or one of the types
//     QUICOther, QUICRetry and QUICNegotiate among its Types.
type QUICHello struct {
	version uint32
	// first is the id that the client chose, and retries are those that Retry packets
	// gave it, nextRetry the oldest. base is the one of them all that it uses: keys
	// come of it when a packet bears an id that the server chose later.
	first, base quicID
	retries     [maxRetries]quicID
	nextRetry   int
	largest     int64
	keys        keyRing

	stream cryptoStream
	read   int // of the stream, when it was parsed last
	moved  int // of the stream, at the same time
	hello  Hello
	hellos int
}

// QUICSeen is what a datagram brought.
type QUICSeen struct {
	// Hello is the hello of the connection, More until it is all there. It stays
	// what it is when more comes, except that it becomes Malformed where that
	// contradicts it. Its slices are valid until the next call of Feed; Length is
	// zero.
	Hello Hello
	// Hellos counts those that are complete. The second one answers a
	// HelloRetryRequest; it is part of this connection only with the same name.
	Hellos int
	// Opened and Failed count the Initial packets of this datagram that could be
	// opened, and those that could not.
	Opened, Failed int
	// Closed reports that the client ends the connection.
	Closed bool
	// Anew reports that an Initial packet of the datagram opens with keys of the id
	// that it bears, not with those of the connection: it wants to begin another.
	Anew bool
	// Cause is why the datagram is not Fit.
	Cause Cause
}

// Fit reports whether the datagram may go where the hello may: all of its Initial
// packets were opened and hold nothing that two servers could read differently.
// While the Hello is More that means to wait for its end.
func (s *QUICSeen) Fit() bool { return s.Cause == NoCause }

// Start begins a new connection, of version 1 or 2, with the connection id that
// its client chose for the server.
func (q *QUICHello) Start(version uint32, id []byte) {
	q.stream.reset()
	x := newQUICID(id)
	*q = QUICHello{version: version, first: x, base: x, stream: q.stream, largest: -1}
}

// Version is the version that the connection began with.
func (q *QUICHello) Version() uint32 { return q.version }

// Shrink gives up buffers of more than max bytes, before a QUICHello is kept for
// later. The next call must be Start.
func (q *QUICHello) Shrink(max int) {
	s := cryptoStream{held: q.stream.held[:0], spans: q.stream.spans[:0]}
	if cap(s.held) > max {
		s.held = nil
	}
	*q = QUICHello{stream: s}
}

// maxRetries is how many Retry packets are remembered while the client has taken
// none of them. A server sends one for each datagram of a hello, and again when
// they are repeated; which of them gets through, only the client knows.
const maxRetries = 8

// Retry takes a Retry packet of the server, which gives the connection another id
// and other keys; packets with the first id are read all the same. The hello must
// stay what it is. Retry reports whether the packet counts, as it does for clients
// (RFC 9000 §17.2.5.2): it has a token, another id and the right integrity tag,
// and the client has not taken an earlier one. After other packets of the server
// no Retry counts; the caller knows that.
func (q *QUICHello) Retry(p *QUICPacket) bool {
	if p.Type != QUICRetry || p.Version != q.version || len(p.Token) == 0 || q.base != q.first || len(p.SCID) > MaxQUICID {
		return false
	}
	id := newQUICID(p.SCID)
	if id == q.first || !retryIntact(p, q.first.bytes()) {
		return false
	}
	q.retries[q.nextRetry] = id
	q.nextRetry = (q.nextRetry + 1) % maxRetries
	return true
}

// Feed reads a datagram of the client.
func (q *QUICHello) Feed(b []byte, w *QUICWork) (seen QUICSeen) {
	if q.hello.Kind == Malformed { // it stays so
		return QUICSeen{Hello: q.hello, Hellos: q.hellos, Cause: q.hello.Cause}
	}
	p, rest, cause := QUICPacket{}, b, BadPacket
	if len(b) > 0 {
		p, rest, cause = NextQUIC(b, 0)
	}
	if cause == NoCause && len(rest) > 0 {
		cause = ScanQUIC(b, 0).Cause // before anything of it is taken
	}
	for cause == NoCause {
		switch p.Type {
		case QUICInitial:
			cause = q.packet(&p, w, &seen)
		case QUICRetry, QUICNegotiate:
			cause = NoInitial // clients send none
		case QUICOther:
			cause = OtherVersion
		}
		if cause != NoCause || len(rest) == 0 {
			break
		}
		p, rest, cause = NextQUIC(rest, 0)
	}
	seen.Cause = cause
	if q.hello.Kind != Malformed {
		q.parse(w)
	}
	if seen.Cause == NoCause && q.hello.Kind == Malformed {
		seen.Cause = q.hello.Cause
	}
	seen.Hello, seen.Hellos = q.hello, q.hellos
	return seen
}

// packet opens an Initial packet and takes what it holds.
func (q *QUICHello) packet(p *QUICPacket, w *QUICWork, seen *QUICSeen) Cause {
	o := q.open(p, w)
	if o.cause != NoCause {
		seen.Failed++
		seen.Anew = seen.Anew || o.anew
		return o.cause
	}
	seen.Opened++
	q.largest = max(q.largest, o.number)
	if o.base != q.first {
		q.base = o.base
	}
	cause := q.frames(o.payload, w, seen)
	if cause != NoCause {
		q.hello = Hello{}.malformed(cause)
	}
	return cause
}

// opened is what came of a packet.
type opened struct {
	payload []byte
	number  int64
	base    quicID // whose keys were taken
	anew    bool   // it opens with those of its own id, which is none of the connection's
	cause   Cause  // why it is not read
}

// open opens a packet of the client.
func (q *QUICHello) open(p *QUICPacket, w *QUICWork) (o opened) {
	id := newQUICID(p.DCID)
	o.base = id
	if id != q.first && !slices.Contains(q.retries[:], id) {
		// A server that does not know the id, no longer perhaps, takes it for that of
		// a new connection. AES-GCM does not bind a packet to one key: it can be made
		// so that it opens with two.
		o.base = q.base
		_, _, o.anew = q.keys.get(p.Version, id, w).open(p, -1, w)
	}
	ok := false
	o.payload, o.number, ok = q.keys.get(p.Version, o.base, w).open(p, q.largest, w)
	switch {
	case !ok:
		o.cause = NotOpened
	case o.anew:
		o.cause = TwoReadings
	}
	return o
}

// frames walks the payload of a packet.
func (q *QUICHello) frames(b []byte, w *QUICWork, seen *QUICSeen) Cause {
	// RFC 9000 §12.4, §17.2: at least one frame, and reserved bits that are zero.
	if len(b) == 0 || w.head[0]&0x0c != 0 {
		return BadPacket
	}
	for len(b) > 0 {
		f, rest, cause := nextFrame(b)
		if cause != NoCause {
			return cause
		}
		switch f.kind {
		case frameCrypto:
			if cause = q.stream.add(f.offset, f.data, len(rest), &w.ordered); cause != NoCause {
				return cause
			}
		case frameClose:
			seen.Closed = true
		}
		b = rest
	}
	return NoCause
}

// parse reads the hellos of the stream that are complete, if there is more of it
// than before or it lies elsewhere.
func (q *QUICHello) parse(w *QUICWork) {
	have := q.stream.have()
	if have == q.read && q.moved == q.stream.moved {
		return
	}
	if q.hellos == 0 {
		// Nothing is put in order before the first is complete.
		var begin [handshakeHead]byte
		length, h := head(begin[:q.stream.peek(begin[:])])
		if length > MaxQUICCrypto {
			h = h.malformed(TooLong)
		}
		if h.Kind == Malformed {
			q.hello = h
			return
		}
		if length < 0 || have < length {
			q.read, q.moved = have, q.stream.moved
			return
		}
	}
	b := q.stream.prefix(&w.ordered)
	q.read, q.moved = have, q.stream.moved
	q.hello, q.hellos = messages(b)
}

// messages reads the hellos that b begins with, and counts them. The first one is
// returned, unless something is wrong with those behind it.
func messages(b []byte) (first Hello, n int) {
	for len(b) > 0 {
		if n == maxHellos {
			return first.malformed(BadSequence), n
		}
		length, h := head(b)
		if h.Kind == More && length >= 0 && len(b) >= length {
			h, b = parse(b[handshakeHead:length]), b[length:]
		}
		switch {
		case h.Kind == More:
			return first, n
		case h.Kind == Malformed:
			return h, n
		case n == 0:
			first = h
		case h.Kind != first.Kind || h.ECH != first.ECH || !bytes.EqualFold(h.Name, first.Name):
			return h.malformed(NameDiffers), n
		}
		n++
	}
	return first, n
}

// maxHellos is how many a client sends: one, and another if the server asks for it.
const maxHellos = 2
