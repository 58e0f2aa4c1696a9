package store

import (
	"fmt"
	"slices"
	"strings"
)

// List is one of the small tables that edges follow beside filings and blacklist.
// The zero value is no list.
type List uint8

// The lists. Key and Value of an Entry are a line of the file of that name in the
// icp block, split into what it is about and what it says.
const (
	_              List = iota
	ListExemptions      // NAME or *.NAME; [until TIME] [authority]
	ListNetworks        // CIDR; PROVIDER PRODUCT REGION [PLACE]
	ListServers         // CIDR; PROVIDER PRODUCT REGION [PLACE]: the addresses of servers
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

// Entry is one line of a list. The zero value is none.
type Entry struct {
	List  List
	Key   string // what it is about; there is one entry a key
	Value string // what it says
	Gone  bool   // it is not there any more; Value is empty then
}
