package sniff

import "encoding/binary"

// The versions of QUIC whose Initial packets can be opened, RFC 9000 and RFC 9369.
const (
	QUICv1 uint32 = 1
	QUICv2 uint32 = 0x6b3343cf
)

// Limits of QUIC, RFC 9000 §14.1, §7.2, §17.2.
const (
	MinQUICDatagram = 1200 // what a datagram with an Initial packet has at least
	MinQUICID       = 8    // the connection id that a client chooses for its server
	MaxQUICID       = 20   // any connection id of version 1 and 2
)

// minProtected is the least that follows the start of a packet number: at most
// four bytes of it and the sample that unmasks it, RFC 9001 §5.4.2.
const minProtected = 4 + sampleSize

// QUICType is the type of a packet, the same for all versions.
type QUICType uint8

// The types of packets.
const (
	QUICShort     QUICType = iota // a short header: 1-RTT, or whatever else has no long header
	QUICInitial                   // the only type that can be opened
	QUICZeroRTT                   // early data of a client
	QUICHandshake                 // sent by both sides once the server has the hello
	QUICRetry                     // sent by servers
	QUICNegotiate                 // Version Negotiation, sent by servers
	QUICOther                     // a long header of a version that is neither 1 nor 2
)

// QUICTypes is a set of types. The zero value is empty.
type QUICTypes uint8

// Has reports whether t is in the set.
func (s QUICTypes) Has(t QUICType) bool { return s&(1<<t) != 0 }

// QUICPacket is one packet of a datagram. Its slices are parts of the datagram.
type QUICPacket struct {
	Type QUICType
	// Version is zero for short headers and Version Negotiation.
	Version uint32
	// DCID is the id that the receiver of the packet goes by; of a short header it
	// is as long as the caller said. SCID is that of its sender; short headers
	// have none. Both are at most 20 bytes, and up to 255 of a QUICNegotiate or
	// QUICOther.
	DCID, SCID []byte
	// Token is that of an Initial or a Retry packet.
	Token []byte
	// Raw is the whole packet.
	Raw []byte
	// Number is where in Raw the protected packet number begins. It is zero for
	// Retry, QUICNegotiate, QUICOther and QUICShort.
	Number int
}

// NextQUIC takes the first packet off a datagram, or off what is left of one, and
// returns the rest. b must not be empty. short is how long connection ids are in
// short headers, to the server those that it has chosen. A Cause means that b
// cannot be taken apart further and should be forwarded to nobody. What has a
// short header, or a version that is not known, reaches to the end of the
// datagram. It does not allocate and is safe for concurrent use.
func NextQUIC(b []byte, short int) (p QUICPacket, rest []byte, c Cause) {
	if b[0]&0x80 == 0 {
		if len(b) < 1+short {
			return p, nil, BadPacket
		}
		return QUICPacket{Type: QUICShort, DCID: b[1 : 1+short], Raw: b}, nil, NoCause
	}
	r := fields{b: b[1:]}
	version := r.take(4)
	dcid, ok := r.vector(1)
	scid, ok2 := r.vector(1)
	if version == nil || !ok || !ok2 {
		return p, nil, BadPacket
	}
	p = QUICPacket{Version: binary.BigEndian.Uint32(version), DCID: dcid, SCID: scid, Raw: b}
	if p.Version == 0 {
		p.Type = QUICNegotiate
		if len(r.b) == 0 || len(r.b)%4 != 0 {
			return p, nil, BadPacket
		}
		return p, nil, NoCause
	}
	p.Type = longType(b[0], p.Version)
	if p.Type == QUICOther {
		return p, nil, NoCause
	}
	if len(dcid) > MaxQUICID || len(scid) > MaxQUICID {
		return p, nil, BadConnectionID
	}
	return p.long(r)
}

// longType reads the type from the first byte; RFC 9369 §3.2 turned the types of
// version 2 by one.
func longType(first byte, version uint32) QUICType {
	bits := first >> 4 & 3
	switch version {
	case QUICv1:
	case QUICv2:
		bits = (bits + 3) & 3
	default:
		return QUICOther
	}
	return QUICInitial + QUICType(bits)
}

