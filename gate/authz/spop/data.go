package spop

import "net/netip"

// Type is the type of a value. The zero value is Null.
type Type uint8

// The types, with their numbers in the protocol.
const (
	Null  Type = iota // nothing: what was asked for is not there
	Bool              // in the bit boolTrue of the type's own byte
	Int32             // this and the next three as a number of up to 64 bits
	Uint32
	Int64
	Uint64
	IPv4 // 4 bytes
	IPv6 // 16 bytes
	String
	Binary
	types // beyond are numbers that the protocol keeps for later
)

// typeMask and boolTrue cut the byte that every value begins with: the type, and
// flags of which only a boolean has one.
const (
	typeMask = 0x0f
	boolTrue = 0x10
)

// Data is a value. The zero value is Null. Its bytes are those of the frame and
// hold no longer than that.
type Data struct {
	Type Type
	// Number is that of the integers, negative ones in two's complement, and 1 for
	// a true Bool.
	Number uint64
	// Bytes are those of strings, binaries and addresses.
	Bytes []byte
}

// IsText reports whether the value is a string or a binary.
func (d Data) IsText() bool { return d.Type == String || d.Type == Binary }

// Addr returns an address, from its own types and from none else.
func (d Data) Addr() (a netip.Addr, ok bool) {
	if d.Type != IPv4 && d.Type != IPv6 {
		return a, false
	}
	a, ok = netip.AddrFromSlice(d.Bytes)
	return a.Unmap(), ok
}

// data reads a value in front of b.
func data(b []byte) (d Data, rest []byte, ok bool) {
	if len(b) == 0 {
		return d, nil, false
	}
	flags := b[0]
	d.Type, rest = Type(flags&typeMask), b[1:]
	switch d.Type {
	case Null:
		return d, rest, true
	case Bool:
		if flags&boolTrue != 0 {
			d.Number = 1
		}
		return d, rest, true
	case Int32, Uint32, Int64, Uint64:
		d.Number, rest, ok = varint(rest)
		return d, rest, ok
	case IPv4:
		return fixed(d, rest, 4)
	case IPv6:
		return fixed(d, rest, 16)
	case String, Binary:
		d.Bytes, rest, ok = text(rest)
		return d, rest, ok
	}
	return d, nil, false // of a length that nobody knows
}

func fixed(d Data, b []byte, n int) (Data, []byte, bool) {
	if len(b) < n {
		return d, nil, false
	}
	d.Bytes = b[:n:n]
	return d, b[n:], true
}
