package initial

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// TwoKeys is a packet of version 1 that opens with the client's keys of two ids:
// AES-GCM does not bind what it seals to one key. With those of one it holds a
// CONNECTION_CLOSE, with those of the other what comes of it. Packets with the
// same arguments are the same.
func TwoKeys(dcid, scid, one, other []byte, size int) []byte {
	k := [2]keys{keysOf(V1, one, false), keysOf(V1, other, false)}
	head := append(Header(V1, 0, dcid, scid), 0)
	number := len(head) + 2
	head = binary.BigEndian.AppendUint16(head, uint16(size-number)|1<<14)
	head[0] |= numberSize - 1
	reason := size - number - numberSize - 5 - 16
	payload := append([]byte{0x1c, 0, 0}, binary.BigEndian.AppendUint16(nil, uint16(reason)|1<<14)...)
	payload = append(payload, make([]byte, reason)...)
	for n := uint32(1); ; n++ {
		plain := binary.BigEndian.AppendUint32(slices.Clone(head), n)
		b := append(slices.Clone(plain), k[0].aead.Seal(nil, k[0].nonce(uint64(n)), payload, plain)...)
		mask := k[0].mask(b, number)
		b[0] ^= mask[0] & 0x0f
		for i := range numberSize {
			b[number+i] ^= mask[1+i]
		}
		if forge(b, number, k) {
			return b
		}
	}
}

// numberSize is the size of the packet numbers of TwoKeys.
const numberSize = 4

// mask is what protects the header of a packet.
func (k keys) mask(b []byte, number int) []byte {
	mask := make([]byte, 16)
	k.hp.Encrypt(mask, b[number+4:number+20])
	return mask
}

// forge sets a block and the tag of a packet so that it opens with both keys. It
// fails where they do not see packet numbers of the same size.
func forge(b []byte, number int, k [2]keys) bool {
	var heads, nonces [2][]byte
	for i := range k {
		mask := k[i].mask(b, number)
		head := slices.Clone(b[:number+numberSize])
		head[0] ^= mask[0] & 0x0f
		for j := range numberSize {
			head[number+j] ^= mask[1+j]
		}
		if head[0]&3 != numberSize-1 {
			return false
		}
		heads[i], nonces[i] = head, k[i].nonce(uint64(binary.BigEndian.Uint32(head[number:])))
	}
	sealed := b[number+numberSize : len(b)-16]
	const block = 3 // behind what masks are made of
	free := sealed[16*block:][:16]
	clear(free)
	var sums, powers [2]element
	for i := range k {
		sums[i], powers[i] = authenticate(k[i], nonces[i], heads[i], sealed, block)
	}
	solution := sums[0].plus(sums[1]).times(powers[0].plus(powers[1]).inverse())
	solution.put(free)
	sum, _ := authenticate(k[0], nonces[0], heads[0], sealed, block)
	sum.put(b[len(b)-16:])
	return true
}

// authenticate is the tag of GCM, NIST SP 800-38D §6.4, §7.1, and the factor that
// one block of what is sealed has in it.
func authenticate(k keys, nonce, head, sealed []byte, block int) (tag, factor element) {
	var zero, first [16]byte
	k.raw.Encrypt(zero[:], zero[:])
	h := load(zero[:])
	copy(first[:], nonce)
	first[15] = 1
	k.raw.Encrypt(first[:], first[:])
	take := func(b []byte) {
		for at := 0; at < len(b); at += 16 {
			var x [16]byte
			copy(x[:], b[at:])
			tag = tag.plus(load(x[:])).times(h)
		}
	}
	take(head)
	take(sealed)
	take(binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, uint64(len(head))*8), uint64(len(sealed))*8))
	factor = h // of the last block, the lengths
	for range (len(sealed)+15)/16 - block {
		factor = factor.times(h)
	}
	return tag.plus(load(first[:])), factor
}

// element is one of GF(2^128) as GCM writes it: the first bit is that of x^0.
type element struct{ hi, lo uint64 }

func load(b []byte) element {
	return element{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}
}

func (a element) put(b []byte) {
	binary.BigEndian.PutUint64(b, a.hi)
	binary.BigEndian.PutUint64(b[8:], a.lo)
}

func (a element) plus(b element) element { return element{a.hi ^ b.hi, a.lo ^ b.lo} }

func (a element) times(b element) (product element) {
	for i := range 128 {
		word := a.hi
		if i >= 64 {
			word = a.lo
		}
		if bits.Reverse64(word)>>(i%64)&1 == 1 {
			product = product.plus(b)
		}
		carry := b.lo & 1
		b.lo = b.lo>>1 | b.hi<<63
		b.hi >>= 1
		if carry == 1 {
			b.hi ^= 0xe1 << 56
		}
	}
	return product
}

// inverse is a to the power of 2^128 - 2.
func (a element) inverse() element {
	result := element{hi: 1 << 63}
	for range 127 {
		a = a.times(a)
		result = result.times(a)
	}
	return result
}
