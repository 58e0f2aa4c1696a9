package index

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
)

// image writes the whole snapshot into memory.
func (c *compiler) image() ([]byte, error) {
	h, total, err := c.header()
	if err != nil {
		return nil, err
	}
	small := c.answers.encode(c.protos.list)
	lengths := []int{int(total) * bucketSize, int(total+1) * 8, c.recordsN}
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

// header makes the header but for the sections, and finds how many buckets the
// table has in all.
func (c *compiler) header() (h header, total uint64, err error) {
	h = header{
		key: c.options.Key, revision: c.options.Revision, tops: c.tops,
		counts:  [4]uint64{uint64(c.filings), uint64(c.names), uint64(c.addrs), uint64(len(c.blacklist))},
		buckets: max(minBuckets, uint64(len(c.ids))*1000/(slots*loadPermille)+1),
	}
	if !c.options.MadeAt.IsZero() {
		h.madeAt = c.options.MadeAt.UnixMilli()
	}
	for {
		h.spill, total, err = c.layout(h.buckets)
		if !errors.Is(err, errSpill) {
			return h, total, err
		}
		h.buckets += h.buckets/16 + 1
	}
}

// errSpill: a name would lie too far from its home; more buckets help.
var errSpill = errors.New("a bucket chain is too long")

// layout finds how far names spill and how many buckets there are with those
// behind the last home.
func (c *compiler) layout(buckets uint64) (spill uint32, total uint64, err error) {
	last := uint64(0)
	err = c.place(buckets, func(b uint64, own []placed, _ uint32) error {
		last = b
		for _, p := range own {
			spill = max(spill, uint32(b-p.home))
		}
		if spill > maxSpill {
			return errSpill
		}
		return nil
	})
	return spill, max(buckets, last+1), err
}

// placed is a name on its way into a bucket.
type placed struct {
	home  uint64
	sum   sum
	node  uint32
	group []entry
}

// place hands out bucket after bucket with the names that lie in it and the
// mask of those that went past. Names stay at home as long as there is room;
// the surplus goes to the next bucket that has room left.
func (c *compiler) place(buckets uint64, emit func(b uint64, in []placed, mask uint32) error) error {
	var queue []placed // past their full homes, in order
	var in []placed    // of bucket b
	b := uint64(0)
	flush := func() error {
		free := min(slots-len(in), len(queue))
		in = append(in, queue[:free]...)
		queue = queue[free:]
		mask := uint32(0)
		for _, p := range queue {
			mask |= passed(p.sum)
		}
		err := emit(b, in, mask)
		in, b = in[:0], b+1
		return err
	}
	var err error
	i := 0
	c.each(func(group []entry) {
		p := placed{home(group[0].sum, buckets), group[0].sum, c.ids[i], group}
		i++
		for b < p.home && err == nil {
			err = flush()
		}
		if len(in) == slots {
			queue = append(queue, p)
			return
		}
		in = append(in, p)
	})
	for err == nil && (b < buckets || len(in)+len(queue) > 0) {
		err = flush()
	}
	return err
}

// fill writes the table and the records.
func (c *compiler) fill(h *header, image []byte) error {
	table, recordIndex, records := h.part(image, sectionTable), h.part(image, sectionRecordIndex), h.part(image, sectionRecords)
	le := binary.LittleEndian
	at := 0
	err := c.place(h.buckets, func(b uint64, in []placed, mask uint32) error {
		line := table[b*bucketSize:][:bucketSize]
		le.PutUint64(recordIndex[8*b:], uint64(at))
		for i, p := range in {
			if err := distinct(in[:i], p.sum); err != nil {
				return err
			}
			le.PutUint64(line[8*i:], p.sum.h1)
			le.PutUint32(line[tagsAt+4*i:], tag(p.sum)|p.node)
			at += c.putRecords(records[at:], i, filed(p.group))
		}
		le.PutUint32(line[maskAt:], mask)
		return nil
	})
	le.PutUint64(recordIndex[len(recordIndex)-8:], uint64(at))
	return err
}

// distinct refuses sums that the table could not tell apart; the chance of one
// is 2⁻⁶⁴ for every two names of a bucket.
func distinct(in []placed, s sum) error {
	for _, p := range in {
		if p.sum.h1 == s.h1 {
			return errAlike
		}
	}
	if s.h1 == 0 {
		return errAlike
	}
	return nil
}

var errAlike = errors.New("two names have the same 64 bits under this key; build with another key, in a new epoch")

// putRecords writes the records of one name and returns how long they are.
func (c *compiler) putRecords(b []byte, slot int, own []entry) int {
	if len(own) == 0 {
		return 0
	}
	n := 0
	b[n] = byte(slot)
	n++
	n += binary.PutUvarint(b[n:], uint64(c.groupSize(own)))
	for _, e := range own {
		rec := c.arena.get(e.record)
		n += binary.PutUvarint(b[n:], uint64(len(rec)))
		n += copy(b[n:], rec)
	}
	return n
}
