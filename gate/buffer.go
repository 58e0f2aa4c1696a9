package gate

import "sync"

// bufferSize holds the head of nearly every request and every hello; what is
// longer grows a buffer of its own.
const bufferSize = 16 << 10

// buffers are lent while bytes are on their way, never to a connection that
// waits: idle connections hold none.
var buffers = sync.Pool{New: func() any { b := make([]byte, 0, bufferSize); return &b }}

// lend returns an empty buffer.
func lend() *[]byte { return buffers.Get().(*[]byte) }

// giveBack returns a buffer; one that has grown is left to the garbage collector.
func giveBack(b *[]byte) {
	if cap(*b) == bufferSize {
		*b = (*b)[:0]
		buffers.Put(b)
	}
}

// grow makes room behind what is in a buffer, so that more can be read.
func grow(b []byte) []byte {
	if len(b) < cap(b) {
		return b
	}
	bigger := make([]byte, len(b), 2*cap(b)+bufferSize)
	copy(bigger, b)
	return bigger
}
