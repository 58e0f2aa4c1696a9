package index

import (
	"encoding/binary"
	"hash/crc32"
	"math"

	"github.com/icpgate/icpgate/registry"
)

// load makes an Index of a whole snapshot in memory, which must not change
// afterwards. It trusts nothing: every checksum is compared, and then every
// number that leads somewhere is checked all the same, so that no file, however
// made, can make a look-up panic.
func load(image []byte) (*Index, error) {
	h, err := decodeHeader(image)
	if err != nil {
		return nil, err
	}
	if err := h.checkExtents(image); err != nil {
		return nil, err
	}
	for i, s := range h.sections {
		if crc32.Checksum(h.part(image, section(i)), castagnoli) != s.sum {
			return nil, damaged(s.offset, "section %q of %d bytes has another checksum than the header states", section(i), s.length)
		}
	}
	x := &Index{
		key: keyOf(h.key), tops: h.tops, image: image, id: lastID.Add(1),
		recordIndex: h.part(image, sectionRecordIndex), records: h.part(image, sectionRecords),
		table: table{buckets: h.buckets, spill: int(h.spill), lines: h.part(image, sectionTable)},
		info:  h.info(),
	}
	if x.nodes, err = h.loadNodes(image); err != nil {
		return nil, err
	}
	x.blacklist, x.gov = nameSet(h.part(image, sectionBlacklist)), nameSet(h.part(image, sectionGov))
	for _, s := range []section{sectionBlacklist, sectionGov} {
		if !nameSet(h.part(image, s)).valid() {
			return nil, damaged(h.sections[s].offset, "section %q does not hold what it should", s)
		}
	}
	if err := h.checkTable(x); err != nil {
		return nil, err
	}
	return x, nil
}

func (h *header) part(image []byte, s section) []byte {
	e := h.sections[s]
	return image[e.offset:][:e.length:e.length]
}

// checkExtents makes sure that the sections follow each other and fill the file,
// with zeros between them.
func (h *header) checkExtents(image []byte) error {
	if h.length != uint64(len(image)) {
		return damaged(min(h.length, uint64(len(image))), "file has %d bytes and should have %d, one of them ends", len(image), h.length)
	}
	at := uint64(headerSize)
	for i, s := range h.sections {
		if s.offset != at || s.length > h.length-at {
			return damaged(uint64(sectionsAt+sectionSize*i), "header puts section %q of %d bytes at %d, not behind the one before it,", section(i), s.length, s.offset)
		}
		end := at + s.length
		if at = align(end); at > h.length {
			return damaged(end, "section %q is not padded to %d bytes", section(i), alignment)
		}
		for j := end; j < at; j++ {
			if image[j] != 0 {
				return damaged(j, "padding of section %q is not zero", section(i))
			}
		}
	}
	if at != h.length {
		return damaged(at, "file goes on behind its last section")
	}
	return nil
}

// checkTable checks the numbers that look-ups in the table rest on.
func (h *header) checkTable(x *Index) error {
	lines, at := uint64(len(x.table.lines)), h.sections[sectionTable].offset
	total := lines / bucketSize
	switch {
	case lines%bucketSize != 0 || h.buckets == 0 || h.buckets > total || h.spill > maxSpill:
		return damaged(at, "section \"table\" of %d bytes does not hold %d buckets and a spill of %d", lines, h.buckets, h.spill)
	case uint64(len(x.recordIndex)) != 8*(total+1):
		return damaged(h.sections[sectionRecordIndex].offset, "section \"record index\" of %d bytes is not for %d buckets", len(x.recordIndex), total)
	}
	for _, n := range h.counts {
		if n > math.MaxInt64 {
			return damaged(80, "header counts %d filings or names", n)
		}
	}
	for b := range total {
		for i := range uint64(slots) {
			e := b*bucketSize + tagsAt + 4*i
			n := binary.LittleEndian.Uint32(x.table.lines[e:]) & maxNode
			if int(n) >= len(x.nodes) {
				return damaged(at+e, "section \"table\" leads to node %d of %d", n, len(x.nodes))
			}
			x.known += int(min(n, 1))
		}
	}
	return nil
}

