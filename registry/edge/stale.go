package edge

import (
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

// checkAge compares the age with what is allowed. A registry that never was is no
// stale one: fail says what becomes of it.
func (e *Edge) checkAge(time.Time) {
	since := e.since()
	stale := !since.IsZero() && e.now().Sub(since) > e.cfg.MaxStale
	if e.stale.Swap(stale) != stale {
		swaps.Add(1)
	}
}
