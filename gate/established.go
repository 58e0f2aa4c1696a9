package gate

import (
	"context"
	"log/slog"
	"time"

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
			g.look()
		}
	}
}

// held is by what the open connections of a listener were last judged. The zero
// value is by nothing. It belongs to whoever holds the gate's lock.
type held struct{ by edge.Generation }

// changed reports whether the connections have to be held against what a service
// decides by now: something else is in force than at the call before. While a
// registry is too old to decide, or asked for each name, nothing is.
func (h *held) changed(s *service) bool {
	now, ok := s.edge.Generation()
	if !ok || now == h.by {
		return false
	}
	h.by = now
	return !s.established.Keep
}

// look is one look.
func (g *Gate) look() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, s := range g.servers {
		g.refreshCertificates(s)
	}
	for _, l := range g.listeners {
		s := l.service.Load()
		if s.rpc != nil {
			s.rpc.SetReady(s.edge.Ready())
		}
		if l.held.changed(s) {
			g.sweep(l, s)
		}
	}
	now := time.Now()
	g.endGone(now)
	g.endGoneQUIC(now) // and not while one of them comes back
	for _, l := range g.quic {
		if l.held.changed(l.service.Load()) {
			l.sweep()
		}
	}
}

// sweep ends the connections of a listener whose name is blocked now: tunnels at
// once, requests after their response, but for no longer than is granted. Of
// HTTP/2 that goes for the streams, if it is not the name in the hello.
func (g *Gate) sweep(l *listener, s *service) {
	for _, c := range g.open.all() {
		if c.by != l {
			continue
		}
		a, tunnel := c.meant()
		blocked := a.known && s.blocks(a, &c.route)
		if hello := c.helloName(); hello.known && !blocked {
			blocked = s.blocks(hello, &c.route)
		}
		if !blocked {
			if h := c.h2.Load(); h != nil {
				h.sweep(s)
			}
			continue
		}
		first := !c.swept.Swap(true)
		if first {
			s.metrics.ended.Inc()
		}
		switch {
		case tunnel:
			c.end()
		case first:
			c.leave()
			time.AfterFunc(orDefault(s.established.After, DefaultEstablished), c.end)
		}
	}
}

// blocks reports whether a name would be blocked now for whoever came that way.
func (s *service) blocks(a asked, r *route) bool {
	enforces, exempt := s.treatment(r.from.Addr())
	return enforces && !exempt && s.decide(a, r).Block
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
