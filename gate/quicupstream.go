package gate

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/icpgate/icpgate/gate/internal/udp"
	"github.com/icpgate/icpgate/gate/sniff"
)

// lookUpEvery is how often the name of an upstream is looked up: a loop must not
// wait for that when it opens a socket.
const lookUpEvery = 10 * time.Second

// newQUICUpstreams is newUpstreams for servers that speak QUIC.
func newQUICUpstreams(cfg []Upstream, timeout time.Duration) *upstreams {
	ctx, stop := context.WithCancel(context.Background())
	u := &upstreams{timeout: timeout, now: time.Now, stop: stop}
	for _, c := range cfg {
		one := &upstream{cfg: c}
		u.all = append(u.all, one)
		if ap, err := netip.ParseAddrPort(c.Address); err == nil {
			one.at.Store(&ap)
		} else {
			u.checks.Go(func() { every(ctx, lookUpEvery, func() { one.lookUp(ctx) }) })
		}
		if c.Check > 0 {
			u.checks.Go(func() { every(ctx, c.Check, func() { u.checkQUIC(ctx, one) }) })
		}
	}
	return u
}

// lookUp looks its name up. An address that is still among those that it has
// stays.
func (one *upstream) lookUp(ctx context.Context) {
	host, digits, _ := net.SplitHostPort(one.cfg.Address)
	port, _ := strconv.ParseUint(digits, 10, 16)
	ctx, cancel := context.WithTimeout(ctx, lookUpEvery)
	defer cancel()
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil || len(addrs) == 0 {
		return
	}
	list := make([]netip.AddrPort, len(addrs))
	for i, a := range addrs {
		list[i] = netip.AddrPortFrom(a.Unmap(), uint16(port))
	}
	if now := one.at.Load(); now == nil || !slices.Contains(list, *now) {
		one.at.Store(&list[0])
	}
}

// dialUDP opens a socket to it.
func (one *upstream) dialUDP() (*udp.Socket, error) {
	at := one.at.Load()
	if at == nil {
		return nil, fmt.Errorf("the address of upstream %s is not known", one.cfg.Address)
	}
	return udp.Dial(*at)
}

// same is the upstream that an earlier configuration may have had; nil if it is
// there no more.
func (u *upstreams) same(one *upstream) *upstream {
	if one != nil {
		for _, x := range u.all {
			if x == one || x.cfg.Address == one.cfg.Address {
				return x
			}
		}
	}
	return nil
}

// checkQUIC asks an upstream which versions of QUIC it speaks, as a client of a
// version does that nobody speaks: every server answers that (RFC 9000 §6.1).
func (u *upstreams) checkQUIC(ctx context.Context, one *upstream) {
	limit := time.Now().Add(min(u.timeout, one.cfg.Check))
	if one.at.Load() == nil {
		one.lookUp(ctx)
	}
	err := one.askVersions(limit)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		one.down.Store(forever)
	default:
		one.down.Store(0)
	}
}

func (one *upstream) askVersions(limit time.Time) error {
	at := one.at.Load()
	if at == nil {
		return fmt.Errorf("the address of upstream %s is not known", one.cfg.Address)
	}
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(*at))
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(limit); err != nil {
		return err
	}
	ask := versionQuestion()
	if _, err := c.Write(ask); err != nil {
		return err
	}
	b := make([]byte, udp.MaxDatagram)
	for {
		n, err := c.Read(b)
		if err != nil {
			return err
		}
		if n == 0 {
			continue
		}
		p, _, cause := sniff.NextQUIC(b[:n], 0)
		if cause == sniff.NoCause && p.Type == sniff.QUICNegotiate && string(p.DCID) == string(ask[6+8+1:][:8]) {
			return nil
		}
	}
}

// versionQuestion is a datagram of a reserved version, RFC 9000 §15, with ids of
// eight bytes.
func versionQuestion() []byte {
	b := make([]byte, sniff.MinQUICDatagram)
	for i := range b {
		b[i] = byte(rand.Uint32())
	}
	b[0] |= 0xc0
	copy(b[1:], []byte{0x1a, 0x2a, 0x3a, 0x4a})
	b[5], b[6+8] = 8, 8
	return b
}
