package gate

import (
	"context"
	"net"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/icpgate/icpgate/gate/authz"
	"github.com/icpgate/icpgate/gate/authz/spop"
	"github.com/icpgate/icpgate/gate/authz/spop/peer"
	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/edge"
)

// TestService is a service as tests want it.
type TestService struct {
	Edge      *edge.Edge
	Upstream  string
	Kind      string // http, tls, mixed, spoe, grpc
	WebSocket bool
	Idle      time.Duration
	Head      time.Duration
	Response  time.Duration
	Kept      time.Duration // of an upstream's connection
	Forwarded string
	TLSBlock  string
	Notices   answerer

	Certificates []Certificate
	H2C          bool
	PageOnly     bool

	Dial    func() (net.Conn, error)        // in place of Upstream
	Listen  func(net.Listener) net.Listener // in place of the listener; nil is that
	Metrics *prometheus.Registry            // nil is one of its own
}

type dialTo string

func (d dialTo) dial(ctx context.Context, _ origin) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, "tcp", string(d))
}

type dialBy func() (net.Conn, error)

func (d dialBy) dial(context.Context, origin) (net.Conn, error) { return d() }

// TestListener is a listener at work.
type TestListener struct{ l *listener }

func ServeForTest(t TestService) (*TestListener, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	or := func(d, def time.Duration) time.Duration {
		if d == 0 {
			return def
		}
		return d
	}
	reg := t.Metrics
	if reg == nil {
		reg = prometheus.NewRegistry()
	}
	s := &service{
		name: "test", judging: judging{edge: t.Edge, where: newLocator(t.Edge, Serves{Mainland: true, Product: registry.ECS})}, upstream: dialTo(t.Upstream),
		limiter: newLimiter(Limits{}), metrics: newMetrics(reg).of("test"),
		websocket: t.WebSocket, notices: t.Notices, bodyRate: 240,
		timeouts:  timeouts{head: or(t.Head, 10*time.Second), idle: or(t.Idle, time.Minute), dial: 5 * time.Second, response: or(t.Response, time.Minute), kept: or(t.Kept, upstreamIdle)},
		forwarded: map[string]Forwarded{"": ForwardedOff, "add": ForwardedAdd, "replace": ForwardedReplace}[t.Forwarded],
		refusal:   map[string]refusal{"": refuseAnswer, "rst": refuseReset, "close": refuseClose}[t.TLSBlock],
	}
	if t.Dial != nil {
		s.upstream = dialBy(t.Dial)
	}
	if len(t.Certificates) > 0 {
		if s.certs, err = openCertificates(t.Certificates); err != nil {
			return nil, err
		}
		s.tlsConfig = newTLSConfig(s.certs, "h2", "http/1.1")
	}
	s.pageOnly = t.PageOnly
	s.peers, s.serves, s.names = newPeerSet([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}), Serves{Mainland: true}, authz.NewNames()
	s.h2c = t.H2C
	kind := map[string]Scheme{"http": HTTP, "tls": TLS, "mixed": Mixed, "spoe": SPOE, "grpc": GRPC}[t.Kind]
	if kind == GRPC {
		s.rpc = newRPC(s, true)
		s.rpc.SetReady(s.edge.Ready())
		go s.rpc.Run()
	}
	if t.Listen != nil {
		ln = t.Listen(ln)
	}
	l := newListener(ln, kind, new(conns))
	l.service.Store(s)
	go l.accept()
	return &TestListener{l}, nil
}

// SPOEForTest returns what answers a connection of HAProxy's without one; it
// panics where that does not go on.
func SPOEForTest(e *edge.Edge) func(frames []byte) {
	s := &service{
		judging: judging{edge: e, where: newLocator(e, Serves{Mainland: true, Product: registry.ECS})},
		metrics: newMetrics(prometheus.NewRegistry()).of("test"), serves: Serves{Mainland: true}, names: authz.NewNames(),
	}
	c := &spoeConn{current: func() *service { return s }}
	c.asker = authz.SPOE{Judge: s, Pages: s, Names: s.names}
	out := make([]byte, 0, bufferSize)
	take := func(frames []byte) {
		n, answers, done := c.session.Take(frames, out[:0], &c.asker)
		if out = answers; done || n != len(frames) {
			panic("the session has ended")
		}
	}
	take(peer.HelloFrame(spop.MaxFrame))
	return take
}

func (t *TestListener) Addr() string { return t.l.Addr().String() }

// End has it take no more connections.
func (t *TestListener) End() { t.l.end() }

func (t *TestListener) Open() int64 { return t.l.open.open.Load() }

func (t *TestListener) Close() {
	t.l.end()
	if rpc := t.l.service.Load().rpc; rpc != nil {
		rpc.Stop()
	}
	for _, c := range t.l.open.all() {
		c.end()
	}
	t.l.crew.wait()
}

// TestCertificates are certificates with their methods.
type TestCertificates struct{ c *certificates }

func OpenCertificates(files []Certificate) (TestCertificates, error) {
	c, err := openCertificates(files)
	return TestCertificates{c}, err
}

func (c TestCertificates) Has(name string) bool   { return c.c.find(name) != nil }
func (c TestCertificates) Refresh() (bool, error) { return c.c.refresh() }

// Directives are the legal ones beside icp, each with its arguments.
func Directives() (list []string) {
	for _, d := range directives {
		list = append(list, d.name+" "+d.usage)
	}
	return list
}

// Quiet returns the look of a quiet.
func Quiet(giving func()) func(heads uint64) { return (&quiet{giving: giving}).look }

// EndThenOpen ends a connection, which opens something only then.
func EndThenOpen(end func()) {
	c := new(conn)
	c.end()
	c.onEnd(end)
}

// AuthForTest returns what answers a request of somebody who asks.
func AuthForTest(e *edge.Edge, notices answerer) func(request []byte) []byte {
	a := &authConn{conn: &conn{all: new(conns), s: &service{
		name: "test", judging: judging{edge: e, where: newLocator(e, Serves{Mainland: true})}, serves: Serves{Mainland: true},
		metrics: newMetrics(prometheus.NewRegistry()).of("test"), notices: notices, names: authz.NewNames(),
	}}, now: time.Now()}
	a.current = func() *service { return a.s }
	a.follow()
	return func(request []byte) []byte {
		b := append(*lend(), request...)
		a.in, a.at = &b, 0
		if !a.nextRequest() {
			panic("the connection has ended")
		}
		out := *a.out
		giveBack(a.out)
		a.out = nil
		return out
	}
}

// EndQUIC ends a listener of QUIC, and returns what has it listen then.
func EndQUIC(g *Gate) (listen func()) {
	for _, l := range g.quic {
		l.end()
		return func() { l.listen(true) }
	}
	return nil
}

// Kept is how many connections are kept as open ones.
func Kept(g *Gate) int { return len(g.open.all()) }
