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
		r.dest.Product = q.Product
		r.dest.Told, cause = s.toldBy(q)
		q.Cause = cause
	}
	s.metrics.sniffed(q.Kind(), cause)
	enforces, exempt := s.treatment(q.Client)
	switch {
	case cause != sniff.NoCause && q.Unread && (exempt || !enforces):
		// It is passed on and counted, as by a listener of TLS.
		v := registry.Verdict{Reason: registry.Malformed, Block: true}
		s.report(&r, asked{channel: q.Channel}, v, false, cause, "")
		return authz.Answer{Verdict: v}
	case cause != sniff.NoCause:
		id := newRequestID()
		return authz.Answer{Verdict: s.malformed(&r, q.Channel, cause, id), Refused: true, ID: id}
	case exempt:
		return authz.Answer{Verdict: registry.Verdict{Reason: registry.Exempt}}
	}
	a := asked{host: q.Host, channel: q.Channel, known: true}
	answer := authz.Answer{Verdict: s.judge(a, &r)}
	if q.SNI.Kind() != registry.NoHost && q.SNI != q.Host {
		sni := asked{host: q.SNI, channel: q.Channel, known: true}
		answer.Verdict = answer.Verdict.Worse(s.judge(sni, &r))
	}
	if answer.Verdict.Block && enforces {
		answer.Refused, answer.ID = true, newRequestID()
	}
	s.report(&r, a, answer.Verdict, enforces, sniff.NoCause, answer.ID)
	return answer
}

// toldBy is the address that the peer tells, where it may; not valid where the
// listener's own counts. One that the public cannot reach, by the table of places, is
// none: in a container, or behind a load balancer, a proxy knows no other, and all
// would pass by it.
func (s *service) toldBy(q *authz.Question) (netip.Addr, sniff.Cause) {
	switch {
	case s.serves.Asked && q.Addr.IsValid() && s.edge.Locate(q.Addr).Place != registry.Private:
		return q.Addr.Unmap(), sniff.NoCause
	case s.serves.IsZero():
		return netip.Addr{}, sniff.BadAddress
	}
	return netip.Addr{}, sniff.NoCause
}
