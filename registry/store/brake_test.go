package store_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/store"
)

// TestBrakeOfPieces has one person cut a change into pieces, of which none is large.
func TestBrakeOfPieces(t *testing.T) {
	store.SetLimits(t, 100, 1_000_000)
	onEach(t, func(t *testing.T, w *world) {
		list := many(0, 400)
		w.load(store.ImportOptions{}, list...)
		piece := func(from, to int) []registry.Filing {
			out := append([]registry.Filing{}, list[from:to]...)
			for i := range out {
				out[i].Restricted = true
			}
			return out
		}
		// Two pieces are staged before either is in force; what counts is what the first
		// has done when the second is to begin.
		first, second := w.stage(store.ImportOptions{}, of(piece(0, 60)...)), w.stage(store.ImportOptions{}, of(piece(60, 120)...))
		if first.State != store.ImportStaged || second.State != store.ImportStaged {
			t.Fatalf("got %s and %s; want both staged", first.State, second.State)
		}
		w.publish(first.ID)
		if _, err := w.s.Publish(background, second.ID, nil); !errors.Is(err, store.ErrWaiting) {
			t.Errorf("the second piece: got %v; want ErrWaiting", err)
		}
		if i, err := w.s.Import(background, second.ID); err != nil || i.State != store.ImportWaiting || i.Counts.Lately != 60 {
			t.Errorf("got %s, %d lately, %v; want waiting, 60", i.State, i.Counts.Lately, err)
		}
		if i := w.stage(store.ImportOptions{}, of(piece(120, 180)...)); i.State != store.ImportWaiting {
			t.Errorf("a third piece: got %s; want waiting", i.State)
		}
		for _, owner := range []string{"ann", "Ann", "ａnn", "ANN"} {
			if err := w.s.Confirm(background, store.By{Who: "another token", Owner: owner, Why: "so"}, second.ID); !errors.Is(err, store.ErrInvalid) {
				t.Errorf("confirmed by %q: got %v; want ErrInvalid", owner, err)
			}
		}
		if err := w.s.Confirm(background, store.By{Who: "bob", Owner: "bob", Why: "looked at it"}, second.ID); err != nil {
			t.Fatal(err)
		}
		w.publish(second.ID)
		w.pass(25 * time.Hour)
		if i := w.stage(store.ImportOptions{}, of(piece(180, 240)...)); i.State != store.ImportStaged {
			t.Errorf("a day later: got %s; want staged", i.State)
		}
	})
}

// TestLateUndo takes an import back that has been in force for long: all that it brought
// would end.
func TestLateUndo(t *testing.T) {
	store.SetLimits(t, 100, 1_000_000)
	onEach(t, func(t *testing.T, w *world) {
		i := w.load(store.ImportOptions{}, many(0, 400)...)
		w.pass(25 * time.Hour)
		undo, err := w.s.Undo(background, staff, i.ID)
		if err != nil || undo.State != store.ImportWaiting || undo.Counts.Flips != 400 {
			t.Fatalf("got %s, %+v, %v; want waiting, 400 flips", undo.State, undo.Counts, err)
		}
		if _, err := w.s.Publish(background, undo.ID, nil); !errors.Is(err, store.ErrWaiting) {
			t.Errorf("got %v; want ErrWaiting", err)
		}
		if err := w.s.Confirm(background, store.By{Who: "bob", Owner: "bob", Why: "looked at it"}, undo.ID); err != nil {
			t.Fatal(err)
		}
		w.publish(undo.ID)
		if all, _, _ := w.all(); len(all) != 0 {
			t.Errorf("got %d filings; want none", len(all))
		}
	})
}

// TestUndoPublishedLate stages an undo in time and publishes it when it is late: then
// it needs a second person, too.
func TestUndoPublishedLate(t *testing.T) {
	store.SetLimits(t, 100, 1_000_000)
	onEach(t, func(t *testing.T, w *world) {
		i := w.load(store.ImportOptions{}, many(0, 400)...)
		small := w.load(store.ImportOptions{}, many(500, 50)...)
		var undos []store.Import
		for _, id := range []string{i.ID, small.ID} {
			undo, err := w.s.Undo(background, staff, id)
			if err != nil || undo.State != store.ImportStaged {
				t.Fatalf("got %s, %v; want staged", undo.State, err)
			}
			undos = append(undos, undo)
		}
		w.pass(25 * time.Hour)
		if _, err := w.s.Publish(background, undos[0].ID, nil); !errors.Is(err, store.ErrWaiting) {
			t.Errorf("got %v; want ErrWaiting", err)
		}
		w.publish(undos[1].ID) // few
		if err := w.s.Confirm(background, store.By{Who: "bob", Owner: "bob", Why: "looked at it"}, undos[0].ID); err != nil {
			t.Fatal(err)
		}
		w.publish(undos[0].ID)
		if all, _, _ := w.all(); len(all) != 0 {
			t.Errorf("got %d filings; want none", len(all))
		}
	})
}

// TestBrakeOfPiecesBeside has two nodes begin one piece each at the same time: what the
// one does counts for the other, though neither was in force when both were asked.
func TestBrakeOfPiecesBeside(t *testing.T) {
	store.SetLimits(t, 100, 1_000_000)
	w, two := nodes(t)
	list := many(0, 400)
	w.load(store.ImportOptions{}, list...)
	for i := range list {
		list[i].Restricted = true
	}
	first, second := w.stage(store.ImportOptions{}, of(list[:60]...)), w.stage(store.ImportOptions{}, of(list[60:120]...))
	// What the second one was told when it was asked for is old when it makes its first
	// revision: the lease of another program at it ends only then.
	run := w.raw()
	run("INSERT INTO node (id, what, until) VALUES ('dead', 'a dead node', ?)", w.clock().Add(20*time.Second).UnixMilli())
	run("UPDATE import SET node = 'dead' WHERE id = ?", second.ID)
	waits, done := make(chan struct{}), make(chan error)
	var once sync.Once
	go func() {
		_, err := two.Publish(background, second.ID, func(store.ImportProgress) { once.Do(func() { close(waits) }) })
		done <- err
	}()
	<-waits
	w.publish(first.ID)
	run("DELETE FROM node WHERE id = 'dead'")
	if err := <-done; !errors.Is(err, store.ErrWaiting) {
		t.Errorf("the second piece: got %v; want ErrWaiting", err)
	}
}
