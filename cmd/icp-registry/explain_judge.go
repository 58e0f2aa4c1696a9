package main

import (
	"cmp"
	"net/netip"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/edge"
	"github.com/icpgate/icpgate/registry/explain"
	"github.com/icpgate/icpgate/registry/index"
	"github.com/icpgate/icpgate/registry/place"
)

// question is what an explanation is asked for.
type question struct {
	lang       explain.Lang
	host       registry.Host
	channel    registry.Channel
	addrs      []netip.Addr
	cnames     []registry.Domain
	originPull bool
	told       told
}

// told is what the command line knows better than the data; zero values leave
// it to them.
type told struct {
	addressProvider registry.ProviderID
	product         registry.Product
	acceleration    registry.Acceleration
	origin          registry.Origin
}

// judged is the verdict at one address; none was given if Addr is not valid.
type judged struct {
	Addr  netip.Addr
	facts explain.Facts
}

// judge decides at every address.
func (q *question) judge(ed *edge.Edge) []judged {
	hints := edge.Hints{}
	if q.host.Kind() == registry.NameHost {
		hints = ed.Hints(q.host.Name)
	}
	for _, target := range q.cnames {
		hints = ed.Along(hints, target)
	}
	f := q.facts(ed)
	if len(q.addrs) == 0 {
		w := place.Where{Place: registry.Mainland, Provider: cmp.Or(hints.Provider, ed.Config().Provider)}
		f.Assumed = []explain.Assumption{explain.AssumedMainland}
		return []judged{{facts: q.at(ed, f, w, hints)}}
	}
	var all []judged
	for _, a := range q.addrs {
		all = append(all, judged{a, q.at(ed, f, ed.Locate(a), hints)})
	}
	return all
}

// facts are those that do not depend on the address.
func (q *question) facts(ed *edge.Edge) explain.Facts {
	f := explain.Facts{Query: ed.Query(q.host, q.channel)}
	x := ed.Index()
	var records []index.Record
	switch q.host.Kind() {
	case registry.NameHost:
		f.Coverage, records = ed.Coverage(q.host.Name), x.Records(q.host.Name)
	case registry.AddrHost:
		f.Coverage, records = x.CoverAddr(q.host.Addr), x.RecordsAddr(q.host.Addr)
	}
	for _, r := range records {
		f.Filings = append(f.Filings, explain.Filing{
			Domain: r.Domain, Addr: r.Addr, Number: r.Number, EntityNumber: r.EntityNumber, EntityName: r.EntityName,
			SiteName: r.SiteName, Kind: r.Kind, Status: r.Status, Restricted: r.Restricted, UpdatedAt: r.UpdatedAt,
			Accesses: r.Accesses, AccessesKnown: r.AccessesKnown,
		})
	}
	return f
}

// at completes the facts for an address and decides.
func (q *question) at(ed *edge.Edge, f explain.Facts, w place.Where, h edge.Hints) explain.Facts {
	f.Query = edge.At(f.Query, w, h)
	f.Query.OriginPull = q.originPull
	q.told.over(&f.Query)
	f.Assumed = append([]explain.Assumption(nil), f.Assumed...)
	if f.Query.Place == registry.Mainland {
		f.Assumed = append(f.Assumed, q.assume(&f.Query, ed.Config().Networks != "")...)
	}
	f.Verdict = registry.Decide(f.Query, f.Coverage)
	return f
}

func (t told) over(q *registry.Query) {
	if t.addressProvider != "" {
		q.AddressProvider = t.addressProvider
	}
	if t.product != registry.ProductUnknown {
		q.Product = t.product
	}
	if t.acceleration != registry.AccelerationUnknown {
		q.Acceleration = t.acceleration
	}
	if t.origin != registry.OriginUnknown {
		q.Origin = t.origin
	}
}

// assume fills in what nobody knows of a mainland address, as an edge would: a
// gate without networks takes the addresses it fronts as its provider's own, a
// resolver those of its answers as nobody's.
func (q *question) assume(r *registry.Query, networks bool) (all []explain.Assumption) {
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

// worst are the facts of the verdict that counts.
func worst(all []judged) explain.Facts {
	f, passes := all[0].facts, false
	for _, j := range all {
		if v := f.Verdict; v.Worse(j.facts.Verdict) != v {
			f = j.facts
		}
		passes = passes || !j.facts.Verdict.Block
	}
	f.Others = passes
	return f
}
