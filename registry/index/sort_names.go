package index

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"io"
	"iter"
	"slices"
	"strings"

	"github.com/icpgate/icpgate/registry"
)

// nameSet is a set of names in a snapshot: u32 count, u32 end of each before the
// next in the bytes that follow, beginning with a 0, and those, in the order of
// compareEnds. What lies within one name lies together.
type nameSet []byte

// compareEnds compares names from their last byte to the first.
func compareEnds(a, b string) int {
	for i, j := len(a)-1, len(b)-1; i >= 0 && j >= 0; i, j = i-1, j-1 {
		if a[i] != b[j] {
			return cmp.Compare(a[i], b[j])
		}
	}
	return cmp.Compare(len(a), len(b))
}

// sortedNames brings the names of a map into the order of a nameSet.
func sortedNames[V any](names map[registry.Domain]V) []string {
	list := make([]string, 0, len(names))
	for d := range names {
		list = append(list, d.String())
	}
	slices.SortFunc(list, compareEnds)
	return list
}

// writeNames writes a nameSet. It goes through names three times.
func writeNames(w io.Writer, names iter.Seq[string]) error {
	var word [4]byte
	put := func(n int) error {
		binary.LittleEndian.PutUint32(word[:], uint32(n))
		_, err := w.Write(word[:])
		return err
	}
	n, end := 0, 0
	for range names {
		n++
	}
	err := cmp.Or(put(n), put(0))
	for name := range names {
		end += len(name)
		err = cmp.Or(err, put(end))
	}
	out := bufio.NewWriter(w)
	for name := range names {
		_, _ = out.WriteString(name) // Flush has the error
	}
	return cmp.Or(err, out.Flush())
}

// valid reports whether the numbers of a set lead nowhere else.
func (s nameSet) valid() bool {
	if len(s) < 8 || uint64(binary.LittleEndian.Uint32(s)) > uint64(len(s)-8)/4 {
		return false
	}
	bytes := len(s) - 8 - 4*s.len()
	last := uint32(0)
	for i := range s.len() + 1 {
		end := binary.LittleEndian.Uint32(s[4+4*i:])
		if end < last || int(end) > bytes {
			return false
		}
		last = end
	}
	return int(last) == bytes
}

func (s nameSet) len() int { return int(binary.LittleEndian.Uint32(s)) }

// at returns a copy of the i-th name.
func (s nameSet) at(i int) string {
	names := s[8+4*s.len():]
	ends := s[4+4*i:]
	return string(names[binary.LittleEndian.Uint32(ends):binary.LittleEndian.Uint32(ends[4:])])
}

// search returns the place of the first name that is not before name.
func (s nameSet) search(name string) (at int, found bool) {
	low, high := 0, s.len()
	for low < high {
		middle := int(uint(low+high) >> 1)
		switch c := compareEnds(s.at(middle), name); {
		case c == 0:
			return middle, true
		case c < 0:
			low = middle + 1
		default:
			high = middle
		}
	}
	return low, false
}

func (s nameSet) has(d registry.Domain) bool {
	_, found := s.search(d.String())
	return found
}

// all goes through the names in their order.
func (s nameSet) all() iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := range s.len() {
			if !yield(s.at(i)) {
				return
			}
		}
	}
}

// within goes through zone, if it is in the set, and the names below it.
func (s nameSet) within(zone registry.Domain) iter.Seq[registry.Domain] {
	return func(yield func(registry.Domain) bool) {
		if s.has(zone) && !yield(zone) {
			return
		}
		end := "." + zone.String()
		i, _ := s.search(end)
		for ; i < s.len() && strings.HasSuffix(s.at(i), end); i++ {
			if d := canonical(s.at(i)); !d.IsZero() && !yield(d) {
				return
			}
		}
	}
}

// changed goes through the names of s as a map would have them: true puts a name
// in, false out.
func (s nameSet) changed(by map[registry.Domain]bool) iter.Seq[string] {
	names := sortedNames(by)
	return func(yield func(string) bool) {
		more := names
		for name := range s.all() {
			for len(more) > 0 && compareEnds(more[0], name) < 0 {
				if by[canonical(more[0])] && !yield(more[0]) {
					return
				}
				more = more[1:]
			}
			in := true
			if len(more) > 0 && more[0] == name {
				in, more = by[canonical(name)], more[1:]
			}
			if in && !yield(name) {
				return
			}
		}
		for _, name := range more {
			if by[canonical(name)] && !yield(name) {
				return
			}
		}
	}
}
