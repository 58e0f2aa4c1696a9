package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/store"
)

// named are filings with a site name of their own.
func named(list []registry.Filing, name string) []registry.Filing {
	list = slices.Clone(list)
	for i := range list {
		list[i].Site.Name = name
	}
	return list
}

// expect compares the filings of a store with those that it should have, and the log
// with the store.
func (w *world) expect(m *replica, want ...registry.Filing) {
	w.Helper()
	all, _, _ := w.all()
	if len(all) != len(want) {
		w.Errorf("got %d filings; want %d", len(all), len(want))
	}
	for _, f := range want {
		if got, ok := all[store.KeyOf(&f)]; !ok || !same(got, f) {
			w.Fatalf("got %+v; want %+v", got, f)
		}
	}
	if wrong, err := w.s.Check(background); err != nil || len(wrong) > 0 {
		w.Errorf("the registry does not agree with itself: %q, %v", wrong, err)
	}
	m.follow()
}

// TestUndoBesideEdits: while an import is taken back others edit and import. What they
// made of a filing stays, whether before or after the undo came to it; all else is as
// it was before the import.
func TestUndoBesideEdits(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		m := &replica{world: w, at: map[string]string{}}
		m.rev, _ = w.s.Revision(background)
		base := many(0, 900)
		w.load(complete, base...)
		wrong := w.load(store.ImportOptions{}, append(named(base, "wrong"), many(900, 100)...)...)
		undo, err := w.s.Undo(background, staff, wrong.ID)
		if err != nil {
			t.Fatal(err)
		}
		// Somebody edits the first hundred from both ends of what the undo has to do.
		early := named(base[:100], "edited")
		var others sync.WaitGroup
		others.Go(func() {
			for _, f := range early {
				if _, err := w.s.Edit(background, staff, func(e *store.Edit) error { return e.PutFiling(f) }); err != nil {
					t.Error(err)
				}
			}
		})
		// Another import arrives: compared before the undo is in force, and published after.
		arrived := append(named(base[850:], "arrived"), many(1000, 200)...)
		second := w.stage(store.ImportOptions{Source: "another"}, of(arrived...))
		tried := 0
		edited := slices.Clone(early)
		done, err := w.s.Publish(background, undo.ID, func(p store.ImportProgress) {
			if p.Done == p.Of {
				return
			}
			tried++
			// In the midst of the undo no third import is begun, and edits are.
			if _, err := w.s.Stage(background, staff, store.ImportOptions{}, of(arrived...)); !errors.Is(err, store.ErrUnfinished) {
				t.Errorf("an import in the midst of an undo: got %v; want ErrUnfinished", err)
			}
			late := named(base[100+tried:101+tried], "late")[0]
			w.put(late)
			edited = append(edited, late)
		})
		if err != nil || done.State != store.ImportDone || tried == 0 {
			t.Fatalf("the undo: %+v, %v, in %d parts", done, err, tried+1)
		}
		others.Wait()
		// What the undo has changed since the second was compared stays.
		if n := w.publish(second.ID).Counts.Skipped; n != 50 {
			t.Errorf("%d filings are told to stay as the undo made them; want 50", n)
		}
		want := map[string]registry.Filing{}
		for _, f := range slices.Concat(base, edited, arrived[50:]) {
			want[store.KeyOf(&f)] = f
		}
		var list []registry.Filing
		for _, f := range want {
			list = append(list, f)
		}
		w.expect(m, list...)
	})
}

