package index

import (
	"bufio"
	"bytes"
	"hash/crc32"
	"io"
	"iter"
	"slices"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/disk"
)

// stream hands the names of the new snapshot to p, in the order of their sums.
func (m *merger) stream(p *placer) error {
	fresh := m.newcomers()
	put := func(s *spot) error { return p.add(s.sum, m.nodeOf(s), s.name.IsZero(), m.bodyOf(s)) }
	n := 0
	for e, err := range m.base.inOrder() {
		if n++; n%checkEvery == 0 && err == nil {
			err = m.ctx.Err()
		}
		for ; err == nil && len(fresh) > 0 && fresh[0].sum.compare(e.sum) < 0; fresh = fresh[1:] {
			err = put(fresh[0])
		}
		if err == nil {
			err = m.old(p, &e)
		}
		if err != nil {
			return err
		}
	}
	for _, s := range fresh {
		if err := put(s); err != nil {
			return err
		}
	}
	return p.close()
}

// old puts what stood in base.
func (m *merger) old(p *placer, e *entryOf) error {
	s := m.spotOf(e)
	switch {
	case s == nil && !m.caused(e):
		return p.add(e.sum, m.copy(e), e.addr, e.body)
	case s == nil:
		return p.add(e.sum, m.node(canonical(string(m.text)), m.base.nodes[e.id].flags&hasBelow), false, e.body)
	case !s.known:
		return nil
	case s.changed:
		return p.add(e.sum, m.nodeOf(s), e.addr, m.bodyOf(s))
	}
	return p.add(e.sum, m.nodeOf(s), false, e.body)
}

// spotOf returns the spot of what stood in base; nil if it is none. The name is
// in m.text afterwards.
func (m *merger) spotOf(e *entryOf) *spot {
	r := reader{b: e.body}
	if e.addr {
		_, a := r.filed(true)
		return m.addrs[a]
	}
	m.text = r.appendText(m.text[:0])
	return m.spots[string(m.text)]
}

// caused reports whether something above the name in m.text changed that may bear
// on it. The name itself is no spot.
func (m *merger) caused(e *entryOf) bool {
	if e.addr {
		return false
	}
	if _, ok := m.standing[string(m.text)]; ok {
		return true
	}
	level := 0
	for at := len(m.text) - 1; at > 0; at-- {
		if m.text[at] != '.' {
			continue
		}
		level++
		if _, ok := m.standing[string(m.text[at+1:])]; ok {
			return true
		}
		if s := m.spotAbove(at+1, level); s != nil && s.cause {
			return true
		}
	}
	return false
}

// spotAbove is the spot of the end of m.text that has so many labels, if it may be
// a cause.
func (m *merger) spotAbove(at, labels int) *spot {
	if !m.depths[labels] {
		return nil
	}
	return m.spots[string(m.text[at:])]
}

// nodeOf is the node of a spot.
func (m *merger) nodeOf(s *spot) uint32 {
	if s.name.IsZero() {
		return m.answers.plainly(m.factsOf(s), 0, 0)
	}
	return m.node(s.name, flagIf(s.below, hasBelow))
}

func flagIf(yes bool, f nodeFlags) nodeFlags {
	if yes {
		return f
	}
	return 0
}

// node interns the answers of a name from all that lies above it.
func (m *merger) node(d registry.Domain, below nodeFlags) uint32 {
	m.levels = append(m.levels[:0], level{})
	for n := range d.Labels() {
		m.levels = append(m.levels, m.level(d.Last(n+1)))
	}
	return m.answers.at(d, m.levels, below|flagIf(m.stands(d.GovRegistrable()), govFiled))
}

// copy interns the answers that a name had.
func (m *merger) copy(e *entryOf) uint32 {
	if id := m.copied[e.id]; id != 0 {
		return id
	}
	raw := func(cs []registry.Covering) (list []rawCovering) {
		for _, c := range cs {
			list = append(list, rawCovering{m.protos.intern(&c), c.Filed, c.Inherited})
		}
		return list
	}
	n := &m.base.nodes[e.id]
	labels := 0
	if !e.addr {
		labels = 1 + bytes.Count(m.text, []byte{'.'})
	}
	id := m.answers.of(raw(n.self.Filings), raw(n.below.Filings), n.flags, uint8(labels))
	m.copied[e.id] = id
	return id
}

// entryOf is one name or address of an old table.
type entryOf struct {
	sum
	id   uint32 // of its node
	addr bool
	body []byte // of the group: name and records; part of the snapshot
}

// inOrder goes through a table in the order of the sums. What spilled comes
// before what lies at home in a later bucket, so names wait until no bucket to
// come can hold an earlier one.
func (x *Index) inOrder() iter.Seq2[entryOf, error] {
	return func(yield func(entryOf, error) bool) {
		var wait []entryOf
		for b := range x.table.total() {
			var err error
			if wait, err = x.entries(wait, b); err != nil {
				yield(entryOf{}, err)
				return
			}
			n := 0
			for n < len(wait) && home(wait[n].sum, x.table.buckets)+uint64(x.table.spill) <= b {
				if !yield(wait[n], nil) {
					return
				}
				n++
			}
			wait = slices.Delete(wait, 0, n)
		}
		for _, e := range wait {
			if !yield(e, nil) {
				return
			}
		}
	}
}

