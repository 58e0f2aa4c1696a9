package sniff

import (
	"crypto/sha256"
	"encoding"
	"encoding/binary"
	"hash"
)

// macState is HMAC with SHA-256 once it has taken its key: a key that is used
// again, such as the salts of QUIC, does not have to be hashed again. It is half of
// what the keys of an Initial packet cost.
type macState struct{ inner, outer []byte } // as the hash marshals itself

// macWork is what makes MACs of states, without memory of its own for each. It is
// for one goroutine. The zero value is ready.
type macWork struct {
	d      digest
	block  [sha256.BlockSize]byte
	hashed []byte // the hash, marshalled
	slow   bool   // only through Sum
}

// digest is what sha256.New promises to return.
type digest interface {
	hash.Hash
	encoding.BinaryAppender
	encoding.BinaryUnmarshaler
}

// salted are the states of the salts, in the order of labels.
var salted = func() (all [len(labels)]macState) {
	var w macWork
	for i := range all {
		w.key(&all[i], labels[i].salt[:])
	}
	return all
}()

// key has a state take a key of up to 64 bytes.
func (w *macWork) key(s *macState, key []byte) {
	if w.d == nil {
		w.d = sha256.New().(digest)
	}
	s.inner = w.pad(s.inner, key, 0x36)
	s.outer = w.pad(s.outer, key, 0x5c)
}

func (w *macWork) pad(state, key []byte, pad byte) []byte {
	n := copy(w.block[:], key)
	clear(w.block[n:])
	for i := range w.block {
		w.block[i] ^= pad
	}
	w.d.Reset()
	w.d.Write(w.block[:])
	state, _ = w.d.AppendBinary(state[:0]) // it has no error
	return state
}

// maxMAC is how much one block of the hash holds, beside what ends a message.
const maxMAC = sha256.BlockSize - 1 - 8

// mac is the MAC of a message of up to maxMAC bytes.
func (w *macWork) mac(s *macState, msg []byte) (sum [sha256.Size]byte) {
	if w.d == nil {
		w.d = sha256.New().(digest)
	}
	sum = w.last(s.inner, msg)
	return w.last(s.outer, sum[:])
}

// chainedAt is where a hash that is marshalled has its chaining value, behind the
// name of the format.
const chainedAt = 4

// chained: the chaining value stands there. It has since Go 1.10, and nobody has
// promised it.
var chained = func() bool {
	var fast, slow macWork
	var s macState
	fast.key(&s, []byte("key"))
	slow.slow = true
	return fast.mac(&s, []byte("message")) == slow.mac(&s, []byte("message"))
}()

// last is the hash of a state that has taken one block, and of a message that fits
// into another. That block is made here and the chaining value behind it is the
// hash, FIPS 180-4 §5.1.1, §6.2.2: Sum does the same to a copy of itself, which
// takes as long as hashing.
func (w *macWork) last(state, msg []byte) (sum [sha256.Size]byte) {
	if err := w.d.UnmarshalBinary(state); err != nil {
		panic(err) // it is its own
	}
	n := copy(w.block[:maxMAC], msg)
	if w.slow {
		w.d.Write(w.block[:n])
		w.hashed = w.d.Sum(w.hashed[:0])
		return [sha256.Size]byte(w.hashed)
	}
	w.block[n] = 0x80
	clear(w.block[n+1:])
	binary.BigEndian.PutUint16(w.block[sha256.BlockSize-2:], uint16(sha256.BlockSize+n)*8)
	w.d.Write(w.block[:])
	w.hashed, _ = w.d.AppendBinary(w.hashed[:0]) // it has no error
	copy(sum[:], w.hashed[chainedAt:])
	return sum
}
