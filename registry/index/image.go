package index

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"slices"
)

// image writes the whole snapshot into memory.
func (c *compiler) image() ([]byte, error) {
	small := c.small()
	for buckets := homes(len(c.ids)); ; buckets += buckets/16 + 1 {
		image, err := c.imageOf(buckets, small)
		if !errors.Is(err, errSpill) {
			return image, err
		}
	}
}

// small makes the sections behind the records.
func (c *compiler) small() [][]byte {
	small := c.answers.encode(c.protos.list)
	for _, names := range [][]string{sortedNames(c.blacklist), sortedNames(c.govNames)} {
		var b buffer
		_ = writeNames(&b, slices.Values(names)) // a buffer takes all
		small = append(small, b)
	}
	return small
}

type buffer []byte

func (b *buffer) Write(p []byte) (int, error) {
	*b = append(*b, p...)
	return len(p), nil
}

func (c *compiler) imageOf(buckets uint64, small [][]byte) ([]byte, error) {
	h := header{
		key: c.options.Key, revision: c.options.Revision, tops: c.tops, buckets: buckets,
		counts: [4]uint64{uint64(c.filings), uint64(c.names), uint64(c.addrs), uint64(len(c.blacklist))},
	}
	if !c.options.MadeAt.IsZero() {
		h.madeAt = c.options.MadeAt.UnixMilli()
	}
	total := int(buckets + maxSpill)
	lengths := []int{total * bucketSize, (total + 1) * 8, c.recordsN}
	for _, s := range small {
		lengths = append(lengths, len(s))
	}
	h.length = headerSize
	for i, n := range lengths {
		h.sections[i] = extent{offset: h.length, length: uint64(n)}
		h.length = align(h.length + uint64(n))
	}
	image := make([]byte, h.length)
	for i, s := range small {
		copy(h.part(image, sectionProviders+section(i)), s)
	}
	if err := c.fill(&h, image); err != nil {
		return nil, err
	}
	for i := range h.sections {
		h.sections[i].sum = crc32.Checksum(h.part(image, section(i)), castagnoli)
	}
	h.encode(image)
	return image, nil
}

// fill writes the table and the records.
func (c *compiler) fill(h *header, image []byte) error {
	p := newPlacer(h.buckets)
	part := func(s section) *buffer {
		b := buffer(h.part(image, s)[:0])
		return &b
	}
	p.table, p.recordIndex, p.records = part(sectionTable), part(sectionRecordIndex), part(sectionRecords)
	i := 0
	var err error
	c.each(func(group []entry) {
		if err != nil {
			return
		}
		var addr bool
		addr, c.scratch = c.body(c.scratch[:0], group)
		err = p.add(group[0].sum, c.ids[i], addr, c.scratch)
		i++
	})
	if err != nil {
		return err
	}
	err = p.close()
	h.spill = p.spill
	return err
}

// homes is how many home buckets so many names get at first.
func homes(names int) uint64 {
	return max(minBuckets, uint64(names)*1000/(slots*loadPermille)+1)
}

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
}

func newPlacer(buckets uint64) *placer { return &placer{buckets: buckets} }

// add takes the next name; body is copied.
func (p *placer) add(s sum, node uint32, addr bool, body []byte) error {
	n := placed{home: home(s, p.buckets), sum: s, node: node, addr: addr}
	if k := len(p.spare); k > 0 {
		n.body, p.spare = p.spare[k-1], p.spare[:k-1]
	}
	n.body = append(n.body[:0], body...)
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
		p.spare = append(p.spare, n.body)
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