// TestUndoInTheMidst: an import is taken back while it is being published, by a load
// and by single revisions; the publication ends, and nothing of it is left.
func TestUndoInTheMidst(t *testing.T) {
	for _, load := range []bool{false, true} {
		t.Run(fmt.Sprint("load ", load), func(t *testing.T) {
			if load {
				store.SetLimits(t, 10_000, 500)
			}
			onEach(t, func(t *testing.T, w *world) {
				m := &replica{world: w, at: map[string]string{}}
				m.rev, _ = w.s.Revision(background)
				base := many(0, 100)
				w.load(complete, base...)
				i := w.stage(store.ImportOptions{}, of(many(100, 20_000)...))
				var undo store.Import
				var undone error
				var once sync.Once
				done, err := w.s.Publish(background, i.ID, func(p store.ImportProgress) {
					if p.Done < p.Of {
						once.Do(func() { undo, undone = w.s.Undo(background, staff, i.ID) })
					}
				})
				if undo.ID == "" || undone != nil {
					t.Fatalf("it was not taken back in the midst: %v", undone)
				}
				if err != nil || done.State != store.ImportDone || done.Done != done.Chunks {
					t.Errorf("the publication ends with %+v, %v; want it done with what there was", done, err)
				}
				w.publish(undo.ID)
				w.expect(m, base...)
			})
		})
	}
}

// TestResumeOnAnotherNode: of two nodes of one database one is stopped while it
// publishes; the other goes on where it was, also while the first comes back and does
// the same. Every part is in force once.
func TestResumeOnAnotherNode(t *testing.T) {
	w := &world{T: t, dsn: postgresDSN(t), now: day(2026, 3, 1), key: store.NewKey()}
	w.open()
	defer func() { w.s.Close() }()
	two, err := store.Open(background, w.dsn, store.Options{Now: w.clock, Key: w.key, What: "another node"})
	if err != nil {
		t.Fatal(err)
	}
	defer two.Close()
	m := &replica{world: w, at: map[string]string{}}
	m.rev, _ = w.s.Revision(background)
	w.put(many(5000, 1)...) // no load: the registry is in use
	i := w.stage(store.ImportOptions{}, of(many(0, 3000)...))
	ctx, stop := context.WithCancel(background)
	if _, err := w.s.Publish(ctx, i.ID, func(p store.ImportProgress) {
		if p.Done == 2 {
			stop()
		}
	}); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v; want it to be stopped", err)
	}
	half, err := two.Unfinished(background)
	if err != nil || half.ID != i.ID || half.Done != 2 || half.Done >= half.Chunks {
		t.Fatalf("the other node sees %+v, %v; want it half done", half, err)
	}
	var nodes sync.WaitGroup
	for _, s := range []*store.Store{two, w.s} {
		nodes.Go(func() {
			if done, err := s.Publish(background, i.ID, nil); err != nil || done.State != store.ImportDone {
				t.Errorf("a node: %+v, %v", done, err)
			}
		})
	}
	nodes.Wait()
	done, err := w.s.Import(background, i.ID)
	if err != nil || done.State != store.ImportDone || done.Last-done.First+1 != uint64(done.Chunks) || done.Counts.Skipped != 0 {
		t.Errorf("got %+v, %v; want a revision for each of the parts", done, err)
	}
	if _, err := two.Unfinished(background); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("afterwards: %v; want nothing unfinished", err)
	}
	w.expect(m, append(many(5000, 1), many(0, 3000)...)...)
}

// TestUndoOfOneUnderWay takes an import back that is being published: its publication
// ends there, and nothing of it stays, not even what was published while the undo
// began.
func TestUndoOfOneUnderWay(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		m := &replica{world: w, at: map[string]string{}}
		m.rev, _ = w.s.Revision(background)
		base := many(0, 8000)
		w.load(complete, base...)
		wrong := w.stage(store.ImportOptions{}, of(named(base, "wrong")...))
		begin := make(chan struct{})
		var once sync.Once
		var work sync.WaitGroup
		work.Go(func() {
			_, err := w.s.Publish(background, wrong.ID, func(store.ImportProgress) { once.Do(func() { close(begin) }) })
			if err != nil {
				t.Error(err)
			}
		})
		<-begin
		undo, err := w.s.Undo(background, staff, wrong.ID)
		if err != nil {
			t.Fatal(err)
		}
		work.Wait()
		w.publish(undo.ID)
		w.expect(m, base...)
	})
}
