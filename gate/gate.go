package gate

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/icpgate/icpgate/registry/edge"
)

// Gate is icp-gate at work: the listeners of a configuration, and what stands
// behind them. Start makes one; its methods may be used concurrently.
type Gate struct {
	metrics *metrics
	open    conns
	logs    logFiles

	mu        sync.Mutex // held to change what follows
	cfg       Config
	servers   []*server
	past      []*server            // of configurations before, that a listener in gone or goneQUIC needs
	listeners map[string]*listener // by key
	gone      []goneListener
	quic      map[string]*quicListener
	goneQUIC  map[string]*quicListener // of no configuration any more, with open flows
	closed    bool
	inherited Sockets // handed to the process and not used yet
	// The processes before and after this one, with which datagrams of QUIC are
	// exchanged; nil without.
	before, after *quicLink
	admins        []net.Listener // of the admin ports, open or closed

	stop  context.CancelFunc
	tasks sync.WaitGroup
}

// Options are what a Gate takes beside its configuration. The zero value is
// usable.
type Options struct {
	// Metrics is where its metrics are registered. Default: a registry of its own.
	Metrics prometheus.Registerer
	// Inherited are sockets that the process was handed, which are used for the
	// listeners and admin ports with their addresses. What nobody uses is closed.
	Inherited Sockets
}

// Start opens everything that a configuration names and begins to serve. An
// error names the directive; nothing is left open then.
func Start(cfg Config, o Options) (*Gate, error) {
	if o.Metrics == nil {
		o.Metrics = prometheus.NewRegistry()
	}
	ctx, stop := context.WithCancel(context.Background())
	g := &Gate{metrics: newMetrics(o.Metrics), listeners: map[string]*listener{}, quic: map[string]*quicListener{}, stop: stop, inherited: o.Inherited}
	if f := g.inherited.before; f != nil {
		g.inherited.before = nil
		g.linkBefore(f)
	}
	if err := g.put(cfg); err != nil {
		g.unlink()
		stop()
		g.logs.close()
		return nil, err
	}
	g.tasks.Go(func() { g.watch(ctx) })
	return g, nil
}

// Reload puts another configuration in force: listeners that both have go on
// without a gap, and open connections are judged by what it says. An error leaves
// everything as it was.
func (g *Gate) Reload(cfg Config) error {
	err := g.put(cfg)
	result := "success"
	if err != nil {
		result = "error"
	}
	g.metrics.reloads.WithLabelValues("configuration", result).Inc()
	return err
}

// put opens a configuration beside the one in force, and then takes its place.
func (g *Gate) put(cfg Config) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	defer func() {
		g.inherited.close()
	}()
	if g.closed { // nobody would end what is opened now
		return errors.New("the gate is ending")
	}
	old := g.servers
	next, err := openServers(cfg, g.metrics, &g.logs, g.listenAdmin)
	if err != nil {
		return err
	}
	fresh, err := g.listen(next)
	var quic map[string]*quicListener
	if err == nil {
		if quic, err = g.listenQUIC(next); err != nil {
			closeListeners(fresh)
		}
	}
	if err != nil {
		closeServers(next)
		return err
	}
	until := time.Now().Add(g.cfg.Drain())
	g.replace(cfg, next, fresh, until)
	g.replaceQUIC(next, quic, until)
	g.past = append(g.past, old...)
	g.letGo()
	return nil
}

// listen opens the listeners that are not open yet.
func (g *Gate) listen(next []*server) (fresh map[string]*listener, err error) {
	fresh = map[string]*listener{}
	defer func() {
		if err != nil {
			closeListeners(fresh)
		}
	}()
	for i, s := range next {
		for _, key := range s.cfg.Listeners {
			name := listenerName(i, key)
			if g.listeners[name] != nil || key.Scheme == QUIC {
				continue
			}
			ln := g.takeInherited(key)
			if ln == nil {
				if ln, err = listenOn(key, s.cfg.OriginalDst.Mode == TProxy); err != nil {
					return nil, fmt.Errorf("%s: %s cannot be listened on: %w", s.cfg.At, key, err)
				}
			}
			fresh[name] = newListener(ln, key.Scheme, &g.open)
			if err = s.cfg.Socket.apply(key); err != nil {
				return nil, fmt.Errorf("%s: socket: %w", s.cfg.At, err)
			}
		}
	}
	return fresh, nil
}

// listenerName is by what a listener is known. Ports that the system chooses are
// told apart by the place of the block.
func listenerName(block int, key Listener) string {
	if key.Network != "unix" && key.Addr.Port() == 0 {
		return fmt.Sprintf("%s (block %d)", key, block+1)
	}
	return key.String()
}

// replace puts the servers in force and lets go of the ones before, whose
// connections have until a time to end.
func (g *Gate) replace(cfg Config, next []*server, fresh map[string]*listener, until time.Time) {
	gone := g.listeners
	g.cfg, g.servers, g.listeners = cfg, next, map[string]*listener{}
	bound := boundAddrs(gone, fresh)
	for i, s := range next {
		for _, key := range s.cfg.Listeners {
			if key.Scheme == QUIC {
				continue
			}
			name := listenerName(i, key)
			l := fresh[name]
			if l == nil {
				l = gone[name]
				delete(gone, name)
				s.cfg.Socket.change(key)
			}
			g.listeners[name] = l
			v := s.service(name, key.Scheme, bound)
			g.begin(v)
			g.retire(l.service.Swap(v))
		}
	}
	for _, l := range gone {
		l.end()
		g.retire(l.service.Load())
		g.gone = append(g.gone, goneListener{l, until})
	}
	g.endGone(time.Now())
	for _, l := range fresh {
		g.tasks.Go(l.accept)
	}
	g.renew()
}

