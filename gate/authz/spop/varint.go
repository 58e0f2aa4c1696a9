package spop

// maxVarint is the length of the longest number that is read: 4 bits of the
// first byte and 7 of each other hold 64 bits. A longer one is refused, as is one
// that runs over.
const maxVarint = 10

// varint reads a number in front of b and returns what is behind it. The first
// byte holds numbers below 240 as they are; above, what it adds goes on in groups
// of 7 bits, the lowest first, and each byte below 128 is the last.
func varint(b []byte) (v uint64, rest []byte, ok bool) {
	if len(b) == 0 {
		return 0, nil, false
	}
	if b[0] < 240 {
		return uint64(b[0]), b[1:], true
	}
	return longVarint(b)
}

func longVarint(b []byte) (v uint64, rest []byte, ok bool) {
	v = uint64(b[0])
	shift := uint(4)
	for i := 1; i < len(b) && i < maxVarint; i++ {
		add := uint64(b[i])
		if add<<shift>>shift != add {
			return 0, nil, false
		}
		add <<= shift
		if v+add < v {
			return 0, nil, false
		}
		v += add
		if b[i] < 128 {
			return v, b[i+1:], true
		}
		shift += 7
	}
	return 0, nil, false
}

// appendVarint appends a number.
func appendVarint(b []byte, v uint64) []byte {
	if v < 240 {
		return append(b, byte(v))
	}
	b = append(b, byte(v)|240)
	for v = (v - 240) >> 4; v >= 128; v = (v - 128) >> 7 {
		b = append(b, byte(v)|128)
	}
	return append(b, byte(v))
}

// varintLen is how many bytes appendVarint takes for v.
func varintLen(v uint64) (n int) {
	if n = 1; v < 240 {
		return n
	}
	for v = (v - 240) >> 4; v >= 128; v = (v - 128) >> 7 {
		n++
	}
	return n + 1
}

// text reads a string in front of b: its length and its bytes, which stay in b.
func text(b []byte) (s, rest []byte, ok bool) {
	n, rest, ok := varint(b)
	if !ok || n > uint64(len(rest)) {
		return nil, nil, false
	}
	return rest[:n:n], rest[n:], true
}

func appendText[T string | []byte](b []byte, s T) []byte {
	return append(appendVarint(b, uint64(len(s))), s...)
}
