package store

import (
	"slices"

	"github.com/icpgate/icpgate/registry"
)

// merge returns what a filing becomes when an import tells of it. The ministry's
// rows know no accesses, and the provider's may know nothing else: what incoming
// does not state stays.
func (o *ImportOptions) merge(now, incoming *registry.Filing) registry.Filing {
	out := *now
	if o.Part != PartAccesses && (o.Complete || !older(incoming, now)) {
		out = *incoming
		out.AccessesKnown, out.Accesses = now.AccessesKnown, now.Accesses
		keepUnstated(&out, now)
	}
	if o.Part != PartFilings && incoming.AccessesKnown {
		o.mergeAccesses(&out, incoming)
	}
	return out
}

// older reports whether what f says is older than what is known; unknown is not.
func older(f, now *registry.Filing) bool {
	return !f.UpdatedAt.IsZero() && f.UpdatedAt.Before(now.UpdatedAt)
}

// keepUnstated fills what out leaves open.
func keepUnstated(out, now *registry.Filing) {
	if out.Site.Number.IsZero() {
		out.Site.Number = now.Site.Number
	}
	if out.Site.Name == "" {
		out.Site.Name = now.Site.Name
	}
	if out.Site.FiledAt.IsZero() {
		out.Site.FiledAt = now.Site.FiledAt
	}
	if out.Entity.Number.IsZero() {
		out.Entity.Number = now.Entity.Number
	}
	if out.Entity.Nature == registry.NatureUnknown {
		out.Entity.Nature = now.Entity.Nature
	}
	if out.Entity.Name == "" {
		out.Entity.Name = now.Entity.Name
	}
	if !out.FiledAddr.IsValid() {
		out.FiledAddr = now.FiledAddr
	}
	if out.Covers == nil {
		out.Covers = now.Covers
	}
	if out.UpdatedAt.IsZero() {
		out.UpdatedAt = now.UpdatedAt
	}
	// A number can have several domains only from before 2019: what the file lists is
	// all of them, unless they cannot go together with a day that it does not state.
	if out.Site.Check() != nil && now.Site.Check() == nil {
		out.Site.FiledAt = now.Site.FiledAt
		if out.Site.Check() != nil {
			out.Site.Domains = now.Site.Domains
		}
	}
}

// mergeAccesses unites accesses by provider; a complete file of all is the whole
// truth, a complete one of a provider that of its own.
func (o *ImportOptions) mergeAccesses(out, incoming *registry.Filing) {
	out.AccessesKnown = true
	if o.Complete && o.Part == PartAll || len(incoming.Accesses) == 0 {
		if o.Part == PartAccesses && o.Provider != "" {
			out.Accesses = withoutProvider(out.Accesses, o.Provider)
			return
		}
		out.Accesses = incoming.Accesses
		return
	}
	for _, a := range incoming.Accesses {
		if i := slices.IndexFunc(out.Accesses, func(b registry.Access) bool { return a.Provider == b.Provider }); i >= 0 && a.At == 0 && out.Accesses[i].Status == a.Status {
			continue // the day that is known stays
		}
		setAccess(out, a)
	}
	out.Accesses = sortedAccesses(out.Accesses)
}

func withoutProvider(list []registry.Access, p registry.ProviderID) []registry.Access {
	return slices.DeleteFunc(slices.Clone(list), func(a registry.Access) bool { return a.Provider == p })
}

// flips reports whether a filing may be judged otherwise than before. is is nil
// where it is removed.
func flips(was, is *registry.Filing) bool {
	switch {
	case is == nil:
		return was.Status.Stands()
	case was.Status.Stands() != is.Status.Stands(), was.Restricted != is.Restricted, was.Site.Kind != is.Site.Kind:
		return true
	case slices.ContainsFunc(was.Site.Domains, func(d registry.Domain) bool { return !slices.Contains(is.Site.Domains, d) }):
		return true
	}
	return !slices.Equal(activeWith(was), activeWith(is))
}

// activeWith returns who serves the site, in order.
func activeWith(f *registry.Filing) (list []registry.ProviderID) {
	for _, a := range f.Accesses {
		if a.Status == registry.AccessActive {
			list = append(list, a.Provider)
		}
	}
	slices.Sort(list)
	return list
}
