package feed_test

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/feed"
)

// cancel makes the next revision, which cancels so many that stand.
func (c *center) cancel(n int, id string, notice *feed.MassChange) (*feed.Frame, []byte) {
	c.rev.Rev++
	c.clock.putOn(time.Second)
	f := &feed.Frame{Type: feed.FrameRevision, Revision: c.rev, Time: c.clock.now(), Import: id, Notice: notice}
	for _, d := range slices.SortedFunc(maps.Keys(c.filings), func(a, b registry.Domain) int { return cmp.Compare(a.String(), b.String()) }) {
		if len(f.Changes) < n && c.filings[d].Status.Stands() {
			delete(c.filings, d)
			f.Changes = append(f.Changes, registry.Change{Revision: c.rev, Kind: registry.ChangeFilings, Name: d})
		}
	}
	if len(f.Changes) < n {
		c.t.Fatalf("%d stand; want to cancel %d", len(f.Changes), n)
	}
	return f, c.finish(f)
}

// More flips than are taken stop a replica, unless they were announced.
func TestMassChange(t *testing.T) {
	c := newCenter(t, 1200)
	limit := func(int) int { return 10 }
	r, _, err := feed.OpenReplica(t.TempDir(), feed.ReplicaOptions{MassChange: limit})
	if !errors.Is(err, feed.ErrEmpty) {
		t.Fatal(err)
	}
	defer r.Close()
	if err := r.Install(c.snapshot(r), false); err != nil {
		t.Fatal(err)
	}
	cancel := c.cancel
	f, b := cancel(10, "", nil)
	if err := r.Apply(f, b); err != nil {
		t.Fatalf("as many as may flip: %v", err)
	}
	f, b = cancel(1, "", nil)
	if err := r.Apply(f, b); !errors.Is(err, feed.ErrMassChange) {
		t.Fatalf("one more: %v; want %v", err, feed.ErrMassChange)
	}
	if err := r.Apply(f, b); !errors.Is(err, feed.ErrMassChange) {
		t.Fatalf("the same again: %v; want %v", err, feed.ErrMassChange)
	}
	fetched := c.snapshot(r)
	if err := r.Install(fetched, false); !errors.Is(err, feed.ErrMassChange) {
		t.Fatalf("a snapshot with one more: %v; want %v", err, feed.ErrMassChange)
	}
	c.clock.putOn(11 * time.Minute)
	fetched = c.snapshot(r)
	if err := r.Install(fetched, false); err != nil {
		t.Fatalf("a snapshot with one more, after ten minutes: %v", err)
	}
	f, b = cancel(0, "", &feed.MassChange{Import: "i1", Flips: 20})
	f2, b2 := cancel(20, "i1", nil)
	if err := errors.Join(r.Apply(f, b), r.Apply(f2, b2)); err != nil {
		t.Fatalf("an announced import: %v", err)
	}
	f, b = cancel(20, "i2", nil)
	if err := r.Apply(f, b); !errors.Is(err, feed.ErrMassChange) {
		t.Fatalf("an import that nobody announced: %v; want %v", err, feed.ErrMassChange)
	}
	fetched = c.snapshot(r)
	if err := r.Install(fetched, false); !errors.Is(err, feed.ErrMassChange) {
		t.Fatalf("its snapshot: %v; want %v", err, feed.ErrMassChange)
	}
	fetched = c.snapshot(r)
	fetched.Manifest.Import, fetched.Manifest.Flips = "i2", 20
	if err := r.Install(fetched, false); err != nil {
		t.Fatalf("its snapshot, announced: %v", err)
	}
	c.same(r)
}

// restarted is a replica that is closed and opened again.
type restarted struct {
	*feed.Replica
	t     *testing.T
	c     *center
	dir   string
	limit int
}

func (r *restarted) again() {
	r.t.Helper()
	if r.Replica != nil {
		if err := r.Close(); err != nil {
			r.t.Fatal(err)
		}
	}
	now, warnings, err := feed.OpenReplica(r.dir, feed.ReplicaOptions{MassChange: func(int) int { return r.limit }, Now: r.c.clock.now})
	if err != nil && !errors.Is(err, feed.ErrEmpty) || len(warnings) > 0 {
		r.t.Fatal(err, warnings)
	}
	r.Replica = now
}

