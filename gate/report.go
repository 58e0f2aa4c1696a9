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
func (c *conn) report(a asked, v registry.Verdict, enforced bool, cause sniff.Cause, id string) {
	c.s.metrics.verdict(a.channel, v, enforced)
	if c.s.log != nil {
		c.logged(a, v, enforced, cause, id)
	}
	if v.Block {
		c.blocked(a, v, enforced)
	}
}

// blocked hands a block on to the sightings and the log. Of several judged
// addresses it names the one that the connection came to, if any.
func (c *conn) blocked(a asked, v registry.Verdict, enforced bool) {
	mode, effect := registry.Enforce, registry.EffectBlock
	if !enforced {
		mode, effect = registry.Monitor, registry.EffectPass
	}
	var buf [4]edge.Where
	w := c.s.places(buf[:0], c.dest)[0]
	c.s.edge.Blocked(edge.Blocked{
		Sighted: edge.Sighted{Host: a.host.Name, Addr: c.dest.addr(), Reason: v.Reason, Channel: a.channel, Mode: mode},
		Filed:   a.host.Name.Last(int(v.Filed)), Effect: effect,
		Provider: w.Provider, Product: w.Product, Place: w.Place,
		Client: c.from.Addr(), Server: c.s.name,
	})
}

// logged has a verdict written to the connection log.
func (c *conn) logged(a asked, v registry.Verdict, enforced bool, cause sniff.Cause, id string) {
	c.s.log.write(logLine{
		at: time.Now(), listener: c.s.name, channel: a.channel, client: c.from.Addr(), dest: c.dest.addr(),
		host: a.host, verdict: v, enforced: enforced, cause: cause, id: id,
	})
}

// malformed counts a head that cannot be read in one way, which is refused.
func (c *conn) malformed(channel registry.Channel, cause sniff.Cause) registry.Verdict {
	v := registry.Verdict{Reason: registry.Malformed, Block: true}
	c.s.metrics.verdict(channel, v, true)
	if c.s.log != nil {
		c.logged(asked{channel: channel}, v, true, cause, "")
	}
	return v
}
