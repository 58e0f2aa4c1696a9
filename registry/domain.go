package registry

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/net/idna"
)

// Domain is a host name in canonical form: ASCII, lower case, A-labels, no
// trailing dot, 1 to 253 bytes in labels of 1 to 63. Domains are comparable and
// safe for concurrent use. The zero Domain is no name.
//
// Names are taken apart label by label; nothing compares them as string
// suffixes, since "notexample.com" ends in "example.com" too.
type Domain struct{ name string }

// maxDomain and maxLabel are the limits of RFC 1035 §2.3.4, less the root.
const (
	maxDomain = 253
	maxLabel  = 63
)

// registrationIDNA is the strict IDNA2008 of names that are filed.
var registrationIDNA = idna.Registration

// DomainError says why a name is refused.
type DomainError struct {
	Name  string // as it arrived
	Cause string // what is wrong, lower case, with what would be right
}

// Error quotes the name, cut where it is long enough to flood a log.
func (e *DomainError) Error() string {
	name := e.Name
	if len(name) > maxDomain {
		name = name[:maxDomain] + "…"
	}
	return fmt.Sprintf("domain %q: %s", name, e.Cause)
}

func refuse(name, cause string) error { return &DomainError{name, cause} }

// String returns the canonical name, for example "www.xn--fsqu00a.cn"; empty
// for the zero Domain.
func (d Domain) String() string { return d.name }

// Unicode returns the name with its A-labels decoded, for people to read;
// labels that do not decode stay as they are.
func (d Domain) Unicode() string {
	u, err := idna.Display.ToUnicode(d.name)
	if err != nil {
		return d.name
	}
	return u
}

// MarshalText writes the canonical name.
func (d Domain) MarshalText() ([]byte, error) { return []byte(d.name), nil }

// UnmarshalText reads what ParseDomain reads; an empty text is the zero Domain.
func (d *Domain) UnmarshalText(b []byte) (err error) {
	if len(b) == 0 {
		*d = Domain{}
		return nil
	}
	*d, err = ParseDomain(string(b))
	return err
}

// IsZero reports whether d is no name.
func (d Domain) IsZero() bool { return d.name == "" }

// Labels returns how many labels d has; 0 for the zero Domain.
func (d Domain) Labels() int {
	if d.name == "" {
		return 0
	}
	return 1 + strings.Count(d.name, ".")
}

// Parent returns d without its first label; the zero Domain above a TLD.
func (d Domain) Parent() Domain {
	i := strings.IndexByte(d.name, '.')
	if i < 0 {
		return Domain{}
	}
	return Domain{d.name[i+1:]}
}

// WithoutService returns the name whose filing counts where d is asked of DNS: d
// without the labels that only name a service on it (RFC 2782, RFC 9460 §2.3), as in
// _8443._https.www.example.com. Two labels stay, or _x.example would become a
// single one, which is never judged.
func (d Domain) WithoutService() Domain {
	for strings.HasPrefix(d.name, "_") && d.Labels() > 2 {
		d = d.Parent()
	}
	return d
}

// Last returns the name of the last n labels of d: d itself if it has no more,
// the zero Domain for n < 1.
func (d Domain) Last(n int) Domain {
	if n < 1 {
		return Domain{}
	}
	for i := len(d.name) - 1; i >= 0; i-- {
		if d.name[i] != '.' {
			continue
		}
		if n--; n == 0 {
			return Domain{d.name[i+1:]}
		}
	}
	return d
}

// Within reports whether d is zone or a name below it, label-wise. Nothing is
// within the zero Domain.
func (d Domain) Within(zone Domain) bool {
	n, z := len(d.name), len(zone.name)
	if z == 0 || n < z || d.name[n-z:] != zone.name {
		return false
	}
	return n == z || d.name[n-z-1] == '.'
}

// First returns the first label of d.
func (d Domain) First() string {
	if i := strings.IndexByte(d.name, '.'); i >= 0 {
		return d.name[:i]
	}
	return d.name
}

// Fileable reports why no filing can be made under d: it is a public suffix, or
// has a label that a registrant cannot hold (underscore, hyphen at an end, an
// A-label that is not valid IDNA2008). It returns nil if one can.
func (d Domain) Fileable() error {
	if d.IsZero() {
		return errors.New("no domain")
	}
	if d.IsPublicSuffix() {
		return refuse(d.name, "is a public suffix; a filing names a domain below it")
	}
	if strings.IndexByte(d.name, '_') >= 0 {
		return refuse(d.name, "holds an underscore; a filed name has letters, digits and hyphens")
	}
	if strings.HasPrefix(d.name, "-") || strings.HasSuffix(d.name, "-") || strings.Contains(d.name, "-.") || strings.Contains(d.name, ".-") {
		return refuse(d.name, "has a label with a hyphen at an end")
	}
	if err := checkALabels(d.name); err != nil {
		return refuse(d.name, err.Error())
	}
	return nil
}

// checkALabels checks that every A-label is what its U-label encodes to.
func checkALabels(name string) error {
	for label := range strings.SplitSeq(name, ".") {
		if !strings.HasPrefix(label, "xn--") {
			if len(label) >= 4 && label[2:4] == "--" {
				return fmt.Errorf("label %q has hyphens in the third and fourth place, which IDNA2008 reserves", label)
			}
			continue
		}
		u, err := registrationIDNA.ToUnicode(label)
		if err != nil {
			return fmt.Errorf("label %q is no valid A-label: %s", label, strings.TrimPrefix(err.Error(), "idna: "))
		}
		if a, err := registrationIDNA.ToASCII(u); err != nil || a != label {
			return fmt.Errorf("label %q is no valid A-label of %q", label, u)
		}
	}
	return nil
}
