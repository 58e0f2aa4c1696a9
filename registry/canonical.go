package registry

import (
	"hash/maphash"
	"math/bits"
	"strings"
	"sync/atomic"
	"unicode/utf8"
)

// Names are read eight bytes at a time, the first byte lowest. Each byte is
// looked at by itself, in the bits that it has in the word.
const (
	everyByte = 0x0101010101010101 // times n: the byte n everywhere
	highBits  = 0x80 * everyByte
)

// word is the eight bytes of s from i on; one load.
func word(s string, i int) uint64 {
	s = s[i : i+8]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// from sets 0x80 in every byte of w that is c or above; in w all are below 0x80,
// so that no sum leaves its byte.
func from(w uint64, c uint64) uint64 { return w + (0x80-c)*everyByte }

// bytesOf sets 0x80 in every byte of w that is c; in w all are below 0x80.
func bytesOf(w uint64, c uint64) uint64 { return highBits &^ (w ^ c*everyByte + 0x7f*everyByte) }

// plainBytes reports whether w holds nothing but lower-case letters, digits,
// hyphens, underscores and dots.
func plainBytes(w uint64) bool {
	letters := from(w, 'a') &^ from(w, 'z'+1)
	rest := from(w, '-') &^ from(w, '9'+1) &^ bytesOf(w, '/') // "-./0123456789" are neighbours
	return (letters|rest|bytesOf(w, '_'))&^w&highBits == highBits
}

// plain reads a name, perhaps with a trailing dot, that is canonical but for its
// case; false for any other.
func plain(name string) (Domain, bool) {
	name = strings.TrimSuffix(name, ".")
	if isCanonical(name) {
		return Domain{name}, true
	}
	if scan(name) == upper {
		return lower(name)
	}
	return Domain{}, false
}

// isCanonical reports in one pass whether a name without a trailing dot is a
// Domain as it stands. Names of the wire nearly all are.
func isCanonical(name string) bool {
	if len(name) < 8 || len(name) > maxLabel {
		return isCanonicalSlow(name) // may have a label that is too long
	}
	before, end := uint64(0x80), len(name)-8 // no label is empty: as if a dot stood before the name
	for i := 0; i < end; i += 8 {
		w := word(name, i)
		dots := bytesOf(w, '.')
		if !plainBytes(w) || dots&(dots<<8|before) != 0 {
			return false
		}
		before = dots >> 56
	}
	if end%8 != 0 {
		before = 0 // the last eight bytes begin with some that were seen already
	}
	w := word(name, end)
	dots := bytesOf(w, '.')
	if !plainBytes(w) || dots&(dots<<8|before) != 0 || dots>>63 != 0 {
		return false
	}
	if dots == 0 {
		return isCanonicalSlow(name) // a last label of eight bytes or more
	}
	// A last label that begins with a digit may be that of an address.
	return !isDigit(byte(w >> (64 - bits.LeadingZeros64(dots))))
}

// isCanonicalSlow is isCanonical byte by byte.
func isCanonicalSlow(name string) bool {
	if len(name) > maxDomain {
		return false
	}
	start := 0
	for i := range len(name) {
		switch byteClass[name[i]] {
		case 0:
			return false
		case 2:
			if i == start || i-start > maxLabel {
				return false
			}
			start = i + 1
		}
	}
	return start < len(name) && len(name)-start <= maxLabel && !isDigit(name[start])
}

// byteClass tells what a byte is in a canonical name: 1 a letter, digit, hyphen
// or underscore, 2 a dot, 0 anything else.
var byteClass = func() (t [256]uint8) {
	for c := range t {
		if scan(string(rune(c))) == canonical && c < utf8.RuneSelf {
			t[c] = 1
		}
	}
	t['.'] = 2
	return t
}()

type shape uint8

const (
	canonical shape = iota // lower-case LDH and underscore, dots
	upper                  // the same with upper case
	other                  // anything else
)

// scan tells in one pass how much work a name needs; nearly all arrive canonical.
func scan(name string) shape {
	s := canonical
	for i := range len(name) {
		c := name[i]
		switch {
		case 'a' <= c && c <= 'z', c == '.', '0' <= c && c <= '9', c == '-', c == '_':
		case 'A' <= c && c <= 'Z':
			s = upper
		default:
			return other
		}
	}
	return s
}

// lowered are names that arrived with upper-case letters not long ago, each at
// the place that its hash says: resolvers mix the case of what they ask at random
// (0x20), and a name that is asked again and again should not be copied every
// time. At most lowerings names are kept, 1 MB of the longest.
var (
	lowered     [lowerings]atomic.Pointer[Domain]
	loweredSeed = maphash.MakeSeed()
)

// lowerings is a power of two above the thousand names that make up most of the
// queries of a server.
const lowerings = 1 << 12

// lower reads a name that is canonical but for its case, without a trailing dot;
// false for any other.
func lower(name string) (Domain, bool) {
	var buf [maxDomain]byte
	if len(name) > len(buf) {
		return Domain{}, false
	}
	b := buf[:len(name)]
	for i := range b {
		c := name[i]
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		b[i] = c
	}
	slot := &lowered[maphash.Bytes(loweredSeed, b)%lowerings]
	if d := slot.Load(); d != nil && d.name == string(b) {
		return *d, true
	}
	d := &Domain{string(b)}
	if !isCanonical(d.name) {
		return Domain{}, false
	}
	slot.Store(d)
	return *d, true
}
