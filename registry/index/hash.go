package index

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
	"strings"

	"github.com/dchest/siphash"
)

// key is the secret of the fingerprints. It belongs to the epoch and is stored
// in the snapshot.
type key struct{ k0, k1 uint64 }

func keyOf(b [16]byte) key {
	return key{binary.LittleEndian.Uint64(b[:8]), binary.LittleEndian.Uint64(b[8:])}
}

// bytes is what keyOf reads.
func (k key) bytes() (b [16]byte) {
	binary.LittleEndian.PutUint64(b[:8], k.k0)
	binary.LittleEndian.PutUint64(b[8:], k.k1)
	return b
}

// sum is the keyed hash of a name: SipHash-2-4 of its bytes from the last to the
// first, with the two halves of the output kept apart (see finish); h0^h1 is
// SipHash-2-4 as published. Backwards, since then the hash of every parent is a
// branch of one pass over the name.
type sum struct{ h0, h1 uint64 }

// walk hashes the suffixes of whole labels of a canonical name, from its
// top-level domain (level 1) to all of it (whole), until visit returns false.
// Levels below from are not hashed. State of the hash stays in registers; visit
// must not escape.
func (k key) walk(name string, from int, visit func(s sum, level int, whole bool) bool) {
	v0, v1, v2, v3 := k.start()
	level := 0
	for rest := len(name); ; rest -= 8 {
		block, last := blockOf(name, rest)
		for dots := dotsOf(block); dots != 0; {
			n := before(dots)
			dots &= dots - 1
			if level++; level < from {
				continue
			}
			s := finish(v0, v1, v2, v3, ending(block, n, len(name)-rest))
			if !visit(s, level, last && dots == 0) {
				return
			}
		}
		if last {
			return
		}
		v3 ^= block
		v0, v1, v2, v3 = round(v0, v1, v2, v3)
		v0, v1, v2, v3 = round(v0, v1, v2, v3)
		v0 ^= block
	}
}

// start is the state before the first byte.
func (k key) start() (v0, v1, v2, v3 uint64) {
	return k.k0 ^ 0x736f6d6570736575, k.k1 ^ 0x646f72616e646f6d, k.k0 ^ 0x6c7967656e657261, k.k1 ^ 0x7465646279746573
}

// before returns how many bits of a block belong to the suffix that ends at the
// lowest dot.
func before(dots uint64) int { return bits.TrailingZeros64(dots) &^ 7 }

// ending is the last block of a suffix: so many bits of a block, and the length of
// all of it, of which so many bytes were hashed before.
func ending(block uint64, bits, hashed int) uint64 {
	return block&(1<<(bits&63)-1) | uint64(hashed+bits/8)<<56 // &63: no check of the shift
}

// blockOf returns the 8 bytes of name that end at rest, the rightmost lowest.
// Where there are fewer it puts a dot before them and reports the last block, so
// that the whole name ends like any suffix.
func blockOf(name string, rest int) (block uint64, last bool) {
	if rest < 8 {
		return lastBlock(name, rest), true
	}
	return bigEndian(name[rest-8:]), false
}

func lastBlock(name string, rest int) (block uint64) {
	if len(name) >= 8 {
		return bigEndian(name)>>(64-8*rest) | '.'<<(8*rest)
	}
	block = '.'
	for i := range rest {
		block = block<<8 | uint64(name[i])
	}
	return block
}

// bigEndian is binary.BigEndian.Uint64 on the first bytes of a string; one load
// and a byte swap.
func bigEndian(s string) uint64 {
	_ = s[7]
	return uint64(s[7]) | uint64(s[6])<<8 | uint64(s[5])<<16 | uint64(s[4])<<24 |
		uint64(s[3])<<32 | uint64(s[2])<<40 | uint64(s[1])<<48 | uint64(s[0])<<56
}

// dotsOf sets 0x80 in every byte of m that is '.', and nothing else: adding 0x7f
// to the low seven bits carries into the eighth unless they are zero, and never
// out of the byte.
func dotsOf(m uint64) uint64 {
	const low7 = 0x7f7f7f7f7f7f7f7f
	x := m ^ 0x2e2e2e2e2e2e2e2e
	return ^((x&low7 + low7) | x | low7)
}

// finish is the last block and the finalisation of SipHash-2-4. Its output, the
// xor of the four words, is left in two halves of 64 bits: nobody sees them, and
// the four rounds have mixed every bit into both.
func finish(v0, v1, v2, v3, m uint64) sum {
	v3 ^= m
	v0, v1, v2, v3 = round(v0, v1, v2, v3)
	v0, v1, v2, v3 = round(v0, v1, v2, v3)
	v0 ^= m
	v2 ^= 0xff
	v0, v1, v2, v3 = round(v0, v1, v2, v3)
	v0, v1, v2, v3 = round(v0, v1, v2, v3)
	v0, v1, v2, v3 = round(v0, v1, v2, v3)
	v0, v1, v2, v3 = round(v0, v1, v2, v3)
	return sum{v0 ^ v2, v1 ^ v3}
}

// round is one SipRound; it is inlined.
func round(v0, v1, v2, v3 uint64) (uint64, uint64, uint64, uint64) {
	v0 += v1
	v2 += v3
	v1 = bits.RotateLeft64(v1, 13) ^ v0
	v3 = bits.RotateLeft64(v3, 16) ^ v2
	v0 = bits.RotateLeft64(v0, 32) + v3
	v2 += v1
	return v0, bits.RotateLeft64(v1, 17) ^ v2, bits.RotateLeft64(v2, 32), bits.RotateLeft64(v3, 21) ^ v0
}

// name hashes one whole name.
func (k key) name(name string) (all sum) {
	k.walk(name, 1+strings.Count(name, "."), func(s sum, _ int, _ bool) bool {
		all = s
		return true
	})
	return all
}

// addr hashes an address: SipHash-2-4-128, as published, of 0xff, which no name
// holds, and its 16 bytes.
func (k key) addr(a netip.Addr) (s sum) {
	var text [17]byte
	b := a.As16()
	text[0] = 0xff
	copy(text[1:], b[:])
	s.h0, s.h1 = siphash.Hash128(k.k0, k.k1, text[:])
	return s
}
