package icp

import (
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/edge"
)

// rrset names records that are signed together.
type rrset struct {
	owner  string // lower case
	rrtype uint16
}

// strip returns a copy of the message without the addresses that are withheld.
// What it changes loses its signatures.
func (msg *message) strip() *dns.Msg {
	m := msg.m.Copy()
	whole := msg.worst.Block && msg.in.icp.cfg.Policy.Mixed == registry.MixedBlock
	answerChanged := map[rrset]bool{}
	m.Answer = withhold(m.Answer, refusedAnswers, answerChanged, func(_ *dns.RR_Header, a netip.Addr) bool {
		return whole || msg.asked.at(a).verdict.Block
	})
	changed := map[rrset]bool{}
	beside := func(h *dns.RR_Header, a netip.Addr) bool {
		if whole && msg.asksAddress() && !msg.isGlue(strings.ToLower(h.Name)) {
			return true
		}
		f, judged := msg.besideAt(h, a)
		return judged && f.Block
	}
	m.Ns = withhold(m.Ns, refusedAuthority, changed, beside)
	m.Extra = withhold(m.Extra, refusedAdditional, changed, beside)
	if msg.in.icp.cfg.StripECH != edge.StripECHOff {
		removeECH(m.Answer, answerChanged, msg.withheld)
		removeECH(m.Extra, changed, msg.withheld)
	}
	m.Answer = unsigned(m.Answer, answerChanged)
	m.Ns = unsigned(m.Ns, changed)
	m.Extra = unsigned(m.Extra, changed)
	m.AuthenticatedData = m.AuthenticatedData && len(answerChanged) == 0
	if msg.withheld {
		msg.in.explain(m, nil, msg.reason)
	}
	if !msg.in.edns { // as explain has it
		m.Answer, m.Extra = slices.DeleteFunc(m.Answer, isOPT), slices.DeleteFunc(m.Extra, isOPT)
	}
	return msg.in.cap(m)
}

func isOPT(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeOPT }

// withhold removes the addresses that drop says, and the records that have no
// other content; changed gathers what it touched, and refused counts it. The
// records are the caller's own and are altered in place.
func withhold(rrs []dns.RR, refused prometheus.Counter, changed map[rrset]bool, drop func(h *dns.RR_Header, a netip.Addr) bool) []dns.RR {
	return slices.DeleteFunc(rrs, func(rr dns.RR) bool {
		h := rr.Header()
		if !carries(h.Rrtype) {
			return false
		}
		touched := !addresses(rr, func(a netip.Addr) bool { return !drop(h, a) })
		if !touched {
			return false
		}
		changed[rrset{strings.ToLower(h.Name), h.Rrtype}] = true
		refused.Inc()
		svcb := service(rr)
		if svcb == nil {
			return true
		}
		svcb.Value = withoutHints(svcb.Value, func(a netip.Addr) bool { return drop(h, a) })
		return false
	})
}

// withoutHints removes the hints that drop says, and parameters that hold no
// other.
func withoutHints(params []dns.SVCBKeyValue, drop func(netip.Addr) bool) []dns.SVCBKeyValue {
	var gone []dns.SVCBKey
	params = slices.DeleteFunc(params, func(kv dns.SVCBKeyValue) bool {
		empty := false
		switch kv := kv.(type) {
		case *dns.SVCBIPv4Hint:
			kv.Hint = keepAddrs(kv.Hint, drop)
			empty = len(kv.Hint) == 0
		case *dns.SVCBIPv6Hint:
			kv.Hint = keepAddrs(kv.Hint, drop)
			empty = len(kv.Hint) == 0
		case *dns.SVCBLocal:
			hints := localHints(kv)
			// Written under a number by a plugin: rare enough to go as a whole.
			empty = len(keepAddrs(hints, drop)) < len(hints)
		}
		if empty {
			gone = append(gone, kv.Key())
		}
		return empty
	})
	return optional(params, gone)
}

func keepAddrs(ips []net.IP, drop func(netip.Addr) bool) []net.IP {
	kept := make([]net.IP, 0, len(ips))
	for _, ip := range ips {
		if address(ip, func(a netip.Addr) bool { return !drop(a) }) {
			kept = append(kept, ip)
		}
	}
	return kept
}

