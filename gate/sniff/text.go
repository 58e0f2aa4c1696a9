package sniff

import "encoding/binary"

// isToken is the set tchar of RFC 9110 §5.6.2.
var isToken = func() (t [256]bool) {
	for _, c := range "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" {
		t[c] = true
	}
	return t
}()

// onlyTokens reports whether b holds nothing else.
func onlyTokens(b []byte) bool {
	for _, c := range b {
		if !isToken[c] {
			return false
		}
	}
	return true
}

// ones has every byte 1, and high the highest bit of every byte.
const (
	ones = 0x0101010101010101
	high = 0x8080808080808080
)

// above reports whether all bytes are above c, which is below 0x7f, and none is
// DEL. It looks at eight at a time.
func above(b []byte, c byte) bool {
	least := uint64(c+1) * ones
	for len(b) >= 8 {
		if w := binary.LittleEndian.Uint64(b); lower(w, least) != 0 {
			return false
		}
		b = b[8:]
	}
	for _, x := range b {
		if x <= c || x == 0x7f {
			return false
		}
	}
	return true
}

// lower is not 0 if a byte of w is below that of least, or DEL. Subtracting
// borrows into the highest bit of the first byte that is below; where w has that
// bit set the byte is above, and where there is nothing to find nothing borrows.
func lower(w, least uint64) uint64 {
	del := w ^ 0x7f*ones
	return ((w-least)&^w | (del-ones)&^del) & high
}

// isValue reports whether b may be the value of a field: no control characters
// but tabs, RFC 9110 §5.5.
func isValue(b []byte) bool {
	if above(b, ' '-1) {
		return true
	}
	for _, c := range b {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// equalFold compares ASCII without regard to the case of letters; lower is in
// lower case.
func equalFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if toLower(c) != lower[i] {
			return false
		}
	}
	return true
}

func toLower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c |= 0x20
	}
	return c
}

// trim takes blanks off both ends of a part.
func trim(b []byte, s Span) Span {
	for s.From < s.To && isBlank(b[s.From]) {
		s.From++
	}
	for s.From < s.To && isBlank(b[s.To-1]) {
		s.To--
	}
	return s
}

func trimBytes(b []byte) []byte { return trim(b, Span{0, len(b)}).Of(b) }

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

// maxDecimal digits fit into an int64.
const maxDecimal = 18

// decimal reads digits and nothing else.
func decimal(b []byte) (n int64, ok bool) {
	if len(b) == 0 || len(b) > maxDecimal {
		return 0, false
	}
	for _, c := range b {
		if !isDigit(c) {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

// hexDigit is the value of a hexadecimal digit.
func hexDigit(c byte) (uint64, bool) {
	switch {
	case isDigit(c):
		return uint64(c - '0'), true
	case 'a' <= c && c <= 'f':
		return uint64(c-'a') + 10, true
	case 'A' <= c && c <= 'F':
		return uint64(c-'A') + 10, true
	}
	return 0, false
}
