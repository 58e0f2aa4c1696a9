package gate

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// passiveHold is how long an upstream that could not be dialled is passed over
	// where no check tells that it is back: HAProxy and nginx (fail_timeout) take
	// the same.
	passiveHold = 10 * time.Second
	// unackedTimeout is the least TCP_USER_TIMEOUT of an upstream's connection: the
	// system counts the time in which the other end takes nothing as well, for which
	// it has as long as the gate's limit for idleness.
	unackedTimeout = 30 * time.Second
)

// errNoUpstream is what every dial says when none is configured.
var errNoUpstream = errors.New("no upstream is configured")

// upstreams are the web servers of one server block, taken in turn. All methods
// may be used concurrently. Make them with newUpstreams, end them with close.
type upstreams struct {
	all     []*upstream
	turn    atomic.Uint32
	timeout time.Duration // of a dial, all tries and handshakes
	now     func() time.Time
	stop    context.CancelFunc
	checks  sync.WaitGroup
}

// upstream is one of them.
type upstream struct {
	cfg    Upstream
	tls    *tls.Config // nil: none
	dialer net.Dialer
	// down is until when it is passed over, in Unix nanoseconds; 0 is healthy. A
	// checked one stays down until a check succeeds.
	down atomic.Int64
	at   atomic.Pointer[netip.AddrPort] // where it speaks QUIC; nil until it is known
	// answered is when a flow of QUIC that is new was last answered, as quicNow tells it.
	answered atomic.Int64
}

// forever is a time that does not come: an upstream is down until it is checked.
const forever = 1<<63 - 1

// newUpstreams begins to check those that are to be checked. timeout is that of
// a dial; idle how long an upstream may take nothing; roots verify certificates, nil
// are the system's; now is the clock, nil is time.Now.
func newUpstreams(cfg []Upstream, timeout, idle time.Duration, roots *x509.CertPool, now func() time.Time) *upstreams {
	ctx, stop := context.WithCancel(context.Background())
	u := &upstreams{timeout: timeout, now: now, stop: stop}
	if now == nil {
		u.now = time.Now
	}
	for _, c := range cfg {
		one := newUpstream(c, idle, roots)
		u.all = append(u.all, one)
		if c.Check > 0 {
			u.checks.Go(func() { every(ctx, c.Check, func() { u.checkOnce(ctx, one) }) })
		}
	}
	return u
}

func newUpstream(c Upstream, idle time.Duration, roots *x509.CertPool) *upstream {
	one := &upstream{cfg: c, dialer: upstreamDialer(idle)}
	if c.TLS {
		name := c.TLSName
		if name == "" {
			name, _, _ = net.SplitHostPort(c.Address)
		}
		one.tls = &tls.Config{ServerName: name, RootCAs: roots, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
	}
	return one
}

// upstreamDialer sets what saves system calls: no keep-alive (the gate has its
// own idle limit), and leaves TCP_NODELAY, which Go sets.
func upstreamDialer(idle time.Duration) net.Dialer {
	return net.Dialer{KeepAlive: -1, Control: controlUpstream(max(idle, unackedTimeout))}
}

// close ends the checks and waits for them. Connections stay open.
func (u *upstreams) close() {
	u.stop()
	u.checks.Wait()
}

// origin is who a dial is for, as a PROXY header tells it. The zero value tells
// nobody.
type origin struct{ Client, Dst netip.AddrPort }

// dial connects to the next healthy upstream, and if that fails to the one
// after it, both within the timeout. Without a healthy one all are tried in
// their turn: a check may be wrong. The connection is a bare *net.TCPConn or
// *net.UnixConn where no TLS is spoken.
func (u *upstreams) dial(ctx context.Context, o origin) (net.Conn, error) {
	if len(u.all) == 0 {
		return nil, errNoUpstream
	}
	end := time.Now().Add(u.timeout)
	first, second := u.pick()
	limit := end
	if second != nil {
		// Half the time is left for the second.
		limit = end.Add(-u.timeout / 2)
	}
	c, err := u.try(ctx, first, o, limit)
	if err == nil || second == nil || ctx.Err() != nil {
		return c, err
	}
	c, again := u.try(ctx, second, o, end)
	if again != nil {
		return nil, errors.Join(err, again)
	}
	return c, nil
}

// pick returns the next two healthy upstreams in turn; second is nil if there is
// one alone.
func (u *upstreams) pick() (first, second *upstream) {
	n := uint32(len(u.all))
	turn, now := u.turn.Add(1)-1, u.now().UnixNano()
	for i := range n {
		one := u.all[(turn+i)%n]
		switch {
		case !one.isUp(now):
		case first == nil:
			first = one
		default:
			return first, one
		}
	}
	if first != nil {
		return first, nil
	}
	first = u.all[turn%n]
	if n > 1 {
		second = u.all[(turn+1)%n]
	}
	return first, second
}

// try dials one upstream and notes what that tells of it.
func (u *upstreams) try(ctx context.Context, one *upstream, o origin, limit time.Time) (net.Conn, error) {
	c, err := one.connect(ctx, limit)
	if err != nil {
		// A client that has gone tells nothing of the upstream.
		if ctx.Err() == nil {
			u.failed(one)
		}
		return nil, fmt.Errorf("upstream %s: %w", one.cfg.Address, err)
	}
	if one.cfg.Check == 0 && one.down.Load() != 0 {
		one.down.Store(0)
	}
	wrapped, err := one.greet(ctx, c, o, limit)
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("upstream %s: %w", one.cfg.Address, err)
	}
	return wrapped, nil
}

