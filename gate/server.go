package gate

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/icpgate/icpgate/gate/authz"
	"github.com/icpgate/icpgate/gate/sniff"
	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/edge"
)

// server is one server block at work: what its listeners share.
type server struct {
	cfg       Server
	edge      *edge.Edge
	upstreams *upstreams // of TCP
	quic      *upstreams // of QUIC
	limiter   *limiter
	notices   *Notices
	certs     *certificates // nil without
	metrics   *metrics
	log       *connLog // nil is none
}

// listenFunc is net.Listen, or in place of it.
type listenFunc func(network, address string) (net.Listener, error)

// openServers opens all blocks, or none.
func openServers(cfg Config, m *metrics, logs *logFiles, admin listenFunc) (list []*server, err error) {
	for _, c := range cfg.Servers {
		c.ICP.Listen = admin
		s, err := openServer(c, m, logs)
		if err != nil {
			closeServers(list)
			return nil, fmt.Errorf("%s: %w", c.At, err)
		}
		list = append(list, s)
	}
	return list, nil
}

func openServer(cfg Server, m *metrics, logs *logFiles) (s *server, err error) {
	s = &server{cfg: cfg, metrics: m, limiter: newLimiter(cfg.Limits)}
	if s.notices, err = NewNotices(cfg.Notice()); err != nil {
		return nil, err
	}
	if len(cfg.Certificates) > 0 {
		if s.certs, err = openCertificates(cfg.Certificates); err != nil {
			return nil, fmt.Errorf("tls: %w", err)
		}
	}
	if s.log, err = logs.open(cfg.Log, m); err != nil {
		return nil, err
	}
	cfg.ICP.Observer, cfg.ICP.Label, cfg.ICP.Channel = m, cfg.label(), cfg.channel()
	cfg.ICP.Stands = edge.Stands{Addrs: cfg.Serves.Addrs, Product: cfg.Serves.Product}
	if s.edge, err = edge.Open(cfg.ICP); err != nil {
		return nil, fmt.Errorf("icp: %w", err)
	}
	for _, w := range s.edge.Warnings() {
		slog.Warn("icp: "+w, "block", cfg.ICP.Label)
	}
	// What is no address of the public's the table of places knows best.
	for _, a := range cfg.Serves.Addrs {
		if s.edge.Locate(a).Place == registry.Private {
			slog.Warn(fmt.Sprintf("serves %s: the public reaches no such address, so nothing is blocked there; expect the one that clients connect to, or mainland", a), "block", cfg.ICP.Label)
		}
	}
	overTCP, overUDP := cfg.Upstreams, cfg.Upstreams
	if !cfg.listens(QUIC) {
		overUDP = nil
	} else if !cfg.listens(HTTP, TLS, Mixed) {
		overTCP = nil
	}
	t := cfg.Timeouts.WithDefaults()
	s.upstreams, s.quic = newUpstreams(overTCP, t.Dial, t.Idle, nil, nil), newQUICUpstreams(overUDP, t.Dial)
	return s, nil
}

// label names a block to people.
func (s *Server) label() string {
	keys := make([]string, len(s.Listeners))
	for i, l := range s.Listeners {
		keys[i] = l.String()
	}
	return strings.Join(keys, " ")
}

// channel is how explanations take questions to have come.
func (s *Server) channel() registry.Channel {
	switch s.Listeners[0].Scheme {
	case TLS:
		return registry.ChannelHTTPS
	case QUIC:
		return registry.ChannelQUIC
	}
	return registry.ChannelHTTP
}

// closeServers lets go of what blocks hold. Connections that began with them may
// still use it.
func closeServers(list []*server) {
	for _, s := range list {
		s.upstreams.close()
		s.quic.close()
		s.edge.Close()
	}
}

// service is what a listener of the block does.
func (s *server) service(name string, kind Scheme, bound []netip.AddrPort) *service {
	t, lim := s.cfg.Timeouts.WithDefaults(), s.cfg.Limits.WithDefaults()
	if s.cfg.Timeouts.Idle == 0 && kind.Asked() {
		t.Idle = DefaultProxyIdle
	}
	v := &service{
		name: name, judging: judging{edge: s.edge, where: newLocator(s.edge, s.cfg.Serves)}, metrics: s.metrics.of(name),
		timeouts: timeouts{head: t.Head, idle: t.Idle, dial: t.Dial, response: max(t.Idle, responseTimeout), kept: upstreamIdle},
		limits:   sniff.Limits{Head: lim.Head}, bodyRate: lim.BodyRate, limiter: s.limiter,
		upstream: s.upstreams, quic: s.quic, initials: lim.Initials, silent: s.cfg.Block.Action == BlockDrop, notices: s.notices, certs: s.certs, log: s.log,
		refusal:    refusalOf(s.cfg.Block.Action),
		echRefused: s.cfg.ECHRefuse, forwarded: s.cfg.Forwarded, websocket: !s.cfg.UpgradeOff, h2c: s.cfg.H2C,
		peers: newPeerSet(s.cfg.Peers), serves: s.cfg.Serves,
		proxies: newPeerSet(s.cfg.ProxyFrom), original: s.cfg.OriginalDst.Mode, established: s.cfg.Established,
	}
	if s.cfg.OriginalDst.Mode != NoOriginal && len(s.cfg.Upstreams) == 0 {
		v.upstream = originalUpstream{t.Dial, t.Idle}
	}
	if v.original != NoOriginal {
		v.guard = newOriginalGuard(s.cfg.OriginalDst.Within, bound, machineAddrs())
	}
	switch kind {
	case SPOE, Auth:
		v.names = authz.NewNames()
	case GRPC:
		v.rpc = newRPC(v, s.cfg.Reflection)
	}
	if s.certs != nil {
		v.tlsConfig, v.pageOnly = newTLSConfig(s.certs, "h2", "http/1.1"), s.cfg.Certificates[0].PageOnly
	}
	return v
}

// responseTimeout is how long the head of a response may take: long polls wait
// for minutes on purpose.
const responseTimeout = 5 * time.Minute

func refusalOf(a BlockAction) refusal {
	switch a {
	case BlockRST:
		return refuseReset
	case BlockFIN:
		return refuseClose
	}
	return refuseAnswer
}

// Notice is what blocked clients get to see, of Says and Block.
func (s *Server) Notice() NoticeConfig {
	n := s.Says
	n.Status, n.TemplateFile = s.Block.Status, s.Block.Template
	if s.Block.Action == BlockRedirect {
		n.Redirect = s.Block.URL
	}
	return n
}

// originalUpstream dials where clients were going, which was checked when they
// came.
type originalUpstream struct{ timeout, idle time.Duration }

func (u originalUpstream) dial(ctx context.Context, o origin) (net.Conn, error) {
	return dialOriginal(ctx, o.Dst, u.timeout, u.idle)
}

// machineAddrs are the addresses of the machine; none where they cannot be told,
// and then the listeners' own are all that is known.
func machineAddrs() (list []netip.Addr) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			list = append(list, p.Addr().Unmap())
		}
	}
	return list
}

// boundAddrs are the addresses of listeners as they are bound.
func boundAddrs(sets ...map[string]*listener) (list []netip.AddrPort) {
	for _, set := range sets {
		for _, l := range set {
			if ap := addrOf(l.Addr()); ap.IsValid() {
				list = append(list, ap)
			}
		}
	}
	return list
}
