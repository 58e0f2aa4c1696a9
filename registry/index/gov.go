package index

import (
	"slices"
	"strings"

	"github.com/icpgate/icpgate/registry"
)

// govFiling is what Scope asks of a filing under a government suffix.
type govFiling struct {
	filing registry.Filing // Covers only
	filed  registry.Domain
}

// newGovFiling keeps the strings of f.
func newGovFiling(f *registry.Filing, filed registry.Domain) (g govFiling) {
	g.filed, g.filing.Covers = filed, f.Covers
	return g
}

// inherits reports whether name lies below the filing without being covered;
// false for nil.
func (g *govFiling) inherits(name registry.Domain) bool {
	return g != nil && g.filing.Scope(g.filed, name) == registry.ScopeInherited
}

// uneven is inherits for a name that nobody singled out.
func (g *govFiling) uneven() bool { return g != nil && !g.coversAll() }

// coversAll reports whether the filing is no unit's and covers every name below.
func (g *govFiling) coversAll() bool { return slices.Contains(g.filing.Covers, "*") }

// hosts are the names below the filed one that it covers. What Covers means is
// registry's to say: candidates are tried on Scope.
func (g *govFiling) hosts() (hosts []registry.Domain) {
	for _, c := range append([]string{"www"}, g.filing.Covers...) {
		for _, text := range []string{c + "." + g.filed.String(), strings.TrimSuffix(c, ".")} {
			d, err := registry.ParseDomain(text)
			if err == nil && d != g.filed && g.filing.Scope(g.filed, d) == registry.ScopeCovers {
				hosts = append(hosts, d)
			}
		}
	}
	return hosts
}
