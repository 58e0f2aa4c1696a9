package index

import (
	"encoding/binary"
	"slices"
)

// entry is a filing under one name or address.
type entry struct {
	sum
	record ref
	proto  uint32 // what its Covering has beside the labels
	gov    uint32 // 1 + index into collector.gov, 0 for a name that is no government's
}

// maxRecord bounds the encoding of one filing under one name.
const maxRecord = 1 << 16

// part holds entries in pieces: what one slice would need to grow is too much for
// most of the memory that there is.
type part struct{ pieces [][]entry }

// pieceSize makes pieces of 16 KB, once there is more than a few.
const (
	pieceSize  = 512
	firstPiece = 16
)

func (p *part) add(e entry) {
	n := len(p.pieces)
	switch {
	case n == 0:
		p.pieces = append(p.pieces, make([]entry, 0, firstPiece))
		n++
	case len(p.pieces[n-1]) == cap(p.pieces[n-1]):
		p.pieces = append(p.pieces, make([]entry, 0, pieceSize))
		n++
	}
	p.pieces[n-1] = append(p.pieces[n-1], e)
}

func (p *part) len() (n int) {
	for _, piece := range p.pieces {
		n += len(piece)
	}
	return n
}

// chunkSize is how much of an arena is allocated at once, when it is not new.
const (
	chunkSize  = 1 << 17
	firstChunk = 1 << 10
)

// ref is the place of a record in an arena; 0 is none.
type ref uint64

// arena holds many short byte strings without a header for each. Every part has
// its own, so that what is read together lies together.
type arena struct{ chunks [][]byte }

// add keeps a copy of rec, which is at most maxRecord long.
func (a *arena) add(rec []byte) ref {
	n, size := len(a.chunks), len(rec)+binary.MaxVarintLen32
	switch {
	case n == 0:
		// The first byte is left out, so that no ref is 0.
		a.chunks = append(a.chunks, make([]byte, 1, firstChunk))
		n++
	case len(a.chunks[n-1])+size > chunkSize:
		a.chunks = append(a.chunks, make([]byte, 0, chunkSize))
		n++
	}
	c := &a.chunks[n-1]
	if len(*c)+size > cap(*c) {
		*c = slices.Grow(*c, max(len(*c), size))
	}
	at := ref(n-1)*chunkSize + ref(len(*c))
	*c = binary.AppendUvarint(*c, uint64(len(rec)))
	*c = append(*c, rec...)
	return at
}

// get returns the bytes behind a ref; nil for 0.
func (a *arena) get(at ref) []byte {
	if at == 0 {
		return nil
	}
	c := a.chunks[at/chunkSize][at%chunkSize:]
	n, skip := binary.Uvarint(c)
	return c[skip:][:n]
}

// take moves the chunks of another arena to the end of a and returns what is to
// be added to the refs into it.
func (a *arena) take(from *arena) ref {
	base := ref(len(a.chunks)) * chunkSize
	a.chunks = append(a.chunks, from.chunks...)
	from.chunks = nil
	return base
}