// optional takes removed keys off the list of mandatory ones, since a record
// that lacks a mandatory key is no use to a client (RFC 9460 §8).
func optional(params []dns.SVCBKeyValue, gone []dns.SVCBKey) []dns.SVCBKeyValue {
	if len(gone) == 0 {
		return params
	}
	return slices.DeleteFunc(params, func(kv dns.SVCBKeyValue) bool {
		m, ok := kv.(*dns.SVCBMandatory)
		if !ok {
			return false
		}
		m.Code = slices.DeleteFunc(m.Code, func(k dns.SVCBKey) bool { return slices.Contains(gone, k) })
		return len(m.Code) == 0
	})
}

// removeECH removes the keys of encrypted client hello: with them the name that
// the client goes to could not be seen where the connection is judged. Unless
// all is set, only changed records lose them.
func removeECH(rrs []dns.RR, changed map[rrset]bool, all bool) {
	for _, rr := range rrs {
		svcb := service(rr)
		if svcb == nil || !hasECH(svcb) {
			continue
		}
		set := rrset{strings.ToLower(svcb.Hdr.Name), svcb.Hdr.Rrtype}
		if !all && !changed[set] {
			continue
		}
		svcb.Value = slices.DeleteFunc(svcb.Value, isECH)
		svcb.Value = optional(svcb.Value, []dns.SVCBKey{dns.SVCB_ECHCONFIG})
		changed[set] = true
	}
}

func hasECH(svcb *dns.SVCB) bool { return slices.ContainsFunc(svcb.Value, isECH) }

func isECH(kv dns.SVCBKeyValue) bool { return kv.Key() == dns.SVCB_ECHCONFIG }

// unsigned removes the signatures over changed records.
func unsigned(rrs []dns.RR, changed map[rrset]bool) []dns.RR {
	if len(changed) == 0 {
		return rrs
	}
	return slices.DeleteFunc(rrs, func(rr dns.RR) bool {
		sig, ok := rr.(*dns.RRSIG)
		return ok && changed[rrset{strings.ToLower(sig.Hdr.Name), sig.TypeCovered}]
	})
}

// stripUnfiledECH applies `strip-ech unfiled` to a message that points nowhere
// into the mainland: if its name could not be served there, its keys go.
func (in *inspector) stripUnfiledECH(m *dns.Msg) *dns.Msg {
	if in.icp.cfg.StripECH != edge.StripECHUnfiled || in.mode == registry.Monitor {
		return m
	}
	has := func(rr dns.RR) bool { svcb := service(rr); return svcb != nil && hasECH(svcb) }
	if !slices.ContainsFunc(m.Answer, has) && !slices.ContainsFunc(m.Extra, has) {
		return m
	}
	j := new(judge)
	name, readable, _ := in.asked(m.Answer)
	j.init(in, name, readable)
	if !j.unfiled() {
		return m
	}
	m = m.Copy()
	changed := map[rrset]bool{}
	removeECH(m.Answer, changed, true)
	m.AuthenticatedData = m.AuthenticatedData && len(changed) == 0
	removeECH(m.Extra, changed, true)
	m.Answer, m.Extra = unsigned(m.Answer, changed), unsigned(m.Extra, changed)
	return m
}

// unfiled reports whether the name would be withheld at an address in the
// mainland that is nobody's.
func (j *judge) unfiled() bool {
	if !j.covered {
		j.cover, j.covered = j.edge.Coverage(j.query.Host.Name), true
	}
	q := j.query
	q.Place = registry.Mainland
	return registry.Decide(q, j.cover).Block
}

// capped returns the message with no TTL above the configured one: m itself if
// nothing is configured, else a copy.
func (in *inspector) capped(m *dns.Msg) *dns.Msg {
	if in.icp.cfg.MaxTTL == 0 {
		return m
	}
	return in.cap(m.Copy())
}

// cap lowers the TTLs of a message that is ours to change. Signatures keep their
// original TTL, under which they stay valid.
func (in *inspector) cap(m *dns.Msg) *dns.Msg {
	limit := in.icp.cfg.MaxTTL
	if limit == 0 {
		return m
	}
	for _, section := range [][]dns.RR{m.Answer, m.Extra} {
		for _, rr := range section {
			if h := rr.Header(); h.Rrtype != dns.TypeOPT && h.Rrtype != dns.TypeTSIG {
				h.Ttl = min(h.Ttl, limit)
			}
		}
	}
	return m
}
