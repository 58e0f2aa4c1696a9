package index

import (
	"errors"
	"hash/crc32"
	"slices"
)

// image writes the whole snapshot into memory.
func (c *compiler) image() ([]byte, error) {
	small := c.small()
	for buckets := homes(c.known); ; buckets += buckets/16 + 1 {
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
	h := c.header(buckets, small)
	image := make([]byte, h.length)
	for i, s := range small {
		copy(h.part(image, sectionProviders+section(i)), s)
	}
	p := newPlacer(buckets)
	part := func(s section) *buffer {
		b := buffer(h.part(image, s)[:0])
		return &b
	}
	p.table, p.recordIndex, p.records = part(sectionTable), part(sectionRecordIndex), part(sectionRecords)
	if err := c.fill(p); err != nil {
		return nil, err
	}
	h.spill = p.spill
	for i := range h.sections {
		h.sections[i].sum = crc32.Checksum(h.part(image, section(i)), castagnoli)
	}
	h.encode(image)
	return image, nil
}

// header is the head of the snapshot, without what only filling it tells.
func (c *compiler) header(buckets uint64, small [][]byte) header {
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
	return h
}

// fill writes the table and the records.
func (c *compiler) fill(p *placer) error {
	for i, list := range c.sorted {
		ids, nodes := c.shares[i].ids, c.nodes[i]
		for group := range groups(list) {
			addr, body := c.body(group)
			if err := p.place(placed{sum: group[0].sum, node: nodes[ids[0]], addr: addr, body: body, lent: true}); err != nil {
				return err
			}
			ids = ids[1:]
		}
	}
	return p.close()
}

// homes is how many home buckets so many names get at first.
func homes(names int) uint64 {
	return max(minBuckets, uint64(names)*1000/(slots*loadPermille)+1)
}
