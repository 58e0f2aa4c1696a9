package gate

import (
	"fmt"
	"slices"
)

// check refuses what the directives of a block contradict each other in, and
// what has no effect: its author believed in one.
func (p *parser) check() error {
	for _, check := range []func() (directive, problem string){
		p.checkSocket, p.checkAsked, p.checkUpstream, p.checkQUIC, p.checkOriginal, p.checkBlock, p.checkNotice, p.checkTLS, p.checkHTTP, p.checkLimits, p.checkServes,
	} {
		if directive, problem := check(); problem != "" {
			return fmt.Errorf("%s - %s", p.at(directive), problem)
		}
	}
	return nil
}

// at is where a directive stands, or the block where it is missing.
func (p *parser) at(directive string) string {
	if at, ok := p.first[directive]; ok {
		return at
	}
	return p.s.At
}

// given reports whether the block has a directive.
func (p *parser) given(directive string) bool {
	_, ok := p.first[directive]
	return ok
}

// listens reports whether a listener of the block has one of the schemes.
func (s *Server) listens(schemes ...Scheme) bool {
	return slices.ContainsFunc(s.Listeners, func(l Listener) bool { return slices.Contains(schemes, l.Scheme) })
}

// seesHTTP reports whether requests can be read on some listener of the block.
func (s *Server) seesHTTP() bool { return s.listens(HTTP, Mixed) || s.Terminates() }

// asked reports whether the block's listeners are asked.
func (s *Server) asked() bool { return len(s.Listeners) > 0 && s.Listeners[0].Scheme.Asked() }

// notAsked are the directives of listeners that pass connections on.
var notAsked = []string{
	"upstream", "proxy-protocol", "original-dst", "tls", "established", "upgrade", "h2c", "ech", "forwarded", "limits body-rate", "limits initials", "timeouts dial",
}

// checkSocket makes sure that there is a socket whose access is told.
func (p *parser) checkSocket() (string, string) {
	if p.given("socket") && !slices.ContainsFunc(p.s.Listeners, func(l Listener) bool { return l.Network == "unix" }) {
		return "socket", "socket has no effect: no listener is a unix socket"
	}
	return "", ""
}

// checkAsked holds listeners that are asked apart from the others.
func (p *parser) checkAsked() (string, string) {
	for _, l := range p.s.Listeners {
		if l.Scheme.Asked() != p.s.asked() {
			return "", fmt.Sprintf("listeners %s and %s in one block: one passes connections on, the other is asked by proxies; expect a block for each", p.s.Listeners[0], l)
		}
	}
	if p.given("reflection") && !p.s.listens(GRPC) {
		return "reflection", "reflection has no effect: it is for grpc:// listeners"
	}
	if !p.s.asked() {
		switch {
		case p.given("peers"):
			return "peers", "peers has no effect: it is for auth://, grpc:// and spoe:// listeners, which proxies ask"
		case p.s.Serves.Asked:
			return "serves", "serves asked has no effect: it is for auth://, grpc:// and spoe:// listeners, which proxies ask"
		}
		return "", ""
	}
	for _, d := range notAsked {
		if p.given(d) {
			return d, fmt.Sprintf("%s has no effect: %s passes nothing on", d, p.s.Listeners[0])
		}
	}
	return p.checkPeers()
}

// checkPeers makes sure that somebody may ask, and gets an answer that is one.
func (p *parser) checkPeers() (string, string) {
	for _, l := range p.s.Listeners {
		if l.Network != "unix" && len(p.s.Peers) == 0 {
			return "", fmt.Sprintf("nobody may ask %s; add a line peers CIDR... with the addresses of the proxies that do, as in peers 127.0.0.1", l)
		}
	}
	switch a := p.s.Block.Action; a {
	case BlockDefault, BlockPage, BlockRedirect:
		return "", ""
	default:
		return "block", fmt.Sprintf("block %s: a proxy that asks is always answered; expect block page or redirect", a)
	}
}

func (p *parser) checkUpstream() (string, string) {
	switch {
	case p.s.asked():
	case len(p.s.Upstreams) == 0 && p.s.OriginalDst.Mode == NoOriginal:
		return "upstream", "no upstream; expect upstream HOST:PORT, the web server behind the gate"
	case p.s.listens(TLS, Mixed) && !p.s.Terminates():
		for _, u := range p.s.Upstreams {
			if u.TLS {
				return "upstream", "upstream tls: the client's TLS is passed through already; expect no tls here, or tls CERT KEY to end the client's"
			}
		}
	}
	return "", ""
}

