package store_test

import (
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/icpgate/icpgate/registry/store"
)

// TestDropWaiting: what nobody has published for long goes, with what was staged of it,
// and the journal says so; what is newer stays, and what is partly in force.
func TestDropWaiting(t *testing.T) {
	store.SetLimits(t, 10, 1<<30)
	onEach(t, func(t *testing.T, w *world) {
		w.load(complete, many(0, 40)...)
		staged := w.stage(store.ImportOptions{}, of(many(100, 500)...))
		waits := w.stage(complete, of(many(0, 22)...))
		w.pass(20 * 24 * time.Hour)
		newer := w.stage(store.ImportOptions{}, of(many(700, 1)...))
		drop := func(want int) {
			t.Helper()
			if n, err := w.s.DropWaiting(background, staff, store.Patience); err != nil || n != want {
				t.Errorf("%d were dropped, %v; want %d", n, err, want)
			}
		}
		drop(0)
		if list, err := w.s.Waiting(background); err != nil || len(list) != 3 || list[2].ID != newer.ID {
			t.Errorf("got %+v, %v; want three that wait, the oldest first", list, err)
		}
		w.pass(11 * 24 * time.Hour)
		drop(2)
		for id, want := range map[string]store.ImportState{staged.ID: store.ImportDropped, waits.ID: store.ImportDropped, newer.ID: store.ImportStaged} {
			if i, err := w.s.Import(background, id); err != nil || i.State != want {
				t.Errorf("import %s is %s, %v; want %s", id, i.State, err, want)
			}
		}
		journal, err := w.s.Journal(background, store.JournalQuery{Keys: []string{waits.ID}})
		if err != nil || len(journal) != 2 || !strings.Contains(string(journal[0].Is)+string(journal[1].Is), `"state":"dropped"`) {
			t.Errorf("the journal says %+v, %v; want that it was given up", journal, err)
		}
		if wrong, err := w.s.Check(background); err != nil || len(wrong) > 0 {
			t.Errorf("the registry does not agree with itself: %q, %v", wrong, err)
		}
	})
}

// TestDropWaitingBeside: what waits for its turn to be published stays, however old it
// is: who asked for it was told that it is on its way.
func TestDropWaitingBeside(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		first, second := w.stage(store.ImportOptions{}, of(many(0, 10)...)), w.stage(store.ImportOptions{}, of(many(10, 10)...))
		forgotten := w.stage(store.ImportOptions{}, of(many(20, 10)...))
		w.pass(31 * 24 * time.Hour)
		var work sync.WaitGroup
		if _, err := w.s.Publish(background, first.ID, func(store.ImportProgress) {
			work.Go(func() {
				if done, err := w.s.Publish(background, second.ID, nil); err != nil || done.State != store.ImportDone {
					t.Errorf("the one that waited for its turn: %+v, %v", done, err)
				}
			})
			for !store.Publishing(w.s, second.ID) {
				runtime.Gosched()
			}
			if n, err := w.s.DropWaiting(background, staff, store.Patience); err != nil || n != 1 {
				t.Errorf("%d were dropped, %v; want the one that nobody publishes", n, err)
			}
		}); err != nil {
			t.Fatal(err)
		}
		work.Wait()
		if i, err := w.s.Import(background, forgotten.ID); err != nil || i.State != store.ImportDropped {
			t.Errorf("import %s is %s, %v; want it dropped", forgotten.ID, i.State, err)
		}
	})
}
