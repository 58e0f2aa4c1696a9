package store_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/store"
)

// TestDroppedWhileStaged: an import that is given up while it is being read is not
// there again, in part or as a whole, when that is over.
func TestDroppedWhileStaged(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		o := store.ImportOptions{ID: "00000000000000a1"}
		i, err := w.s.Stage(background, staff, o, func(adder func() func(registry.Filing) error) error {
			if err := w.s.Drop(background, staff, o.ID); err != nil {
				t.Error(err)
			}
			return of(many(0, 500)...)(adder)
		})
		if !errors.Is(err, store.ErrInvalid) || i.State != store.ImportDropped {
			t.Errorf("got %s, %v; want dropped, and ErrInvalid", i.State, err)
		}
		if i, err = w.s.Import(background, o.ID); err != nil || i.State != store.ImportDropped {
			t.Errorf("afterwards it is %s, %v; want dropped", i.State, err)
		}
		if wrong, err := w.s.Check(background); err != nil || len(wrong) > 0 {
			t.Errorf("the registry does not agree with itself: %q, %v", wrong, err)
		}
	})
}

// TestDroppedBeforePublished: an import that another node gives up in the moment in
// which this one begins to publish it is not published, and that ends.
func TestDroppedBeforePublished(t *testing.T) {
	for _, n := range []int{0, 500} {
		w := &world{T: t, dsn: postgresDSN(t), now: day(2026, 3, 1), key: store.NewKey()}
		w.open()
		defer func() { w.s.Close() }()
		id := ""
		now := func() time.Time {
			if i, err := w.s.Import(background, id); id != "" && err == nil && i.State == store.ImportStaged {
				if err := w.s.Drop(background, staff, id); err != nil {
					t.Error(err)
				}
			}
			return w.clock()
		}
		two, err := store.Open(background, w.dsn, store.Options{Now: now, Key: w.key, What: "another node"})
		if err != nil {
			t.Fatal(err)
		}
		defer two.Close()
		i := w.stage(store.ImportOptions{}, of(many(0, n)...))
		id = i.ID
		ctx, cancel := context.WithTimeout(background, 5*time.Minute)
		defer cancel()
		if i, err := two.Publish(ctx, i.ID, nil); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%d filings: it is %s, %v; want ErrInvalid", n, i.State, err)
		}
		if i, err := w.s.Import(background, id); err != nil || i.State != store.ImportDropped {
			t.Errorf("%d filings: afterwards it is %s, %v; want dropped", n, i.State, err)
		}
		id = ""
	}
}
