package cases

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/bulk"
	"github.com/icpgate/icpgate/registry/index"
	"github.com/icpgate/icpgate/registry/place"
)

// Options are what a runner has beside the cases. The zero value is the rule
// book as it is built in.
type Options struct {
	// Policy is laid under the knobs of each case. Optional.
	Policy registry.Policy
	// Profiles are the product profiles. Optional, default: the built-in ones.
	Profiles *registry.Profiles
	// Suffixes find product and owner of a CNAME target. Optional, default: the
	// built-in ones.
	Suffixes *place.Suffixes
}

// Question is one decision that a case asks for.
type Question struct {
	Query    registry.Query
	Coverage registry.Coverage
	// Malformed: the host cannot be read, so that nothing is decided.
	Malformed bool
}

// Decide returns the verdict.
func (q Question) Decide() registry.Verdict {
	if q.Malformed {
		return registry.Verdict{Reason: registry.Malformed, Block: true}
	}
	return registry.Decide(q.Query, q.Coverage)
}

// asked is a case made ready: for each address the questions about its names.
type asked struct {
	addresses [][]Question
	product   registry.Product
	refused   []error
}

// Questions returns every decision that a case asks for, one for each address
// and name.
func Questions(c Case, o Options) ([]Question, error) {
	a, err := ask(c, o)
	if err != nil {
		return nil, err
	}
	var all []Question
	for _, names := range a.addresses {
		all = append(all, names...)
	}
	return all, nil
}

func ask(c Case, o Options) (asked, error) {
	base, err := c.Query.base(o)
	if err != nil {
		return asked{}, err
	}
	hosts, err := c.Query.hosts()
	if err != nil {
		return asked{}, err
	}
	filings, refused := c.filings()
	x, err := c.index(filings, hosts)
	if err != nil {
		return asked{}, err
	}
	a := asked{refused: refused, product: base.Product}
	for _, q := range c.Query.destinations(base) {
		var names []Question
		for _, h := range hosts {
			q.Host = h.Host
			q.Exemption = c.Query.exemption(h.Host)
			names = append(names, Question{q, cover(x, h.Host), h.malformed})
		}
		a.addresses = append(a.addresses, names)
	}
	return a, nil
}

// base is the query without its host, exemption and destination.
func (q *Query) base(o Options) (registry.Query, error) {
	policy, err := q.Policy.over(o.Policy)
	if err != nil {
		return registry.Query{}, err
	}
	r := registry.Query{
		Channel:      registry.Channel(q.Channel),
		Provider:     q.Provider,
		Product:      q.Product.product,
		Acceleration: registry.Acceleration(q.Accel),
		Origin:       registry.Origin(q.Origin),
		OriginPull:   bool(q.Role),
		Policy:       policy,
		Now:          q.now().Unix(),
	}
	if ps := cmp.Or(q.Profiles.set, o.Profiles); ps != nil {
		r.Profile = ps.For(q.Provider)
	}
	r.AddressProvider = q.Provider
	if q.Product.auto {
		if owner, product, ok := q.target(o.Suffixes); ok {
			r.AddressProvider, r.Product = owner, product
		}
	}
	if q.AddressProvider != nil {
		r.AddressProvider = *q.AddressProvider
	}
	if q.TLDs != nil {
		r.TLDs = registry.TLDs{}
		for _, d := range q.TLDs {
			r.TLDs[d] = struct{}{}
		}
	}
	return r, nil
}

// target finds what the CNAME chain leads to: the first of its names that a
// suffix knows.
func (q *Query) target(s *place.Suffixes) (registry.ProviderID, registry.Product, bool) {
	if s == nil {
		s = place.BuiltinSuffixes()
	}
	for _, name := range q.CNAMEChain {
		d, err := registry.ParseDNSName(name)
		if err != nil {
			continue
		}
		if owner, product, ok := s.Lookup(d); ok {
			return owner, product, true
		}
	}
	return "", registry.ProductUnknown, false
}

// host is a name of the query as it was read.
type host struct {
	registry.Host
	malformed bool
}

