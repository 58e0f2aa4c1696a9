package gate

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/icpgate/icpgate/gate/authz"
	"github.com/icpgate/icpgate/gate/authz/extauthz"
	"github.com/icpgate/icpgate/gate/sniff"
	"github.com/icpgate/icpgate/registry"
)

// service is what one listener does, as the configuration in force says. But for what
// it has said it is immutable; a reload puts another in its place. Connections end with
// the one they began with, but are judged by the one in force.
type service struct {
	name string // the listener, as in "http://192.0.2.1:80"
	judging
	timeouts
	limits   sniff.Limits
	limiter  *limiter // shared by the listeners of a block
	bodyRate int      // least bytes a second of a request's body; 0 is no least
	upstream dialer
	quic     *upstreams // nil without a listener of QUIC
	initials int        // datagrams a second of one client that lead to no connection yet
	silent   bool       // who is refused on QUIC is told nothing
	notices  answerer
	metrics  *counters
	log      *connLog // nil is none

	proxies  *peerSet // who must send a PROXY header
	peers    *peerSet // who may ask
	serves   Serves
	names    *authz.Names     // nil where nobody asks by bytes
	rpc      *extauthz.Server // nil where no Envoy asks
	original OriginalMode
	guard    *originalGuard // nil without original

	certs     *certificates // nil without
	tlsConfig *tls.Config   // nil without
	pageOnly  bool          // certificates serve to show blocked clients the page, and TLS passes through else

	refusal     refusal
	echRefused  bool // hellos with encrypted_client_hello do not pass
	forwarded   Forwarded
	websocket   bool // that upgrade is granted
	h2c         bool // HTTP/2 without TLS is served
	established Established

	privateSaid atomic.Bool // by destined
}

// judge decides on whom a client means, and measures it now and then.
func (s *service) judge(a asked, r *route) registry.Verdict {
	if !timed(decisionSampling) {
		return s.decide(a, r)
	}
	start := time.Now()
	v := s.decide(a, r)
	s.metrics.m.decision.Observe(time.Since(start).Seconds())
	return v
}

// destined says once that connections are told to be for an address at which nothing
// is blocked. Behind a load balancer that may be its own, within a private network.
func (s *service) destined(dst netip.AddrPort) {
	switch a := dst.Addr().Unmap(); {
	case !s.serves.IsZero() || s.privateSaid.Load() || s.edge.Locate(a).Place != registry.Private:
	case s.privateSaid.CompareAndSwap(false, true):
		slog.Warn("a connection is told to be for an address that the public cannot reach, so nothing is blocked there; if clients connect to another one, say it by serves", "listener", s.name, "address", a)
	}
}

// dialer reaches the upstream of a listener. It is declared here for whom the
// engines dial: what it returns is a bare connection of the system where it can
// be, so that bytes are spliced.
type dialer interface {
	dial(ctx context.Context, o origin) (net.Conn, error)
}

// refusal is how a connection is refused. The zero value says why.
type refusal uint8

const (
	refuseAnswer refusal = iota // the notice; for TLS the alert unrecognized_name
	refuseReset
	refuseClose // the end alone
)
