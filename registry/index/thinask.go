package index

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/icpgate/icpgate/registry"
)

// asking is the part of a Thin that calls the source: one worker, that begins
// with the first question and ends with the last.
type asking struct {
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	worker sync.WaitGroup

	mu       sync.Mutex
	flights  map[registry.Domain]*flight // asked or about to be
	waiting  []*flight                   // about to be, in their order
	working  bool
	closed   bool
	failures int           // calls that failed, since the last that did not
	retry    time.Duration // after a failure: not before this time of the clock
	err      error         // of the last call

	// away: the last call failed, or somebody has waited in vain since it ended.
	// Who has a stale answer does not wait then.
	away atomic.Bool
}

// flight is a question to the source and those who wait for it.
type flight struct {
	name  registry.Domain
	done  chan struct{} // closed when entry is set, or will not be
	entry *thinEntry
}

// waitingBatches: who comes when this many full batches are waiting is not
// answered. The wait would be longer than Timeout anyhow.
const waitingBatches = 16

// After n failures in a row the source is left alone for a random time of up to
// 2ⁿ⁻¹ firstBackOff ("full jitter"), so that edges that lost the registry together
// do not come back together; lastBackOff bounds how late its return is noticed.
const (
	firstBackOff = 100 * time.Millisecond
	lastBackOff  = 10 * time.Second
)

func (a *asking) init() {
	a.ctx, a.cancel = context.WithCancel(context.Background())
	a.flights = map[registry.Domain]*flight{}
}

// Close ends the call that is under way and waits for it. Afterwards Cover
// answers from what there is. It may be called more than once.
func (t *Thin) Close() {
	if t == nil {
		return
	}
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	t.cancel()
	t.worker.Wait()
}

// Err returns the error of the last call of the source, nil if it succeeded or
// there was none.
func (t *Thin) Err() error {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.err
}

// wait asks the source for d, and gives up when it takes too long; then old may
// serve, if there is one.
func (t *Thin) wait(ctx context.Context, d registry.Domain, old *thinEntry) registry.Coverage {
	timer := time.NewTimer(t.config.Timeout)
	defer timer.Stop()
	for {
		f := t.join(d)
		if f == nil || old != nil && t.away.Load() {
			return t.without(old)
		}
		select {
		case <-f.done:
		case <-timer.C:
			t.away.Store(true)
			t.timeouts.Add(1)
			return t.without(old)
		case <-ctx.Done():
			t.timeouts.Add(1)
			return t.without(old)
		}
		if f.entry == nil {
			return t.without(old)
		}
		if t.current(f.entry) {
			return f.entry.coverage
		}
		// Something changed while the answer was under way: ask again.
	}
}

// without answers a question that the source did not.
func (t *Thin) without(old *thinEntry) registry.Coverage {
	if old == nil || !t.current(old) {
		t.unanswered.Add(1)
		return registry.Coverage{}
	}
	t.stale.Add(1)
	return old.coverage
}

// join returns the flight for d, a new one if there is none; nil while the source
// is not to be asked.
func (t *Thin) join(d registry.Domain) *flight {
	now := t.clock()
	t.mu.Lock()
	defer t.mu.Unlock()
	if f := t.flights[d]; f != nil {
		return f
	}
	if t.closed || now < t.retry || len(t.waiting) >= waitingBatches*t.config.Batch {
		return nil
	}
	f := &flight{name: detached(d), done: make(chan struct{})}
	t.flights[f.name] = f
	t.waiting = append(t.waiting, f)
	if !t.working {
		t.working = true
		t.worker.Go(t.work)
	}
	return f
}

// detached returns d without the memory it may be part of: a question outlives the
// request that asks it.
func detached(d registry.Domain) registry.Domain {
	kept, err := registry.ParseDomain(strings.Clone(d.String()))
	if err != nil {
		return d // cannot be: d is canonical
	}
	return kept
}

// work asks until nothing is waiting.
func (t *Thin) work() {
	for batch := t.take(); batch != nil; batch = t.take() {
		if batch = t.open(batch); len(batch) > 0 {
			t.call(batch)
		}
	}
}

// take returns the flights of the next call; nil ends the worker.
func (t *Thin) take() []*flight {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.waiting) == 0 {
		t.waiting, t.working = nil, false
		return nil
	}
	n := min(len(t.waiting), t.config.Batch)
	batch := t.waiting[:n:n]
	t.waiting = t.waiting[n:]
	return batch
}

// open returns the flights that no answer meanwhile has settled: one for another
// name below the same domain, or for the same name between look-up and join.
func (t *Thin) open(batch []*flight) []*flight {
	now := t.clock()
	var open, settled []*flight
	for _, f := range batch {
		if e, fresh := t.find(f.name.String(), now); fresh {
			f.entry = e
			settled = append(settled, f)
			continue
		}
		open = append(open, f)
	}
	t.land(settled)
	return open
}

// call asks the source for a batch.
func (t *Thin) call(batch []*flight) {
	names := make([]registry.Domain, len(batch))
	for i, f := range batch {
		names[i] = f.name
	}
	t.requests.Add(1)
	t.asked.Add(uint64(len(names)))
	asked, change := t.clock(), t.last.Load()
	ctx, cancel := context.WithTimeout(t.ctx, t.config.CallTimeout)
	defer cancel()
	answers, err := t.config.Source(ctx, names)
	if err = checkAnswers(names, answers, err); err != nil {
		t.failed(batch, err)
		return
	}
	for i, f := range batch {
		if answers[i].Loaded {
			f.entry = t.remember(f.name, answers[i], asked, change)
		}
	}
	t.away.Store(false)
	t.mu.Lock()
	t.failures, t.retry, t.err = 0, 0, nil
	t.mu.Unlock()
	t.land(batch)
}

// errNotLoaded: the registry that was asked knows nothing itself.
var errNotLoaded = errors.New("the registry asked has nothing loaded")

// checkAnswers tells what is wrong with the answers of a call.
func checkAnswers(names []registry.Domain, answers []registry.Coverage, err error) error {
	switch {
	case err != nil:
		return fmt.Errorf("coverage of %d names, %q the first, could not be asked for: %w", len(names), names[0], err)
	case len(answers) != len(names):
		return fmt.Errorf("asked for the coverage of %d names, %q the first: %d came; expect one each", len(names), names[0], len(answers))
	}
	for _, c := range answers {
		if c.Loaded || c.Revision != (registry.Revision{}) {
			return nil // one of a registry that tells nothing of this name is no failure
		}
	}
	return fmt.Errorf("coverage of %d names, %q the first, could not be asked for: %w", len(names), names[0], errNotLoaded)
}

// failed leaves the source alone for a while, and whoever waits unanswered.
func (t *Thin) failed(batch []*flight, err error) {
	t.errors.Add(1)
	t.away.Store(true)
	now := t.clock()
	t.mu.Lock()
	most := min(firstBackOff<<min(t.failures, 16), lastBackOff)
	t.failures++
	t.retry = now + rand.N(most)
	t.err = err
	batch = append(batch, t.waiting...)
	t.waiting = nil
	t.mu.Unlock()
	t.land(batch)
}

// land ends flights.
func (t *Thin) land(batch []*flight) {
	t.mu.Lock()
	for _, f := range batch {
		delete(t.flights, f.name)
	}
	t.mu.Unlock()
	for _, f := range batch {
		close(f.done)
	}
}
