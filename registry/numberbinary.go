package registry

import (
	"encoding/binary"
	"errors"
)

// Digits returns the digits of n as a number with a 1 in front, which keeps
// leading zeros: 105001 for 05001. It is 0 for the zero Number.
func (n Number) Digits() uint64 { return n.digits }

// The first byte of the binary form: kind and service.
const (
	binaryKind    = 1<<2 - 1
	binaryService = 2 // shift
)

// AppendBinary appends n in about ten bytes, a single 0 for the zero Number. No
// form is the beginning of another one.
func (n Number) AppendBinary(b []byte) ([]byte, error) {
	if n.IsZero() {
		return append(b, 0), nil
	}
	b = append(b, byte(n.kind)|byte(n.service)<<binaryService, n.province, n.classes)
	b = binary.AppendUvarint(b, n.digits)
	return binary.AppendUvarint(b, uint64(n.ordinal)), nil
}

// MarshalBinary writes what AppendBinary appends.
func (n Number) MarshalBinary() ([]byte, error) { return n.AppendBinary(nil) }

var errNumberBinary = errors.New("not the binary form of a number")

// UnmarshalBinary reads what MarshalBinary wrote. Bytes that no number has are
// an error.
func (n *Number) UnmarshalBinary(b []byte) error {
	*n = Number{}
	if len(b) == 1 && b[0] == 0 {
		return nil
	}
	if len(b) < 3 || b[0]>>binaryService > byte(KindQuickApp) || int(b[1]) >= len(provinces) || b[2] >= 1<<len(classWords) {
		return errNumberBinary
	}
	digits, used := binary.Uvarint(b[3:])
	ordinal, more := uint64(0), 0
	if used > 0 {
		ordinal, more = binary.Uvarint(b[3+used:])
	}
	v := Number{
		digits: digits, ordinal: uint32(ordinal), kind: NumberKind(b[0] & binaryKind), province: b[1], classes: b[2],
		service: Kind(b[0] >> binaryService),
	}
	if used <= 0 || more <= 0 || ordinal > maxOrdinal || 3+used+more != len(b) || !v.possible() {
		return errNumberBinary
	}
	*n = v
	return nil
}

// possible reports whether ParseNumber makes such a number of its canonical form.
func (n Number) possible() bool {
	valueAdded := n.kind == NumberValueAdded
	if n.kind == NumberNone || valueAdded != (n.classes != 0) || n.province == 0 && !valueAdded || n.ordinal == 0 && n.service != KindSite {
		return false
	}
	least, most, _ := digitCounts(n.kind)
	one := uint64(1) // the 1 in front of so many digits
	for i := range most + 1 {
		if i >= least && one <= n.digits && n.digits < 2*one {
			return true
		}
		one *= 10
	}
	return false
}
