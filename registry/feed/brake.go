package feed

import (
	"errors"
	"fmt"
	"time"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/index"
)

// ErrMassChange: more filings would flip than an edge takes unannounced.
var ErrMassChange = errors.New("a mass change that nobody announced")

// flipWindow is the time over which flips are counted.
const flipWindow = 10 * time.Minute

// MassLimit is how many filings may flip unannounced within ten minutes, of so
// many: 1 %, but at least 10,000. It is what the registry itself lets one person
// change without another's confirmation.
func MassLimit(filings int) int { return max(filings/100, 10_000) }

// brake counts the filings that flip: names and addresses with a standing filing
// that lose it, ones that were filed and regain it, and names that come on the
// blacklist. What is filed for the first time is none.
type brake struct {
	limit  func(filings int) int
	recent []flipped         // within the window, by time
	flips  map[string]uint64 // of announced imports
	newest string            // import
	// uncounted is the last revision that was taken while flips did not count.
	uncounted uint64
}

type flipped struct {
	at    time.Time
	flips int
}

func newBrake(limit func(int) int) brake {
	if limit == nil {
		limit = MassLimit
	}
	return brake{limit: limit, flips: map[string]uint64{}}
}

// announce takes in that an import will flip so many.
func (b *brake) announce(id string, flips uint64) {
	if id != "" {
		b.flips[id], b.newest = flips, id
	}
}

// check counts what a frame flips, and refuses it where that is too much.
func (b *brake) check(f *Frame, v *index.View, now time.Time) error {
	if f.Notice != nil {
		b.announce(f.Notice.Import, f.Notice.Flips)
	}
	if _, announced := b.flips[f.Import]; announced && f.Import != "" {
		return nil
	}
	filings := v.Info().Filings
	limit := b.limit(filings)
	if limit < 0 {
		b.recent, b.uncounted = nil, f.Revision.Rev
		return nil
	}
	flips := 0
	for i := range f.Changes {
		flips += flipsOf(v, &f.Changes[i])
	}
	sum := flips
	kept := b.recent[:0]
	for _, r := range b.recent {
		if now.Sub(r.at) < flipWindow {
			kept = append(kept, r)
			sum += r.flips
		}
	}
	b.recent = kept
	if sum > limit {
		return fmt.Errorf("revision %s: %d of %d filings would flip within %v, at most %d may: %w; stopped here", f.Revision, sum, filings, flipWindow, limit, ErrMassChange)
	}
	if flips > 0 {
		b.recent = append(b.recent, flipped{now, flips})
	}
	return nil
}

// flipsOf is 1 if a change flips what its name or address is.
func flipsOf(v *index.View, c *registry.Change) int {
	switch c.Kind {
	case registry.ChangeListed:
		return 1
	case registry.ChangeFilings:
		filed, stood := standing(v, c)
		stands := false
		for i := range c.Filings {
			stands = stands || c.Filings[i].Status.Stands()
		}
		if filed && stood != stands {
			return 1
		}
	}
	return 0
}

// standing tells whether anything is filed under the name or address of a change
// itself, and whether it stands.
func standing(v *index.View, c *registry.Change) (filed, stands bool) {
	coverage, labels := v.CoverAddr(c.Addr), 0
	if !c.Addr.IsValid() {
		coverage, labels = v.Cover(c.Name), c.Name.Labels()
	}
	for _, f := range coverage.Filings {
		if int(f.Filed) == labels {
			filed, stands = true, stands || f.Status.Stands()
		}
	}
	return filed, stands
}

// flipsBetween counts what flips from one registry to another: some 0.5 µs a
// filing.
func flipsBetween(old, now *index.View) (flips int) {
	for c := range old.In(allBuckets()) {
		switch c.Kind {
		case registry.ChangeFilings:
			_, stands := standing(now, &c)
			stood := false
			for i := range c.Filings {
				stood = stood || c.Filings[i].Status.Stands()
			}
			if stood != stands {
				flips++
			}
		}
	}
	was := map[registry.Domain]bool{}
	for d := range old.Blacklisted() {
		was[d] = true
	}
	for d := range now.Blacklisted() {
		if !was[d] {
			flips++
		}
	}
	return flips
}

func allBuckets() []int {
	all := make([]int, index.DigestBuckets)
	for i := range all {
		all[i] = i
	}
	return all
}