func (u *upstreams) failed(one *upstream) {
	if one.cfg.Check > 0 {
		one.down.Store(forever)
		return
	}
	one.down.Store(u.now().Add(passiveHold).UnixNano())
}

// isUp reports whether it is not passed over at now.
func (one *upstream) isUp(now int64) bool {
	down := one.down.Load()
	return down == 0 || down <= now
}

// connect opens a connection. The local address is left to the kernel without a
// bind: that would take a port for every peer at once, of which there are 28,000,
// and look for it at length.
func (one *upstream) connect(ctx context.Context, limit time.Time) (net.Conn, error) {
	if ctx.Done() == nil {
		return one.dialer.DialContext(until{ctx, limit}, one.cfg.Network, one.cfg.Address)
	}
	ctx, cancel := context.WithDeadline(ctx, limit)
	defer cancel()
	return one.dialer.DialContext(ctx, one.cfg.Network, one.cfg.Address)
}

// until is a context that nobody cancels, with a deadline: package net sets it on
// the socket, where it needs neither a timer nor a goroutine of its own.
type until struct {
	context.Context
	limit time.Time
}

// Deadline implements context.Context.
func (u until) Deadline() (time.Time, bool) { return u.limit, true }

// greet sends the PROXY header and speaks TLS, where configured, until limit.
func (one *upstream) greet(ctx context.Context, c net.Conn, o origin, limit time.Time) (net.Conn, error) {
	if one.cfg.ProxyProtocol == 0 && one.tls == nil {
		return c, nil
	}
	if err := c.SetDeadline(limit); err != nil {
		return nil, err
	}
	if v := one.cfg.ProxyProtocol; v != 0 {
		head, err := proxyHeader(v, o.Client, o.Dst)
		if err != nil {
			return nil, err
		}
		if _, err := c.Write(head); err != nil {
			return nil, err
		}
	}
	if one.tls != nil {
		t := tls.Client(c, one.tls)
		if err := t.HandshakeContext(ctx); err != nil {
			return nil, err
		}
		return t, t.SetDeadline(time.Time{})
	}
	return c, c.SetDeadline(time.Time{})
}

// dialOriginal connects to the original destination of a connection, which the
// caller has had checked (originalGuard).
func dialOriginal(ctx context.Context, dst netip.AddrPort, timeout, idle time.Duration) (net.Conn, error) {
	one := upstream{cfg: Upstream{Network: "tcp", Address: dst.String()}, dialer: upstreamDialer(idle)}
	c, err := one.connect(ctx, time.Now().Add(timeout))
	if err != nil {
		return nil, fmt.Errorf("original destination %s: %w", dst, err)
	}
	return c, nil
}
