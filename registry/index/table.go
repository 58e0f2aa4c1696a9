package index

import (
	"encoding/binary"
	"math/bits"
)

// A bucket is one cache line of 64 bytes with five slots:
//
//	 0  5 × u64  second half of the sum
//	40  5 × u32  low byte of its first half (bits 24–31), node (bits 0–23; 0 is an empty slot)
//	60  u32      mask of the names that went past this bucket because it was full
//
// The home of a name is the bucket h0·buckets/2⁶⁴, so that it stands for the top
// bits of h0. What finds no slot at home lies in one of the next buckets; each
// bucket it passed has bit (h0 ≫ 8) mod 32 of its mask set. A look-up goes on
// only where the bit of its own name is set, so that one cache line answers for
// nine filed names in ten and for nearly every unfiled one.
//
// # How often a wrong name is taken for a known one
//
// For whoever does not know the key, two different names have independent,
// uniform sums (SipHash-2-4 is a pseudo-random function). A name is mistaken for
// an entry if the 72 stored bits are equal and the entry lies in a bucket that
// the look-up visits. It visits less than two of at least minBuckets = 2⁹ in the
// mean, so for one name and one entry the chance is below 2⁻⁷²·2/2⁹ = 2⁻⁸⁰: at
// least 80 bits are compared, 92 with five million filings.
//
// A bucket holds at most five entries, however many filings there are, so a
// probe errs with less than 2·5·2⁻⁷² = 2.2·10⁻²¹. A name is probed once per label
// until nothing is known below it: with 20 million filings and 10⁹ different
// names, ten labels each and all probed, the chance that any answer is wrong is
// below 10⁹·10·2.2·10⁻²¹ = 2.2·10⁻¹¹, far under 10⁻⁶. While a table is built, 128
// bits tell names apart: 2·10⁷ of them meet with 2⁻⁷⁹.
const (
	bucketSize   = 64
	slots        = 5
	tagsAt       = 40
	maskAt       = 60
	nodeBits     = 24
	maxNode      = 1<<nodeBits - 1
	minBuckets   = 512
	maxSpill     = 63 // buckets between a name and its home, at most
	loadPermille = 850
)

// table is the hash table within a snapshot: read-only, shared.
type table struct {
	buckets uint64 // homes; the table itself is longer by what spills at its end
	spill   int    // furthest distance from home
	lines   []byte
}

// home returns the bucket that a sum belongs to.
func home(s sum, buckets uint64) uint64 {
	h, _ := bits.Mul64(s.h0, buckets)
	return h
}

// tag is the part of h0 that is stored; the top bits follow from the bucket.
func tag(s sum) uint32 { return uint32(s.h0&0xff) << nodeBits }

func passed(s sum) uint32 { return 1 << (s.h0 >> 8 & 31) }

// find returns the node of a sum and its slot; node 0 if there is none. At home
// nine in ten look-ups end.
func (t *table) find(s sum) (node uint32, slot uint64) {
	b := home(s, t.buckets)
	line := t.line(b)
	if line == nil {
		return 0, 0
	}
	if n, i := match(line, s); n != 0 {
		return n, b*slots + i
	}
	if binary.LittleEndian.Uint32(line[maskAt:])&passed(s) == 0 {
		return 0, 0
	}
	return t.spilled(s, b+1)
}

// spilled is find for what did not fit into its home, from the next bucket on.
func (t *table) spilled(s sum, b uint64) (node uint32, slot uint64) {
	for range t.spill {
		line := t.line(b)
		if line == nil {
			return 0, 0
		}
		if n, i := match(line, s); n != 0 {
			return n, b*slots + i
		}
		if binary.LittleEndian.Uint32(line[maskAt:])&passed(s) == 0 {
			return 0, 0
		}
		b++
	}
	return 0, 0
}

// line is a bucket; nil where there is none.
func (t *table) line(b uint64) *[bucketSize]byte {
	if b >= uint64(len(t.lines))/bucketSize {
		return nil
	}
	return (*[bucketSize]byte)(t.lines[b*bucketSize:])
}

// match looks for a sum in one bucket. All five slots are compared without a
// branch: which one it is cannot be predicted, and a wrong guess would wait for
// the cache line before anything else goes on.
func match(line *[bucketSize]byte, s sum) (node uint32, slot uint64) {
	m := one(binary.LittleEndian.Uint64(line[0:]) == s.h1) |
		one(binary.LittleEndian.Uint64(line[8:]) == s.h1)<<1 |
		one(binary.LittleEndian.Uint64(line[16:]) == s.h1)<<2 |
		one(binary.LittleEndian.Uint64(line[24:]) == s.h1)<<3 |
		one(binary.LittleEndian.Uint64(line[32:]) == s.h1)<<4
	if m == 0 {
		return 0, 0
	}
	// The builder refuses two equal h1 in one bucket, and 0, which empty slots have.
	i := bits.TrailingZeros64(m)
	e := binary.LittleEndian.Uint32(line[tagsAt+4*i:])
	if e&^maxNode != tag(s) {
		return 0, 0
	}
	return e & maxNode, uint64(i)
}

// total is how many buckets there are, with those behind the last home.
func (t *table) total() uint64 { return uint64(len(t.lines)) / bucketSize }

// entry returns what a slot holds; node 0 if it is empty.
func (t *table) entry(bucket uint64, slot int) (node uint32, h1 uint64) {
	line := t.lines[bucket*bucketSize:][:bucketSize]
	return binary.LittleEndian.Uint32(line[tagsAt+4*slot:]) & maxNode, binary.LittleEndian.Uint64(line[8*slot:])
}

// one is 1 for true; it compiles to one instruction.
func one(b bool) (n uint64) {
	if b {
		n = 1
	}
	return n
}
