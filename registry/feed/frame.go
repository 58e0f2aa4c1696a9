package feed

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"time"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/index"
)

// FrameType is what a frame is. The zero value is none.
type FrameType uint8

// The types of frames.
const (
	_              FrameType = iota
	FrameRevision            // what one revision changes
	FrameHeartbeat           // nothing has changed; the registry is alive
	FrameRepair              // all that lies in some buckets of the digest at a revision
	frameTypeEnd
)

// The versions of the format that this package writes and reads. A manifest gives
// those of its frames.
const (
	LowestFormat  = 1
	HighestFormat = 1
)

// Limits of a frame.
const (
	// MaxFrame bounds a frame in bytes.
	MaxFrame = 16 << 20
	// MaxOperations bounds the operations of one revision. Imports publish 2,000
	// at most; a site of the first years has hundreds of names.
	MaxOperations = 20_000
)

// Sums are the digests of a registry: filings with the blacklist, and lists.
type Sums struct{ Filings, Lists uint64 }

// MassChange announces that an import, which somebody confirmed, will flip so many
// filings. Edges refuse more than they expect unless its frames carry the id.
type MassChange struct {
	Import string
	Flips  uint64
}

// Frame is one message of the feed. The zero value is none.
type Frame struct {
	Type     FrameType
	Revision registry.Revision // after it
	Time     time.Time         // when it was published, to the millisecond
	Sums     Sums              // of the registry after it
	Import   string            // the import that it is part of; "" is none
	Notice   *MassChange       // nil: none
	Changes  []registry.Change // of filings and blacklist, in their order
	Entries  []registry.Entry  // of lists
}

// The operations of a frame.
const (
	opChange byte = iota + 1
	opEntry
	opNotice
	// opOptional marks an operation that may be skipped by who does not know it.
	opOptional = 0x80
)

