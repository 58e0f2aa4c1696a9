package sniff

import (
	"crypto/sha256"
	"encoding"
	"hash"
	"sync"
)

// macState is HMAC with SHA-256 once it has taken its key: a key that is used
// again, such as the salts of QUIC, does not have to be hashed again. It is half of
// what the keys of an Initial packet cost.
type macState struct{ inner, outer []byte } // as the hash marshals itself

// macWork is what makes MACs of states, without memory of its own for each. It is
// for one goroutine.
type macWork struct {
	d     digest
	state macState
	block [sha256.BlockSize]byte
	msg   []byte
	sum   [sha256.Size]byte
}

// digest is what sha256.New promises to return.
type digest interface {
	hash.Hash
	encoding.BinaryAppender
	encoding.BinaryUnmarshaler
}

func newMACWork() *macWork { return &macWork{d: sha256.New().(digest)} }

var macs = sync.Pool{New: func() any { return newMACWork() }}

// salted are the states of the salts, in the order of labels.
var salted = func() (all [len(labels)]macState) {
	w := newMACWork()
	for i := range all {
		w.key(&all[i], labels[i].salt[:])
	}
	return all
}()

// key has a state take a key of up to 64 bytes.
func (w *macWork) key(s *macState, key []byte) {
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

// mac is the MAC of a message.
func (w *macWork) mac(s *macState, msg []byte) [sha256.Size]byte {
	w.msg = append(w.msg[:0], msg...) // or the caller's would have to be on the heap
	w.restore(s.inner)
	w.d.Write(w.msg)
	w.d.Sum(w.sum[:0])
	w.restore(s.outer)
	w.d.Write(w.sum[:])
	w.d.Sum(w.sum[:0])
	return w.sum
}

// restore has the hash be as it was when it was marshalled.
func (w *macWork) restore(state []byte) {
	if err := w.d.UnmarshalBinary(state); err != nil {
		panic(err) // it is its own
	}
}
