package index

import (
	"encoding"
	"encoding/binary"
)

// reader takes values from the front of untrusted bytes. What is not there
// reads as zero and sets bad, which stays. Nothing it returns shares memory with
// the bytes, except bytes.
type reader struct {
	b   []byte
	bad bool
}

// bytes takes n bytes; where they are missing, n zeros if that is a few, else none.
func (r *reader) bytes(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.b, r.bad = nil, true
		if n < 0 || n > 64 {
			n = 0
		}
		return make([]byte, n)
	}
	b := r.b[:n:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) u8() byte    { return r.bytes(1)[0] }
func (r *reader) u32() uint32 { return binary.LittleEndian.Uint32(r.bytes(4)) }
func (r *reader) u64() uint64 { return binary.LittleEndian.Uint64(r.bytes(8)) }

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.b, r.bad = nil, true
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.b, r.bad = nil, true
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) string() string { return string(r.bytes(int(min(r.uvarint(), maxGroup)))) }

// text reads a string into a value that parses itself.
func (r *reader) text(into encoding.TextUnmarshaler) {
	if err := into.UnmarshalText([]byte(r.string())); err != nil {
		r.bad = true
	}
}

// count takes a number of items of at least size bytes each; more than can
// follow is bad, so that no length of a file makes us allocate without bound.
func (r *reader) count(size int) int {
	n := int(r.u32())
	if n > len(r.b)/size {
		r.b, r.bad = nil, true
		return 0
	}
	return n
}
