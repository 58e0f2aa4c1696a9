package gate

import (
	"net/netip"

	"github.com/icpgate/icpgate/gate/authz"
	"github.com/icpgate/icpgate/gate/sniff"
	"github.com/icpgate/icpgate/registry"
)

// Ask implements authz.Judge: it answers a listed peer as a client's connection
// would be treated, and counts and tells the same.
func (s *service) Ask(q *authz.Question) authz.Answer {
	r := route{from: netip.AddrPortFrom(q.Client, 0)}
	cause := q.Cause
	if cause == sniff.NoCause {
		r.dest.Told, cause = s.toldBy(q)
	}
	if cause != sniff.NoCause {
		id := newRequestID()
		return authz.Answer{Verdict: s.malformed(&r, q.Channel, cause, id), Refused: true, ID: id}
	}
	enforces, exempt := s.treatment(q.Client)
	if exempt {
		return authz.Answer{Verdict: registry.Verdict{Reason: registry.Exempt}}
	}
	a := asked{host: q.Host, channel: q.Channel, known: true}
	answer := authz.Answer{Verdict: s.judge(a, &r)}
	if answer.Verdict.Block && enforces {
		answer.Refused, answer.ID = true, newRequestID()
	}
	s.report(&r, a, answer.Verdict, enforces, sniff.NoCause, answer.ID)
	return answer
}

// toldBy is the address that the peer tells, where it may; not valid where the
// listener's own counts. One that the public cannot reach is none: in a container,
// or behind a load balancer, a proxy knows no other, and all would pass by it.
func (s *service) toldBy(q *authz.Question) (netip.Addr, sniff.Cause) {
	switch {
	case s.serves.Asked && q.Addr.IsValid() && public(q.Addr):
		return q.Addr.Unmap(), sniff.NoCause
	case s.serves.IsZero():
		return netip.Addr{}, sniff.BadAddress
	}
	return netip.Addr{}, sniff.NoCause
}
