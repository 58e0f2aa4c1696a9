package registry

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Status is the state of a filing. The zero value is StatusNormal.
type Status uint8

// The states. While a change is under review the filing stands as before
// (TC, 网站访问类); while a first filing or an added site is, nothing may be open.
const (
	StatusNormal             Status = iota // approved
	StatusChangePending                    // approved, a change (变更备案) is under review
	StatusFirstFilingPending               // a first filing (首次备案) is under review
	StatusAddSitePending                   // an added site (新增网站) is under review
	StatusCancelled                        // cancelled (注销), by itself or with its entity
)

var statusWords = words{"normal", "change-pending", "first-filing-pending", "add-site-pending", "cancelled"}

// ParseStatus reads the word of a filing's status.
func ParseStatus(s string) (Status, error) {
	i, err := statusWords.parse("filing status", s)
	return Status(i), err
}

// String returns the word of s, for example "first-filing-pending".
func (s Status) String() string { return statusWords.of(uint8(s)) }

// MarshalText writes the word of s.
func (s Status) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (s *Status) UnmarshalText(b []byte) (err error) {
	*s, err = ParseStatus(string(b))
	return err
}

// Stands reports whether a filing in this state counts as made.
func (s Status) Stands() bool { return s == StatusNormal || s == StatusChangePending }

// Filing is the record that an entity has filed a site under a domain
// (ICP备案). The zero value names no site and fails Check. A filing is not safe
// for concurrent writing.
type Filing struct {
	Site       Site
	Entity     Entity
	Addr       netip.Addr // the filed address of KindIP, else invalid
	Status     Status
	Restricted bool // the authority restricted access (限制接入)
	// Accesses are the site's associations, one a provider. They mean nothing
	// unless AccessesKnown: rows of the ministry's public query carry no access
	// provider, and unknown is not none.
	Accesses      []Access
	AccessesKnown bool
	// Covers lists what a filing under a government suffix covers beside its own
	// name and "www" before it: hosts below the domain, relative ("img") or whole;
	// "*" for a filing that is no unit's and covers all below (R20).
	Covers    []string
	FiledAddr netip.Addr // the server's address in the filing, where known; only the audit asks
	UpdatedAt time.Time  // zero where it is unknown
}

// Check reports the first reason why f cannot be recorded: no or several
// domains where one is due, a public suffix, a name that cannot be registered,
// a provider with two accesses, a host that lies outside.
func (f *Filing) Check() error {
	if err := f.Site.Check(); err != nil {
		return err
	}
	if f.Site.Kind == KindIP {
		if !f.Addr.IsValid() {
			return errors.New("a filing of kind ip without its address")
		}
	} else if f.Addr.IsValid() {
		return fmt.Errorf("address %s in a filing of kind %s; only kind ip is filed by address", f.Addr, f.Site.Kind)
	}
	for _, d := range f.Site.Domains {
		if err := d.Fileable(); err != nil {
			return err
		}
	}
	if err := f.checkAccesses(); err != nil {
		return err
	}
	return f.checkCovers()
}

// FirstTime and LastTime, in seconds since 1970, are the first and the last moment
// that a date of a filing may be: of the years 0 to 9999 wherever it is told. RFC 3339
// has no others, and a day of margin takes in all zones.
const (
	FirstTime = -62_167_219_200 + 86_400
	LastTime  = 253_402_300_799 - 86_400
)

// CheckTimes refuses dates that cannot be told everywhere. It is for who records
// filings; who reads those that are recorded must cope with what there is, so that
// Check does not ask it.
func (f *Filing) CheckTimes() error {
	for _, t := range []time.Time{f.Site.FiledAt, f.UpdatedAt} {
		if s := t.Unix(); s < FirstTime || s > LastTime {
			return fmt.Errorf("a filing dated %s; expect 0000-01-02 to 9999-12-30", t.UTC().Format(time.DateOnly))
		}
	}
	for _, a := range f.Accesses {
		if a.At < FirstTime || a.At > LastTime {
			return fmt.Errorf("an access with %s of %s; expect 0000-01-02 to 9999-12-30", a.Provider, time.Unix(a.At, 0).UTC().Format(time.DateOnly))
		}
	}
	return nil
}

func (f *Filing) checkAccesses() error {
	if len(f.Accesses) > 0 && !f.AccessesKnown {
		return errors.New("accesses are listed but marked as unknown")
	}
	for i, a := range f.Accesses {
		if a.Provider == "" {
			return errors.New("an access without a provider")
		}
		if slices.ContainsFunc(f.Accesses[:i], func(b Access) bool { return a.Provider == b.Provider }) {
			return fmt.Errorf("two accesses with provider %q; a provider has one", a.Provider)
		}
	}
	return nil
}

func (f *Filing) checkCovers() error {
	for _, c := range f.Covers {
		ok := c == "*" || slices.ContainsFunc(f.Site.Domains, func(filed Domain) bool {
			_, err := coveredHost(filed, c)
			return err == nil
		})
		if !ok {
			return fmt.Errorf("covers %q is no host below %q", c, f.Site.Domains)
		}
	}
	return nil
}

// coveredHost reads an entry of Covers: a host relative to the filed name, or
// the whole of it.
func coveredHost(filed Domain, host string) (Domain, error) {
	d, err := ParseDomain(strings.TrimSuffix(host, "."))
	if err == nil && d.Within(filed) {
		return d, nil
	}
	d, err = ParseDomain(host + "." + filed.name)
	if err != nil {
		return Domain{}, err
	}
	return d, nil
}

// Scope is how far a filing reaches a name.
type Scope uint8

// The scopes.
const (
	ScopeNone      Scope = iota // does not reach it
	ScopeInherited              // lies above it, but under a government suffix, where every unit files for itself
	ScopeCovers                 // covers it
)

// Scope tells how far f, through its domain filed, reaches d: every name at or
// below the filed one; under a government suffix the filed name itself, "www"
// before it and the hosts in Covers (rule book §2.5, R13, R18).
func (f *Filing) Scope(filed, d Domain) Scope {
	switch {
	case !d.Within(filed):
		return ScopeNone
	case d == filed, !filed.IsGov(), d.Parent() == filed && d.First() == "www":
		return ScopeCovers
	}
	for _, c := range f.Covers {
		if c == "*" {
			return ScopeCovers
		}
		if host, err := coveredHost(filed, c); err == nil && host == d {
			return ScopeCovers
		}
	}
	return ScopeInherited
}