// TestMassChangeRestart: a start forgets no flips: not those of the log, nor those that
// a snapshot of its own has taken from it; nor what was announced.
func TestMassChangeRestart(t *testing.T) {
	c := newCenter(t, 1200)
	r := &restarted{t: t, c: c, dir: t.TempDir(), limit: 10}
	r.again()
	defer func() { r.Close() }()
	compact := func() {
		t.Helper()
		if err := r.Compact(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	taken := func(what string, n int, id string, notice *feed.MassChange) {
		t.Helper()
		if f, b := c.cancel(n, id, notice); r.Apply(f, b) != nil {
			t.Fatalf("%s: %v", what, r.Apply(f, b))
		}
	}
	if err := r.Install(c.snapshot(r.Replica), false); err != nil {
		t.Fatal(err)
	}
	taken("within the limit", 4, "", nil)
	r.again()
	taken("after a start", 3, "", nil)
	compact()
	r.again()
	taken("after a snapshot and a start", 3, "", nil)
	f, b := c.cancel(1, "", nil)
	for range 3 {
		if err := r.Apply(f, b); !errors.Is(err, feed.ErrMassChange) {
			t.Fatalf("one more: %v; want %v", err, feed.ErrMassChange)
		}
		if err := r.Install(c.snapshot(r.Replica), false); !errors.Is(err, feed.ErrMassChange) {
			t.Fatalf("its snapshot: %v; want %v", err, feed.ErrMassChange)
		}
		r.again()
	}
	c.clock.putOn(11 * time.Minute)
	if err := r.Install(c.snapshot(r.Replica), false); err != nil {
		t.Fatalf("its snapshot, after ten minutes: %v", err)
	}

	taken("an announcement", 0, "", &feed.MassChange{Import: "i1", Flips: 60})
	r.again()
	taken("what was announced before the start", 25, "i1", nil)
	compact()
	r.again()
	taken("what was announced before a snapshot", 25, "i1", nil)
	r.again()
	// The rest comes by a snapshot: as much as is left of the announcement, and no more.
	c.cancel(21, "i1", nil)
	over := c.snapshot(r.Replica)
	over.Manifest.Import, over.Manifest.Flips = "i1", 60
	if err := r.Install(over, false); !errors.Is(err, feed.ErrMassChange) {
		t.Errorf("a snapshot with more than is left: %v; want %v", err, feed.ErrMassChange)
	}
	over = c.snapshot(r.Replica)
	over.Manifest.Import, over.Manifest.Flips = "i1", 61
	if err := r.Install(over, false); err != nil {
		t.Errorf("a snapshot with what is left and as much as may flip: %v", err)
	}
	r.again()
	if f, b := c.cancel(1, "", nil); !errors.Is(r.Apply(f, b), feed.ErrMassChange) {
		t.Error("what flipped by the snapshot does not count after a start")
	}
}

// TestMassChangeClock: what flipped while the registry's clock was ahead counts for ten
// minutes, and not until that time comes; and what flipped before its clock went back
// for a while is not forgotten when it is right again.
func TestMassChangeClock(t *testing.T) {
	for _, bySnapshot := range []bool{false, true} {
		c := newCenter(t, 1200)
		r := &restarted{t: t, c: c, dir: t.TempDir(), limit: 10}
		r.again()
		defer func() { r.Close() }()
		if err := r.Install(c.snapshot(r.Replica), false); err != nil {
			t.Fatal(err)
		}
		f, _ := c.cancel(10, "", nil)
		f.Time = c.clock.now().Add(365 * 24 * time.Hour)
		if err := r.Apply(f, c.bytes(f)); err != nil {
			t.Fatal(err)
		}
		r.again()
		f, _ = c.cancel(10, "", nil)
		// again tries once more, by a frame or by a snapshot.
		again := func() error {
			if bySnapshot {
				return r.Install(c.snapshot(r.Replica), false)
			}
			f.Time = c.clock.now()
			return r.Apply(f, c.bytes(f))
		}
		for range 2 {
			if err := again(); !errors.Is(err, feed.ErrMassChange) {
				t.Fatalf("by snapshot %v: as much again, by the right clock: %v; want %v", bySnapshot, err, feed.ErrMassChange)
			}
			c.clock.putOn(5 * time.Minute)
		}
		c.clock.putOn(time.Minute)
		if err := again(); err != nil {
			t.Fatalf("by snapshot %v: after ten minutes: %v", bySnapshot, err)
		}
		if bySnapshot {
			continue // what came while nothing was heard of the registry does not count
		}
		f, _ = c.cancel(0, "", nil)
		f.Time = c.clock.now().Add(-24 * time.Hour)
		if err := r.Apply(f, c.bytes(f)); err != nil {
			t.Fatal(err)
		}
		r.again()
		f, _ = c.cancel(1, "", nil)
		if err := r.Apply(f, c.bytes(f)); !errors.Is(err, feed.ErrMassChange) {
			t.Errorf("after the clock went back and came again: %v; want %v", err, feed.ErrMassChange)
		}
	}
}

// TestMassChangeBeginning: what was taken while flips did not count does not count
// after a start either, unless the file is lost that says so.
func TestMassChangeBeginning(t *testing.T) {
	c := newCenter(t, 1200)
	r := &restarted{t: t, c: c, dir: t.TempDir(), limit: -1}
	r.again()
	defer func() { r.Close() }()
	if err := r.Install(c.snapshot(r.Replica), false); err != nil {
		t.Fatal(err)
	}
	apply := func(n int) error { f, b := c.cancel(n, "", nil); return r.Apply(f, b) }
	if err := errors.Join(apply(30), apply(30)); err != nil {
		t.Fatal(err)
	}
	r.limit = 10
	r.again()
	if err := apply(10); err != nil {
		t.Errorf("as many as may flip: %v", err)
	}
	r.again()
	f, b := c.cancel(1, "", nil)
	if err := r.Apply(f, b); !errors.Is(err, feed.ErrMassChange) {
		t.Errorf("one more: %v; want %v", err, feed.ErrMassChange)
	}
	c.clock.putOn(20 * time.Minute)
	f.Time = c.clock.now()
	if err := r.Apply(f, c.bytes(f)); err != nil {
		t.Errorf("one more after ten minutes: %v", err)
	}

	// Without the file all counts.
	e := &restarted{t: t, c: c, dir: t.TempDir(), limit: -1}
	e.again()
	defer func() { e.Close() }()
	if err := e.Install(c.snapshot(e.Replica), false); err != nil {
		t.Fatal(err)
	}
	f, b = c.cancel(20, "", nil)
	if err := e.Apply(f, b); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(e.dir, "heard")); err != nil {
		t.Fatal(err)
	}
	e.limit = 20
	e.again()
	f, b = c.cancel(1, "", nil)
	if err := e.Apply(f, b); !errors.Is(err, feed.ErrMassChange) {
		t.Errorf("without the file: %v; want %v", err, feed.ErrMassChange)
	}
}
