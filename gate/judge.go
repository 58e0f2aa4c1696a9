package gate

import (
	"net/netip"
	"time"

	"github.com/icpgate/icpgate/gate/authz"
	"github.com/icpgate/icpgate/gate/sniff"
	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/edge"
)

// asked is whom a client means, as it was read from a head.
type asked struct {
	host    registry.Host
	channel registry.Channel
	// unreadable is a name that sniff took and registry refuses, or what sniff could
	// not read either; it is judged as malformed.
	unreadable bool
	known      bool // something was read
	// alpn are the protocols that it offers, of QUIC and where there is a log.
	alpn string
}

// hostOf makes a host of what sniff found. text is copied.
func hostOf(kind sniff.Kind, text []byte, channel registry.Channel) (a asked) {
	a.channel, a.known = channel, true
	host, ok := authz.HostOf(kind, text)
	a.host, a.unreadable = host, !ok || kind == sniff.Malformed
	return a
}

// judging is what a verdict needs beside the host: whose edge this is and what
// the listener stands for. It is made once for a listener and is safe for
// concurrent use.
type judging struct {
	edge  *edge.Edge
	where *locator
}

// route is whence a client came and where it went.
type route struct {
	from netip.AddrPort // the client; the zero AddrPort where nobody knows
	dest destination    // where the client went
}

// decide decides on a host for whoever came that way. Of several judged addresses
// the worst verdict counts.
func (j *judging) decide(a asked, r *route) registry.Verdict {
	if a.unreadable {
		return registry.Verdict{Reason: registry.Malformed, Block: true}
	}
	var (
		k     known
		buf   [4]edge.Where
		worst registry.Verdict
	)
	j.lookUp(&k, a, r)
	for i, w := range j.where.judged(buf[:0], r.dest) {
		v := registry.Decide(edge.At(k.query, w, k.hints), k.cover)
		if i > 0 {
			v = worst.Worse(v)
		}
		worst = v
	}
	return worst
}

// known is what is known of a host, wherever it is judged.
type known struct {
	query registry.Query
	cover registry.Coverage
	hints edge.Hints
}

// lookUp fills k in, which has to be zero.
func (j *judging) lookUp(k *known, a asked, r *route) {
	j.edge.Prepare(&k.query, a.host, a.channel)
	k.query.OriginPull = j.edge.Locate(r.from.Addr()).OriginPull
	switch a.host.Kind() {
	case registry.NameHost:
		k.cover, k.hints = j.edge.Coverage(a.host.Name), j.edge.Hints(a.host.Name)
	case registry.AddrHost:
		k.cover = j.edge.CoverageAddr(a.host.Addr)
	default:
		k.cover = j.edge.CoverageAddr(netip.Addr{})
	}
}

// treatment tells how a client is treated: enforces reports whether verdicts
// on it are acted on, else they are only counted; exempt that nothing is judged
// at all.
func (j *judging) treatment(from netip.Addr) (enforces, exempt bool) {
	enforces = j.edge.Config().Policy.Mode == registry.Enforce
	if j.edge.TreatsClients() {
		switch j.edge.Treatment(from) {
		case edge.ExemptClient:
			return enforces, true
		case edge.MonitoredClient:
			enforces = false
		}
	}
	return enforces, false
}

// timeouts are those of a listener. The zero value of a field is its default.
type timeouts struct {
	head     time.Duration // for a whole head, from its first byte or the connection's beginning
	idle     time.Duration // without a byte in either direction, and between requests
	dial     time.Duration // to reach an upstream
	response time.Duration // for the head of a response
	kept     time.Duration // that an upstream's connection is kept where nothing is asked
}
