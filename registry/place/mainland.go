package place

import (
	"fmt"
	"io"
	"iter"
	"net/netip"

	"github.com/gaissmai/bart"

	"github.com/icpgate/icpgate/registry"
)

// List is an operator's mainland file: which prefixes are in the mainland, and,
// from an MMDB, where the others are. It is immutable and safe for concurrent
// use. The nil List and the zero one list nothing.
type List struct {
	prefixes bart.Table[registry.Place]
}

// Mainland goes through the prefixes of the mainland, in no order that means
// anything.
func (l *List) Mainland() iter.Seq[netip.Prefix] {
	return func(yield func(netip.Prefix) bool) {
		if l == nil {
			return
		}
		for p, where := range l.prefixes.All() {
			if where == registry.Mainland && !yield(p) {
				return
			}
		}
	}
}

// ParseMainland reads prefixes of the mainland, one CIDR or address a line; "#"
// begins a comment. Repeats and prefixes inside others are fine. A file that
// lists nothing is refused: it would open the whole mainland. Errors name file
// (name) and line.
func ParseMainland(name string, r io.Reader) (*List, error) {
	l := new(List)
	err := readLines(name, r, func(_ int, fields []string) error {
		if len(fields) > 1 {
			return fmt.Errorf("unexpected %q after %q; expect one CIDR or address a line", show(fields[1]), show(fields[0]))
		}
		p, err := registry.ParsePrefix(fields[0])
		if err != nil {
			return err
		}
		l.prefixes.Insert(p, registry.Mainland)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if l.Len() == 0 {
		return nil, fmt.Errorf("%s lists no prefix; expect one CIDR or address a line", name)
	}
	return l, nil
}

// Len returns how many prefixes l lists.
func (l *List) Len() int {
	if l == nil {
		return 0
	}
	return l.prefixes.Size()
}

// place tells where the whole of p is.
func (l *List) place(p netip.Prefix) (registry.Place, bool) {
	if l == nil {
		return registry.PlaceUnknown, false
	}
	return l.prefixes.LookupPrefix(p)
}
