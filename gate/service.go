package gate

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/icpgate/icpgate/gate/sniff"
	"github.com/icpgate/icpgate/registry"
)

// service is what one listener does, as the configuration in force says. It is
// immutable; a reload puts another in its place, and connections end with the one
// they began with.
type service struct {
	name string // the listener, as in "http://192.0.2.1:80"
	judging
	timeouts
	limits   sniff.Limits
	upstream dialer
	notices  answerer
	metrics  *counters
	log      *slog.Logger // of connections; nil is none

	certs     *certificates // where TLS is ended here, or a blocked name gets the page
	tlsConfig *tls.Config
	h2        *h2
	h2c       bool // HTTP/2 without TLS is served
	tlsBlock  tlsBlock
	ech       bool // hellos with encrypted_client_hello pass
	forwarded forwarding
	websocket bool // that upgrade is granted
	bodyRate  int64
}

// judge decides on whom a client means, and measures it now and then.
func (s *service) judge(a asked, from, dest netip.Addr) registry.Verdict {
	if !timed(decisionSampling) {
		return s.decide(a, from, dest)
	}
	start := time.Now()
	v := s.decide(a, from, dest)
	s.metrics.m.decision.Observe(time.Since(start).Seconds())
	return v
}

// dialer reaches the upstream of a listener. It is declared here for whom the
// engines dial: what it returns is a bare connection of the system where it can
// be, so that bytes are spliced.
type dialer interface {
	dial(ctx context.Context, from, dest netip.AddrPort) (net.Conn, error)
}

// tlsBlock is how a TLS connection is refused. The zero value is an alert.
type tlsBlock uint8

const (
	blockAlert tlsBlock = iota // unrecognized_name, and the end
	blockReset
	blockClose // the end alone
)

// forwarding is what becomes of the fields that tell of the client. The zero
// value adds to them.
type forwarding uint8

const (
	forwardAdd forwarding = iota
	forwardReplace
	forwardOff
)
