package registry

import (
	"strings"
	"sync"
)

// The government suffixes: below them every unit files for itself.
// Source: B§2.2 (R16).
const (
	govCN = "gov.cn"
	govZH = "xn--zfr164b" // 政务
)

// suffixes is the ICANN section of the public suffix list, to look a whole name
// up in: millions of filings are checked against it, and the list's own search
// costs ten times as much. TLDs are not in it.
type suffixes struct {
	rules  map[string]struct{}
	wild   map[string]struct{} // every name directly below is a rule
	except map[string]struct{} // but these
	depth  int                 // labels of the longest rule
}

// icannSuffixes are made when they are first asked for: edges do so at their first
// block.
var icannSuffixes = sync.OnceValue(func() *suffixes {
	list := strings.Fields(icannRules)
	s := &suffixes{make(map[string]struct{}, len(list)), map[string]struct{}{}, map[string]struct{}{}, 0}
	for _, rule := range list {
		s.depth = max(s.depth, strings.Count(rule, ".")+1)
		if up, ok := strings.CutPrefix(rule, "*."); ok {
			s.wild[up] = struct{}{}
		} else if name, ok := strings.CutPrefix(rule, "!"); ok {
			s.except[name] = struct{}{}
		} else {
			s.rules[rule] = struct{}{}
		}
	}
	return s
})

// IsPublicSuffix reports whether d is an ICANN public suffix (or a TLD that the
// list does not know): a name under which others register, which can never be
// filed. It looks up a table of thousands and is not for the hot path.
func (d Domain) IsPublicSuffix() bool {
	i := strings.IndexByte(d.name, '.')
	if i < 0 {
		return d.name != ""
	}
	s := icannSuffixes()
	if _, ok := s.rules[d.name]; ok {
		return true
	}
	if _, ok := s.wild[d.name[i+1:]]; !ok {
		return false
	}
	_, ok := s.except[d.name]
	return !ok
}

// Registrable returns the label under d's ICANN public suffix together with it
// (顶级域名 in the documents): what a registrant holds. It reports false for a
// public suffix and for no name. The private section of the list (github.io and
// the like) does not count: it would make each customer's name a filing unit of
// its own.
func (d Domain) Registrable() (Domain, bool) {
	for n := min(d.Labels(), icannSuffixes().depth); n > 1; n-- {
		if d.Last(n).IsPublicSuffix() {
			return below(d, n)
		}
	}
	return below(d, 1)
}

// below returns the last n labels of d and one more, if there is one.
func below(d Domain, n int) (Domain, bool) {
	if d.Labels() <= n {
		return Domain{}, false
	}
	return d.Last(n + 1), true
}

// IsGov reports whether d lies below a government suffix (.gov.cn, .政务).
func (d Domain) IsGov() bool {
	return (d.Within(Domain{govCN}) && d.name != govCN) || (d.Within(Domain{govZH}) && d.name != govZH)
}

// GovRegistrable returns the name directly below the government suffix, under
// which a government's units file; the zero Domain where d is not below one.
func (d Domain) GovRegistrable() Domain {
	switch {
	case !d.IsGov():
		return Domain{}
	case d.Within(Domain{govCN}):
		return d.Last(3)
	}
	return d.Last(2)
}

//go:generate go run gen_tlds.go

// fileableTLD reports whether the TLD of d stands in the ICANN section of the
// public suffix list. It allocates nothing, as the list's own package would.
func (d Domain) fileableTLD() bool {
	_, found := icannTLDSet[d.Last(1).name]
	return found
}

// icannTLDSet is icannTLDs to look one up in.
var icannTLDSet = func() map[string]struct{} {
	set := make(map[string]struct{}, len(icannTLDs))
	for _, tld := range icannTLDs {
		set[tld] = struct{}{}
	}
	return set
}()

// TLDs is a set of top-level domains that can be filed: those the ministry has
// approved, where an operator loads that list. The nil set stands for all TLDs
// of the ICANN section. A set is immutable and safe for concurrent use.
type TLDs map[Domain]struct{}

// Fileable reports whether names under the TLD of d can be filed at all.
func (t TLDs) Fileable(d Domain) bool {
	if t == nil {
		return d.fileableTLD()
	}
	_, ok := t[d.Last(1)]
	return ok
}
