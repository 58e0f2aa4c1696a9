package index

import (
	"encoding/binary"
	"errors"
	"io"
)

// errSpill: a name would lie too far from its home; more buckets help.
var errSpill = errors.New("a bucket chain is too long")

// placer puts names into buckets, in the order of their sums, and writes these
// with their records one after the other. Names stay at home as long as there is
// room; the surplus goes to the next bucket that has room left. Behind the last
// home there are maxSpill buckets, so that their number is known beforehand.
type placer struct {
	table, recordIndex, records io.Writer

	buckets uint64
	spill   uint32   // the furthest that a name lies from its home
	b       uint64   // the bucket that is being filled
	in      []placed // lies in it
	queue   []placed // past their full homes, in order
	spare   [][]byte // bodies to use again
	at      uint64   // length of the records so far
	buf     []byte   // the groups of a bucket
	err     error    // of a write
}

// placed is a name on its way into a bucket.
type placed struct {
	home uint64
	sum  sum
	node uint32
	addr bool
	body []byte // of its group
	lent bool   // body is not the placer's
}

func newPlacer(buckets uint64) *placer { return &placer{buckets: buckets} }

// add takes the next name; body is copied.
func (p *placer) add(s sum, node uint32, addr bool, body []byte) error {
	n := placed{sum: s, node: node, addr: addr}
	if k := len(p.spare); k > 0 {
		n.body, p.spare = p.spare[k-1], p.spare[:k-1]
	}
	n.body = append(n.body[:0], body...)
	return p.place(n)
}

// place takes the next name. A body that is lent must not change until close.
func (p *placer) place(n placed) error {
	n.home = home(n.sum, p.buckets)
	for p.b < n.home {
		if err := p.flush(); err != nil {
			return err
		}
	}
	if len(p.in) == slots {
		p.queue = append(p.queue, n)
		return nil
	}
	p.in = append(p.in, n)
	return nil
}

// close writes the rest.
func (p *placer) close() error {
	for p.b < p.buckets+maxSpill {
		if err := p.flush(); err != nil {
			return err
		}
	}
	if len(p.queue) > 0 {
		return errSpill
	}
	p.put(p.recordIndex, binary.LittleEndian.AppendUint64(nil, p.at))
	return p.err
}

// flush writes one bucket.
func (p *placer) flush() error {
	free := min(slots-len(p.in), len(p.queue))
	p.in = append(p.in, p.queue[:free]...)
	p.queue = append(p.queue[:0], p.queue[free:]...)
	line, err := p.line()
	if err != nil {
		return err
	}
	p.buf = append(p.buf[:0], line[:]...) // so that it need not lie on the heap
	p.put(p.table, p.buf)
	p.put(p.recordIndex, binary.LittleEndian.AppendUint64(p.buf[:0], p.at))
	p.buf = p.buf[:0]
	for i := range p.in {
		n := &p.in[i]
		p.buf = append(p.buf, byte(i)|flag(n.addr)*groupAddr)
		p.buf = append(binary.AppendUvarint(p.buf, uint64(len(n.body))), n.body...)
		if !n.lent {
			p.spare = append(p.spare, n.body)
		}
	}
	p.put(p.records, p.buf)
	p.at += uint64(len(p.buf))
	p.in, p.b = p.in[:0], p.b+1
	return p.err
}

func (p *placer) put(w io.Writer, b []byte) {
	if p.err == nil {
		_, p.err = w.Write(b)
	}
}

// line is the bucket that is full.
func (p *placer) line() (line [bucketSize]byte, err error) {
	le := binary.LittleEndian
	for i := range p.in {
		n := &p.in[i]
		if err := distinct(p.in[:i], n.sum); err != nil {
			return line, err
		}
		if p.spill = max(p.spill, uint32(p.b-n.home)); p.spill > maxSpill {
			return line, errSpill
		}
		le.PutUint64(line[8*i:], n.sum.h1)
		le.PutUint32(line[tagsAt+4*i:], tag(n.sum)|n.node)
	}
	mask := uint32(0)
	for i := range p.queue {
		mask |= passed(p.queue[i].sum)
	}
	le.PutUint32(line[maskAt:], mask)
	return line, nil
}

// distinct refuses sums that the table could not tell apart; the chance of one
// is 2⁻⁶⁴ for every two names of a bucket.
func distinct(in []placed, s sum) error {
	for i := range in {
		if in[i].sum.h1 == s.h1 {
			return errAlike
		}
	}
	if s.h1 == 0 {
		return errAlike
	}
	return nil
}

var errAlike = errors.New("two names have the same 64 bits under this key; build with another key, in a new epoch")

// groupSize is how many bytes a group with such a body takes.
func groupSize(body int) int {
	n := 2 + body
	for l := body; l >= 0x80; l >>= 7 {
		n++
	}
	return n
}
