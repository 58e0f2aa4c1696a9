package edge

import (
	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/place"
)

// Query returns the question for a host, with all that does not depend on the
// address: provider, policy, profile, exemption, time. At completes it.
func (e *Edge) Query(host registry.Host, ch registry.Channel) (q registry.Query) {
	e.Prepare(&q, host, ch)
	return q
}

// Prepare is Query in place: q has to be zero.
func (e *Edge) Prepare(q *registry.Query, host registry.Host, ch registry.Channel) {
	q.Now = e.now().Unix()
	q.Host, q.Channel = host, ch
	q.Provider, q.Policy = e.cfg.Provider, e.cfg.Policy
	if e.stale.Load() {
		q.Policy.Fail = e.cfg.OnStale.fail()
	}
	q.Profile = e.profiles.get().For(e.cfg.Provider)
	if host.Kind() == registry.NameHost {
		q.Exemption = e.exemption(host.Name, q.Now)
	}
}

// Exempts reports whether an exemption of a name is in force, and whether one of it
// ends some time, be it past.
func (e *Edge) Exempts(d registry.Domain) (now, ends bool) {
	at := e.now().Unix()
	return e.exemption(d, at).Holds(at), e.exemptionEnds(d)
}

func (e *Edge) exemption(d registry.Domain, now int64) registry.Exemption {
	x := e.exempt.best(registry.Exemption{}, d, now)
	for _, f := range e.exempted {
		x = f.get().best(x, d, now)
	}
	return x
}

// Suffix tells whose product a CNAME target names.
func (e *Edge) Suffix(d registry.Domain) (registry.ProviderID, registry.Product, bool) {
	return e.suffixes.get().Lookup(d)
}

// Binding returns what the operator has bound a name to.
func (e *Edge) Binding(d registry.Domain) (place.Binding, bool) {
	return e.bindings.get().Lookup(d)
}

// Hints is what is known of a host beside the address it is at. The zero value
// is nothing.
type Hints struct {
	Binding  place.Binding       // the operator's
	Provider registry.ProviderID // of the first CNAME target with a known suffix
	Product  registry.Product    // of the same
}

// Hints returns what is known of a name without its CNAME chain.
func (e *Edge) Hints(name registry.Domain) Hints {
	b, _ := e.Binding(name)
	return Hints{Binding: b}
}

// Along adds a CNAME target to what is known. The first target with a known
// suffix counts: it is what the site's owner has set up, the later ones are the
// provider's own affair.
func (e *Edge) Along(h Hints, target registry.Domain) Hints {
	if h.Provider != "" {
		return h
	}
	h.Provider, h.Product, _ = e.Suffix(target)
	return h
}

// At completes a query for the place where its host is. The owner of the address
// is whom the networks name, else whom the CNAME suffix names, else unknown. The
// product comes from the binding, else the networks, else the CNAME suffix; the
// latter only where it does not name another owner than the networks do, since
// it says nothing of their addresses then.
func At(q registry.Query, w place.Where, h Hints) registry.Query {
	h.Complete(&q, &w)
	return q
}

// Complete is At in place, without copies: what an earlier call has set is set
// anew.
func (h *Hints) Complete(q *registry.Query, w *place.Where) {
	q.Place = w.Place
	q.AddressProvider = w.Provider
	if q.AddressProvider == "" {
		q.AddressProvider = h.Provider
	}
	q.Product = h.Binding.Product
	if q.Product == registry.ProductUnknown {
		q.Product = w.Product
	}
	if q.Product == registry.ProductUnknown && q.AddressProvider == h.Provider {
		q.Product = h.Product
	}
	q.Acceleration = h.Binding.Acceleration
	q.Origin = h.Binding.Origin
}
