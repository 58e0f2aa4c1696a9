package place

import (
	_ "embed"
	"fmt"
	"io"
	"maps"
	"strings"
	"sync"

	"github.com/icpgate/icpgate/registry"
)

// Suffixes tell provider and product by the name that a CNAME points at. A set
// is immutable and safe for concurrent use; the nil set and the zero one know
// nothing.
type Suffixes struct {
	plain map[registry.Domain]suffix
	globs map[registry.Domain][]glob // by what stands behind the label with the wildcard
}

// suffix is what a matching line says, and how specific it is.
type suffix struct {
	provider registry.ProviderID
	product  registry.Product
	rank     int
	text     string // as canonical; settles a tie
}

//go:embed suffixes.txt
var builtinSuffixText string

var builtinSuffixLines = sync.OnceValue(func() map[string]suffix {
	lines, err := parseSuffixLines("built-in suffixes", strings.NewReader(builtinSuffixText))
	if err != nil {
		panic(err) // part of the program: a test reads it
	}
	return lines
})

var builtinSuffixes = sync.OnceValue(func() *Suffixes { return compileSuffixes(builtinSuffixLines()) })

// BuiltinSuffixes returns the suffixes of the providers known to us.
func BuiltinSuffixes() *Suffixes { return builtinSuffixes() }

// OpenSuffixes reads a file as ParseSuffixes does.
func OpenSuffixes(file string) (*Suffixes, error) {
	s, err := parseFile(file, ParseSuffixes)
	if err != nil {
		return nil, fmt.Errorf("suffixes file: %w", err)
	}
	return s, nil
}

// ParseSuffixes reads CNAME suffixes, one a line, and lays them over the built-in
// ones:
//
//	SUFFIX PROVIDER PRODUCT
//
// "#" begins a comment, "-" is an unknown provider or product. One label of
// SUFFIX, but not the last, may hold "*" (any run of characters, even none),
// "?" (one) and "[1-5]" (one of these); none stands for a dot. A line replaces
// the built-in one of the same SUFFIX. Errors name file (name) and line.
func ParseSuffixes(name string, r io.Reader) (*Suffixes, error) {
	own, err := parseSuffixLines(name, r)
	if err != nil {
		return nil, err
	}
	all := maps.Clone(builtinSuffixLines())
	maps.Copy(all, own)
	return compileSuffixes(all), nil
}

func parseSuffixLines(name string, r io.Reader) (map[string]suffix, error) {
	lines, at := map[string]suffix{}, map[string]int{}
	err := readLines(name, r, func(n int, fields []string) error {
		s, err := parseSuffix(fields)
		if err != nil {
			return err
		}
		if old, ok := lines[s.text]; ok && old != s {
			return fmt.Errorf("%s was given with other values in line %d; keep one", s.text, at[s.text])
		} else if !ok {
			lines[s.text], at[s.text] = s, n
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return lines, nil
}

func parseSuffix(fields []string) (s suffix, err error) {
	if len(fields) != 3 {
		return s, fmt.Errorf("%d fields; expect SUFFIX PROVIDER PRODUCT, with - for what is unknown", len(fields))
	}
	p, err := parsePattern(fields[0])
	if err != nil {
		return s, err
	}
	s.text, s.rank = p.String(), p.rank()
	if s.provider, err = parseProvider(fields[1]); err != nil {
		return s, err
	}
	s.product, err = parseProduct(fields[2])
	return s, err
}

// compileSuffixes makes parsed lines, by their canonical text, searchable.
func compileSuffixes(lines map[string]suffix) *Suffixes {
	s := &Suffixes{plain: map[registry.Domain]suffix{}, globs: map[registry.Domain][]glob{}}
	for text, line := range lines {
		p, err := parsePattern(text)
		switch {
		case err != nil: // impossible: it is canonical
		case p.label == "":
			s.plain[p.tail] = line
		default:
			s.globs[p.tail] = append(s.globs[p.tail], newGlob(p, line))
		}
	}
	return s
}

// Lookup tells provider and product of the longest suffix that d is or lies
// below; of suffixes with equally many labels a plain one wins, then the one
// with more literal characters. It allocates nothing.
func (s *Suffixes) Lookup(d registry.Domain) (registry.ProviderID, registry.Product, bool) {
	if s == nil {
		return "", registry.ProductUnknown, false
	}
	var best suffix
	for tail := d; !tail.IsZero(); tail = tail.Parent() {
		if line, ok := s.plain[tail]; ok && line.over(best) {
			best = line
		}
		globs := s.globs[tail]
		for i := range globs {
			if globs[i].line.over(best) && globs[i].match(d, tail) {
				best = globs[i].line
			}
		}
	}
	return best.provider, best.product, best.rank > 0
}

// over reports whether s is more specific than t.
func (s suffix) over(t suffix) bool {
	return s.rank > t.rank || s.rank == t.rank && s.text < t.text
}
