package registry

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// Epoch is one life of a registry of record: a restore, a promotion or a change
// of key begins a new one. The zero value is no epoch.
type Epoch struct {
	Made   int64  // Unix milliseconds of its making
	Random uint64 // tells epochs of the same millisecond apart
}

// Revision is a state of the registry. Within an epoch revisions are ordered
// and without gaps. The zero value is before all others.
type Revision struct {
	Epoch Epoch
	Rev   uint64
}

// Compare orders revisions: by the epoch's making, then by number.
func (r Revision) Compare(s Revision) int {
	return cmp.Or(cmp.Compare(r.Epoch.Made, s.Epoch.Made), cmp.Compare(r.Epoch.Random, s.Epoch.Random), cmp.Compare(r.Rev, s.Rev))
}

// String writes epoch and number, for example "19a8c0d5e10-7f3b:42".
func (r Revision) String() string {
	return fmt.Sprintf("%x-%x:%d", r.Epoch.Made, r.Epoch.Random, r.Rev)
}

// ParseRevision reads what String wrote.
func ParseRevision(s string) (Revision, error) {
	made, rest, ok1 := strings.Cut(s, "-")
	random, rev, ok2 := strings.Cut(rest, ":")
	m, err1 := strconv.ParseInt(made, 16, 64)
	x, err2 := strconv.ParseUint(random, 16, 64)
	n, err3 := strconv.ParseUint(rev, 10, 64)
	if !ok1 || !ok2 || err1 != nil || err2 != nil || err3 != nil {
		return Revision{}, fmt.Errorf("revision %q: expect MILLISECONDS-RANDOM:NUMBER, the first two hexadecimal", s)
	}
	return Revision{Epoch{m, x}, n}, nil
}

// MarshalText writes what String writes.
func (r Revision) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (r *Revision) UnmarshalText(b []byte) (err error) {
	*r, err = ParseRevision(string(b))
	return err
}
