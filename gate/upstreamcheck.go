package gate

import (
	"context"
	"time"
)

// every does something every so often until ctx ends, and at once first: a dead
// upstream is known then before a client is sent there.
func every(ctx context.Context, d time.Duration, do func()) {
	tick := time.NewTicker(d)
	defer tick.Stop()
	for {
		do()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// checkOnce opens a connection and closes it again, within the interval and the
// dial timeout. A PROXY header is sent with LOCAL, which is made for this; TLS is
// not spoken.
func (u *upstreams) checkOnce(ctx context.Context, one *upstream) {
	limit := time.Now().Add(min(u.timeout, one.cfg.Check))
	c, err := one.connect(ctx, limit)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		one.down.Store(forever)
		return
	}
	defer c.Close()
	if v := one.cfg.ProxyProtocol; v != 0 {
		// What becomes of the header the upstream's log tells; that it accepts is
		// what was asked.
		if head, err := proxyHeader(v, origin{}.Client, origin{}.Dst); err == nil && c.SetDeadline(limit) == nil {
			_, _ = c.Write(head)
		}
	}
	one.down.Store(0)
}
