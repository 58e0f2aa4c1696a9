package gate

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/edge"
)

// destination is what a connection tells of where its client was going. The
// zero value tells nothing.
type destination struct {
	Told     netip.Addr       // by a listed peer that asks, where it may
	Product  registry.Product // that answers, as such a peer is configured to tell
	Original netip.AddrPort   // before a packet filter turned it, by original-dst
	Proxied  netip.AddrPort   // of the PROXY header of a listed peer
	Local    netip.AddrPort   // of the socket
}

// addrPort is addr with the port.
func (d destination) addrPort() netip.AddrPort {
	switch {
	case d.Original.IsValid():
		return d.Original
	case d.Proxied.IsValid():
		return d.Proxied
	}
	return d.Local
}

// addr is the first that is known: the address a connection is judged at, unless
// the block says what it stands for.
func (d destination) addr() netip.Addr {
	switch {
	case d.Told.IsValid():
		return d.Told
	case d.Original.IsValid():
		return d.Original.Addr().Unmap()
	case d.Proxied.IsValid():
		return d.Proxied.Addr().Unmap()
	}
	return d.Local.Addr().Unmap()
}

// locator tells where the addresses are that connections are judged at. It is
// immutable and safe for concurrent use; data files that change are in force
// with the next question.
type locator struct {
	edge   *edge.Edge
	serves Serves
	own    registry.ProviderID // whose mainland addresses of no known owner are
}

// newLocator returns the locator of a server block whose Edge is e.
func newLocator(e *edge.Edge, serves Serves) *locator {
	l := &locator{edge: e, serves: serves}
	// A bare edge: nobody but its provider can own what it fronts.
	if cfg := e.Config(); cfg.Networks == "" {
		l.own = cfg.Provider
	}
	return l
}

// judged appends to places where a connection is judged at, each once and at
// least one. The verdict is the worst of them (registry.Verdict.Worse). It does
// not allocate while places has room.
func (l *locator) judged(places []edge.Where, d destination) []edge.Where {
	from := len(places)
	places = l.placed(places, d)
	if d.Product != registry.ProductUnknown {
		for i := range places[from:] {
			places[from+i].Product = d.Product
		}
	}
	return places
}

func (l *locator) placed(places []edge.Where, d destination) []edge.Where {
	switch {
	case d.Told.IsValid():
		return append(places, l.at(d.Told))
	case l.serves.Mainland:
		return append(places, edge.Where{
			Place: registry.Mainland, Provider: l.edge.Config().Provider, Product: l.serves.Product,
		})
	case len(l.serves.Addrs) == 0:
		return append(places, l.at(d.addr()))
	}
	from := len(places)
	for _, a := range l.serves.Addrs {
		if w := l.at(a); !slices.Contains(places[from:], w) {
			places = append(places, w)
		}
	}
	return places
}

// named is the judged address that sightings and the log name, and where it is. Of
// several that a listener stands for, it is the one that the connection came to, or
// else the first of its family. With `serves mainland`, which names none, it is what
// the connection tells.
func (l *locator) named(d destination) (netip.Addr, edge.Where) {
	var buf [4]edge.Where
	if d.Told.IsValid() || len(l.serves.Addrs) == 0 {
		return d.addr(), l.judged(buf[:0], d)[0]
	}
	came := d.addr()
	i := slices.Index(l.serves.Addrs, came)
	if i < 0 {
		i = slices.IndexFunc(l.serves.Addrs, func(a netip.Addr) bool { return a.Is4() == came.Is4() })
	}
	a := l.serves.Addrs[max(i, 0)]
	w := l.at(a)
	w.Product = cmp.Or(d.Product, w.Product)
	return a, w
}

// at is where one address is. An address that is not known (a unix socket's) is
// in no known place.
func (l *locator) at(a netip.Addr) edge.Where {
	w := l.edge.Locate(a)
	if w.Provider == "" && w.Place == registry.Mainland {
		w.Provider = l.own
	}
	if l.serves.Product != registry.ProductUnknown {
		w.Product = l.serves.Product
	}
	return w
}
