package feed

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/dchest/siphash"

	"github.com/icpgate/icpgate/registry"
)

// MaxEntries bounds all lists of a registry: a provider's servers, at most.
const MaxEntries = 2_000_000

// Lists are the entries of one revision. Make them by NewLists. They are not
// safe for concurrent use.
type Lists struct {
	of     map[registry.List]map[string]string // none is empty
	n      int
	digest uint64
	k0, k1 uint64
}

// NewLists returns lists whose digest is keyed by the snapshot's key.
func NewLists(key [16]byte) *Lists {
	l := &Lists{of: map[registry.List]map[string]string{}}
	l.k0, l.k1 = siphash.Hash128(le(key[:8]), le(key[8:]), []byte("lists"))
	return l
}

func le(b []byte) (v uint64) {
	for i, c := range b {
		v |= uint64(c) << (8 * i)
	}
	return v
}

// Len is how many entries there are.
func (l *Lists) Len() int { return l.n }

// Digest is the sum, modulo 2^64, of a keyed hash of every entry; 0 without any.
func (l *Lists) Digest() uint64 { return l.digest }

// Clone returns a copy that changes of l do not reach.
func (l *Lists) Clone() *Lists {
	c := *l
	c.of = make(map[registry.List]map[string]string, len(l.of))
	for list, m := range l.of {
		c.of[list] = maps.Clone(m)
	}
	return &c
}

// Apply takes in an entry that Check accepts. It fails, and changes nothing, if
// there would be too many.
func (l *Lists) Apply(e registry.Entry) error {
	if err := e.Check(); err != nil {
		return err
	}
	m := l.of[e.List]
	old, had := m[e.Key]
	if !had && !e.Gone && l.n == MaxEntries {
		return fmt.Errorf("entry %q of %s is one too many: lists have at most %d", e.Key, e.List, MaxEntries)
	}
	if had {
		l.digest -= l.hash(e.List, e.Key, old)
		l.n--
		delete(m, e.Key)
	}
	if e.Gone {
		return nil
	}
	if m == nil {
		m = map[string]string{}
		l.of[e.List] = m
	}
	m[e.Key] = e.Value
	l.n++
	l.digest += l.hash(e.List, e.Key, e.Value)
	return nil
}

func (l *Lists) hash(list registry.List, key, value string) uint64 {
	return siphash.Hash(l.k0, l.k1, []byte(list.String()+"\t"+key+"\t"+value))
}

// All goes through the entries: by list, then by key.
func (l *Lists) All() iter.Seq[registry.Entry] {
	return func(yield func(registry.Entry) bool) {
		for _, list := range registry.AllLists() {
			for _, key := range slices.Sorted(maps.Keys(l.of[list])) {
				if !yield(registry.Entry{List: list, Key: key, Value: l.of[list][key]}) {
					return
				}
			}
		}
	}
}

// File returns one list as the data file that an operator would write, in the
// order of keys.
func (l *Lists) File(list registry.List) []byte {
	var b bytes.Buffer
	for _, key := range slices.Sorted(maps.Keys(l.of[list])) {
		b.WriteString(strings.TrimSuffix(key+" "+l.of[list][key], " "))
		b.WriteByte('\n')
	}
	return b.Bytes()
}

// listsHead is the first line of a snapshot of lists.
const listsHead = "icp lists 1\n"

// Append appends the snapshot of the lists: a line of the format, and one an entry
// with list, key and value between tabs, in the order of All. It is a function of
// the entries.
func (l *Lists) Append(b []byte) []byte {
	b = append(b, listsHead...)
	for e := range l.All() {
		b = append(b, e.List.String()...)
		b = append(append(b, '\t'), e.Key...)
		b = append(append(b, '\t'), e.Value...)
		b = append(b, '\n')
	}
	return b
}

// ReadLists reads what Append wrote. Entries of a list that this program does not
// know are left out and counted in skipped, since a newer registry may have more.
func ReadLists(r io.Reader, key [16]byte) (l *Lists, skipped int, err error) {
	lines := bufio.NewReaderSize(r, 2*registry.MaxEntry)
	head, err := lines.ReadString('\n')
	if head != listsHead {
		return nil, 0, fmt.Errorf("snapshot of lists begins with %.40q; expect %q (%w)", head, strings.TrimSpace(listsHead), cmp.Or(err, errForeign))
	}
	l = NewLists(key)
	last := registry.Entry{}
	for n := 2; ; n++ {
		line, err := lines.ReadSlice('\n')
		switch {
		case errors.Is(err, io.EOF) && len(line) == 0:
			return l, skipped, nil
		case errors.Is(err, io.EOF):
			return nil, 0, fmt.Errorf("snapshot of lists: line %d ends early; fetch it again", n)
		case err != nil:
			return nil, 0, fmt.Errorf("snapshot of lists: line %d: %w", n, err)
		}
		e, known, err := parseEntry(string(line[:len(line)-1]))
		if err != nil {
			return nil, 0, fmt.Errorf("snapshot of lists: line %d: %w", n, err)
		}
		if !known {
			skipped++
			continue
		}
		if cmp.Or(cmp.Compare(last.List, e.List), cmp.Compare(last.Key, e.Key)) >= 0 {
			return nil, 0, fmt.Errorf("snapshot of lists: line %d: entry %q of %s is not after the one before it", n, e.Key, e.List)
		}
		if err := l.Apply(e); err != nil {
			return nil, 0, fmt.Errorf("snapshot of lists: line %d: %w", n, err)
		}
		last = e
	}
}

var errForeign = errors.New("this is no snapshot of lists")

func parseEntry(line string) (e registry.Entry, known bool, err error) {
	fields := strings.Split(line, "\t")
	if len(fields) != 3 {
		return e, false, fmt.Errorf("%d fields; expect list, key and value between tabs", len(fields))
	}
	list, err := registry.ParseList(fields[0])
	if err != nil {
		return e, false, nil
	}
	return registry.Entry{List: list, Key: fields[1], Value: fields[2]}, true, nil
}
