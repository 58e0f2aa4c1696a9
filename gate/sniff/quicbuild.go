package sniff

import (
	"crypto/subtle"
	"encoding/binary"
)

// Errors of QUIC, RFC 9000 §20.1, RFC 9001 §4.8.
const (
	quicProtocolViolation = 0x0a
	quicFrameEncoding     = 0x07
	quicCryptoError       = 0x0100 // and the alert
)

// QUICError is the error that ends a connection with this alert of TLS.
func QUICError(alert uint8) uint64 { return quicCryptoError + uint64(alert) }

// QUICError is the error that ends a connection whose hello is Malformed.
func (h Hello) QUICError() uint64 {
	switch h.Cause {
	case BadFrame:
		return quicFrameEncoding
	case BadPacket, CryptoDiffers, TooManyGaps:
		return quicProtocolViolation
	}
	return QUICError(h.Alert)
}

// QUICAnswer is what ends a connection in the server's stead.
type QUICAnswer struct {
	// Version is that of the client's packets.
	Version uint32
	// ID is what the keys come of, QUICHello.ID; also the server's id in the answer.
	ID []byte
	// Client is the client's id, the SCID of its packets.
	Client []byte
	// Error is the code, of Hello.QUICError or the function QUICError.
	Error uint64
	// Number is the packet number: zero, and other ones for repetitions.
	Number uint32
}

// AppendClose appends a datagram with a CONNECTION_CLOSE to dst, in an Initial
// packet with the keys of the server. It is below 100 bytes: frames that need no
// acknowledgement are not padded (RFC 9000 §14.1), so that it is always less than
// three times what the client has sent. It is cheaper where the work was done with
// what is answered, as Feed does it.
func (w *QUICWork) AppendClose(dst []byte, a QUICAnswer) []byte {
	const numberSize = 4
	frame := append(w.plain[:0], frameClose)
	frame = appendVarint(frame, a.Error)
	// No frame is named as the reason, and no phrase.
	frame = append(frame, 0, 0)

	var typeBits byte // of an Initial packet
	if a.Version == QUICv2 {
		typeBits = 1
	}
	start := len(dst)
	dst = append(dst, 0xc0|typeBits<<4|numberSize-1)
	dst = binary.BigEndian.AppendUint32(dst, a.Version)
	dst = append(append(dst, byte(len(a.Client))), a.Client...)
	dst = append(append(dst, byte(len(a.ID))), a.ID...)
	dst = append(dst, 0) // no token
	dst = appendVarint(dst, uint64(numberSize+len(frame)+tagSize))
	number := len(dst)
	dst = binary.BigEndian.AppendUint32(dst, a.Number)

	var k quicKeys
	k.derive(a.Version, newQUICID(a.ID), true, w)
	w.nonce, w.plain = k.iv, frame
	last := w.nonce[nonceSize-4:]
	binary.BigEndian.PutUint32(last, binary.BigEndian.Uint32(last)^a.Number)
	dst = k.aead.Seal(dst, w.nonce[:], frame, dst[start:])
	k.hp.Encrypt(w.mask[:], dst[number+4:][:sampleSize])
	dst[start] ^= w.mask[0] & 0x0f
	for i := range numberSize {
		dst[number+i] ^= w.mask[1+i]
	}
	return dst
}

// appendVarint writes a number below 2^30 in the shortest of the lengths of RFC
// 9000 §16.
func appendVarint(b []byte, n uint64) []byte {
	switch {
	case n < 1<<6:
		return append(b, byte(n))
	case n < 1<<14:
		return binary.BigEndian.AppendUint16(b, uint16(n)|1<<14)
	}
	return binary.BigEndian.AppendUint32(b, uint32(n)|2<<30)
}

// AppendQUICNegotiation appends the Version Negotiation packet to dst that answers
// a datagram of another version, and reports whether there is one: not to fewer
// than 1200 bytes, to a Version Negotiation packet, or to a version that can be
// read (RFC 9000 §5.2.2, §6.1). It lists both versions, and a reserved one so
// that clients learn to ignore what they do not know (§6.3). It is smaller than
// half of what it answers.
func AppendQUICNegotiation(dst, datagram []byte) ([]byte, bool) {
	if len(datagram) < MinQUICDatagram {
		return dst, false
	}
	p, _, cause := NextQUIC(datagram, 0)
	if cause != NoCause || p.Type != QUICOther {
		return dst, false
	}
	// Never the version that the client has tried: it would take that for a lie.
	reserved := p.Version&0xf0f0f0f0 | 0x0a0a0a0a
	if reserved == p.Version {
		reserved ^= 0x10
	}
	dst = append(dst, 0xc0|datagram[0]&0x3f, 0, 0, 0, 0)
	dst = append(append(dst, byte(len(p.SCID))), p.SCID...)
	dst = append(append(dst, byte(len(p.DCID))), p.DCID...)
	for _, v := range [...]uint32{QUICv1, QUICv2, reserved} {
		dst = binary.BigEndian.AppendUint32(dst, v)
	}
	return dst, true
}

// retryIntact checks the integrity tag of a Retry packet, RFC 9001 §5.8. id is
// the one that the client chose.
func retryIntact(p *QUICPacket, id []byte) bool {
	l := &labels[versionIndex(p.Version)]
	body, tag := p.Raw[:len(p.Raw)-tagSize], p.Raw[len(p.Raw)-tagSize:]
	pseudo := append(append([]byte{byte(len(id))}, id...), body...)
	want := newGCM(l.retryKey[:]).Seal(nil, l.retryNonce[:], nil, pseudo)
	return subtle.ConstantTimeCompare(want, tag) == 1
}
