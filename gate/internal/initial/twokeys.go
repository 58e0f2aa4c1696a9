package initial

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
)

// TwoKeys is a packet of version 1 that opens with the client's keys of its own
// id and with those of another, to different payloads that nobody has chosen:
// AES-GCM does not bind what it seals to one key. Every call with the same
// arguments makes the same packet, size bytes long.
func TwoKeys(dcid, other []byte, size int) []byte {
	k := [2]keys{keysOf(V1, dcid, false), keysOf(V1, other, false)}
	head := append(Header(V1, 0, dcid, nil), 0)
	number := len(head) + 2
	head = binary.BigEndian.AppendUint16(head, uint16(size-number)|1<<14)
	rng := rand.New(rand.NewPCG(5, 6))
	b := append(head, make([]byte, size-number)...)
	for {
		for i := number; i < len(b); i++ {
			b[i] = byte(rng.Uint32())
		}
		if forge(b, number, k) {
			return b
		}
	}
}

// forge sets one block and the tag of a packet so that it opens with both keys. It
// fails where the keys do not see packet numbers of the same length.
func forge(b []byte, number int, k [2]keys) bool {
	var heads [2][]byte
	var nonces [2][]byte
	for i := range k {
		mask := make([]byte, 16)
		k[i].hp.Encrypt(mask, b[number+4:number+20])
		first := b[0] ^ mask[0]&0x0f
		n := int(first&3) + 1
		h := append([]byte{first}, b[1:number+n]...)
		var cut uint64
		for j := range n {
			h[number+j] ^= mask[1+j]
			cut = cut<<8 | uint64(h[number+j])
		}
		heads[i], nonces[i] = h, k[i].nonce(cut)
	}
	if len(heads[0]) != len(heads[1]) {
		return false
	}
	sealed := b[len(heads[0]) : len(b)-16]
	free := sealed[48:64] // behind what the masks are made of
	clear(free)
	var sums, powers [2]element
	for i := range k {
		sums[i], powers[i] = authenticate(k[i], nonces[i], heads[i], sealed, 3)
	}
	solution := sums[0].plus(sums[1]).times(powers[0].plus(powers[1]).inverse())
	solution.put(free)
	sum, _ := authenticate(k[0], nonces[0], heads[0], sealed, 3)
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