// entries adds those of a bucket to others, in the order of sums.
func (x *Index) entries(wait []entryOf, b uint64) ([]entryOf, error) {
	n, good := 0, true
	var text [256]byte // of a name; longer ones are no names
	good = x.groups(b, func(slot int, addr bool, body []byte) bool {
		id, h1 := x.table.entry(b, slot)
		e := entryOf{id: id, addr: addr, body: body}
		r := reader{b: body}
		if addr {
			_, a := r.filed(true)
			e.sum = x.key.addr(a)
		} else {
			e.sum = x.key.name(string(r.appendText(text[:0])))
		}
		from := home(e.sum, x.table.buckets)
		if good = !r.bad && id != 0 && e.h1 == h1 && from <= b && b-from <= uint64(x.table.spill); !good {
			return false
		}
		n++
		at, _ := slices.BinarySearchFunc(wait, e, func(a, b entryOf) int { return a.sum.compare(b.sum) })
		wait = slices.Insert(wait, at, e)
		return true
	}) && good
	for i := range slots {
		if id, _ := x.table.entry(b, i); id != 0 {
			n--
		}
	}
	if !good || n != 0 {
		return wait, errBase
	}
	return wait, nil
}

// fileWriter writes the sections of a snapshot into a file, the long ones at the
// same time.
type fileWriter struct {
	*placer
	f    *disk.File
	h    header
	long [3]*sectionWriter
}

func newFileWriter(f *disk.File, buckets uint64) *fileWriter {
	w := &fileWriter{placer: newPlacer(buckets), f: f}
	total := buckets + maxSpill
	at := uint64(headerSize)
	for i, n := range []uint64{total * bucketSize, (total + 1) * 8, 0} {
		w.long[i] = newSectionWriter(f, at)
		at = align(at + n)
	}
	w.placer.table, w.placer.recordIndex, w.placer.records = w.long[0], w.long[1], w.long[2]
	return w
}

// finish writes the short sections and the header.
func (w *fileWriter) finish(m *merger) error {
	w.h = header{
		key: m.options.Key, revision: m.options.Revision, tops: m.tops, buckets: w.placer.buckets, spill: w.placer.spill,
	}
	for i, n := range m.counts {
		w.h.counts[i] = uint64(n)
	}
	if !m.options.MadeAt.IsZero() {
		w.h.madeAt = m.options.MadeAt.UnixMilli()
	}
	for i, s := range w.long {
		if err := w.end(section(i), s); err != nil {
			return err
		}
	}
	for i, b := range m.answers.encode(m.protos.list) {
		s := newSectionWriter(w.f, w.h.length)
		_, _ = s.Write(b) // end has the error
		if err := w.end(sectionProviders+section(i), s); err != nil {
			return err
		}
	}
	for i, names := range []iter.Seq[string]{m.base.blacklist.changed(m.changes.blacklist), m.base.gov.changed(m.gov)} {
		s := newSectionWriter(w.f, w.h.length)
		if err := writeNames(s, names); err != nil {
			return err
		}
		if err := w.end(sectionBlacklist+section(i), s); err != nil {
			return err
		}
	}
	return w.head()
}

// end notes where a section lies; the next begins at w.h.length.
func (w *fileWriter) end(i section, s *sectionWriter) error {
	if err := s.Flush(); err != nil {
		return err
	}
	w.h.sections[i] = extent{offset: s.offset, length: s.out.n, sum: s.out.sum}
	w.h.length = align(s.offset + s.out.n)
	return nil
}

// head writes the header, and the padding at the end.
func (w *fileWriter) head() error {
	var b [headerSize]byte
	w.h.encode(b[:])
	if _, err := w.f.WriteAt(b[:], 0); err != nil {
		return err
	}
	return w.f.Truncate(int64(w.h.length))
}

// sectionWriter writes one section, and sums it up.
type sectionWriter struct {
	*bufio.Writer
	offset uint64
	out    summed
}

func newSectionWriter(f *disk.File, offset uint64) *sectionWriter {
	s := &sectionWriter{offset: offset, out: summed{w: io.NewOffsetWriter(f, int64(offset))}}
	s.Writer = bufio.NewWriterSize(&s.out, sectionBuffer)
	return s
}

// sectionBuffer keeps the number of writes to a file small.
const sectionBuffer = 1 << 18

// summed counts and sums what goes through it.
type summed struct {
	w   io.Writer
	n   uint64
	sum uint32
}

func (s *summed) Write(b []byte) (int, error) {
	s.n += uint64(len(b))
	s.sum = crc32.Update(s.sum, castagnoli, b)
	return s.w.Write(b)
}
