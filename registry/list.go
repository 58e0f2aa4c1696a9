package registry

import (
	"fmt"
	"strings"
	"unicode/utf8"
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

var listWords = words{"none", "exemptions", "networks", "servers", "bindings", "suffixes", "profiles", "tlds"}

// String returns the word of l, for example "networks".
func (l List) String() string { return listWords.of(uint8(l)) }

// ParseList reads the word of a list.
func ParseList(s string) (List, error) {
	i, err := listWords[1:].parse("list", s)
	return List(i + 1), err
}

// MaxEntry bounds key and value of an entry, in bytes, together.
const MaxEntry = 1024

// AllLists goes through the lists in their order.
func AllLists() []List {
	all := make([]List, 0, listEnd)
	for l := List(1); l < listEnd; l++ {
		all = append(all, l)
	}
	return all
}

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
		return fmt.Errorf("entry %q of %s; expect one of %s", e.Key, e.List, AnyOf(listWords[1:]))
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
