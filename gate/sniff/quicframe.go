package sniff

import "encoding/binary"

// Types of the frames that an Initial packet may hold, RFC 9000 §12.4.
const (
	framePadding = 0x00
	framePing    = 0x01
	frameACK     = 0x02
	frameACKECN  = 0x03
	frameCrypto  = 0x06
	frameClose   = 0x1c
)

// quicFrame is a frame of an Initial packet: a CRYPTO frame with its data, or
// one of those that only have to be stepped over.
type quicFrame struct {
	kind   byte
	offset uint64
	data   []byte
}

// nextFrame takes a frame off the payload of an Initial packet, which must not be
// empty; paddings in a row are one. Types that are written longer than they need
// to be are refused: RFC 9000 §12.4 leaves it to the receiver whether to read
// them.
func nextFrame(b []byte) (f quicFrame, rest []byte, c Cause) {
	f.kind = b[0]
	r := fields{b: b[1:]}
	ok := true
	switch f.kind {
	case framePadding:
		// Most of a small hello's datagram: eight at a time.
		for len(r.b) >= 8 && binary.LittleEndian.Uint64(r.b) == 0 {
			r.b = r.b[8:]
		}
		for len(r.b) > 0 && r.b[0] == framePadding {
			r.b = r.b[1:]
		}
	case framePing:
	case frameACK:
		ok = r.ack()
	case frameACKECN:
		ok = r.ack() && r.skipVarints(3)
	case frameCrypto:
		var n uint64
		var ok2 bool
		f.offset, ok = r.varint()
		n, ok2 = r.varint()
		if ok = ok && ok2 && n <= uint64(len(r.b)); ok {
			f.data = r.take(int(n))
		}
	case frameClose:
		var n uint64
		if ok = r.skipVarints(2); ok { // the error and the type of the frame that it came of
			n, ok = r.varint()
		}
		if ok = ok && n <= uint64(len(r.b)); ok {
			r.take(int(n))
		}
	default:
		ok = false
	}
	if !ok {
		return f, nil, BadFrame
	}
	return f, r.b, NoCause
}

// ack steps over the numbers of an ACK frame, and checks that they count down to
// zero at most, RFC 9000 §19.3.
func (f *fields) ack() bool {
	largest, ok := f.varint()
	_, ok2 := f.varint() // the delay
	more, ok3 := f.varint()
	first, ok4 := f.varint()
	if !ok || !ok2 || !ok3 || !ok4 || first > largest {
		return false
	}
	smallest := largest - first
	for ; more > 0; more-- {
		gap, ok := f.varint()
		length, ok2 := f.varint()
		if !ok || !ok2 || smallest < 2 || gap > smallest-2 {
			return false
		}
		if smallest -= gap + 2; length > smallest {
			return false
		}
		smallest -= length
	}
	return true
}

func (f *fields) skipVarints(n int) bool {
	for range n {
		if _, ok := f.varint(); !ok {
			return false
		}
	}
	return true
}
