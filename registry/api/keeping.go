package api

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/icpgate/icpgate/registry/store"
)

// Keeping says how long a registry of record keeps what need not be kept for ever.
// The zero value keeps it as long as each field says.
type Keeping struct {
	// Sightings is how long after they were last seen; default store.Retention. What
	// edges handed over, exemptions that have ended, reports of imports and refused
	// rows go with them.
	Sightings time.Duration
	// Imports is how long what was staged waits to be published; default store.Patience.
	Imports time.Duration
	// Log is how long edges can be away and go on without a snapshot; default 7 days.
	// LeastLog is how many revisions are kept however old they are; default 1,000.
	Log      time.Duration
	LeastLog uint64
	// Every is how often it is looked after; default an hour.
	Every time.Duration
	// Tick, if not nil, wakes the work in place of a timer that does so every minute:
	// whether it is due the clock of the service says.
	Tick <-chan time.Time
	// Done, if not nil, is told what every round did.
	Done func(Kept, error)
}

// Kept is what a round did.
type Kept struct {
	Sightings int `json:"sightings"` // were dropped
	Filed     int `json:"filed"`     // of open or notified sightings a filing was made since
	Reports   int `json:"reports"`   // were removed
	Imports   int `json:"imports"`   // were given up
}

func (k *Keeping) setDefaults() {
	if k.Sightings <= 0 {
		k.Sightings = store.Retention
	}
	if k.Imports <= 0 {
		k.Imports = store.Patience
	}
	if k.Log <= 0 {
		k.Log = 7 * 24 * time.Hour
	}
	if k.LeastLog == 0 {
		k.LeastLog = 1000
	}
	if k.Every <= 0 {
		k.Every = time.Hour
	}
	if k.Done == nil {
		k.Done = func(Kept, error) {}
	}
}

// Keep drops what is too old, at once and then every so often by the service's
// clock, until ctx ends. One that fails is tried again with the next.
func (s *Service) Keep(ctx context.Context, k Keeping) {
	k.setDefaults()
	tick := k.Tick
	if tick == nil {
		t := time.NewTicker(time.Minute)
		defer t.Stop()
		tick = t.C
	}
	due := s.cfg.Now()
	for {
		if now := s.cfg.Now(); !now.Before(due) {
			done, err := s.keep(ctx, &k)
			if ctx.Err() != nil {
				return
			}
			due = now.Add(k.Every)
			s.metrics.kept(done, err)
			k.Done(done, err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick:
		}
	}
}

var keeper = store.By{Who: "icp-registry", Owner: "icp-registry", Why: "retention"}

func (s *Service) keep(ctx context.Context, k *Keeping) (done Kept, err error) {
	var errs [5]error
	if done.Filed, errs[0] = s.cfg.Store.MarkFiled(ctx, keeper); errs[0] != nil {
		errs[0] = fmt.Errorf("sightings of names that are filed since: %w", errs[0])
	}
	if done.Sightings, errs[1] = s.cfg.Store.Purge(ctx, keeper, k.Sightings); errs[1] != nil {
		errs[1] = fmt.Errorf("old sightings: %w", errs[1])
	}
	if errs[2] = s.trim(ctx, k); errs[2] != nil {
		errs[2] = fmt.Errorf("the log for edges: %w", errs[2])
	}
	if done.Imports, errs[4] = s.cfg.Store.DropWaiting(ctx, keeper, k.Imports); errs[4] != nil {
		errs[4] = fmt.Errorf("imports that nobody has published: %w", errs[4])
	}
	done.Reports, errs[3] = s.dropReports(k.Sightings)
	return done, errors.Join(errs[:]...)
}

// trim drops the log of revisions that are too old.
func (s *Service) trim(ctx context.Context, k *Keeping) error {
	n, err := s.cfg.Store.Since(ctx, s.cfg.Now().Add(-k.Log))
	if err != nil {
		return err
	}
	return s.cfg.Store.Trim(ctx, keeper, max(n, k.LeastLog))
}

// dropReports removes reports and refused rows of old imports.
func (s *Service) dropReports(keep time.Duration) (n int, err error) {
	if s.cfg.Dir == "" {
		return 0, nil
	}
	for _, kind := range []string{"report.json", "refused.csv"} {
		paths, err := filepath.Glob(filepath.Join(s.cfg.Dir, "*."+kind))
		if err != nil {
			return n, err
		}
		for _, path := range paths {
			info, err := os.Stat(path)
			if err != nil || s.cfg.Now().Sub(info.ModTime()) < keep {
				continue
			}
			if err := os.Remove(path); err != nil {
				return n, err
			}
			n++
		}
	}
	return n, nil
}
