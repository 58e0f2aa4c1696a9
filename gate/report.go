package gate

import (
	"time"

	"github.com/icpgate/icpgate/gate/sniff"
	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/edge"
)

// report counts a verdict, has it written where there is a connection log, and
// tells of one that blocks, or would. id is what a client that is told of it can
// name it by; "" otherwise.
func (s *service) report(r *route, a asked, v registry.Verdict, enforced bool, cause sniff.Cause, id string) {
	s.metrics.verdict(a.channel, v, enforced)
	if s.log != nil {
		s.logged(r, a, v, enforced, cause, id)
	}
	if v.Block {
		s.blocked(r, a, v, enforced)
	}
}

// blocked hands a block on to the sightings and the log.
func (s *service) blocked(r *route, a asked, v registry.Verdict, enforced bool) {
	mode, effect := registry.Enforce, registry.EffectBlock
	if !enforced {
		mode, effect = registry.Monitor, registry.EffectPass
	}
	addr, w := s.where.named(r.dest)
	s.edge.Blocked(edge.Blocked{
		Sighted: edge.Sighted{Host: a.host.Name, Addr: addr, Reason: v.Reason, Channel: a.channel, Mode: mode},
		Filed:   a.host.Name.Last(int(v.Filed)), Effect: effect,
		Provider: w.Provider, Product: w.Product, Place: w.Place,
		Client: r.from.Addr(), Server: s.name,
	})
}

// logged has a verdict written to the connection log.
func (s *service) logged(r *route, a asked, v registry.Verdict, enforced bool, cause sniff.Cause, id string) {
	s.log.write(logLine{
		at: time.Now(), listener: s.name, channel: a.channel, client: r.from.Addr(), dest: r.dest.addr(),
		host: a.host, verdict: v, enforced: enforced, cause: cause, alpn: a.alpn, id: id,
	})
}

// malformed counts a head that cannot be read in one way, which is refused. id is
// that of report.
func (s *service) malformed(r *route, channel registry.Channel, cause sniff.Cause, id string) registry.Verdict {
	v := registry.Verdict{Reason: registry.Malformed, Block: true}
	s.metrics.verdict(channel, v, true)
	if s.log != nil {
		s.logged(r, asked{channel: channel}, v, true, cause, id)
	}
	return v
}
