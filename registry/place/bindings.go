package place

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/icpgate/icpgate/registry"
)

// Binding is what an operator says of a name: the product that serves it and how
// it is accelerated. The zero value says nothing.
type Binding struct {
	Product      registry.Product
	Acceleration registry.Acceleration
	Origin       registry.Origin
}

// Bindings tell what serves a name. A set is immutable and safe for concurrent
// use; the nil set and the zero one bind nothing.
type Bindings struct {
	exact map[registry.Domain]Binding
	below map[registry.Domain]Binding // "*.NAME" by NAME
}

// OpenBindings reads a file as ParseBindings does.
func OpenBindings(file string) (*Bindings, error) {
	b, err := parseFile(file, ParseBindings)
	if err != nil {
		return nil, fmt.Errorf("bindings file: %w", err)
	}
	return b, nil
}

// ParseBindings reads bindings, one a line:
//
//	NAME|*.NAME PRODUCT [acceleration=mainland|global|overseas] [origin=here|elsewhere|overseas]
//
// "#" begins a comment, "-" is an unknown product. "*.NAME" stands for all names
// below NAME, not for NAME. Errors name file (name) and line.
func ParseBindings(name string, r io.Reader) (*Bindings, error) {
	bs := &Bindings{exact: map[registry.Domain]Binding{}, below: map[registry.Domain]Binding{}}
	at := map[string]int{}
	err := readLines(name, r, func(n int, fields []string) error {
		if len(fields) < 2 {
			return errors.New("no product; expect NAME|*.NAME PRODUCT [acceleration=…] [origin=…]")
		}
		b, err := parseBinding(fields[1:])
		if err != nil {
			return err
		}
		bound, wild := strings.CutPrefix(fields[0], "*.")
		d, err := parseHostName(bound)
		if err != nil {
			return err
		}
		set, key := bs.exact, d.String()
		if wild {
			set, key = bs.below, "*."+key
		}
		if old, ok := set[d]; ok && old != b {
			return fmt.Errorf("%s was bound otherwise in line %d; keep one", key, at[key])
		} else if !ok {
			set[d], at[key] = b, n
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return bs, nil
}

// parseBinding reads PRODUCT and the options behind it.
func parseBinding(fields []string) (b Binding, err error) {
	if b.Product, err = parseProduct(fields[0]); err != nil {
		return b, err
	}
	seen := map[string]bool{}
	for _, field := range fields[1:] {
		key, value, _ := strings.Cut(show(field), "=")
		if seen[key] {
			return b, fmt.Errorf("%s is given twice", key)
		}
		seen[key] = true
		switch key {
		case "acceleration":
			b.Acceleration, err = parseAcceleration(value)
		case "origin":
			b.Origin, err = parseOrigin(value)
		default:
			err = fmt.Errorf("unknown option %q; expect acceleration=… or origin=…", show(field))
		}
		if err != nil {
			return b, err
		}
	}
	return b, nil
}

func parseAcceleration(s string) (registry.Acceleration, error) {
	a, err := registry.ParseAcceleration(s)
	if err != nil || a == registry.AccelerationUnknown {
		return a, fmt.Errorf("unknown acceleration %q; expect mainland, global or overseas", s)
	}
	return a, nil
}

// parseOrigin reads the short words of the file; those of package registry say
// which provider is meant, which here is the edge's own.
func parseOrigin(s string) (registry.Origin, error) {
	switch s {
	case "here":
		return registry.OriginHere, nil
	case "elsewhere":
		return registry.OriginElsewhere, nil
	case "overseas":
		return registry.OriginOverseas, nil
	}
	return registry.OriginUnknown, fmt.Errorf("unknown origin %q; expect here, elsewhere or overseas", s)
}

// Len returns how many names and wildcards are bound.
func (bs *Bindings) Len() int {
	if bs == nil {
		return 0
	}
	return len(bs.exact) + len(bs.below)
}

// Lookup returns the binding of d: its own, else that of the nearest wildcard
// above it. It allocates nothing.
func (bs *Bindings) Lookup(d registry.Domain) (Binding, bool) {
	if bs.Len() == 0 {
		return Binding{}, false
	}
	if b, ok := bs.exact[d]; ok {
		return b, true
	}
	for up := d.Parent(); !up.IsZero(); up = up.Parent() {
		if b, ok := bs.below[up]; ok {
			return b, true
		}
	}
	return Binding{}, false
}
