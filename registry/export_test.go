package registry

import (
	"strings"

	"golang.org/x/net/publicsuffix"
)

// ICANNTLDs and ICANNRules are the generated tables.
var (
	ICANNTLDs  = icannTLDs[:]
	ICANNRules = icannRules
)

// PublicSuffix is the suffix of a name by the ICANN section of the list, found by
// the list's own package.
func PublicSuffix(name string) string {
	s, _ := publicsuffix.PublicSuffix(name)
	// PublicSuffix's own report of the section is that of the deepest node it
	// met, not of the suffix it returns; asked for the suffix itself, it is right.
	for {
		up, icann := publicsuffix.PublicSuffix(s)
		i := strings.IndexByte(s, '.')
		if icann || i < 0 {
			return up
		}
		s = s[i+1:]
	}
}

// What is read eight bytes at a time, and its slow twin.
var (
	IsCanonical     = isCanonical
	IsCanonicalSlow = isCanonicalSlow
)
