package gate

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/edge"
)

// watchEvery is how often it is looked for new data, and for new certificates.
const watchEvery = time.Second

// watch ends connections whose name is blocked since they began, and reads
// certificates anew, until ctx ends.
func (g *Gate) watch(ctx context.Context) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	q := quiet{giving: giveMemoryBack}
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			q.look(g.open.heads.Load())
			g.look(ctx)
		}
	}
}

// held is by what the open connections of a listener were last judged. The zero
// value is by nothing. It belongs to whoever holds the gate's lock.
type held struct {
	by    edge.Generation
	again time.Time // when they are judged again though all is as it was; zero is never
	busy  bool      // they are being judged
}

// due reports whether the connections have to be held against what a service
// decides by now: something else is in force than at the call before, or answers
// of a registry that is asked have had their time.
func (h *held) due(s *service, now time.Time) bool {
	if h.busy {
		return false
	}
	by, _ := s.edge.Generation()
	due := by != h.by || !h.again.IsZero() && !now.Before(h.again)
	if due {
		h.by, h.again = by, time.Time{}
	}
	return due && !s.established.Keep
}

// look is one look.
func (g *Gate) look(ctx context.Context) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, s := range g.servers {
		g.refreshCertificates(s)
	}
	for _, l := range g.listeners {
		if s := l.service.Load(); s.rpc != nil {
			s.rpc.SetReady(s.edge.Ready())
		}
	}
	now := time.Now()
	g.endGone(now)
	g.endGoneQUIC(now) // and not while one of them comes back
	g.letGo()
	for _, l := range g.listeners {
		g.hold(ctx, &l.held, &l.service, func(w *sweeping) { g.sweep(l, w) })
	}
	for _, l := range g.gone {
		g.hold(ctx, &l.held, &l.service, func(w *sweeping) { g.sweep(l.listener, w) })
	}
	for _, l := range g.allQUIC() {
		g.hold(ctx, &l.held, &l.service, l.sweep)
	}
}

// hold has the connections of a listener judged by its service in force, if that is
// due. Where its registry is asked this goes on beside, for answers are waited for.
func (g *Gate) hold(ctx context.Context, h *held, in *atomic.Pointer[service], sweep func(*sweeping)) {
	s := in.Load()
	if !h.due(s, time.Now()) {
		return
	}
	w := &sweeping{s: s}
	if !s.edge.Asks() {
		sweep(w)
		return
	}
	w.over = func() bool { return ctx.Err() != nil || in.Load() != s }
	h.busy = true
	g.tasks.Go(func() {
		sweep(w)
		g.mu.Lock()
		defer g.mu.Unlock()
		if h.busy, h.again = false, time.Now().Add(sweepAsked); w.undecided {
			h.again = time.Now().Add(sweepUndecided)
		}
	})
}

const (
	// sweepAsked is how often connections are held against a registry that is asked:
	// as long as it is believed that a name is not filed.
	sweepAsked = time.Minute
	// sweepUndecided is how soon they are where it did not answer for all.
	sweepUndecided = 5 * time.Second
	// sweepTime is for how long it is asked on in one sweep when it does not answer.
	sweepTime = time.Second
)

// sweeping is one time that open connections are held against what a service
// decides. Those whose name nothing is decided of, since the registry is too old or
// does not answer, go on: nobody has said that they may not.
type sweeping struct {
	s         *service
	over      func() bool // it is of no use any more; nil where nothing is waited for
	undecided bool        // the registry did not answer for all names
	since     time.Time   // that it did not
}

// blocks reports whether a name would be blocked now for whoever came that way.
func (w *sweeping) blocks(a asked, r *route) bool {
	enforces, exempt := w.s.treatment(r.from.Addr())
	if !enforces || exempt {
		return false
	}
	v := w.s.decide(a, r)
	if v.Reason != registry.Undecided {
		return v.Block
	}
	if !w.undecided && a.host.Kind() == registry.NameHost {
		w.undecided, w.since = true, time.Now()
	}
	return false
}

// ends reports whether the rest is left for another time.
func (w *sweeping) ends() bool {
	return w.over != nil && (w.over() || w.undecided && time.Since(w.since) > sweepTime)
}

// sweep ends the connections of a listener whose name is blocked now: tunnels at
// once, requests after their response, but for no longer than is granted. Of
// HTTP/2 that goes for the streams, if it is not the name in the hello.
func (g *Gate) sweep(l *listener, w *sweeping) {
	list := g.open.all()
	if w.over != nil { // or the first ones would always be those that are got to
		rand.Shuffle(len(list), func(i, k int) { list[i], list[k] = list[k], list[i] })
	}
	for _, c := range list {
		if c.by == l && !w.ends() {
			c.sweep(w)
		}
	}
}

// sweep is that of one connection.
func (c *conn) sweep(w *sweeping) {
	a, tunnel := c.meant()
	blocked := a.known && w.blocks(a, &c.route)
	if now, _ := c.meant(); blocked && now != a {
		blocked = false // the answer was waited for, and the client means another by now
	}
	if hello := c.helloName(); hello != nil && hello.known && !blocked {
		blocked = w.blocks(*hello, &c.route)
	}
	if !blocked {
		if h := c.h2.Load(); h != nil {
			h.sweep(w)
		}
		return
	}
	first := !c.swept.Swap(true)
	if first {
		w.s.metrics.ended.Inc()
	}
	switch {
	case tunnel:
		c.end()
	case first:
		c.leave()
		time.AfterFunc(orDefault(w.s.established.After, DefaultEstablished), c.end)
	}
}

func (g *Gate) refreshCertificates(s *server) {
	if s.certs == nil {
		return
	}
	changed, err := s.certs.refresh()
	switch {
	case err != nil:
		g.metrics.reloads.WithLabelValues("certificates", "error").Inc()
		slog.Error("certificates have changed but cannot be used; those before serve on", "block", s.cfg.At, "error", err)
	case changed:
		g.metrics.reloads.WithLabelValues("certificates", "success").Inc()
		slog.Info("certificates read anew", "block", s.cfg.At)
	}
}
