package sniff

import (
	"bytes"
	"slices"
)

// Limits of the handshake of one connection. Hellos of browsers have some 2 KB
// and come in up to 30 pieces.
const (
	MaxQUICCrypto = 64 << 10 // bytes, of all hellos
	MaxQUICGaps   = 64       // holes before the last byte that came
)

// maxSpans is how many spans there are before the bytes are put in order, which
// leaves MaxQUICGaps + 1 at most.
const maxSpans = 2 * (MaxQUICGaps + 1)

// cryptoStream puts the data of CRYPTO frames together. It holds what came and
// nothing more, wherever in the stream it belongs, and so takes no more memory
// than was sent. The zero value is empty.
type cryptoStream struct {
	held  []byte // what came, in the order in which it came
	spans []span // sorted by start; no two overlap, none is empty
	gaps  int
	moved int // how often held was put in order
}

// moreSpans is for how many spans there is room when there are several: browsers
// cut a hello into about as many pieces.
const moreSpans = 16

// span says where a piece of the stream is held.
type span struct{ start, end, at int }

// add takes the data of a frame. Where there was some before it must be the same.
// more bytes of the packet follow it, which may have more data; spare is order's.
func (s *cryptoStream) add(offset uint64, data []byte, more int, spare *[]byte) Cause {
	if offset > MaxQUICCrypto || offset+uint64(len(data)) > MaxQUICCrypto {
		return TooLong
	}
	start := int(offset)
	i := len(s.spans) // the first span that ends behind start
	for i > 0 && s.spans[i-1].end > start {
		i--
	}
	for len(data) > 0 {
		n := len(data)
		if i < len(s.spans) && s.spans[i].start <= start {
			have := s.spans[i]
			n = min(n, have.end-start)
			if !bytes.Equal(s.held[have.at+start-have.start:][:n], data[:n]) {
				return CryptoDiffers
			}
			i++
		} else {
			if i < len(s.spans) {
				n = min(n, s.spans[i].start-start)
			}
			if i = s.insert(i, start, data[:n], len(data)-n+more); s.gaps > MaxQUICGaps {
				return TooManyGaps
			}
		}
		start, data = start+n, data[n:]
	}
	if len(s.spans) > maxSpans {
		s.order(spare)
	}
	return NoCause
}

// insert puts new data before the i-th span, and returns the index behind it.
func (s *cryptoStream) insert(i, start int, data []byte, more int) int {
	x := span{start, start + len(data), len(s.held)}
	if len(s.spans) > 0 { // there is a hello in pieces: room for those of this packet
		if cap(s.held) < len(s.held)+len(data) {
			s.held = slices.Grow(s.held, len(data)+more)
		}
		if cap(s.spans) == len(s.spans) {
			s.spans = slices.Grow(s.spans, moreSpans)
		}
	}
	s.held = append(s.held, data...)
	before := 0
	if i > 0 {
		before = s.spans[i-1].end
	}
	if i == len(s.spans) {
		if before < start {
			s.gaps++
		}
	} else { // there is a gap, which may be cut in two or be filled
		if before < start && x.end < s.spans[i].start {
			s.gaps++
		} else if before == start && x.end == s.spans[i].start {
			s.gaps--
		}
	}
	if i > 0 && before == start && s.spans[i-1].follows(x.at) {
		s.spans[i-1].end = x.end
		return i
	}
	s.spans = slices.Insert(s.spans, i, x)
	return i + 1
}

// follows reports whether what is held at a place is held right behind x.
func (x span) follows(at int) bool { return x.at+x.end-x.start == at }

// order puts what is held in the order of the stream, and joins the spans. It does so
// by way of spare, which stays whose it is: in turn with others that one would leave
// the memory of the largest stream to each.
func (s *cryptoStream) order(spare *[]byte) {
	all, n := (*spare)[:0], 0
	for _, x := range s.spans {
		at := len(all)
		all = append(all, s.held[x.at:][:x.end-x.start]...)
		if n > 0 && s.spans[n-1].end == x.start {
			s.spans[n-1].end = x.end
			continue
		}
		s.spans[n] = span{x.start, x.end, at}
		n++
	}
	s.spans = s.spans[:n]
	s.held, *spare = append(s.held[:0], all...), all
	s.moved++
}

// have is how many bytes there are from the beginning of the stream without a gap.
func (s *cryptoStream) have() (n int) {
	for _, x := range s.spans {
		if x.start != n {
			break
		}
		n = x.end
	}
	return n
}

// prefix returns the stream up to its first gap. It is valid until the next add.
// spare is order's.
func (s *cryptoStream) prefix(spare *[]byte) []byte {
	n := s.have()
	if n == 0 {
		return nil
	}
	if s.spans[0].end < n {
		s.order(spare)
	}
	return s.held[s.spans[0].at:][:n]
}

// peek copies the first bytes of the stream, as many as there are and b holds.
func (s *cryptoStream) peek(b []byte) (n int) {
	for _, x := range s.spans {
		if x.start != n || n == len(b) {
			break
		}
		n += copy(b[n:], s.held[x.at:][:x.end-x.start])
	}
	return n
}

// reset empties the stream and keeps its buffers.
func (s *cryptoStream) reset() {
	s.held, s.spans, s.gaps, s.moved = s.held[:0], s.spans[:0], 0, 0
}
