package feed

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/dchest/siphash"
)

// List is one of the small tables that edges follow beside filings and blacklist.
// The zero value is no list.
type List uint8

// The lists. An entry is a line of the file of the same name in the icp block,
// split into what it is about and what it says.
const (
	_              List = iota
	ListExemptions      // NAME or *.NAME; [until TIME] [authority]
	ListNetworks        // CIDR; PROVIDER PRODUCT REGION [PLACE]
	ListServers         // address; PROVIDER PRODUCT REGION [PLACE]: networks of one address, from the servers
	ListBindings        // NAME or *.NAME; PRODUCT [acceleration=…] [origin=…]
	ListSuffixes        // CNAME suffix; PROVIDER PRODUCT
	ListProfiles        // PROVIDER PRODUCT; demand
	ListTLDs            // top-level domain that may be filed; nothing
	listEnd
)

var listWords = [listEnd]string{"", "exemptions", "networks", "servers", "bindings", "suffixes", "profiles", "tlds"}

// String returns the word of l, for example "networks".
func (l List) String() string {
	if l > 0 && l < listEnd {
		return listWords[l]
	}
	return fmt.Sprintf("List(%d)", uint8(l))
}

// ParseList reads the word of a list.
func ParseList(s string) (List, error) {
	if i := slices.Index(listWords[:], s); i > 0 {
		return List(i), nil
	}
	return 0, fmt.Errorf("unknown list %q; expect %s", s, strings.Join(listWords[1:], ", "))
}

// Limits of the lists.
const (
	// MaxEntry bounds key and value of an entry, in bytes, together.
	MaxEntry = 1024
	// MaxEntries bounds all lists of a registry: a provider's servers, at most.
	MaxEntries = 2_000_000
)

// Entry is one line of a list. The zero value is none.
type Entry struct {
	List  List
	Key   string // what it is about; there is one entry a key
	Value string // what it says
	// Gone: the entry is not there any more. Value is empty then.
	Gone bool
}

// Check reports why e cannot be an entry: an unknown list, no key, or what cannot
// stand in a line.
func (e Entry) Check() error {
	switch {
	case e.List == 0 || e.List >= listEnd:
		return fmt.Errorf("entry %q of %s; expect one of %s", e.Key, e.List, strings.Join(listWords[1:], ", "))
	case e.Key == "":
		return fmt.Errorf("an entry of %s without a key", e.List)
	case len(e.Key)+len(e.Value) > MaxEntry:
		return fmt.Errorf("an entry of %s has %d bytes; at most %d", e.List, len(e.Key)+len(e.Value), MaxEntry)
	case !inLine(e.Key) || !inLine(e.Value):
		return fmt.Errorf("entry %q %q of %s holds what no line can: a tab, a control character, a %q, or no UTF-8", e.Key, e.Value, e.List, "#")
	case e.Gone && e.Value != "":
		return fmt.Errorf("entry %q of %s is gone and says %q", e.Key, e.List, e.Value)
	}
	return nil
}

// inLine reports whether s can stand in a line of a data file as it is.
func inLine(s string) bool {
	return utf8.ValidString(s) && s == strings.TrimSpace(s) && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == '#' })
}

// Lists are the entries of one revision. The zero value has none and is ready for
// use. It is not safe for concurrent use.
type Lists struct {
	of     [listEnd]map[string]string
	n      int
	digest uint64
	k0, k1 uint64
}

// NewLists returns lists whose digest is keyed by the snapshot's key.
func NewLists(key [16]byte) *Lists {
	l := &Lists{}
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
	for i, m := range l.of {
		if m == nil {
			continue
		}
		c.of[i] = make(map[string]string, len(m))
		for k, v := range m {
			c.of[i][k] = v
		}
	}
	return &c
}

// Apply takes in an entry that Check accepts. It fails, and changes nothing, if
// there would be too many.
func (l *Lists) Apply(e Entry) error {
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

func (l *Lists) hash(list List, key, value string) uint64 {
	return siphash.Hash(l.k0, l.k1, []byte(list.String()+"\t"+key+"\t"+value))
}

// All goes through the entries: by list, then by key.
func (l *Lists) All() iter.Seq[Entry] {
	return func(yield func(Entry) bool) {
		for list := range l.of {
			for _, key := range sortedKeys(l.of[list]) {
				if !yield(Entry{List: List(list), Key: key, Value: l.of[list][key]}) {
					return
				}
			}
		}
	}
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, cmp.Compare[string])
	return keys
}

// File returns one list as the data file that an operator would write, in the
// order of keys.
func (l *Lists) File(list List) []byte {
	var b bytes.Buffer
	if list >= listEnd {
		return nil
	}
	for _, key := range sortedKeys(l.of[list]) {
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
	lines := bufio.NewReaderSize(r, 2*MaxEntry)
	head, err := lines.ReadString('\n')
	if head != listsHead {
		return nil, 0, fmt.Errorf("snapshot of lists begins with %.40q; expect %q (%w)", head, strings.TrimSpace(listsHead), cmp.Or(err, errForeign))
	}
	l = NewLists(key)
	last := Entry{}
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

func parseEntry(line string) (e Entry, known bool, err error) {
	fields := strings.Split(line, "\t")
	if len(fields) != 3 {
		return e, false, fmt.Errorf("%d fields; expect list, key and value between tabs", len(fields))
	}
	list, err := ParseList(fields[0])
	if err != nil {
		return e, false, nil
	}
	return Entry{List: list, Key: fields[1], Value: fields[2]}, true, nil
}