// long reads what follows the connection ids.
func (p QUICPacket) long(r fields) (QUICPacket, []byte, Cause) {
	if p.Type == QUICRetry {
		if len(r.b) < tagSize {
			return p, nil, BadPacket
		}
		p.Token = r.b[:len(r.b)-tagSize]
		return p, nil, NoCause
	}
	if p.Type == QUICInitial {
		n, ok := r.varint()
		if !ok || n > uint64(len(r.b)) {
			return p, nil, BadPacket
		}
		p.Token = r.take(int(n))
	}
	n, ok := r.varint()
	if !ok || n > uint64(len(r.b)) || n < minProtected {
		return p, nil, BadPacket
	}
	p.Number = len(p.Raw) - len(r.b)
	end := p.Number + int(n)
	rest := p.Raw[end:]
	p.Raw = p.Raw[:end]
	return p, rest, NoCause
}

// varint reads a number of RFC 9000 §16, in whatever length it has.
func (f *fields) varint() (uint64, bool) {
	if len(f.b) == 0 {
		return 0, false
	}
	if f.b[0] < 0x40 { // the usual one
		n := f.b[0]
		f.b = f.b[1:]
		return uint64(n), true
	}
	b := f.take(1 << (f.b[0] >> 6))
	if b == nil {
		return 0, false
	}
	n := uint64(b[0] & 0x3f)
	for _, c := range b[1:] {
		n = n<<8 | uint64(c)
	}
	return n, true
}

// QUICDatagram is what a forwarder needs to know of a datagram.
type QUICDatagram struct {
	// First is the first packet. Its Raw is without the packets behind it.
	First QUICPacket
	// Types are those of all packets.
	Types QUICTypes
	// Cause is why the datagram cannot be read to its end, or MixedPackets: those
	// with long headers do not all have the version and the destination of the
	// first, which RFC 9000 §12.2 wants. Forward such a datagram to nobody: the
	// receiver may find an Initial packet in it that was not looked at.
	Cause Cause
}

// ScanQUIC looks at all packets of a datagram, of either side; see NextQUIC for
// short.
func ScanQUIC(b []byte, short int) (d QUICDatagram) {
	if len(b) == 0 {
		d.Cause = BadPacket
		return d
	}
	for first := true; len(b) > 0; first = false {
		var p QUICPacket
		if p, b, d.Cause = NextQUIC(b, short); d.Cause != NoCause {
			// Bytes without a long header at the end are no packet, whatever they are.
			if p.Type == QUICShort && p.Raw == nil && !first {
				d.Cause = NoCause
			}
			return d
		}
		if first {
			d.First = p
		} else if p.Type != QUICShort && !p.beside(&d.First) {
			d.Cause = MixedPackets
			return d
		}
		d.Types |= 1 << p.Type
	}
	return d
}

// beside reports whether p may stand in a datagram behind first.
func (p *QUICPacket) beside(first *QUICPacket) bool {
	return p.Version == first.Version && string(p.DCID) == string(first.DCID)
}

// FirstQUIC reports what keeps a datagram of no known connection from beginning
// one; NoCause where nothing does: then it has an Initial packet, 1200 bytes or
// more, and d.First.DCID, of 8 to 20 bytes, is what QUICHello.Start wants.
// OtherVersion asks for AppendQUICNegotiation.
func FirstQUIC(b []byte) (d QUICDatagram, c Cause) {
	d = ScanQUIC(b, 0)
	return d, d.Begins(len(b))
}

// Begins is the Cause of FirstQUIC for a datagram of so many bytes that was looked
// at.
func (d *QUICDatagram) Begins(size int) Cause {
	switch {
	case d.Cause != NoCause:
		return d.Cause
	case d.Types.Has(QUICOther):
		return OtherVersion
	case d.First.Type == QUICShort, !d.Types.Has(QUICInitial), d.Types.Has(QUICRetry):
		return NoInitial
	case size < MinQUICDatagram:
		return SmallDatagram
	case len(d.First.DCID) < MinQUICID:
		return BadConnectionID
	}
	return NoCause
}