func closeListeners(set map[string]*listener) {
	for _, l := range set {
		l.Close()
	}
}

// letGo closes the server blocks before those in force, but not while one of their
// listeners that are gone has connections. Who has connected there may still ask,
// and has done nothing wrong: he is judged by what is true by then, and not by what
// was when the listener went, or is turned away unheard; and what he has open ends
// when its name is blocked, as anywhere.
func (g *Gate) letGo() {
	used := map[*edge.Edge]bool{}
	for _, l := range g.gone {
		used[l.service.Load().edge] = true
	}
	for _, l := range g.goneQUIC {
		used[l.service.Load().edge] = true
	}
	var over []*server
	g.past = slices.DeleteFunc(g.past, func(s *server) bool {
		if used[s.edge] {
			s.edge.Retire()
			return false
		}
		over = append(over, s)
		return true
	})
	g.logs.keep(slices.Concat(g.servers, g.past))
	closeServers(over)
}

// goneListener is a listener of no configuration any more. Its connections have
// until then to end.
type goneListener struct {
	*listener
	until time.Time
}

// endGone ends the connections to listeners that are gone, those of clients with
// their running responses, for they would ask there for ever, and tunnels when
// their time is over.
func (g *Gate) endGone(now time.Time) {
	if len(g.gone) == 0 {
		return
	}
	over := map[*listener]bool{}
	for _, l := range g.gone {
		over[l.listener] = now.After(l.until)
	}
	for _, c := range g.open.all() {
		late, gone := over[c.by]
		if !gone {
			continue
		}
		if late {
			c.end()
		} else {
			c.leave()
		}
	}
	g.gone = slices.DeleteFunc(g.gone, func(l goneListener) bool { return l.over() })
}

// renew has clients with HTTP/2 connect anew whose service is not in force any
// more: they are told, and lose nothing by that.
func (g *Gate) renew() {
	for _, c := range g.open.all() {
		if c.h2.Load() != nil && c.replaced() {
			c.leave()
		}
	}
}

// Listeners returns the addresses that are listened on, by the listener's key.
func (g *Gate) Listeners() map[string]net.Addr {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := map[string]net.Addr{}
	for name, l := range g.listeners {
		all[name] = l.Addr()
	}
	for name, l := range g.quic {
		all[name] = net.UDPAddrFromAddrPort(l.addr)
	}
	return all
}

// Open is how many connections are open.
func (g *Gate) Open() int { return int(g.open.open.Load()) }

// Leave takes no more connections: what comes once it has returned begins none.
// Those that are open go on.
func (g *Gate) Leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return
	}
	g.closed = true
	for _, l := range g.listeners {
		l.end()
		g.retire(l.service.Load())
	}
	for _, l := range g.allQUIC() {
		l.leave()
	}
}

// Shutdown does what Leave does and waits until the open connections have ended:
// idle ones at once, requests with their response, tunnels by themselves. When
// ctx ends, what is left is cut off, and its error is returned.
func (g *Gate) Shutdown(ctx context.Context) error {
	g.Leave()
	g.mu.Lock()
	listeners, quic := slices.Collect(maps.Values(g.listeners)), g.allQUIC()
	for _, l := range g.gone {
		listeners = append(listeners, l.listener)
	}
	g.mu.Unlock()
	err := g.drain(ctx)
	for _, l := range quic {
		l.end()
	}
	g.stop()
	g.tasks.Wait()
	for _, l := range listeners {
		l.crew.wait()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	closeServers(slices.Concat(g.servers, g.past))
	g.logs.close()
	g.unlink()
	g.servers, g.past, g.gone, g.listeners, g.quic, g.goneQUIC = nil, nil, nil, map[string]*listener{}, map[string]*quicListener{}, nil
	return err
}

// Close ends everything at once.
func (g *Gate) Close() error {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = g.Shutdown(ctx)
	return nil
}

// drainPoll is how often it is looked whether the last connection has ended.
const drainPoll = 20 * time.Millisecond

// drain waits for the open connections to end.
func (g *Gate) drain(ctx context.Context) error {
	tick := time.NewTicker(drainPoll)
	defer tick.Stop()
	for {
		for _, c := range g.open.all() {
			c.leave()
		}
		if g.open.open.Load() == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			g.open.over.Store(true)
			for _, c := range g.open.all() {
				c.end()
			}
			return ctx.Err()
		case <-tick.C:
		}
	}
}

func closeAll(list []net.Listener) {
	for _, l := range list {
		l.Close()
	}
}

// Check opens everything that a configuration names but its listeners, and closes
// it again.
func Check(cfg Config) error {
	var logs logFiles
	defer logs.close()
	servers, err := openServers(cfg, newMetrics(prometheus.NewRegistry()), &logs, listenNowhere)
	closeServers(servers)
	return err
}

// Drain is how long the open connections have at the end of the process: the
// longest of the blocks.
func (c Config) Drain() (d time.Duration) {
	for _, s := range c.Servers {
		d = max(d, s.Timeouts.WithDefaults().Drain)
	}
	return d
}
