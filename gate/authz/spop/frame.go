package spop

import "encoding/binary"

// The types of frames.
const (
	frameHello      = 1
	frameDisconnect = 2
	frameNotify     = 3

	frameAgentHello      = 101
	frameAgentDisconnect = 102
	frameAck             = 103
)

// flagFIN: the payload ends with this frame. The other flag tells that one in
// fragments is given up, of which there are none here.
const flagFIN = 1

const (
	// MinFrame is the least that a side may announce as its longest frame.
	MinFrame = 256
	// MaxFrame is the longest frame that a Session takes: HAProxy's, with a buffer of
	// 1 MiB. Usual are 16 KiB (tune.bufsize). With less than HAProxy's own, a client
	// whose path is longer could not be asked about, and would have itself served where
	// that means to serve all.
	MaxFrame = 1<<20 - lengthSize
	// maxHello is the longest one before the hellos are exchanged.
	maxHello = 16<<10 - lengthSize

	lengthSize = 4 // of a frame's length, which does not count itself
	headMin    = 7 // type, flags and two numbers of a byte each
)

// frame is one frame without its length. The bytes are those that came.
type frame struct {
	kind       byte
	flags      uint32
	stream, id uint64
	payload    []byte
}

// split finds the frame at the beginning of b, of at most max bytes; n is how
// many it takes with its length, 0 while it is not all there.
func split(b []byte, max int) (f frame, n int, s Status) {
	if len(b) < lengthSize {
		return f, 0, Normal
	}
	length := binary.BigEndian.Uint32(b)
	switch {
	case uint64(length) > uint64(max):
		return f, 0, TooBig
	case length < headMin:
		return f, 0, Invalid
	case uint64(len(b)-lengthSize) < uint64(length):
		return f, 0, Normal
	}
	n = lengthSize + int(length)
	f, ok := parseFrame(b[lengthSize:n:n])
	if !ok {
		return f, 0, Invalid
	}
	return f, n, Normal
}

// parseFrame reads a frame without its length.
func parseFrame(b []byte) (f frame, ok bool) {
	f.kind, f.flags = b[0], binary.BigEndian.Uint32(b[1:])
	if f.stream, f.payload, ok = varint(b[5:]); !ok {
		return f, false
	}
	f.id, f.payload, ok = varint(f.payload)
	return f, ok
}

// beginFrame appends the head of a frame, whose length endFrame sets.
func beginFrame(b []byte, kind byte, stream, id uint64) []byte {
	b = append(b, 0, 0, 0, 0, kind, 0, 0, 0, flagFIN)
	return appendVarint(appendVarint(b, stream), id)
}

// endFrame sets the length of the frame that began at start.
func endFrame(b []byte, start int) []byte {
	binary.BigEndian.PutUint32(b[start:], uint32(len(b)-start-lengthSize))
	return b
}
