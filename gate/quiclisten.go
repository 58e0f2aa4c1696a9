package gate

import (
	"fmt"
	"time"
)

// listenQUIC opens the listeners of QUIC that are not open yet.
func (g *Gate) listenQUIC(next []*server) (fresh map[string]*quicListener, err error) {
	fresh = map[string]*quicListener{}
	for i, s := range next {
		for _, key := range s.cfg.Listeners {
			name := listenerName(i, key)
			if key.Scheme != QUIC || g.quic[name] != nil {
				continue
			}
			if l := g.goneQUIC[name]; l != nil {
				fresh[name] = l // it has come back
				continue
			}
			l, err := g.openQUIC(name, key)
			if err != nil {
				for _, l := range fresh {
					if g.goneQUIC[l.name] == nil {
						l.close()
					}
				}
				return nil, fmt.Errorf("%s: %s cannot be listened on: %w", s.cfg.At, key, err)
			}
			fresh[name] = l
		}
	}
	return fresh, nil
}

func (g *Gate) openQUIC(name string, key Listener) (*quicListener, error) {
	files := g.inherited.takePackets(key)
	defer func() {
		for _, f := range files {
			f.Close()
		}
	}()
	return openQUIC(name, key, files, &g.open, g.metrics.quic)
}

// replaceQUIC puts the servers in force on the listeners of QUIC. Those that the
// configuration has no more begin nothing, and end with the last of their flows,
// by a time at the latest.
func (g *Gate) replaceQUIC(next []*server, fresh map[string]*quicListener, until time.Time) {
	gone := g.quic
	g.quic = map[string]*quicListener{}
	for i, s := range next {
		for _, key := range s.cfg.Listeners {
			if key.Scheme != QUIC {
				continue
			}
			name := listenerName(i, key)
			l := fresh[name]
			if l == nil {
				l = gone[name]
				delete(gone, name)
			}
			g.quic[name] = l
			back := g.goneQUIC[name] != nil
			delete(g.goneQUIC, name)
			begun := l.service.Swap(s.service(name, key.Scheme, nil)) != nil
			l.leaving.Store(false)
			if !begun && !back {
				l.start(g.before)
			}
		}
	}
	for name, l := range gone {
		l.leave()
		if g.goneQUIC == nil {
			g.goneQUIC = map[string]*quicListener{}
		}
		l.until = until
		g.goneQUIC[name] = l
	}
}

// endGoneQUIC closes the listeners of no configuration whose last flow has ended, or
// whose time is over.
func (g *Gate) endGoneQUIC(now time.Time) {
	for name, l := range g.goneQUIC {
		if l.flows.Load() == 0 || now.After(l.until) {
			l.end()
			delete(g.goneQUIC, name)
		}
	}
}
