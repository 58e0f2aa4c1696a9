package feed

import (
	"errors"
	"fmt"
	"slices"
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
// blacklist. What is filed for the first time is none. A start counts again what the
// log has, from where the mark of the snapshot leaves off: what is flipped does not
// become less by it.
type brake struct {
	limit func(filings int) int
	counted
	// uncounted is the last revision that was taken while flips did not count.
	uncounted uint64
}

// counted is what a brake has counted, as the mark of a snapshot keeps it.
type counted struct {
	Rev       uint64      `json:"rev"`                 // the revision up to which
	Recent    []flipped   `json:"recent,omitempty"`    // within the window, by time
	Announced []announced `json:"announced,omitempty"` // imports, the newest last
}

// announced is an import that was announced, with how many of its flips were taken.
type announced struct {
	Import string `json:"import"`
	Flips  uint64 `json:"flips"`
	Taken  uint64 `json:"taken"`
}

// flipped are the flips of some seconds, which end at At.
type flipped struct {
	At    int64 `json:"at"` // Unix seconds
	Flips int   `json:"flips"`
}

// flipGrain is over how many seconds flips are counted together, as if all came at
// their end: a mark is read often and must be short.
const flipGrain = 10

// maxAnnounced is how many announcements are remembered: an import is over long before
// so many were announced after it.
const maxAnnounced = 100

func newBrake(limit func(int) int) brake {
	if limit == nil {
		limit = MassLimit
	}
	return brake{limit: limit}
}

// announce takes in that an import will flip so many.
func (c *counted) announce(id string, flips uint64) {
	if id == "" {
		return
	}
	a := announced{Import: id, Flips: flips}
	if old := c.announced(id); old != nil {
		a.Taken = old.Taken
		c.Announced = slices.DeleteFunc(c.Announced, func(a announced) bool { return a.Import == id })
	}
	c.Announced = append(c.Announced, a)
	if n := len(c.Announced) - maxAnnounced; n > 0 {
		c.Announced = slices.Delete(c.Announced, 0, n)
	}
}

// announced is what was announced of an import; nil where nothing was.
func (c *counted) announced(id string) *announced {
	for i := range c.Announced {
		if c.Announced[i].Import == id {
			return &c.Announced[i]
		}
	}
	return nil
}

// newest is the import that was announced last; the zero value where none was.
func (c *counted) newest() (a announced) {
	if n := len(c.Announced); n > 0 {
		a = c.Announced[n-1]
	}
	return a
}

// upTo is a copy of c, for who has all of it in what it holds at a revision.
func (c *counted) upTo(rev uint64) counted {
	return counted{rev, slices.Clone(c.Recent), slices.Clone(c.Announced)}
}

// notAfter has what flipped later than t have flipped then: a clock of the registry that
// was ahead for a while would make it count until that time comes, which may be in
// years. t is not earlier than the edge's own now, or a clock that goes back for a while
// would have all forgotten when it is right again.
func (c *counted) notAfter(t time.Time) {
	last := grainEnd(t)
	if n := len(c.Recent); n == 0 || c.Recent[n-1].At <= last {
		return
	}
	kept := c.Recent[:0]
	for _, f := range c.Recent {
		f.At = min(f.At, last)
		if n := len(kept); n > 0 && kept[n-1].At == f.At {
			kept[n-1].Flips += f.Flips
			continue
		}
		kept = append(kept, f)
	}
	c.Recent = kept
}

// grainEnd is the end of the seconds that t is counted with.
func grainEnd(t time.Time) int64 { return (t.Unix()/flipGrain + 1) * flipGrain }

// within is how many have flipped within the window before now; others are forgotten.
func (c *counted) within(now time.Time) (sum int) {
	c.Recent = slices.DeleteFunc(c.Recent, func(f flipped) bool { return now.Unix()-f.At >= int64(flipWindow/time.Second) })
	for _, f := range c.Recent {
		sum += f.Flips
	}
	return sum
}

// add counts flips.
func (c *counted) add(now time.Time, flips int) {
	if flips == 0 {
		return
	}
	at := grainEnd(now)
	if n := len(c.Recent); n > 0 && c.Recent[n-1].At >= at {
		c.Recent[n-1].Flips += flips // a clock that went back: as if it had not
		return
	}
	c.Recent = append(c.Recent, flipped{at, flips})
}

// check counts what a frame flips, and refuses it where that is too much.
func (b *brake) check(f *Frame, v *index.View, now time.Time) error {
	if f.Notice != nil {
		b.announce(f.Notice.Import, f.Notice.Flips)
	}
	if a := b.announced(f.Import); a != nil {
		a.Taken += uint64(flipsIn(f, v))
		return nil
	}
	filings := v.Info().Filings
	limit := b.limit(filings)
	if limit < 0 {
		b.Recent, b.uncounted = nil, f.Revision.Rev
		return nil
	}
	flips := flipsIn(f, v)
	if sum := b.within(now) + flips; sum > limit {
		return fmt.Errorf("revision %s: %d of %d filings would flip within %v, at most %d may: %w; stopped here", f.Revision, sum, filings, flipWindow, limit, ErrMassChange)
	}
	b.add(now, flips)
	return nil
}

// again counts what a frame flips that was taken before the start.
func (b *brake) again(f *Frame, v *index.View) {
	if f.Revision.Rev <= b.Rev {
		return
	}
	if f.Notice != nil {
		b.announce(f.Notice.Import, f.Notice.Flips)
	}
	if a := b.announced(f.Import); a != nil {
		a.Taken += uint64(flipsIn(f, v))
	} else if f.Revision.Rev > b.uncounted {
		b.within(f.Time)
		b.add(f.Time, flipsIn(f, v))
	}
}

// snapshot counts what a snapshot flips, whose manifest announces an import, and
// refuses it where that is too much: an import that is news may flip whatever it does,
// and one of which a part was taken before what it has left. current tells that the
// copy was heard to be the registry within the window, and what flipped did in it.
func (b *brake) snapshot(m *Manifest, flips, filings int, current bool) error {
	limit := b.limit(filings)
	a := b.announced(m.Import)
	b.announce(m.Import, m.Flips)
	unannounced := flips
	if now := b.announced(m.Import); now != nil && m.Flips > 0 {
		if a == nil {
			unannounced = 0
		} else if m.Flips > now.Taken {
			unannounced = max(0, flips-int(min(m.Flips-now.Taken, 1<<31)))
		}
		now.Taken += uint64(flips)
	}
	if limit < 0 {
		b.Recent = nil
		return nil
	}
	if sum := b.within(m.Time) + unannounced; unannounced > 0 && sum > limit {
		return fmt.Errorf("snapshot of revision %s: %d of %d filings would flip, those of the last %v among them, at most %d may: %w", m.Revision, sum, filings, flipWindow, limit, ErrMassChange)
	}
	if current {
		b.add(m.Time, unannounced)
	}
	return nil
}

// flipsIn is how many flip by a frame.
func flipsIn(f *Frame, v *index.View) (flips int) {
	for i := range f.Changes {
		flips += flipsOf(v, &f.Changes[i])
	}
	return flips
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
