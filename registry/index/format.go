package index

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/icpgate/icpgate/registry"
)

// The fixed parts of the format. See the package doc.
const (
	magic         = "\x89icpidx\n" // not ASCII, so that no text is one; the newline shows a text-mode transfer
	formatVersion = 1
	byteOrder     = 0x0a0b0c0d
	headerSize    = 512
	headerSumAt   = headerSize - 4
	sectionsAt    = 128
	sectionSize   = 32
	alignment     = 64
)

// section numbers the sections, in the order of the file.
type section int

const (
	sectionTable section = iota
	sectionRecordIndex
	sectionRecords
	sectionProviders
	sectionAccesses
	sectionCoverings
	sectionLists
	sectionNodes
	sectionBlacklist
	sectionGov
	sectionCount
)

var sectionNames = [sectionCount]string{
	"table", "record index", "records", "providers", "accesses", "coverings", "lists", "nodes", "blacklist", "government",
}

func (s section) String() string { return sectionNames[s] }

// castagnoli is CRC-32C, which amd64 and arm64 compute at the speed of memory.
// It finds every single flipped bit and every burst of up to 32.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// header is the decoded head of a snapshot.
type header struct {
	length   uint64 // of the file
	key      [16]byte
	revision registry.Revision
	madeAt   int64     // Unix milliseconds, 0 unknown
	counts   [4]uint64 // filings, names, addresses, blacklisted
	buckets  uint64
	spill    uint32
	tops     bool
	sections [sectionCount]extent
}

// extent is where a section lies and what it sums to.
type extent struct {
	offset, length uint64
	sum            uint32
}

func align(n uint64) uint64 { return (n + alignment - 1) &^ (alignment - 1) }

// encode writes the header into the first bytes of a file.
func (h *header) encode(b []byte) {
	le := binary.LittleEndian
	copy(b, magic)
	le.PutUint32(b[8:], formatVersion)
	le.PutUint32(b[12:], byteOrder)
	le.PutUint64(b[16:], h.length)
	le.PutUint32(b[24:], headerSize)
	le.PutUint32(b[28:], uint32(sectionCount))
	copy(b[32:], h.key[:])
	le.PutUint64(b[48:], uint64(h.revision.Epoch.Made))
	le.PutUint64(b[56:], h.revision.Epoch.Random)
	le.PutUint64(b[64:], h.revision.Rev)
	le.PutUint64(b[72:], uint64(h.madeAt))
	for i, n := range h.counts {
		le.PutUint64(b[80+8*i:], n)
	}
	le.PutUint64(b[112:], h.buckets)
	le.PutUint32(b[120:], h.spill)
	le.PutUint32(b[124:], uint32(flag(h.tops)))
	for i, s := range h.sections {
		at := b[sectionsAt+sectionSize*i:]
		le.PutUint32(at, uint32(i+1))
		le.PutUint32(at[4:], s.sum)
		le.PutUint64(at[8:], s.offset)
		le.PutUint64(at[16:], s.length)
	}
	le.PutUint32(b[headerSumAt:], crc32.Checksum(b[:headerSumAt], castagnoli))
}

// The hints say what to do with a file that is refused.
const (
	hintDamaged = "the file is damaged; fetch or build it again"
	hintForeign = "this is no snapshot of a registry; name one that icp-registry has written"
	hintNewer   = "update this program, or have the registry write the older format"
)

func damaged(offset uint64, format string, args ...any) error {
	return fmt.Errorf("%s at offset %d: %s", fmt.Sprintf(format, args...), offset, hintDamaged)
}

// decodeHeader checks everything about the head that can be told without the rest.
func decodeHeader(b []byte) (h header, err error) {
	le := binary.LittleEndian
	switch {
	case len(b) < len(magic) || string(b[:len(magic)]) != magic:
		return h, errors.New("header at offset 0 does not begin as one: " + hintForeign)
	case len(b) < headerSize:
		return h, damaged(uint64(len(b)), "header of %d bytes ends", headerSize)
	case le.Uint32(b[8:]) != formatVersion && le.Uint32(b[headerSumAt:]) != crc32.Checksum(b[:headerSumAt], castagnoli):
		return h, damaged(8, "header has version %d and a wrong checksum", le.Uint32(b[8:]))
	case le.Uint32(b[8:]) != formatVersion:
		return h, fmt.Errorf("header at offset 8 has format version %d, this program reads %d: %s", le.Uint32(b[8:]), formatVersion, hintNewer)
	case le.Uint32(b[headerSumAt:]) != crc32.Checksum(b[:headerSumAt], castagnoli):
		return h, damaged(headerSumAt, "header has another checksum than stands")
	case le.Uint32(b[12:]) != byteOrder, le.Uint32(b[24:]) != headerSize, le.Uint32(b[28:]) != uint32(sectionCount):
		return h, damaged(12, "header has constants of another format")
	}
	h.length = le.Uint64(b[16:])
	copy(h.key[:], b[32:])
	h.revision.Epoch.Made = int64(le.Uint64(b[48:]))
	h.revision.Epoch.Random = le.Uint64(b[56:])
	h.revision.Rev = le.Uint64(b[64:])
	h.madeAt = int64(le.Uint64(b[72:]))
	for i := range h.counts {
		h.counts[i] = le.Uint64(b[80+8*i:])
	}
	h.buckets, h.spill = le.Uint64(b[112:]), le.Uint32(b[120:])
	h.tops = le.Uint32(b[124:])&1 != 0
	for i := range h.sections {
		at := b[sectionsAt+sectionSize*i:]
		if le.Uint32(at) != uint32(i+1) {
			return h, damaged(uint64(sectionsAt+sectionSize*i), "header has section %d for %q", le.Uint32(at), section(i))
		}
		h.sections[i] = extent{sum: le.Uint32(at[4:]), offset: le.Uint64(at[8:]), length: le.Uint64(at[16:])}
	}
	return h, nil
}

func (h *header) made() time.Time {
	if h.madeAt == 0 {
		return time.Time{}
	}
	return time.UnixMilli(h.madeAt).UTC()
}

func (h *header) info() Info {
	return Info{
		Revision: h.revision, MadeAt: h.made(), Bytes: int64(h.length),
		Filings: int(h.counts[0]), Names: int(h.counts[1]), Addresses: int(h.counts[2]), Blacklisted: int(h.counts[3]),
	}
}
