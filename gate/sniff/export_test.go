package sniff

// Frame is a frame of an Initial packet, as the walker sees it.
type Frame struct {
	Kind   byte
	Offset uint64
	Data   []byte
}

// Frames walks a payload.
func Frames(b []byte) (all []Frame, c Cause) {
	for len(b) > 0 {
		f, rest, cause := nextFrame(b)
		if cause != NoCause {
			return all, cause
		}
		all = append(all, Frame{f.kind, f.offset, f.data})
		b = rest
	}
	return all, NoCause
}

// Nearest is the packet number that ends in cut.
func Nearest(cut, largest, window int64) int64 { return nearest(cut, largest, window) }

// MaxMAC is how long a message of a MAC may be.
const MaxMAC = maxMAC

// Chained: MACs need no Sum.
func Chained() bool { return chained }

// MACs makes MACs with the memory of those before; slowly is by Sum.
type MACs struct {
	work  macWork
	state macState
}

func (m *MACs) MAC(key, msg []byte, slowly bool) [32]byte {
	m.work.slow = slowly
	m.work.key(&m.state, key)
	return m.work.mac(&m.state, msg)
}

// ID is the connection id that the keys come of: the one that the client chose,
// or once it has used it the one of the server's Retry. It is valid until the next
// call of Start or Feed.
func (q *QUICHello) ID() []byte { return q.base.bytes() }

// Held is how many bytes of memory the connection holds, without the QUICHello
// itself and its ciphers, which are some 4 KB.
func (q *QUICHello) Held() int { return cap(q.stream.held) }

// Opens reports whether Feed would open an Initial packet of the datagram, and
// takes nothing of it. Where a datagram may be of several connections, it belongs
// to the one for which this is so; if there are two of those it was made to be read
// in two ways.
func (q *QUICHello) Opens(b []byte, w *QUICWork) bool {
	for cause := ScanQUIC(b, 0).Cause; cause == NoCause && len(b) > 0; {
		var p QUICPacket
		if p, b, cause = NextQUIC(b, 0); cause == NoCause && p.Type == QUICInitial && q.open(&p, w).cause == NoCause {
			return true
		}
	}
	return false
}

// OpensServers reports whether an Initial packet is of this connection's server.
// So it shows to which of several connections an id belongs that a server has
// chosen. It costs as much as a new connection.
func (q *QUICHello) OpensServers(p *QUICPacket, w *QUICWork) bool {
	if p.Type != QUICInitial || q.first == (quicID{}) {
		return false
	}
	var k quicKeys
	k.derive(p.Version, q.base, true, w)
	_, _, ok := k.open(p, -1, w)
	return ok
}

// AppendQUICClose is AppendClose in memory of its own.
func AppendQUICClose(dst []byte, a QUICAnswer) []byte { return new(QUICWork).AppendClose(dst, a) }
