package extauthz

import (
	"context"
	"errors"
	"net"
	"runtime/debug"
	"sync"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/icpgate/icpgate/gate/authz"
)

const (
	// MaxMessage is the longest check that is read. A request's headers have 60 KiB in
	// Envoy by default and 8 MiB at most, and the path stands in a check twice. For one
	// that is longer Envoy has no answer, and serves the client where that means to.
	MaxMessage = 16 << 20
	// MaxStreams is how many checks may run on a connection. Envoy opens another one
	// beyond.
	MaxStreams = 1024
	// maxHeaders are those of gRPC itself, of which Envoy sends a dozen.
	maxHeaders = 16 << 10
	// minPing is how often a peer may ask whether we are there: gRPC's own default of
	// 5 minutes would have connections ended whose Envoy asks every 30 s.
	minPing = 5 * time.Second
	// pingAfter and pingTimeout find out that a peer is gone without a word.
	pingAfter   = 2 * time.Minute
	pingTimeout = 20 * time.Second
	// workers are goroutines that wait for checks: a new one would have to grow its
	// stack each time.
	workers = 16
)

// Config is what a Server needs. Judge and Pages must be given; a time of zero is
// for ever.
type Config struct {
	Judge authz.Judge
	Pages authz.Pages
	// Hello is how long a peer may take to begin. Idle is how long a connection may
	// be without a check; it is told then.
	Hello, Idle time.Duration
	// Panicked is told of a defect of this program, by which one check was not
	// answered. Optional.
	Panicked func(p any, stack []byte)
	// Reflection answers who asks which services there are.
	Reflection bool
}

// Server serves connections of Envoy's. Make one with New; its methods may be used
// concurrently.
type Server struct {
	judge  authz.Judge
	pages  authz.Pages
	defect func(p any, stack []byte) // nil for nobody to tell
	passes passes
	grpc   *grpc.Server
	health *health.Server
	conns  handed
}

// New returns a Server whose Run has not begun.
func New(cfg Config) *Server {
	s := &Server{judge: cfg.Judge, pages: cfg.Pages, defect: cfg.Panicked, passes: newPasses(), health: health.NewServer(), conns: newHanded()}
	options := []grpc.ServerOption{
		grpc.ForceServerCodecV2(newCodec()),
		grpc.MaxRecvMsgSize(MaxMessage), grpc.MaxConcurrentStreams(MaxStreams), grpc.MaxHeaderListSize(maxHeaders), grpc.NumStreamWorkers(workers),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: minPing, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionIdle: cfg.Idle, Time: pingAfter, Timeout: pingTimeout}),
	}
	if cfg.Hello > 0 {
		options = append(options, grpc.ConnectionTimeout(cfg.Hello))
	}
	s.grpc = grpc.NewServer(options...)
	s.grpc.RegisterService(&service, s)
	healthv1.RegisterHealthServer(s.grpc, s.health)
	if cfg.Reflection {
		reflection.Register(s.grpc)
	}
	return s
}

// service is the interface of envoy/service/auth/v3/external_auth.proto, with a
// codec of its own.
var service = grpc.ServiceDesc{
	ServiceName: ServiceName,
	HandlerType: (*checker)(nil),
	Methods:     []grpc.MethodDesc{{MethodName: "Check", Handler: handle}},
	Metadata:    authv3.File_envoy_service_auth_v3_external_auth_proto.Path(),
}

// ServiceName is that of Envoy's interface.
const ServiceName = "envoy.service.auth.v3.Authorization"

// checker answers a check. It is a Server.
type checker interface {
	check(a *asked) (reply, error)
}

func handle(srv any, _ context.Context, read func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	a := new(asked)
	if err := read(a); err != nil {
		return nil, err
	}
	return srv.(checker).check(a)
}

// check implements checker. A panic fails one check, and not the process.
func (s *Server) check(a *asked) (r reply, err error) {
	defer func() {
		if p := recover(); p != nil {
			if s.defect != nil {
				s.defect(p, debug.Stack())
			}
			r, err = nil, status.Error(codes.Internal, "a defect of this program")
		}
	}()
	answer := s.judge.Ask(&a.q)
	switch {
	case !answer.Refused:
		return s.passes.of(answer.Verdict, a.q.Unread), nil
	case a.q.Unread:
		return proto.Marshal(denied(answer, nil))
	}
	p := s.pages.Page(&a.q, answer, a.r)
	return proto.Marshal(denied(answer, &p))
}

// SetReady says what the health service answers, for all services and for each.
func (s *Server) SetReady(ready bool) {
	serving := healthv1.HealthCheckResponse_NOT_SERVING
	if ready {
		serving = healthv1.HealthCheckResponse_SERVING
	}
	s.health.SetServingStatus("", serving)
	s.health.SetServingStatus(ServiceName, serving)
}

// Run serves what Take hands over, until Drain or Stop.
func (s *Server) Run() { _ = s.grpc.Serve(&s.conns) }

// Take serves a connection to its end. It reports false, and leaves the connection
// alone, where the server is to end.
func (s *Server) Take(nc net.Conn) bool {
	c := &conn{Conn: nc, closed: make(chan struct{})}
	if !s.conns.hand(c) {
		return false
	}
	<-c.closed
	return true
}

// Drain takes no more connections and no more checks, tells whoever asks about
// health and the peers, and waits until they have closed.
func (s *Server) Drain() {
	s.health.Shutdown()
	s.grpc.GracefulStop()
}

// Stop ends all connections.
func (s *Server) Stop() { s.grpc.Stop() }

// conn is a connection that tells when it is closed.
type conn struct {
	net.Conn
	once   sync.Once
	closed chan struct{}
}

// Close implements net.Conn.
func (c *conn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() { close(c.closed) })
	return err
}

// handed is a listener of connections that somebody else has accepted.
type handed struct {
	conns chan net.Conn
	once  *sync.Once
	done  chan struct{}
}

func newHanded() handed {
	return handed{conns: make(chan net.Conn), once: new(sync.Once), done: make(chan struct{})}
}

// hand hands a connection over. It reports false where nobody takes any.
func (h *handed) hand(c net.Conn) bool {
	select {
	case <-h.done:
		return false
	default:
	}
	select {
	case h.conns <- c:
		return true
	case <-h.done:
		return false
	}
}

// errDone is why no more are accepted.
var errDone = errors.New("no more connections are taken")

// Accept implements net.Listener.
func (h *handed) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.done:
		return nil, errDone
	}
}

// Close implements net.Listener.
func (h *handed) Close() error {
	h.once.Do(func() { close(h.done) })
	return nil
}

// Addr implements net.Listener. The connections know their own.
func (h *handed) Addr() net.Addr { return &net.UnixAddr{Net: "unix"} }