// The fixed part of a frame. All numbers are little-endian.
//
//	 0  u32      length of the frame
//	 4  u32      CRC-32C of what follows
//	 8  u8       format version
//	 9  u8       type
//	10  u16      zero
//	12  u32      operations
//	16  8 bytes  key id
//	24  i64      epoch: Unix milliseconds of its making
//	32  u64      epoch: random part
//	40  u64      revision within the epoch
//	48  i64      time, Unix milliseconds
//	56  u64      digest of filings and blacklist
//	64  u64      digest of lists
//	72           import: uvarint length and text
//
// Operations follow: u8 kind, uvarint length, and so many bytes: of kind 1 as
// index.AppendChange writes them; of kind 2 u8 list, u8 1 where the entry is gone,
// and key and value as import; of kind 3 import and uvarint flips. A kind with 80
// added may be skipped. The last 64 bytes are the Ed25519 signature of all from
// byte 8 to there.
const (
	frameHead      = 72
	frameSignature = 64
	frameSigned    = 8
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Append appends the bytes of f, signed by s. It fails if f is more than a frame
// may hold or its changes are of another revision.
func (f *Frame) Append(b []byte, s *Signer) ([]byte, error) {
	start := len(b)
	n := len(f.Changes) + len(f.Entries)
	if f.Notice != nil {
		n++
	}
	le := binary.LittleEndian
	b = append(b, make([]byte, frameHead)...)
	h := b[start:]
	h[8], h[9] = HighestFormat, byte(f.Type)
	le.PutUint32(h[12:], uint32(n))
	id := s.ID()
	copy(h[16:], id[:])
	le.PutUint64(h[24:], uint64(f.Revision.Epoch.Made))
	le.PutUint64(h[32:], f.Revision.Epoch.Random)
	le.PutUint64(h[40:], f.Revision.Rev)
	le.PutUint64(h[48:], uint64(f.Time.UnixMilli()))
	le.PutUint64(h[56:], f.Sums.Filings)
	le.PutUint64(h[64:], f.Sums.Lists)
	b = appendText(b, f.Import)
	b, err := f.appendOperations(b)
	if err != nil {
		return nil, fmt.Errorf("revision %s: %w", f.Revision, err)
	}
	length := len(b) - start + frameSignature
	if n > MaxOperations && f.Type != FrameRepair || length > MaxFrame || len(f.Import) > maxImport {
		return nil, fmt.Errorf("revision %s has %d operations in %d bytes, its import %d; a frame holds %d in %d, and %d: make several revisions",
			f.Revision, n, length, len(f.Import), MaxOperations, MaxFrame, maxImport)
	}
	b = append(b, s.sign(b[start+frameSigned:])...)
	le.PutUint32(b[start:], uint32(length))
	le.PutUint32(b[start+4:], crc32.Checksum(b[start+8:], castagnoli))
	return b, nil
}

// maxImport bounds the id of an import.
const maxImport = 128

func (f *Frame) appendOperations(b []byte) ([]byte, error) {
	var one []byte
	put := func(kind byte) {
		b = append(binary.AppendUvarint(append(b, kind), uint64(len(one))), one...)
		one = one[:0]
	}
	if m := f.Notice; m != nil {
		one = binary.AppendUvarint(appendText(one, m.Import), m.Flips)
		put(opNotice)
	}
	for i := range f.Changes {
		c := &f.Changes[i]
		if err := c.Check(); err != nil {
			return nil, err
		}
		if c.Revision != f.Revision {
			return nil, fmt.Errorf("a change of revision %s in its frame", c.Revision)
		}
		one = index.AppendChange(one, c)
		put(opChange)
	}
	for _, e := range f.Entries {
		if err := e.Check(); err != nil {
			return nil, err
		}
		gone := byte(0)
		if e.Gone {
			gone = 1
		}
		one = appendText(appendText(append(one, byte(e.List), gone), e.Key), e.Value)
		put(opEntry)
	}
	return b, nil
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// ErrFrame: the bytes are no frame, damaged, or of a format that this program does
// not read. The error that wraps it says which.
var ErrFrame = errors.New("not a frame that can be read")

func frameError(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrFrame, fmt.Sprintf(format, args...))
}

// FrameLength returns the length of the frame that b begins with, of which it
// needs four bytes.
func FrameLength(b []byte) (int, error) {
	if len(b) < 4 {
		return 0, frameError("%d bytes of 4", len(b))
	}
	n := binary.LittleEndian.Uint32(b)
	if n < frameHead+1+frameSignature || n > MaxFrame {
		return 0, frameError("length %d; a frame has %d to %d bytes", n, frameHead+1+frameSignature, MaxFrame)
	}
	return int(n), nil
}

// ReadFrame reads the bytes of one frame from a stream, into buf if it is large
// enough. At the end of the stream it returns io.EOF, within a frame
// io.ErrUnexpectedEOF. Nothing but the length is looked at.
func ReadFrame(r io.Reader, buf []byte) ([]byte, error) {
	buf = append(buf[:0], 0, 0, 0, 0)
	if _, err := io.ReadFull(r, buf); err != nil {
		return nil, err
	}
	n, err := FrameLength(buf)
	if err != nil {
		return nil, err
	}
	// A length costs memory only as bytes arrive.
	for len(buf) < n {
		at, more := len(buf), min(n-len(buf), 64<<10)
		buf = append(buf, make([]byte, more)...)
		if _, err := io.ReadFull(r, buf[at:]); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
	return buf, nil
}

// Head is what a relay or a log has to know of a frame.
type Head struct {
	Type     FrameType
	Revision registry.Revision
	Time     time.Time
	Sums     Sums
	Key      KeyID
}

// ParseHead reads the fixed part of a whole frame and checks its length and
// checksum, not its signature.
func ParseHead(b []byte) (h Head, err error) {
	n, err := FrameLength(b)
	le := binary.LittleEndian
	switch {
	case err != nil:
		return h, err
	case n != len(b):
		return h, frameError("length %d in %d bytes", n, len(b))
	case le.Uint32(b[4:]) != crc32.Checksum(b[8:], castagnoli):
		return h, frameError("another checksum than stands")
	case b[8] < LowestFormat || b[8] > HighestFormat:
		return h, frameError("format %d; this program reads %d to %d: update it", b[8], LowestFormat, HighestFormat)
	case b[9] == 0 || b[9] >= byte(frameTypeEnd):
		return h, frameError("type %d; this program knows 1 to %d: update it", b[9], frameTypeEnd-1)
	}
	h.Type = FrameType(b[9])
	copy(h.Key[:], b[16:])
	h.Revision.Epoch.Made = int64(le.Uint64(b[24:]))
	h.Revision.Epoch.Random = le.Uint64(b[32:])
	h.Revision.Rev = le.Uint64(b[40:])
	h.Time = time.UnixMilli(int64(le.Uint64(b[48:]))).UTC()
	h.Sums = Sums{le.Uint64(b[56:]), le.Uint64(b[64:])}
	return h, nil
}

// ErrOperation: a frame holds an operation that this program does not know and
// that may not be skipped.
var ErrOperation = errors.New("an operation of a newer format")

// ParseFrame reads a whole frame, which one of keys must have signed. Operations
// that are marked as optional and not known are skipped.
func ParseFrame(b []byte, keys *Keys) (*Frame, error) {
	h, err := ParseHead(b)
	if err != nil {
		return nil, err
	}
	end := len(b) - frameSignature
	if err := keys.verify(h.Key, b[frameSigned:end], b[end:]); err != nil {
		return nil, fmt.Errorf("frame of revision %s: %w", h.Revision, err)
	}
	return parseFrame(b)
}

// parseFrame is ParseFrame for what was verified before.
func parseFrame(b []byte) (*Frame, error) {
	h, err := ParseHead(b)
	if err != nil {
		return nil, err
	}
	end := len(b) - frameSignature
	f := &Frame{Type: h.Type, Revision: h.Revision, Time: h.Time, Sums: h.Sums}
	r := taker{b: b[frameHead:end]}
	f.Import = r.text(maxImport)
	n := binary.LittleEndian.Uint32(b[12:])
	if n > MaxOperations && f.Type != FrameRepair {
		return nil, frameError("%d operations; at most %d", n, MaxOperations)
	}
	for range n {
		kind, one := r.u8(), r.take()
		if r.bad {
			break
		}
		if err := f.operation(kind, one); err != nil {
			return nil, fmt.Errorf("frame of revision %s: %w", h.Revision, err)
		}
	}
	switch {
	case r.bad || len(r.b) > 0:
		return nil, frameError("operations of revision %s that end early or late", h.Revision)
	case f.Type == FrameHeartbeat && n > 0:
		return nil, frameError("a heartbeat of %d operations", n)
	}
	return f, nil
}

func (f *Frame) operation(kind byte, one []byte) error {
	switch kind {
	case opChange:
		c, err := index.ParseChange(one, f.Revision)
		if err != nil {
			return err
		}
		f.Changes = append(f.Changes, c)
	case opEntry:
		r := taker{b: one}
		e := registry.Entry{List: registry.List(r.u8())}
		gone := r.u8()
		e.Key, e.Value = r.text(registry.MaxEntry), r.text(registry.MaxEntry)
		e.Gone = gone == 1
		if r.bad || len(r.b) > 0 || gone > 1 {
			return frameError("an entry of %s that ends early or late", e.List)
		}
		if err := e.Check(); err != nil {
			return err
		}
		f.Entries = append(f.Entries, e)
	case opNotice:
		r := taker{b: one}
		m := &MassChange{Import: r.text(maxImport), Flips: r.uvarint()}
		if r.bad || len(r.b) > 0 || m.Import == "" || f.Notice != nil {
			return frameError("a notice of a mass change that ends early or late, names no import, or is the second")
		}
		f.Notice = m
	default:
		if kind&opOptional == 0 {
			return fmt.Errorf("operation %d: %w; update this program", kind, ErrOperation)
		}
	}
	return nil
}

// taker takes values from the front of foreign bytes. What is not there reads as
// zero and sets bad, which stays.
type taker struct {
	b   []byte
	bad bool
}

func (r *taker) u8() byte {
	if len(r.b) == 0 {
		r.bad = true
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

func (r *taker) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.b, r.bad = nil, true
		return 0
	}
	r.b = r.b[n:]
	return v
}

// take takes a length and so many bytes.
func (r *taker) take() []byte {
	n := r.uvarint()
	if r.bad || n > uint64(len(r.b)) {
		r.b, r.bad = nil, true
		return nil
	}
	b := r.b[:n:n]
	r.b = r.b[n:]
	return b
}

// text is take as a text of at most so many bytes.
func (r *taker) text(most int) string {
	b := r.take()
	if len(b) > most {
		r.bad = true
		return ""
	}
	return string(b)
}
