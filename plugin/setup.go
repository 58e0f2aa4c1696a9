package icp

import (
	"fmt"
	"strings"
	"sync"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/plugin"
	clog "github.com/coredns/coredns/plugin/pkg/log"

	"github.com/icpgate/icpgate/registry/edge"
)

var log = clog.NewWithPlugin(name)

func init() { plugin.Register(name, setup) }

// setup makes the handler of one server block. Files are opened when the server
// starts and closed when it stops: at a reload the new block opens before the
// old one closes, so that what both name is neither read twice nor dropped.
func setup(c *caddy.Controller) error {
	if err := checkOrder(); err != nil {
		return plugin.Error(name, err)
	}
	p, err := parse(c)
	if err != nil {
		return plugin.Error(name, err)
	}
	dnsserver.GetConfig(c).AddPlugin(func(next plugin.Handler) plugin.Handler {
		p.Next = next
		return p
	})
	if err := agree(c, p); err != nil {
		return plugin.Error(name, err)
	}
	own(c, p)
	c.OnStartup(p.start)
	c.OnShutdown(p.stop)
	c.OnRestartFailed(sweep)
	return nil
}

// parse reads the block; a server block has one.
func parse(c *caddy.Controller) (*ICP, error) {
	p := &ICP{memo: processMemo()}
	for i := 0; c.Next(); i++ {
		if i > 0 {
			return nil, plugin.ErrOnce
		}
		cfg, err := edge.Parse(&c.Dispenser, dnsserver.GetConfig(c).Root)
		if err != nil {
			return nil, err
		}
		p.cfg = cfg
	}
	p.cfg.Observer, p.cfg.Label = reloads{}, c.Key
	p.zones = plugin.OriginsFromArgsOrServerBlock(p.cfg.Zones, c.ServerBlockKeys)
	return p, nil
}

// start opens what the block names.
func (p *ICP) start() error {
	holdStacks()
	sweep()
	e, err := edge.Open(p.cfg)
	if err != nil {
		return plugin.Error(name, err)
	}
	for _, w := range e.Warnings() {
		log.Warning(w)
	}
	p.edge.Store(e)
	opened.Store(p, struct{}{})
	return nil
}

// stop closes it again. The handler goes on with what it holds: queries may
// still be under way.
func (p *ICP) stop() error {
	opened.Delete(p)
	if e := p.edge.Load(); e != nil {
		e.Close()
	}
	return nil
}

// opened are the handlers that have started and not stopped.
var opened sync.Map

// handlersKey is where an instance keeps its handlers.
type handlersKey struct{}

// own notes that a handler belongs to the instance that c sets up.
func own(c *caddy.Controller, p *ICP) {
	handlers, _ := c.Get(handlersKey{}).([]*ICP)
	c.Set(handlersKey{}, append(handlers, p))
}

// agree refuses a second admin address: there is one of the process, and what is
// asked there is told of all its blocks.
func agree(c *caddy.Controller, p *ICP) error {
	handlers, _ := c.Get(handlersKey{}).([]*ICP)
	for _, o := range handlers {
		a, b := o.cfg.Admin, p.cfg.Admin
		if a.IsValid() && b.IsValid() && a != b {
			return fmt.Errorf("admin %s of server block %s and admin %s of server block %s; a process has one, so name the same or one alone",
				a, o.cfg.Label, b, p.cfg.Label)
		}
	}
	return nil
}

// sweep stops handlers of instances that never came to be: if a start fails
// behind ours, caddy drops the instance without a word to it.
func sweep() error {
	alive := map[*ICP]bool{}
	for _, inst := range caddy.Instances() {
		inst.StorageMu.RLock()
		handlers, _ := inst.Storage[handlersKey{}].([]*ICP)
		inst.StorageMu.RUnlock()
		for _, p := range handlers {
			alive[p] = true
		}
	}
	opened.Range(func(k, _ any) bool {
		if p := k.(*ICP); !alive[p] {
			p.stop()
		}
		return true
	})
	return nil
}

// reloads counts reloads and says what became of them, once for all blocks.
type reloads struct{}

// Aged implements edge.Observer.
func (reloads) Aged(warning string) {
	if warning == "" {
		log.Info("the registry is new enough to decide again")
		return
	}
	log.Warning(warning)
}

// Reloaded implements edge.Observer.
func (reloads) Reloaded(r edge.Reload) {
	files := strings.Join(r.Files, ", ")
	if files == "" {
		files = "the registry's lists"
	}
	if r.Err != nil {
		reloadCount.WithLabelValues(r.Data, "error").Inc()
		log.Errorf("%s keeps what it had: %s has changed but cannot be used: %s", r.Data, files, r.Err)
		return
	}
	reloadCount.WithLabelValues(r.Data, "success").Inc()
	log.Infof("%s read anew from %s in %s", r.Data, files, r.Took)
	for _, w := range r.Warnings {
		log.Warning(w)
	}
}