// loadNodes brings the interned answers into the form in which they are given.
func (h *header) loadNodes(image []byte) ([]node, error) {
	l := loader{revision: h.revision}
	steps := []struct {
		section section
		read    func(*reader)
	}{
		{sectionProviders, l.readProviders},
		{sectionAccesses, l.readAccesses},
		{sectionCoverings, l.readCoverings},
		{sectionLists, l.readLists},
		{sectionNodes, l.readNodes},
	}
	for _, s := range steps {
		part := h.part(image, s.section)
		r := &reader{b: part}
		s.read(r)
		if r.bad || len(r.b) > 0 {
			return nil, damaged(h.sections[s.section].offset+uint64(len(part)-len(r.b)), "section %q does not hold what it should", s.section)
		}
	}
	return l.nodes, nil
}

// loader reads the sections of the answers, each of which leads into the one
// before it. All it makes is on the heap: nothing refers to the image.
type loader struct {
	revision  registry.Revision
	providers []registry.ProviderID
	accesses  [][]registry.Access
	coverings []registry.Covering
	lists     [][]registry.Covering
	nodes     []node
}

// at returns the i-th of list; where there is none, r is bad.
func at[T any](r *reader, list []T, i uint32) (v T) {
	if uint64(i) >= uint64(len(list)) {
		r.bad = true
		return v
	}
	return list[i]
}

func (l *loader) readProviders(r *reader) {
	for range r.count(1) {
		l.providers = append(l.providers, registry.ProviderID(r.string()))
	}
}

func (l *loader) readAccesses(r *reader) {
	for range r.count(4) {
		as := make([]registry.Access, r.count(16))
		for i := range as {
			as[i].Provider = at(r, l.providers, r.u32())
			status := r.u32()
			as[i].Status = registry.AccessStatus(status)
			as[i].At = int64(r.u64())
			r.bad = r.bad || status > uint32(registry.AccessCancelled)
		}
		l.accesses = append(l.accesses, as)
	}
}

func (l *loader) readCoverings(r *reader) {
	l.coverings = make([]registry.Covering, r.count(8))
	for i := range l.coverings {
		c := &l.coverings[i]
		c.Filed, c.Kind, c.Status = r.u8(), registry.Kind(r.u8()), registry.Status(r.u8())
		flags := r.u8()
		c.Inherited, c.Restricted, c.AccessesKnown = flags&1 != 0, flags&2 != 0, flags&4 != 0
		c.Accesses = at(r, l.accesses, r.u32())
		r.bad = r.bad || c.Kind > registry.KindIP || c.Status > registry.StatusCancelled || flags > 7
	}
}

func (l *loader) readLists(r *reader) {
	for range r.count(4) {
		n := r.count(4)
		if n == 0 {
			l.lists = append(l.lists, nil)
			continue
		}
		list := make([]registry.Covering, n)
		for i := range list {
			list[i] = at(r, l.coverings, r.u32())
		}
		l.lists = append(l.lists, list)
	}
}

func (l *loader) readNodes(r *reader) {
	l.nodes = make([]node, r.count(12))
	for i := range l.nodes {
		self, below := at(r, l.lists, r.u32()), at(r, l.lists, r.u32())
		word := r.u32()
		flags, labels := nodeFlags(word&0xff), uint8(word>>8)
		l.nodes[i] = node{self: l.coverage(self, flags, labels), below: l.coverage(below, flags, labels), flags: flags}
		r.bad = r.bad || flags > allFlags || word>>8 > maxLabels
	}
	// Node 0 answers for what is not in the table.
	if r.bad = r.bad || len(l.nodes) == 0; !r.bad {
		n := &l.nodes[0]
		r.bad = n.self.Filings != nil || n.below.Filings != nil || n.flags != hasBelow || n.below.Cut != 2
	}
}

// maxLabels of a name of 253 bytes.
const maxLabels = 127

// coverage makes an answer of a name with labels labels, or of one below it. See
// Index.Cover for the cut.
func (l *loader) coverage(filings []registry.Covering, flags nodeFlags, labels uint8) registry.Coverage {
	c := registry.Coverage{
		Filings: filings, Revision: l.revision, Cut: labels, Loaded: true,
		Blacklisted: flags&blacklisted != 0, GovFiled: flags&govFiled != 0,
	}
	if labels > 0 && flags&(hasBelow|uneven) != 0 {
		c.Cut++
	}
	return c
}
