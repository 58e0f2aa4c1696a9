package bulk

import (
	"encoding/binary"
	"errors"
	"hash/maphash"
	"math"
	"net/netip"
	"time"

	"github.com/icpgate/icpgate/registry"
)

// store holds the accepted rows until all are read. Millions of them are held,
// so a row is a record without pointers and a piece of a byte chunk, which the
// garbage collector does not walk. The zero value is not ready.
type store struct {
	seed      maphash.Seed
	slots     []uint64 // open addressing: hash in the upper, 1 + index of a head in the lower half
	heads     int
	slabs     [][]record
	rows      uint32
	chunks    [][]byte
	providers []registry.ProviderID
	providerN map[registry.ProviderID]uint32
	scratch   []byte
}

// record is the fixed part of a row. Rows of one key are a list: the first one
// read is its head.
type record struct {
	number             registry.Number
	updated, filed, at int64 // Unix seconds
	chunk, off         uint32
	line, seq, next    uint32 // next: 1 + index
	provider           uint32 // of the only access, by store.providers
	states             facts
	file               uint16
	flags              recordFlags
	kind               uint8
	status             uint8
	access             uint8
	nature             uint8
}

type recordFlags uint8

const (
	isHead recordFlags = 1 << iota
	hasOne             // one access, in the record; several are in the chunk
	hasMore
	accessesKnown
	isNoneRow
	isRestricted
	ownEntity // the entity's number does not follow from the site's
	hasRest   // covers or addresses are in the chunk
)

const (
	slabSize  = 1 << 13 // records
	chunkSize = 1 << 20 // bytes
	// firstChunk is the size of the first chunk; each is twice the one before.
	firstChunk = 4 << 10
	// maxChain bounds how many rows of one key a new row is compared with to
	// find a duplicate. No site has that many providers.
	maxChain = 64
)

var errTooMany = errors.New("more than 4,294,967,294 rows; import in parts")

func newStore() *store {
	return &store{seed: maphash.MakeSeed(), slots: make([]uint64, 1<<10), providerN: map[registry.ProviderID]uint32{}}
}

func (s *store) at(i uint32) *record { return &s.slabs[i/slabSize][i%slabSize] }

type added uint8

const (
	addedNew added = iota
	addedMerged
	addedDuplicate
)

// add keeps a copy of r.
func (s *store) add(r *row) (added, error) {
	if s.rows == math.MaxUint32-1 {
		return 0, errTooMany
	}
	rec, text := s.encode(r)
	slot := s.find(r)
	head := uint32(s.slots[slot])
	if head == 0 {
		rec.flags |= isHead
		i := s.put(rec, text)
		s.slots[slot] |= uint64(i + 1)
		if s.heads++; s.heads > len(s.slots)/4*3 {
			s.grow()
		}
		return addedNew, nil
	}
	if i, ok := s.twin(head, rec, text); ok {
		// As the later row it has the place that decides ties.
		old := s.at(i)
		old.file, old.line, old.seq = rec.file, rec.line, rec.seq
		return addedDuplicate, nil
	}
	rec.next = s.at(head - 1).next
	i := s.put(rec, text) // may move the head: it is looked up again
	s.at(head - 1).next = i + 1
	return addedMerged, nil
}

func (s *store) put(rec record, text []byte) uint32 {
	i := s.rows
	s.rows++
	if int(i/slabSize) == len(s.slabs) {
		s.slabs = append(s.slabs, make([]record, 0, slabCap(len(s.slabs))))
	}
	last := len(s.chunks) - 1
	if last < 0 || len(s.chunks[last])+len(text) > cap(s.chunks[last]) {
		s.chunks = append(s.chunks, make([]byte, 0, max(min(chunkSize, firstChunk<<min(len(s.chunks), 8)), len(text))))
		last++
	}
	rec.chunk, rec.off = uint32(last), uint32(len(s.chunks[last]))
	s.chunks[last] = append(s.chunks[last], text...)
	slab := &s.slabs[i/slabSize]
	*slab = append(*slab, rec)
	return i
}

// twin finds a row of the list at head that says exactly the same.
func (s *store) twin(head uint32, rec record, text []byte) (uint32, bool) {
	for n := 0; head != 0 && n < maxChain; n++ {
		old := *s.at(head - 1)
		same := old
		same.chunk, same.off, same.line, same.seq, same.next, same.file = 0, 0, 0, 0, 0, 0
		same.flags &^= isHead
		mine := rec
		mine.line, mine.seq, mine.file = 0, 0, 0
		if same == mine && string(s.text(&old)) == string(text) {
			return head - 1, true
		}
		head = old.next
	}
	return 0, false
}

