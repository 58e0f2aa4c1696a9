package index

import (
	"encoding/binary"
	"hash/crc32"
	"unsafe"

	"github.com/icpgate/icpgate/registry"
)

// What the tests of package index_test see beside the API.

var Load = load

const (
	HeaderSize  = headerSize
	SectionsAt  = sectionsAt
	SectionSize = sectionSize
	Sections    = int(sectionCount)
	HeaderSumAt = headerSumAt
)

// Image returns the bytes of the snapshot.
func (x *Index) Image() []byte { return x.image }

// DecisionBytes returns how much a decision may touch: the table, and the
// answers on the heap.
func (x *Index) DecisionBytes() int {
	n := len(x.table.lines) + len(x.nodes)*int(unsafe.Sizeof(node{}))
	for _, i := range x.nodes {
		n += (len(i.self.Filings) + len(i.below.Filings)) * int(unsafe.Sizeof(registry.Covering{}))
	}
	return n
}

// FixSums makes the checksums right again after a change, as far as the header
// leads to the sections.
func FixSums(image []byte) {
	if len(image) < headerSize {
		return
	}
	le := binary.LittleEndian
	for i := range int(sectionCount) {
		at := image[sectionsAt+sectionSize*i:]
		offset, length := le.Uint64(at[8:]), le.Uint64(at[16:])
		if offset <= uint64(len(image)) && length <= uint64(len(image))-offset {
			le.PutUint32(at[4:], crc32.Checksum(image[offset:][:length], castagnoli))
		}
	}
	le.PutUint32(image[headerSumAt:], crc32.Checksum(image[:headerSumAt], castagnoli))
}

// Sums hashes every suffix of a name.
func Sums(key [16]byte, name string) (all [][2]uint64) {
	keyOf(key).walk(name, 1, func(s sum, _ int, _ bool) bool {
		all = append(all, [2]uint64{s.h0, s.h1})
		return true
	})
	return all
}

// Sum is a computed key.
type Sum = sum

// Sum hashes a name with the key of x.
func (x *Index) Sum(d registry.Domain) Sum { return x.key.name(d.String()) }

// First is the first half of a sum.
func First(s Sum) uint64 { return s.h0 }

// Second is the other half.
func Second(s Sum) uint64 { return s.h1 }

// CoverSum answers for a registrable name by its key.
func (x *Index) CoverSum(s Sum) registry.Coverage {
	n, _ := x.table.find(s)
	return x.nodes[n].self
}

// Walk hands out the sum of each suffix from two labels on.
func (x *Index) Walk(d registry.Domain, visit func(s Sum) bool) {
	x.key.walk(d.String(), 2, func(s sum, _ int, _ bool) bool { return visit(s) })
}

// SectionLengths are the bytes of each section.
func (x *Index) SectionLengths() (n []uint64) {
	h, _ := decodeHeader(x.image)
	for _, s := range h.sections {
		n = append(n, s.length)
	}
	return n
}

// SectionAt names the section in which an offset lies.
func (x *Index) SectionAt(offset int) string {
	h, _ := decodeHeader(x.image)
	name := "header"
	for i, s := range h.sections {
		if uint64(offset) >= s.offset {
			name = section(i).String()
		}
	}
	return name
}

// GovFilings are the names with a standing site at or below reg.
func (x *Index) GovFilings(reg registry.Domain) []registry.Domain { return x.govFilings(reg) }

// Mappings is how many files are mapped.
func Mappings() int64 { return mappings.Load() }

// CanMap reports whether Map maps.
func CanMap() bool {
	image, err := mapFile("export_test.go")
	if image != nil {
		unmap(image)
	}
	return err == nil && image != nil
}
