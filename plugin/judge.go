package icp

import (
	"context"
	"net/netip"
	"strings"

	"github.com/miekg/dns"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/edge"
)

// judge decides on the addresses of one name in one message: one coverage
// look-up, and one decision for each place, owner and product. It is not safe
// for concurrent use.
type judge struct {
	ctx     context.Context // of the question
	edge    *edge.Edge
	notices *edge.Block
	query   registry.Query
	hints   edge.Hints
	chain   []dns.RR // the answer whose aliases tell the product, until they were asked

	// cover is looked up with the first address that needs it. For a name that
	// cannot be read it stays without a filing.
	cover   registry.Coverage
	covered bool

	// seen are the decisions so far; more kinds than fit are decided anew.
	seen [4]decision
	n    int
	last decision // one that is not among them
}

// decision is what one kind of address gets.
type decision struct {
	place    registry.Place
	owner    registry.ProviderID
	networks registry.Product    // as the networks say
	product  registry.Product    // as it was decided on
	provider registry.ProviderID // the owner as it was decided on
	verdict  registry.Verdict
}

// unreadable stands in for a name that no filing can have. RFC 6761 reserves it.
var unreadable = registry.MustParseDomain("unreadable.invalid")

// init makes j, which is zero, the judge of a name. A name that no host can
// have, such as a label with a dot in it, is judged as one that is not filed.
func (j *judge) init(in *inspector, name registry.Domain, readable bool) {
	j.ctx, j.edge, j.notices = in.ctx, in.edge, &in.icp.cfg.Block
	if readable {
		j.edge.Prepare(&j.query, registry.Host{Name: name}, registry.ChannelDNS)
		j.hints = j.edge.Hints(name)
		return
	}
	j.edge.Prepare(&j.query, registry.Host{Name: unreadable}, registry.ChannelDNS)
	j.query.Exemption = registry.Exemption{}
	j.cover.Loaded, j.covered = j.edge.Loaded(), true
}

// at decides on an address of the name; the result holds until the next call.
// Like all that runs under WriteMsg it copies no Query: the stack of a query's
// goroutine is short, and to grow it costs more than the verdict.
func (j *judge) at(a netip.Addr) *decision {
	w := j.edge.Locate(a)
	if j.notices.Notice(a.Unmap()) {
		j.last = decision{place: w.Place, verdict: registry.Verdict{Reason: registry.NotJudged}}
		return &j.last
	}
	for i := range j.seen[:j.n] {
		if d := &j.seen[i]; d.place == w.Place && d.owner == w.Provider && d.networks == w.Product {
			return d
		}
	}
	if w.Place == registry.Mainland && !j.covered {
		j.cover, j.covered = j.edge.CoverageContext(j.ctx, j.query.Host.Name), true
	}
	if j.chain != nil && (w.Provider == "" || w.Product == registry.ProductUnknown) {
		j.along()
	}
	j.hints.Complete(&j.query, &w)
	d := &j.last
	if j.n < len(j.seen) {
		d = &j.seen[j.n]
		j.n++
	}
	*d = decision{w.Place, w.Provider, w.Product, j.query.Product, j.query.AddressProvider, j.query.Decide(&j.cover)}
	return d
}

// timeBound reports whether what j decided may be decided otherwise at another
// time.
func (j *judge) timeBound() bool { return j.edge.TimeBound(&j.query, &j.cover) }

// finding returns what j reports of its decision on an address.
func (j *judge) finding(a netip.Addr) finding {
	d := j.at(a)
	return finding{Verdict: d.verdict, name: j.query.Host.Name, addr: a, place: d.place, owner: d.provider, product: d.product}
}

// hostName returns the name whose filing counts for a name of DNS.
func hostName(e *edge.Edge, s string) (registry.Domain, error) {
	d, err := readName(e, s)
	return d.WithoutService(), err
}

// readName reads a name of DNS. One with escapes, which takes long to map, comes
// from the cache of the Edge where it was asked for lately.
func readName(e *edge.Edge, s string) (registry.Domain, error) {
	if strings.IndexByte(s, '\\') < 0 {
		return registry.ParseDNSName(s)
	}
	d, _, err := e.FindDNS(s)
	return d, err
}

// asked returns the name that is judged for the answer section: the one that
// the client asked for. Out of a zone that holds no public sites, and out of an
// exempt one where a search list was appended, the alias is followed: the client
// means its target. readable is false for a name that no host can have; ends is true
// if an alias was followed that is not for ever, since the exemption ends.
func (in *inspector) asked(answer []dns.RR) (d registry.Domain, readable, ends bool) {
	s := in.question[0].Name
	d, err := hostName(in.edge, s)
	var known map[string]string // once a second alias is asked for
	for hop := range answer {
		if err != nil || d.Labels() < 2 {
			break
		}
		target, ok := "", false
		if hop == 0 {
			target, ok = alias(answer, s)
		} else {
			if known == nil {
				known = aliases(answer)
			}
			target, ok = known[strings.ToLower(s)]
		}
		if !ok {
			break
		}
		if !d.NotJudged() {
			if !appended(s, target) {
				break
			}
			exempt, some := in.edge.Exempts(d)
			if !exempt {
				break
			}
			ends = ends || some
		}
		s = target
		d, err = hostName(in.edge, s)
	}
	return d, err == nil, ends
}

// alias returns the target of a name's CNAME.
func alias(answer []dns.RR, owner string) (string, bool) {
	for _, rr := range answer {
		if c, ok := rr.(*dns.CNAME); ok && strings.EqualFold(c.Hdr.Name, owner) {
			return c.Target, true
		}
	}
	return "", false
}

// aliases is alias for every name: a message may hold thousands of them, and a
// chain would walk them all for each.
func aliases(answer []dns.RR) map[string]string {
	all := map[string]string{}
	for _, rr := range answer {
		if c, ok := rr.(*dns.CNAME); ok {
			owner := strings.ToLower(c.Hdr.Name)
			if _, dup := all[owner]; !dup {
				all[owner] = c.Target
			}
		}
	}
	return all
}

// appended reports whether a name is its target with a search domain behind it.
func appended(s, target string) bool {
	return len(s) > len(target) && strings.EqualFold(s[:len(target)], target)
}

// along adds what the CNAME chain of the answer says of owner and product. It
// takes a look-up an alias, and is asked only where the networks do not know.
func (j *judge) along() {
	for _, rr := range j.chain {
		target := ""
		if c, ok := rr.(*dns.CNAME); ok {
			target = c.Target
		} else if svcb := service(rr); svcb != nil && svcb.Priority == 0 {
			target = svcb.Target // an alias, RFC 9460 §2.4.2
		}
		if d, err := registry.ParseDNSName(target); err == nil {
			j.hints = j.edge.Along(j.hints, d)
		}
	}
	j.chain = nil
}