// find returns the slot of r's key: that of its head, or a free one with the
// hash in it.
func (s *store) find(r *row) int {
	h := s.hash(r)
	mask := uint64(len(s.slots) - 1)
	for i := h & mask; ; i = (i + 1) & mask {
		switch slot := s.slots[i]; {
		case uint32(slot) == 0:
			s.slots[i] = h << 32
			return int(i)
		case slot>>32 == h && s.sameKey(s.at(uint32(slot)-1), r):
			return int(i)
		}
	}
}

// hash of a row's key; 32 bits are used, as many as there can be rows.
func (s *store) hash(r *row) uint64 {
	if n := r.f.Site.Number; !n.IsZero() {
		return maphash.Comparable(s.seed, n) & math.MaxUint32
	}
	return (maphash.String(s.seed, keyName(&r.f)) + uint64(r.f.Site.Kind)*0x9e3779b97f4a7c15) >> 32
}

// keyName is the name of a filing without a number.
func keyName(f *registry.Filing) string {
	if f.Site.Kind == registry.KindIP {
		return f.Addr.String()
	}
	return f.Site.Domains[0].String()
}

func (s *store) sameKey(rec *record, r *row) bool {
	if !r.f.Site.Number.IsZero() || !rec.number.IsZero() {
		return rec.number == r.f.Site.Number
	}
	if registry.Kind(rec.kind) != r.f.Site.Kind {
		return false
	}
	framed := s.text(rec)
	_, used := binary.Uvarint(framed)
	n, more := binary.Uvarint(framed[used:]) // the first text is the key's
	key := framed[used+more:]
	return string(key[:n]) == keyName(&r.f)
}

func (s *store) grow() {
	old := s.slots
	s.slots = make([]uint64, 2*len(old))
	mask := uint64(len(s.slots) - 1)
	for _, slot := range old {
		if uint32(slot) == 0 {
			continue
		}
		i := slot >> 32 & mask
		for uint32(s.slots[i]) != 0 {
			i = (i + 1) & mask
		}
		s.slots[i] = slot
	}
}

// text returns the record's piece of its chunk, the length in front included.
func (s *store) text(rec *record) []byte {
	b := s.chunks[rec.chunk][rec.off:]
	n, used := binary.Uvarint(b)
	return b[:used+int(n)]
}

// each calls f with all rows of each key, in the order in which the keys were
// first seen, and gives the memory back on the way. The rows are valid during
// the call. The store is of no use afterwards.
func (s *store) each(f func([]row) error) error {
	s.slots = nil
	var rows []row
	freed := uint32(0)
	for i := range s.slabs {
		for j := range s.slabs[i] {
			rec := &s.slabs[i][j]
			if rec.flags&isHead == 0 {
				continue
			}
			rows = s.list(rows[:0], rec)
			if err := f(rows); err != nil {
				return err
			}
		}
		// A row stands behind the head of its key, so nothing here is asked for again.
		last := s.slabs[i][len(s.slabs[i])-1].chunk
		for ; freed < last; freed++ {
			s.chunks[freed] = nil
		}
		s.slabs[i] = nil
	}
	return nil
}

func (s *store) list(rows []row, rec *record) []row {
	for {
		rows = append(rows, row{})
		s.decode(rec, &rows[len(rows)-1])
		if rec.next == 0 {
			return rows
		}
		rec = s.at(rec.next - 1)
	}
}

// providerIndex interns a provider.
func (s *store) providerIndex(id registry.ProviderID) uint32 {
	i, ok := s.providerN[id]
	if !ok {
		i = uint32(len(s.providers))
		id = registry.ProviderID([]byte(id)) // not to keep the whole row alive
		s.providers, s.providerN[id] = append(s.providers, id), i
	}
	return i
}

func unixTime(sec int64) time.Time {
	if sec == (time.Time{}).Unix() {
		return time.Time{}
	}
	return time.Unix(sec, 0).In(china)
}

func addrBytes(a netip.Addr) []byte {
	b, _ := a.MarshalBinary() // never fails
	return b
}

// slabCap is how many records the n-th slab has room for at first: the first one
// grows, since most files are small.
func slabCap(n int) int {
	if n == 0 {
		return 64
	}
	return slabSize
}
