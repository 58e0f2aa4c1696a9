package edge

import (
	"fmt"
	"time"

	"github.com/icpgate/icpgate/registry"
)

// OnStale is what becomes of verdicts when the registry is older than MaxStale.
// The zero value is StaleKeep.
type OnStale uint8

// The values of max-stale.
const (
	StaleKeep  OnStale = iota // the old registry decides on
	StaleAllow                // nothing is decided, and what is judged passes
	StaleBlock                // nothing is decided, and what is judged is blocked
)

var staleWords = []string{"keep", "allow", "block"}

// String returns the word of s.
func (s OnStale) String() string { return staleWords[s] }

// fail is the policy of a stale registry.
func (s OnStale) fail() registry.FailPolicy {
	if s == StaleBlock {
		return registry.FailClosed
	}
	return registry.FailOpen
}

// Lack tells why e decides nothing, if it does not.
func (e *Edge) Lack() registry.Lack {
	switch {
	case e.stale.Load():
		return registry.LackFreshness
	case !e.Loaded():
		return registry.LackRegistry
	case e.remote != nil:
		return registry.LackAnswer
	}
	return registry.LackNothing
}

// lackOf is Lack for a verdict: nothing where it is decided.
func (e *Edge) lackOf(r registry.Reason) registry.Lack {
	if r != registry.Undecided {
		return registry.LackNothing
	}
	return e.Lack()
}

// staleWarning tells an operator that the registry is too old; empty while it is
// not.
func (e *Edge) staleWarning() string {
	if !e.stale.Load() {
		return ""
	}
	of := "a time that is not known"
	if since := e.since(); since.Unix() > 0 {
		of = since.UTC().Format(time.RFC3339)
	}
	return fmt.Sprintf("max-stale %s %s: the registry is of %s and too old to decide; bring a newer one, or see why the service does not answer",
		e.cfg.MaxStale, e.cfg.OnStale, of)
}

// watchAge notes from time to time whether the registry is too old, so that no
// question has to read a clock for it.
func (e *Edge) watchAge() error {
	if e.cfg.MaxStale <= 0 || e.cfg.OnStale == StaleKeep {
		return nil
	}
	every := e.cfg.Poll
	if every <= 0 {
		every = DefaultPoll
	}
	e.checkAge(time.Time{})
	e.checkers = append(e.checkers, e.checkAge)
	stop, done := make(chan struct{}), make(chan struct{})
	e.closers = append(e.closers, func() { close(stop); <-done })
	go func() {
		defer close(done)
		tick := time.NewTicker(min(every, e.cfg.MaxStale))
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				e.checkAge(time.Time{})
			}
		}
	}()
	return nil
}

// elapsed is how much time has passed: by the clock, or by the monotonic one where that
// says more, as it does after the clock was set back.
func elapsed(since, now time.Time) time.Duration {
	return max(now.Sub(since), now.Round(0).Sub(since.Round(0)))
}

// checkAge compares the age with what is allowed. A registry that never was is no
// stale one: fail says what becomes of it.
func (e *Edge) checkAge(time.Time) {
	since := e.since()
	stale := !since.IsZero() && elapsed(since, e.now()) > e.cfg.MaxStale
	if e.stale.Swap(stale) == stale {
		return
	}
	swaps.Add(1)
	// Who opens an Edge asks for its warnings: what is so from the start is among them.
	if o := e.cfg.Observer; o != nil && e.opened.Load() {
		o.Aged(e.staleWarning())
	}
}
