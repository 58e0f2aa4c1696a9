package gate

import (
	"context"
	"log/slog"
	"time"
)

// watchEvery is how often it is looked for a new revision of a registry, and for
// new certificates.
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

// look is one look.
func (g *Gate) look() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, s := range g.servers {
		g.refreshCertificates(s)
	}
	for name, l := range g.listeners {
		s := l.service.Load()
		if s.rpc != nil {
			s.rpc.SetReady(s.edge.Ready())
		}
		rev := s.edge.View().Revision()
		if rev == l.revision {
			continue
		}
		if l.revision = rev; !s.established.Keep {
			g.sweep(name, s)
		}
	}
	g.endGone()
	for _, l := range g.quic {
		s := l.service.Load()
		if rev := s.edge.View().Revision(); rev != l.revision {
			if l.revision = rev; !s.established.Keep {
				l.sweep()
			}
		}
	}
}

// sweep ends the connections of a listener whose name is blocked now: tunnels at
// once, requests after their response, but for no longer than is granted. Of
// HTTP/2 that goes for the streams, if it is not the name in the hello.
func (g *Gate) sweep(name string, s *service) {
	for _, c := range g.open.all() {
		a, tunnel := c.meant()
		if c.s.name != name {
			continue
		}
		if !a.known || !s.blocks(a, &c.route) {
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
