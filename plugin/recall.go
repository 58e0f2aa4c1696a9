package icp

import (
	"net/netip"

	"github.com/miekg/dns"

	"github.com/icpgate/icpgate/registry"
)

// recall does what was done with the same message before: it counts and tells it,
// and returns what to write, and what to give back then.
func (in *inspector) recall(m *dns.Msg, o *outcome) (*dns.Msg, *lent) {
	if o.verdict.Block || in.record != nil || in.within.Load() != nil {
		in.report(in.recalled(m, o))
	} else {
		in.icp.counters.of(in.server, in.zone, in.view).count(o.verdict, in.mode)
	}
	switch {
	case in.mode == registry.Monitor:
		return m, nil
	case o.effect == registry.EffectBlock && in.direct():
		l := lend()
		return in.fill(&l.reply, &l.told, m, o.verdict.Reason), l
	case o.effect == registry.EffectBlock:
		return in.blocked(m, o.verdict.Reason), nil
	case o.judged:
		return in.capped(m), nil
	}
	return m, nil
}

// recalled is the finding of an outcome. What the message says is read from it
// again, and takes no look-up.
func (in *inspector) recalled(m *dns.Msg, o *outcome) finding {
	f := finding{Verdict: o.verdict, place: o.place, owner: o.owner, product: o.product, effect: o.effect}
	if !o.judged {
		return f
	}
	name, readable, _ := in.asked(m.Answer)
	if !readable {
		name = unreadable
	}
	f.name, f.registrable = name, o.registrable
	at := int(o.at)
	eachAddress(m.Answer, func(a netip.Addr) bool {
		f.addr = a
		at--
		return at >= 0
	})
	return f
}

// remember keeps the outcome of a message whose finding is f, unless something was
// put in force since it was identified: then nobody can tell what it was judged by.
func (in *inspector) remember(id identity, m *dns.Msg, f finding) {
	if now, ok := in.edge.Generation(); !ok || now != id.generation {
		return
	}
	o := outcome{verdict: f.Verdict, place: f.place, owner: f.owner, product: f.product, effect: f.effect}
	if f.addr.IsValid() {
		o.judged = true
		eachAddress(m.Answer, func(a netip.Addr) bool {
			if a == f.addr {
				return false
			}
			o.at++
			return true
		})
	}
	if f.Block {
		name, _ := f.name.Registrable()
		o.registrable = uint8(name.Labels())
	}
	in.icp.memo.put(id.fingerprint, o)
}

// eachAddress calls f with every address of a section until it returns false.
func eachAddress(rrs []dns.RR, f func(netip.Addr) bool) {
	for _, rr := range rrs {
		if !addresses(rr, f) {
			return
		}
	}
}
