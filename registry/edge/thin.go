package edge

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/feed"
	"github.com/icpgate/icpgate/registry/index"
)

// remote is a registry service that is asked name by name, with the cache of its
// answers. It is safe for concurrent use.
type remote struct {
	thin     *index.Thin
	client   *feed.Client
	answered atomic.Int64 // Unix seconds of the last answer; 0 is never
	away     atomic.Bool  // the last call failed

	cancel context.CancelFunc
	beat   sync.WaitGroup
}

// newRemote begins to ask the service of cfg whether it is there, every poll.
func newRemote(cfg *Config, every time.Duration) (*remote, error) {
	r := &remote{}
	var err error
	if r.client, err = cfg.Access.Open(cfg.Service); err != nil {
		return nil, err
	}
	r.thin, err = index.NewThin(index.ThinConfig{
		Source: r.ask, Now: time.Now, Size: cfg.Cache, Timeout: cfg.ThinTimeout, Batch: min(256, feed.MaxNames),
	})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	r.beat.Go(func() { r.probe(ctx, every) })
	return r, nil
}

// ask is the Source of the cache.
func (r *remote) ask(ctx context.Context, names []registry.Domain) ([]registry.Coverage, error) {
	answers, err := r.client.Coverage(ctx, names)
	if r.away.Store(err != nil); err == nil {
		r.answered.Store(time.Now().Unix())
	}
	return answers, err
}

// probeName is asked for to see whether the service is there. RFC 6761 reserves it.
var probeName = registry.MustParseDomain("probe.invalid")

// probeTimeout is how long a service may take to answer a probe.
const probeTimeout = 5 * time.Second

// probe asks now and then: readiness and staleness must not depend on whether
// anybody asks for a name that is not in the cache.
func (r *remote) probe(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		one, cancel := context.WithTimeout(ctx, probeTimeout)
		_, _ = r.ask(one, []registry.Domain{probeName}) // ask notes how it went
		cancel()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (r *remote) release() {
	r.cancel()
	r.beat.Wait()
	r.thin.Close()
	r.client.Close()
}

func (r *remote) holding() Holding {
	s := r.thin.Stats()
	h := Holding{Thin: true, Connected: r.answered.Load() > 0 && !r.away.Load(), Since: r.since()}
	h.Cache = CacheStats{Hits: s.Hits, Misses: s.Misses, Evictions: s.Evictions, Entries: s.Entries}
	return h
}

// status is what /status tells of the service.
func (r *remote) status() (*CacheStatus, *ThinStatus) {
	s := r.thin.Stats()
	t := &ThinStatus{
		Connected: r.answered.Load() > 0 && !r.away.Load(),
		Requests:  s.Requests, Errors: s.Errors, Timeouts: s.Timeouts, Stale: s.Stale, Unanswered: s.Unanswered,
	}
	if at := r.since().UTC(); !at.IsZero() {
		t.AnsweredAt = &at
	}
	return &CacheStatus{Hits: s.Hits, Misses: s.Misses, Evictions: s.Evictions, Entries: s.Entries}, t
}

func (r *remote) since() time.Time {
	if at := r.answered.Load(); at > 0 {
		return time.Unix(at, 0)
	}
	return time.Time{}
}

// holdRemote takes hold of a registry service.
func (e *Edge) holdRemote() (err error) {
	c := &e.cfg
	every := c.Poll
	if every <= 0 {
		every = DefaultPoll
	}
	extra := fmt.Sprintf("%q%q%d%s", c.Service, c.Access, c.Cache, c.ThinTimeout)
	e.remote, err = take(e, "registry", nil, extra, func() (*remote, error) { return newRemote(c, every) })
	return err
}
