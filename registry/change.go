package registry

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Epoch is one life of a registry of record: a restore, a promotion or a change
// of key begins a new one. The zero value is no epoch.
type Epoch struct {
	Made   int64  // Unix milliseconds of its making
	Random uint64 // tells epochs of the same millisecond apart
}

// String writes what tells the epoch, for example "19a8c0d5e10-7f3b".
func (e Epoch) String() string { return fmt.Sprintf("%x-%x", e.Made, e.Random) }

// ParseEpoch reads what String wrote.
func ParseEpoch(s string) (Epoch, error) {
	made, random, ok := strings.Cut(s, "-")
	m, err1 := strconv.ParseInt(made, 16, 64)
	x, err2 := strconv.ParseUint(random, 16, 64)
	if !ok || err1 != nil || err2 != nil {
		return Epoch{}, fmt.Errorf("epoch %q: expect MILLISECONDS-RANDOM, both hexadecimal", s)
	}
	return Epoch{m, x}, nil
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
func (r Revision) String() string { return fmt.Sprintf("%s:%d", r.Epoch, r.Rev) }

// ParseRevision reads what String wrote.
func ParseRevision(s string) (Revision, error) {
	epoch, rev, ok := strings.Cut(s, ":")
	e, err1 := ParseEpoch(epoch)
	n, err2 := strconv.ParseUint(rev, 10, 64)
	if !ok || err1 != nil || err2 != nil {
		return Revision{}, fmt.Errorf("revision %q: expect MILLISECONDS-RANDOM:NUMBER, the first two hexadecimal", s)
	}
	return Revision{e, n}, nil
}

// MarshalText writes what String writes.
func (r Revision) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (r *Revision) UnmarshalText(b []byte) (err error) {
	*r, err = ParseRevision(string(b))
	return err
}

// ChangeKind is what a Change does. The zero value is ChangeNothing.
type ChangeKind uint8

// The kinds of changes.
const (
	ChangeNothing  ChangeKind = iota // only the revision goes on
	ChangeFilings                    // the filings of a name or an address are others from now on
	ChangeListed                     // a name, with all below it, is on the blacklist from now on
	ChangeUnlisted                   // a name is not on the blacklist any more
)

var changeWords = words{"nothing", "filings", "listed", "unlisted"}

// String returns the word of k, for example "filings".
func (k ChangeKind) String() string { return changeWords.of(uint8(k)) }

// MarshalText writes the word of k.
func (k ChangeKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (k *ChangeKind) UnmarshalText(b []byte) error {
	i, err := changeWords.parse("kind of change", string(b))
	*k = ChangeKind(i)
	return err
}

// Change is one part of what a revision made different from the one before it.
// The changes of a revision are one: none is in force without the others, and
// where two concern the same name or address the later one counts. The zero
// value changes nothing, in no epoch. A Change is a value; its slices are shared.
type Change struct {
	Revision Revision // the revision that the change is part of
	Kind     ChangeKind
	Name     Domain     // what is changed, unless it is an address
	Addr     netip.Addr // the address of filings of KindIP, else invalid
	// Filings are all filings under Name (or Addr) from now on, for
	// ChangeFilings; none means that there are none any more. A site with several
	// domains stands in a change for each of them.
	Filings []Filing
}

// Check reports the first reason why c cannot be: it names nothing, or two
// things, or holds a filing that Filing.Check refuses or that is made for
// something else.
func (c *Change) Check() error {
	byAddr := c.Addr.IsValid()
	switch {
	case c.Kind == ChangeNothing:
		if byAddr || !c.Name.IsZero() || len(c.Filings) > 0 {
			return fmt.Errorf("a change of kind %q concerns %s; it takes neither name, address nor filings", c.Kind, c.what())
		}
		return nil
	case c.Kind > ChangeUnlisted:
		return fmt.Errorf("unknown kind %d of a change; expect %s", c.Kind, AnyOf(changeWords))
	case byAddr == !c.Name.IsZero():
		return fmt.Errorf("a change of kind %q concerns %s; name one name or one address", c.Kind, c.what())
	case c.Kind == ChangeFilings:
		return c.checkFilings()
	case byAddr || len(c.Filings) > 0:
		return fmt.Errorf("the change %q of %s: the blacklist holds names, without filings", c.Kind, c.what())
	}
	return nil
}

func (c *Change) checkFilings() error {
	for i := range c.Filings {
		f := &c.Filings[i]
		if err := f.Check(); err != nil {
			return fmt.Errorf("filing %d of %s: %w", i+1, c.what(), err)
		}
		if !c.concerns(f) {
			return fmt.Errorf("filing %d of %s: it is not made for that, but for %s", i+1, c.what(), filedFor(f))
		}
	}
	return nil
}

// concerns reports whether f is filed under what c changes.
func (c *Change) concerns(f *Filing) bool {
	if c.Addr.IsValid() {
		return f.Addr.IsValid() && f.Addr.Unmap().WithZone("") == c.Addr.Unmap().WithZone("")
	}
	return slices.Contains(f.Site.Domains, c.Name)
}

func (c *Change) what() string {
	switch {
	case c.Addr.IsValid() && !c.Name.IsZero():
		return fmt.Sprintf("both %q and %s", c.Name, c.Addr)
	case c.Addr.IsValid():
		return c.Addr.String()
	case !c.Name.IsZero():
		return fmt.Sprintf("%q", c.Name)
	}
	return "nothing"
}

func filedFor(f *Filing) string {
	if f.Addr.IsValid() {
		return f.Addr.String()
	}
	return fmt.Sprintf("%q", f.Site.Domains)
}
