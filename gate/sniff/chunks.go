package sniff

// Chunks follows a chunked body to its end, RFC 9112 §7.1, strictly: hexadecimal
// digits, extensions that are short and without control characters, CRLF and
// nothing else. The zero value stands at the beginning of a body. It is for one
// goroutine.
type Chunks struct {
	state chunkState
	// Data is how many bytes of the current chunk are still to come: a caller may
	// move them without showing them to Next, and then calls Skip.
	data   int64
	digits int // of the size that is being read
	extra  int // bytes of extensions of this chunk, or of all trailers
	line   int // bytes of the trailer line
}

type chunkState uint8

const (
	chunkSize chunkState = iota
	chunkExt
	chunkSizeLF
	chunkData
	chunkDataCR
	chunkDataLF
	trailerStart
	trailerLine
	trailerLF
	trailersLF
	chunksDone
	chunksBad
)

// Limits of chunked bodies: extensions are of no use to anybody, and trailers
// are short. maxSizeDigits is what keeps a size within an int64.
const (
	maxChunkExt   = 1 << 10
	maxTrailers   = 8 << 10
	maxSizeDigits = 15
)

// Next goes through b and returns how many bytes of it belong to the body. When
// fewer than len(b) do, the body has ended there (Done), or is malformed.
func (c *Chunks) Next(b []byte) (n int) {
	for n < len(b) && c.state < chunksDone {
		if c.state == chunkData {
			k := min(int64(len(b)-n), c.data)
			c.Skip(k)
			n += int(k)
			continue
		}
		c.step(b[n])
		if c.state == chunksBad {
			return n
		}
		n++
	}
	return n
}

// Data is how many bytes of the current chunk are still to come; 0 between chunks.
func (c *Chunks) Data() int64 {
	if c.state != chunkData {
		return 0
	}
	return c.data
}

// Skip steps over k bytes of the current chunk, of which there are at least k to
// come.
func (c *Chunks) Skip(k int64) {
	if c.data -= k; c.data == 0 {
		c.state = chunkDataCR
	}
}

// Done reports whether the body has ended.
func (c *Chunks) Done() bool { return c.state == chunksDone }

// Bad reports whether the body is malformed: nothing after it can be trusted.
func (c *Chunks) Bad() bool { return c.state == chunksBad }

func (c *Chunks) step(b byte) {
	switch c.state {
	case chunkSize:
		c.size(b)
	case chunkExt:
		c.ext(b)
	case chunkSizeLF:
		c.expect(b, '\n', chunkData)
		if c.state == chunkData && c.data == 0 {
			c.state, c.extra = trailerStart, 0
		}
	case chunkDataCR:
		c.expect(b, '\r', chunkDataLF)
	case chunkDataLF:
		c.expect(b, '\n', chunkSize)
		c.digits, c.extra, c.data = 0, 0, 0
	case trailerStart, trailerLine:
		c.trailer(b)
	case trailerLF:
		c.expect(b, '\n', trailerStart)
	case trailersLF:
		c.expect(b, '\n', chunksDone)
	}
}

func (c *Chunks) expect(got, want byte, next chunkState) {
	if c.state = next; got != want {
		c.state = chunksBad
	}
}

func (c *Chunks) size(b byte) {
	v, ok := hexDigit(b)
	switch {
	case ok && c.digits < maxSizeDigits:
		c.data = c.data<<4 | int64(v)
		c.digits++
	case ok, c.digits == 0:
		c.state = chunksBad
	case b == '\r':
		c.state = chunkSizeLF
	case b == ';':
		c.state = chunkExt
	default:
		c.state = chunksBad
	}
}

func (c *Chunks) ext(b byte) {
	switch {
	case b == '\r':
		c.state = chunkSizeLF
	case b < ' ' && b != '\t', b == 0x7f, c.extra == maxChunkExt:
		c.state = chunksBad
	}
	c.extra++
}

// trailer reads fields as ReadRequest does. They are forwarded and mean nothing.
func (c *Chunks) trailer(b byte) {
	if c.extra++; c.extra > maxTrailers {
		c.state = chunksBad
		return
	}
	if c.state == trailerStart {
		switch {
		case b == '\r':
			c.state = trailersLF
		case isToken[b]:
			c.state, c.line = trailerLine, 1
		default:
			c.state = chunksBad
		}
		return
	}
	switch {
	case c.line > 0 && b == ':': // from now on it is the value
		c.line = -1
	case c.line > 0 && !isToken[b]:
		c.state = chunksBad
	case c.line > 0:
		c.line++
	case b == '\r':
		c.state = trailerLF
	case b < ' ' && b != '\t', b == 0x7f:
		c.state = chunksBad
	}
}
