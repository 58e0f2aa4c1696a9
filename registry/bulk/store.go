package bulk

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/maphash"
	"math"

	"github.com/icpgate/icpgate/registry"
)

// store holds the accepted rows until all are read. Millions of them are held,
// so they lie packed in chunks of bytes, which the garbage collector does not
// walk. It is for one goroutine; seed and providers are shared with packers. The
// zero value is not ready.
type store struct {
	seed      maphash.Seed
	slots     []uint64 // open addressing: hash in the upper, 1 + place of a head in the lower half
	heads     int
	rows      uint32
	chunks    [][]byte
	providers *providers
}

// The head of a packed row: u32 1 + place of the next row of its key, u32 line,
// u32 seq, u16 file, and whether it is the first row of its key.
const (
	nextAt  = 0
	lineAt  = 4
	seqAt   = 8
	fileAt  = 12
	firstAt = 14
)

// A place is where a row begins: its chunk, and rowAlign bytes as a unit within.
const (
	chunkBits = 20
	chunkSize = 1 << chunkBits // bytes
	unitBits  = chunkBits - 3  // of rowAlign bytes
	maxChunks = 1<<(32-unitBits) - 1
	// firstChunk is the size of the first chunk; each is twice the one before.
	firstChunk = 4 << 10
	// maxChain bounds how many rows of one key a new row is compared with to
	// find a duplicate. No site has that many providers.
	maxChain = 64
)

var errTooMany = errors.New("more than 4,294,967,294 rows, or 32 GB of them; import in parts")

func newStore() *store {
	return &store{
		seed: maphash.MakeSeed(), slots: make([]uint64, 1<<10),
		providers: &providers{of: map[registry.ProviderID]uint32{}},
	}
}

// hashOf a row's key; 32 bits are used, as many as there can be rows.
func hashOf(seed maphash.Seed, key []byte) uint32 { return uint32(maphash.Bytes(seed, key)) }

type added uint8

const (
	addedNew added = iota
	addedMerged
	addedDuplicate
)

// place is where a row stands in its file and among all rows.
type place struct {
	line, seq uint32
	file      uint16
}

// add keeps a copy of a packed row.
func (s *store) add(packed []byte, hash uint32, at place) (added, error) {
	if s.rows == math.MaxUint32-1 || len(s.chunks) >= maxChunks {
		return 0, errTooMany
	}
	slot := s.find(hash, keyIn(packed))
	head := uint32(s.slots[slot])
	if head == 0 {
		row, i := s.put(packed, at)
		row[firstAt] = 1
		s.slots[slot] = uint64(hash)<<32 | uint64(i+1)
		if s.heads++; s.heads > len(s.slots)/4*3 {
			s.grow()
		}
		return addedNew, nil
	}
	first := s.at(head - 1)
	if twin := s.twin(first, packed); twin != nil {
		at.write(twin) // as the later row it has the place that decides ties
		return addedDuplicate, nil
	}
	row, i := s.put(packed, at)
	copy(row[nextAt:nextAt+4], first[nextAt:])
	binary.LittleEndian.PutUint32(first[nextAt:], i+1)
	return addedMerged, nil
}

func (p place) write(row []byte) {
	binary.LittleEndian.PutUint32(row[lineAt:], p.line)
	binary.LittleEndian.PutUint32(row[seqAt:], p.seq)
	binary.LittleEndian.PutUint16(row[fileAt:], p.file)
}

// put copies a row to the end of the chunks.
func (s *store) put(packed []byte, at place) (row []byte, i uint32) {
	s.rows++
	last := len(s.chunks) - 1
	if last < 0 || len(s.chunks[last])+len(packed) > cap(s.chunks[last]) {
		s.chunks = append(s.chunks, make([]byte, 0, max(min(chunkSize, firstChunk<<min(len(s.chunks), 8)), len(packed))))
		last++
	}
	from := len(s.chunks[last])
	s.chunks[last] = append(s.chunks[last], packed...)
	row = s.chunks[last][from:]
	at.write(row)
	return row, uint32(last)<<unitBits | uint32(from/rowAlign)
}

// at returns the row at a place, and all behind it in its chunk.
func (s *store) at(i uint32) []byte {
	return s.chunks[i>>unitBits][int(i&(1<<unitBits-1))*rowAlign:]
}

// rowLen is how long the row at the front of b is.
func rowLen(b []byte) int {
	n, used := binary.Uvarint(b[headSize:])
	return (headSize + used + int(n) + rowAlign - 1) &^ (rowAlign - 1)
}

// twin finds a row of the list at head that says exactly the same.
func (s *store) twin(row, packed []byte) []byte {
	for range maxChain {
		if bytes.HasPrefix(row[headSize:], packed[headSize:]) {
			return row
		}
		next := binary.LittleEndian.Uint32(row[nextAt:])
		if next == 0 {
			break
		}
		row = s.at(next - 1)
	}
	return nil
}

// find returns the slot of a key: that of its head, or a free one.
func (s *store) find(hash uint32, key []byte) int {
	mask := uint32(len(s.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		slot := s.slots[i]
		if uint32(slot) == 0 || uint32(slot>>32) == hash && bytes.Equal(keyIn(s.at(uint32(slot)-1)), key) {
			return int(i)
		}
	}
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

// each calls f with all rows of each key whose first row lies in a chunk, in the
// order in which these were read. The rows are valid during the call. Several
// goroutines may do so, each with its own unpacker, once all rows are in.
func (s *store) each(chunk int, u *unpacker, f func([]row) error) error {
	all := s.chunks[chunk]
	var rows []row
	text, begin := "", 0 // a copy of what stands from begin on
	for from := 0; from < len(all); {
		if from >= begin+len(text) {
			text, begin = string(pieceOf(all[from:])), from
		}
		packed := all[from:]
		if packed[firstAt] != 0 {
			rows = append(rows[:0], row{})
			u.unpack(text[from-begin:], &rows[0])
			rows = s.more(rows, packed, u)
			if err := f(rows); err != nil {
				return err
			}
		}
		from += rowLen(packed)
	}
	return nil
}

// pieceSize is about how many bytes of rows become one string: whoever keeps a
// filing keeps these.
const pieceSize = 4 << 10

// pieceOf returns the rows at the front of b.
func pieceOf(b []byte) []byte {
	n := 0
	for n < len(b) && n < pieceSize {
		n += rowLen(b[n:])
	}
	return b[:n]
}

// more appends the rows that follow a head. They stand behind it.
func (s *store) more(rows []row, packed []byte, u *unpacker) []row {
	for {
		next := binary.LittleEndian.Uint32(packed[nextAt:])
		if next == 0 {
			return rows
		}
		packed = s.at(next - 1)
		rows = append(rows, row{})
		u.unpack(string(packed[:rowLen(packed)]), &rows[len(rows)-1])
	}
}

// full drops what is only needed to add rows.
func (s *store) full() { s.slots = nil }

// drop gives the memory of a chunk back, and must not be called before each has
// been through all chunks up to it.
func (s *store) drop(chunk int) { s.chunks[chunk] = nil }