// hosts are what the query names, the SNI first; without any, no host.
func (q *Query) hosts() ([]host, error) {
	var all []host
	for _, s := range []string{q.SNI, q.Host} {
		if s == "" {
			continue
		}
		h, err := q.host(s)
		if err != nil {
			return nil, err
		}
		all = append(all, h)
	}
	if len(all) == 0 {
		return []host{{}}, nil
	}
	return all, nil
}

// host reads a name. On the wire of DNS any bytes are a name, so what no host
// name can be is a mistake of the case; a gate refuses it as malformed.
func (q *Query) host(s string) (host, error) {
	if registry.Channel(q.Channel) == registry.ChannelDNS {
		d, err := registry.ParseDNSName(s)
		return host{Host: registry.Host{Name: d.WithoutService()}}, err
	}
	h, err := registry.ParseHost(s)
	return host{h, err != nil}, nil
}

// addressTypes are the DNS questions whose answers hold addresses or hints; all
// others are never touched.
var addressTypes = map[string]bool{"": true, "A": true, "AAAA": true, "HTTPS": true, "SVCB": true, "ANY": true}

// destinations completes the query for each address that it points at.
func (q *Query) destinations(base registry.Query) []registry.Query {
	base.Place = q.Destination.place
	if !addressTypes[strings.ToUpper(q.QType)] {
		base.Place = registry.PlaceNone
	}
	if !q.Destination.mixed {
		return []registry.Query{base}
	}
	var all []registry.Query
	for _, a := range q.Answers {
		r := base
		r.Place = a.Destination
		if a.AddressProvider != nil {
			r.AddressProvider = *a.AddressProvider
		}
		if a.Product != nil {
			r.Product = *a.Product
		}
		all = append(all, r)
	}
	return all
}

// exemption is that of a host: the override, or a name in the list.
func (q *Query) exemption(h registry.Host) registry.Exemption {
	if q.Override != nil {
		until := q.now().Unix() + int64(q.Override.AllowUntilHours*3600)
		return registry.Exemption{Granted: true, Until: until, Authority: q.Override.Authority}
	}
	for _, x := range q.Exempt {
		if x.below && h.Name.Parent().Within(x.name) || !x.below && h.Name == x.name {
			return registry.Exemption{Granted: true}
		}
	}
	return registry.Exemption{}
}

// index is the registry of the case; nil if none is loaded.
func (c *Case) index(filings []registry.Filing, hosts []host) (*index.Index, error) {
	if c.Query.Registry {
		return nil, nil
	}
	b := index.NewBuilder(index.Options{MadeAt: c.Query.now()})
	for _, f := range filings {
		if err := b.Add(f); err != nil {
			return nil, fmt.Errorf("the case's registry: %w", err)
		}
	}
	for _, d := range c.Query.Blacklisted.Domains {
		b.Blacklist(d)
	}
	for _, h := range hosts {
		if c.Query.Blacklisted.Host && !h.Name.IsZero() {
			b.Blacklist(h.Name)
		}
	}
	x, err := b.Build()
	if err != nil {
		return nil, fmt.Errorf("the case's registry: %w", err)
	}
	return x, nil
}

// filings are those that the import takes; what it refuses is returned as errors.
func (c *Case) filings() (taken []registry.Filing, refused []error) {
	for _, f := range c.Filings {
		filing, _, err := bulk.ParseFilingJSON(f.raw)
		if err == nil {
			err = filing.Check()
		}
		if err != nil {
			refused = append(refused, err)
			continue
		}
		c.reviewedNow(&filing)
		taken = append(taken, filing)
	}
	return taken, refused
}

// reviewedNow dates the reviews that have no day: the order is under way.
func (c *Case) reviewedNow(f *registry.Filing) {
	for i := range f.Accesses {
		if a := &f.Accesses[i]; a.Status == registry.AccessReviewed && a.At == 0 {
			a.At = c.Query.now().Unix()
		}
	}
}

func cover(x *index.Index, h registry.Host) registry.Coverage {
	switch {
	case x == nil:
		return registry.Coverage{}
	case h.Kind() == registry.AddrHost:
		return x.CoverAddr(h.Addr)
	}
	return x.Cover(h.Name)
}
