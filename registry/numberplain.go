package registry

import "strings"

// plainNumber reads the spelling that nearly all numbers of a register have,
// such as 京ICP备2023000001号-1A, at a tenth of the cost; ok is false for any
// other, which is for ParseNumber's reader of dirty spellings. What it reads
// needs no warning.
func plainNumber(s string) (n Number, ok bool) {
	const letter, hao = len("京"), "号"
	if len(s) < letter {
		return n, false
	}
	rest, ok := strings.CutPrefix(s[letter:], "ICP备")
	if !ok {
		return n, false
	}
	i := strings.Index(rest, hao)
	if i != 8 && i != 10 || !allDigits(rest[:i]) {
		return n, false
	}
	n = Number{digits: packDigits(rest[:i]), kind: NumberFiling}
	var alias bool
	if n.province, alias = provinceIndex(s[:letter]); n.province == 0 || alias {
		return Number{}, false
	}
	rest = rest[i+len(hao):]
	if rest == "" {
		return n, true
	}
	return n, rest[0] == '-' && n.plainOrdinal(rest[1:])
}

// plainOrdinal reads "12" or "12A".
func (n *Number) plainOrdinal(s string) bool {
	for k, letter := range serviceLetters {
		if letter != "" && strings.HasSuffix(s, letter) {
			n.service, s = Kind(k), s[:len(s)-len(letter)]
			break
		}
	}
	if len(s) == 0 || len(s) > 5 || s[0] == '0' || !allDigits(s) {
		return false
	}
	for _, c := range []byte(s) {
		n.ordinal = n.ordinal*10 + uint32(c-'0')
	}
	return true
}

func allDigits(s string) bool {
	for _, c := range []byte(s) {
		if !isDigit(c) {
			return false
		}
	}
	return true
}
