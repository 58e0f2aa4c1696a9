package edge

import (
	"cmp"
	"net/netip"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/explain"
	"github.com/icpgate/icpgate/registry/index"
	"github.com/icpgate/icpgate/registry/place"
)

// Question is what somebody wants explained. The zero value asks for no host.
type Question struct {
	Host    registry.Host
	Channel registry.Channel
	// Addrs are where the host points. Optional: judged as if it pointed at a
	// mainland address of the provider.
	Addrs []netip.Addr
	// CNAMEs are the aliases on the way there, in order. Optional.
	CNAMEs     []registry.Domain
	OriginPull bool // the request is a CDN's that fetches from the origin
	Told       Told
}

// Told is what who asks knows better than the data; zero values leave it to them.
type Told struct {
	Provider        registry.ProviderID // whose edge asks
	AddressProvider registry.ProviderID
	Product         registry.Product
	Acceleration    registry.Acceleration
	Origin          registry.Origin
}

// complete fills in what q does not tell.
func (q *Question) complete(s Stands) {
	if len(q.Addrs) == 0 {
		q.Addrs = s.Addrs
	}
	q.Told.Product = cmp.Or(q.Told.Product, s.Product)
}

// Judged are the facts at one address; Addr is not valid if none was given.
type Judged struct {
	Addr  netip.Addr
	Facts explain.Facts
}

// Judge decides at every address of a question, as e does for its clients. There
// is always one Judged at least.
func (e *Edge) Judge(q Question) []Judged {
	if q.Channel == registry.ChannelDNS {
		q.Host.Name = q.Host.Name.WithoutService()
	}
	hints := Hints{}
	if q.Host.Kind() == registry.NameHost {
		hints = e.Hints(q.Host.Name)
	}
	for _, target := range q.CNAMEs {
		hints = e.Along(hints, target)
	}
	f := e.facts(q)
	if len(q.Addrs) == 0 {
		w := place.Where{Place: registry.Mainland, Provider: cmp.Or(hints.Provider, f.Query.Provider)}
		f.Assumed = []explain.Assumption{explain.AssumedMainland}
		return []Judged{{Facts: q.at(e, f, w, hints)}}
	}
	var all []Judged
	for _, a := range q.Addrs {
		all = append(all, Judged{a, q.at(e, f, e.Locate(a), hints)})
	}
	return all
}

// facts are those that do not depend on the address.
func (e *Edge) facts(q Question) explain.Facts {
	f := explain.Facts{Query: e.Query(q.Host, q.Channel)}
	if p := q.Told.Provider; p != "" {
		f.Query.Provider, f.Query.Profile = p, e.profiles.get().For(p)
	}
	switch q.Host.Kind() {
	case registry.NameHost:
		f.Coverage = e.Coverage(q.Host.Name)
	case registry.AddrHost:
		f.Coverage = e.CoverageAddr(q.Host.Addr)
	}
	f.Filings = e.Filings(q.Host)
	return f
}

// Filings tells more of the filings of a host's coverage, in the same order; nil
// where nothing is known of them, as in thin mode.
func (e *Edge) Filings(h registry.Host) (list []explain.Filing) {
	x := e.View()
	var records []index.Record
	switch h.Kind() {
	case registry.NameHost:
		records = x.Records(h.Name)
	case registry.AddrHost:
		records = x.RecordsAddr(h.Addr)
	}
	for _, r := range records {
		list = append(list, explain.Filing{
			Domain: r.Domain, Addr: r.Addr, Number: r.Number, EntityNumber: r.EntityNumber, EntityName: r.EntityName,
			SiteName: r.SiteName, Kind: r.Kind, Status: r.Status, Restricted: r.Restricted,
			FiledAt: r.FiledAt, UpdatedAt: r.UpdatedAt,
			Accesses: r.Accesses, AccessesKnown: r.AccessesKnown,
		})
	}
	return list
}

// at completes the facts for an address and decides.
func (q Question) at(e *Edge, f explain.Facts, w place.Where, h Hints) explain.Facts {
	f.Query = At(f.Query, w, h)
	f.Query.OriginPull = q.OriginPull
	q.Told.over(&f.Query)
	f.Assumed = append([]explain.Assumption(nil), f.Assumed...)
	if f.Query.Place == registry.Mainland {
		f.Assumed = append(f.Assumed, assume(&f.Query, e.cfg.Networks != "")...)
	}
	f.Verdict = registry.Decide(f.Query, f.Coverage)
	f.Lack = e.lackOf(f.Verdict.Reason)
	return f
}

func (t Told) over(q *registry.Query) {
	if t.AddressProvider != "" {
		q.AddressProvider = t.AddressProvider
	}
	if t.Product != registry.ProductUnknown {
		q.Product = t.Product
	}
	if t.Acceleration != registry.AccelerationUnknown {
		q.Acceleration = t.Acceleration
	}
	if t.Origin != registry.OriginUnknown {
		q.Origin = t.Origin
	}
}

// assume fills in what nobody knows of a mainland address, as an edge would: a
// gate without networks takes the addresses it fronts as its provider's own, a
// resolver those of its answers as nobody's.
func assume(r *registry.Query, networks bool) (all []explain.Assumption) {
	switch {
	case r.Provider == "":
		return []explain.Assumption{explain.AssumedNobody}
	case r.AddressProvider == "" && (networks || r.Channel == registry.ChannelDNS):
		return []explain.Assumption{explain.AssumedForeign}
	case r.AddressProvider == "":
		r.AddressProvider = r.Provider
		all = append(all, explain.AssumedOwn)
	}
	if r.AddressProvider == r.Provider && r.Product == registry.ProductUnknown {
		all = append(all, explain.AssumedServer)
	}
	return all
}

// Worst are the facts of the verdict that counts of at least one.
func Worst(all []Judged) explain.Facts {
	f, passes := all[0].Facts, false
	for _, j := range all {
		if v := f.Verdict; v.Worse(j.Facts.Verdict) != v {
			f = j.Facts
		}
		passes = passes || !j.Facts.Verdict.Block
	}
	f.Others = passes
	return f
}
