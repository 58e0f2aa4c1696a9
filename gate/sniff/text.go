package sniff

// isToken is the set tchar of RFC 9110 §5.6.2.
var isToken = func() (t [256]bool) {
	for _, c := range "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" {
		t[c] = true
	}
	return t
}()

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
