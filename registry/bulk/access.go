package bulk

import (
	"strings"

	"github.com/icpgate/icpgate/registry"
)

// accessAliases are Chinese words for the states of an access.
var accessAliases = map[string]registry.AccessStatus{
	"正常": registry.AccessActive, "已接入": registry.AccessActive, "取消接入": registry.AccessCancelled, "已取消": registry.AccessCancelled,
}

// accesses reads who serves the site.
func (p *parser) accesses(c *cells, r *row) *RowError {
	one := accessCells{c.value[colProvider], c.value[colAccessStatus], c.value[colAccessedAt]}
	if c.listed {
		if one != (accessCells{}) {
			return rowError(colProvider, one.provider, "stands beside a list of accesses", "put it into the list")
		}
		return p.listedAccesses(c, r)
	}
	switch {
	case one == (accessCells{}):
		return nil
	case one.provider == "":
		return rowError(colProvider, "", "an access status or day without a provider", `name the provider, or "none" for a site without any access`)
	case isNone(one.provider):
		if one.status != "" || one.at != "" {
			return rowError(colProvider, one.provider, "no provider, but an access status or day", "empty these, or name the provider")
		}
		r.none, r.f.AccessesKnown = true, true
		return nil
	}
	return p.access(one, r)
}

// isNone reports whether a provider's cell says that there is no access.
func isNone(s string) bool { return s == "-" || strings.EqualFold(s, "none") }

func (p *parser) listedAccesses(c *cells, r *row) *RowError {
	r.f.AccessesKnown = true
	r.none = len(c.accesses) == 0
	if len(c.accesses) > maxAccesses {
		return rowError(colProvider, "", "lists more than 200 accesses", "a provider has one")
	}
	for _, a := range c.accesses {
		a = accessCells{trim(a.provider), trim(a.status), trim(a.at)}
		if isNone(a.provider) {
			return rowError(colProvider, a.provider, "stands in a list of accesses", "write an empty list")
		}
		if err := p.access(a, r); err != nil {
			return err
		}
	}
	return nil
}

// access appends one access to r.
func (p *parser) access(c accessCells, r *row) *RowError {
	id, err := p.provider(c.provider)
	if err != nil {
		return err
	}
	status, known := accessAliases[c.status]
	if c.status != "" && !known {
		var err error
		if status, err = registry.ParseAccessStatus(c.status); err != nil {
			return refuseFor(colAccessStatus, c.status, err)
		}
	}
	at, err := p.date(colAccessedAt, c.at)
	if err != nil {
		return err
	}
	a := registry.Access{Provider: id, Status: status}
	if !at.IsZero() {
		a.At = at.Unix()
	}
	for _, b := range r.f.Accesses {
		if a.Provider == b.Provider {
			return rowError(colProvider, c.provider, "two accesses with one provider", "a provider has one; give a row to each state, with its updated_at")
		}
	}
	r.f.Accesses = append(r.f.Accesses, a)
	r.f.AccessesKnown = true
	return nil
}

// provider reads an identifier; the few there are exist once.
func (p *parser) provider(text string) (registry.ProviderID, *RowError) {
	if id, ok := p.providers[text]; ok {
		return id, nil
	}
	id, err := registry.ParseProviderID(text)
	if err != nil {
		return "", refuseFor(colProvider, text, err)
	}
	if p.providers == nil {
		p.providers = map[string]registry.ProviderID{}
	}
	if len(p.providers) < maxInterned {
		text = strings.Clone(text)
		id = registry.ProviderID(strings.Clone(string(id)))
		p.providers[text] = id
	}
	return id, nil
}