// checkQUIC refuses what only TCP has: datagrams go on as they came, and nothing
// can be put before them.
func (p *parser) checkQUIC() (string, string) {
	if !p.s.listens(QUIC) {
		return "", ""
	}
	for _, u := range p.s.Upstreams {
		switch {
		case u.Network == "unix":
			return "upstream", fmt.Sprintf("upstream unix:%s: QUIC needs a UDP port; expect HOST:PORT, or quic:// in a block of its own", u.Address)
		case u.TLS:
			return "upstream", "upstream tls: QUIC is passed through unopened; expect no tls here, or quic:// in a block of its own"
		case u.ProxyProtocol != 0:
			return "upstream", "upstream proxy-protocol: a PROXY header goes before a stream, and QUIC has none in the open; expect none here, or quic:// in a block of its own"
		}
	}
	switch {
	case len(p.s.ProxyFrom) > 0:
		return "proxy-protocol", "proxy-protocol require: datagrams of QUIC bear no PROXY header; expect quic:// in a block of its own"
	case p.s.OriginalDst.Mode != NoOriginal:
		return "original-dst", fmt.Sprintf("original-dst %s: where a datagram was meant for is not told; expect quic:// in a block of its own, with serves and upstream", p.s.OriginalDst.Mode)
	case p.s.Terminates():
		return "tls", "tls CERT KEY: TLS ends here, but QUIC is passed through, so they need different upstreams; expect quic:// in a block of its own, or tls CERT KEY page"
	}
	return "", ""
}

func (p *parser) checkOriginal() (string, string) {
	if p.s.OriginalDst.Mode == NoOriginal {
		return "", ""
	}
	for _, l := range p.s.Listeners {
		if l.Network == "unix" {
			return "original-dst", fmt.Sprintf("original-dst: no packet filter turns connections to %s; expect TCP listeners only", l)
		}
	}
	return "", ""
}

func (p *parser) checkBlock() (string, string) {
	switch action := p.s.Block.Action; {
	case (action == BlockPage || action == BlockRedirect) && !p.s.listens(HTTP, Mixed) && !p.s.asked() && len(p.s.Certificates) == 0:
		return "block", fmt.Sprintf("block %s: TLS shows nothing without a certificate; expect a line tls CERT KEY page, or block alert, rst or fin", action)
	case action == BlockAlert && !p.s.listens(TLS, Mixed, QUIC):
		return "block", "block alert: HTTP knows no alert; expect block page, redirect, rst or fin"
	case (action == BlockClose || action == BlockDrop) && !p.s.listens(QUIC):
		return "block", fmt.Sprintf("block %s: it is for quic:// listeners, of which there is none; expect block page, redirect, alert, rst or fin", action)
	case (action == BlockRST || action == BlockFIN) && !p.s.listens(HTTP, TLS, Mixed):
		return "block", fmt.Sprintf("block %s: QUIC knows neither; expect block close or drop", action)
	case (action == BlockAlert || action == BlockRST || action == BlockFIN) && len(p.s.Certificates) > 0 && !p.s.Terminates():
		return "block", fmt.Sprintf("block %s: a certificate for the page is given, but no page shown; expect block page, or no tls line", action)
	}
	return "", ""
}

func (p *parser) checkTLS() (string, string) {
	if p.s.listens(TLS, Mixed) || p.s.asked() {
		return "", ""
	}
	switch {
	case p.given("tls"):
		return "tls", "tls has no effect: the block has no tls:// or mixed:// listener"
	case p.given("ech") && !p.s.listens(QUIC):
		return "ech", "ech has no effect: the block has no tls://, mixed:// or quic:// listener"
	}
	return "", ""
}

func (p *parser) checkHTTP() (string, string) {
	if p.s.H2C && !p.s.listens(HTTP, Mixed) {
		return "h2c", "h2c on has no effect: it is for http:// and mixed:// listeners; HTTP/2 in TLS is on where TLS ends at the gate"
	}
	if p.s.seesHTTP() || p.s.asked() {
		return "", ""
	}
	for _, d := range []string{"upgrade", "forwarded", "limits body-rate"} {
		if p.given(d) {
			return d, fmt.Sprintf("%s has no effect: TLS is passed through unread; expect tls CERT KEY, or an http:// listener", d)
		}
	}
	return "", ""
}

func (p *parser) checkLimits() (string, string) {
	l := p.s.Limits.WithDefaults()
	switch {
	case p.given("limits prefix") && !p.given("limits per-client") && !p.s.listens(QUIC):
		return "limits prefix", "limits prefix has no effect without per-client N"
	case p.given("limits initials") && !p.s.listens(QUIC):
		return "limits initials", "limits initials has no effect: the block has no quic:// listener"
	case l.PerClient > l.Connections:
		return "limits per-client", fmt.Sprintf("limits per-client %d is more than connections %d", l.PerClient, l.Connections)
	}
	return "", ""
}

// checkServes makes sure that there is a public address to judge by. Behind a
// load balancer or in a container all would pass as not public else.
func (p *parser) checkServes() (string, string) {
	s := &p.s
	if s.asked() {
		if s.Serves.IsZero() && !s.Serves.Asked {
			return "", fmt.Sprintf("listener %s does not know at which address hosts are judged; add a line serves ADDR... with the addresses that the proxies' clients connect to, serves mainland, or serves asked where the proxies tell it", s.Listeners[0])
		}
		return "", ""
	}
	if !s.Serves.IsZero() || s.OriginalDst.Mode != NoOriginal || len(s.ProxyFrom) > 0 {
		return "", ""
	}
	for _, l := range s.Listeners {
		if l.Network == "unix" || !public(l.Addr.Addr()) {
			return "", fmt.Sprintf("listener %s tells no public address to judge by, so nothing would be blocked; add a line serves ADDR... with the addresses that clients connect to, or serves mainland (or use original-dst, or proxy-protocol require)", l)
		}
	}
	return "", ""
}
