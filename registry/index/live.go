package index

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/icpgate/icpgate/registry"
)

// Live is the registry that is in force: a snapshot with the changes since.
// Readers take a View once per question and so have one consistent revision;
// they wait for nobody. The zero value has nothing loaded and is ready for use;
// it is safe for concurrent use and must not be copied.
type Live struct {
	p          atomic.Pointer[View]
	writing    sync.Mutex // held by who stores p
	compacting sync.Mutex
	digest     *Digest // of p, where it is kept; guarded by writing
}

// View returns the registry in force; nil if none was ever loaded.
func (l *Live) View() *View { return l.p.Load() }

// Load returns the snapshot beneath the changes in force; nil if none was ever
// loaded. It answers without the changes that Apply took in: where there may be
// any, ask View.
func (l *Live) Load() *Index { return l.View().Snapshot() }

// Swap puts a snapshot in force and returns the one before it; nil unloads.
// Changes that are newer than x stay in force on top of it, where x has the
// epoch of the view and no revision between is missing. Otherwise, when x is of
// another epoch or older than the snapshot before, the view becomes x alone.
// Whether such a one may come is the caller's to decide. Questions that are
// being answered end with the old view.
func (l *Live) Swap(x *Index) *Index {
	l.writing.Lock()
	defer l.writing.Unlock()
	old := l.p.Load()
	next := old.onto(x)
	if next == nil || old == nil || next.Revision() != old.Revision() {
		l.digest = nil
	}
	l.p.Store(next)
	return old.Snapshot()
}

// onto returns the view of a snapshot with those changes of v that are newer.
func (v *View) onto(x *Index) *View {
	next := NewView(x)
	if v == nil || v.over == nil || x == nil {
		return next
	}
	first, now := v.base.info.Revision, v.over.revision
	rev := x.info.Revision
	if rev.Epoch != now.Epoch || rev.Rev < first.Rev || rev.Rev >= now.Rev {
		return next
	}
	return &View{base: x, over: v.over.after(x, rev.Rev), id: lastID.Add(1)}
}

// Apply takes in the changes of one revision, the one after that in force, and
// puts them in force at once. A revision without changes is one Change of
// registry.ChangeNothing. An error leaves everything as it was. Slices of the
// changes are kept and must not be written to afterwards.
func (l *Live) Apply(changes ...registry.Change) error {
	if len(changes) == 0 {
		return nil
	}
	for i := range changes {
		if err := check(&changes[i]); err != nil {
			return fmt.Errorf("revision %s cannot be applied: change %d: %w", changes[0].Revision, i+1, err)
		}
	}
	l.writing.Lock()
	defer l.writing.Unlock()
	v := l.p.Load()
	if err := v.precedes(changes); err != nil {
		return fmt.Errorf("revision %s cannot be applied: %w", changes[0].Revision, err)
	}
	e := editOverlay(v.base, v.over)
	d := newDigester(v.base.key)
	for i := range changes {
		if l.digest != nil {
			d.change(l.digest, e, &changes[i])
		}
		e.apply(&changes[i])
	}
	l.p.Store(&View{base: v.base, over: e.done(changes[0].Revision), id: lastID.Add(1)})
	return nil
}

// check refuses what Check does and what no snapshot could hold.
func check(c *registry.Change) error {
	if err := c.Check(); err != nil {
		return err
	}
	for i := range c.Filings {
		if err := checkSize(&c.Filings[i]); err != nil {
			return err
		}
	}
	return nil
}

// precedes makes sure that the changes are of one revision, the next one.
func (v *View) precedes(changes []registry.Change) error {
	if v == nil {
		return errors.New("there is no snapshot to apply it to; load one first")
	}
	next := v.Revision()
	next.Rev++
	for _, c := range changes {
		if c.Revision != changes[0].Revision {
			return fmt.Errorf("its changes are of several revisions, also of %s; apply one at a time", c.Revision)
		}
	}
	switch got := changes[0].Revision; {
	case got.Epoch != next.Epoch:
		return fmt.Errorf("it is of another epoch than the registry in force, at %s; load its snapshot", v.Revision())
	case got.Rev < next.Rev:
		return fmt.Errorf("the registry in force is at %s already; the next is number %d", v.Revision(), next.Rev)
	case got.Rev > next.Rev:
		return fmt.Errorf("the registry in force is at %s; number %d comes first", v.Revision(), next.Rev)
	}
	return nil
}

// Compact writes a snapshot of the registry in force to path and puts it in
// force, with the changes that came meanwhile on top. Readers, Apply and Swap
// need not wait for it; it takes as long as Merge, and whoever calls it in a
// goroutine of his own ends it by ctx. On an error the registry in force is
// untouched, and path is what it was or, where the error says so, a whole new
// snapshot. The new snapshot is mapped: path lies where Map may be used. Only one Compact runs at a time; another one fails at once.
func (l *Live) Compact(ctx context.Context, path string) error {
	if !l.compacting.TryLock() {
		return fmt.Errorf("snapshot %q is not made: another one is being made; wait for it", path)
	}
	defer l.compacting.Unlock()
	v := l.p.Load()
	if err := v.WriteFile(ctx, path); err != nil {
		return err
	}
	x, err := Map(path)
	if err != nil {
		return fmt.Errorf("the registry at %s was compacted, but: %w", v.Revision(), err)
	}
	return l.replace(v, x, path)
}

// WriteFile makes the snapshot of v in the place of path. It is a function of what
// is filed and of the revision, without a time of its making, so that it is the
// same wherever it is made. It takes as long as Merge, stands back behind other
// work on Linux, and ends early, with path untouched, when ctx does. A nil View
// has no snapshot.
func (v *View) WriteFile(ctx context.Context, path string) error {
	if v == nil {
		return fmt.Errorf("snapshot %q is not made: there is no registry; load one first", path)
	}
	t := Changes{}.told()
	if v.over != nil {
		t = v.over.told()
	}
	err := standBack(func() error {
		return mergeTold(ctx, path, v.base, t, Options{Key: v.Key(), Revision: v.Revision()})
	})
	if err != nil {
		return fmt.Errorf("the registry at %s cannot be compacted: %w", v.Revision(), err)
	}
	return nil
}

// replace puts x, made of v, in force, unless what v rests on is no more.
func (l *Live) replace(v *View, x *Index, path string) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	now := l.p.Load()
	if now.Snapshot() != v.base {
		return fmt.Errorf("snapshot %q at %s is written but not in force: another one came meanwhile, at %s", path, v.Revision(), now.Revision())
	}
	l.p.Store(now.onto(x))
	return nil
}
