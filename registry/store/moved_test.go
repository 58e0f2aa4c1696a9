package store_test

import (
	"slices"
	"testing"
	"time"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/store"
)

// TestOldComparison: an import that is published long after it was compared does not
// undo what others have made of its filings since: that stays, and is counted. What
// they left alone, and other parts of what they changed, become what it tells.
func TestOldComparison(t *testing.T) {
	a, b := registry.ProviderID("cloud-a"), registry.ProviderID("cloud-b")
	active := func(p registry.ProviderID) registry.Access { return registry.Access{Provider: p} }
	name := func(f registry.Filing, s string) registry.Filing { f.Site.Name = s; return f }
	access := func(f registry.Filing, list ...registry.Access) registry.Filing { f.Accesses = list; return f }
	cancelled := func(f registry.Filing) registry.Filing { f.Status = registry.StatusCancelled; return f }
	later := func(f registry.Filing, y int) registry.Filing { f.UpdatedAt = day(y, 1, 1); return f }
	f := filing("京ICP备00000001号-1", "example.com", active(a))
	none := registry.Filing{}
	parts := func(p store.Part) store.ImportOptions { return store.ImportOptions{Part: p} }
	for _, c := range []struct {
		name                    string
		o                       store.ImportOptions
		was, told, became, want registry.Filing // none: is not there
		skipped                 int
	}{
		{"left alone", store.ImportOptions{}, f, name(f, "told"), f, name(f, "told"), 0},
		{"changed", store.ImportOptions{}, f, name(f, "told"), cancelled(f), cancelled(f), 1},
		{"changed, the list is complete", complete, f, name(f, "told"), cancelled(f), cancelled(f), 1},
		{"changed to the same", store.ImportOptions{}, f, name(f, "told"), name(f, "told"), name(f, "told"), 0},
		{"removed", store.ImportOptions{}, f, name(f, "told"), none, none, 1},
		{"added", store.ImportOptions{}, none, f, cancelled(f), cancelled(f), 1},
		{"added, and older", store.ImportOptions{}, none, later(f, 2023), later(name(f, "old"), 2021), later(f, 2023), 0},
		{"added, older, and the import would flip it", store.ImportOptions{}, none, later(f, 2023), later(cancelled(f), 2021), later(cancelled(f), 2021), 1},
		{"added with another access", complete, none, f, access(f, active(b)), access(f, active(b)), 1},
		{"access cancelled", store.ImportOptions{}, f, access(f, active(a), active(b)), access(f, registry.Access{Provider: a, Status: registry.AccessCancelled}),
			access(f, registry.Access{Provider: a, Status: registry.AccessCancelled}), 1},
		{"access of another provider", parts(store.PartAccesses), f, access(f, registry.Access{Provider: a, Status: registry.AccessCancelled}), access(f, active(a), active(b)),
			access(f, registry.Access{Provider: a, Status: registry.AccessCancelled}, active(b)), 0},
		{"facts, and accesses are told", parts(store.PartAccesses), f, access(f, active(a), active(b)), name(f, "theirs"), name(access(f, active(a), active(b)), "theirs"), 0},
		{"accesses, and facts are told", parts(store.PartFilings), f, name(f, "told"), access(f, active(b)), name(access(f, active(b)), "told"), 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			onEach(t, func(t *testing.T, w *world) {
				w.put(many(10, 1)...)
				if c.was.Site.Kind == c.told.Site.Kind && !c.was.Site.Number.IsZero() {
					w.put(c.was)
				}
				// The same import adds a filing under the same name, so that nothing of it is fresh.
				i := w.stage(c.o, of(append(many(10, 1), c.told)...))
				w.pass(90 * 24 * time.Hour)
				w.edit(func(e *store.Edit) error {
					if c.became.Site.Number.IsZero() {
						return e.RemoveFiling(store.KeyOf(&c.told))
					}
					return e.PutFiling(c.became)
				})
				done := w.publish(i.ID)
				got, err := w.s.Filing(background, store.KeyOf(&c.told))
				if there := err == nil; there == c.want.Site.Number.IsZero() || there && !same(got.Filing, c.want) {
					t.Errorf("got %+v, %v; want %+v", store.ViewOf(&got.Filing), err, store.ViewOf(&c.want))
				}
				if done.Counts.Skipped != c.skipped {
					t.Errorf("%d filings are told to stay as others made them; want %d", done.Counts.Skipped, c.skipped)
				}
			})
		})
	}
}

// TestOldComparisonTwice: rows of one import that speak of one filing are not taken
// for what others did, before and after it was interrupted.
func TestOldComparisonTwice(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		bare, f := filing("京ICP备00000001号-1", "example.com"), filing("京ICP备00000001号-1", "example.com", registry.Access{Provider: "cloud-a"})
		bare.Site.Number = registry.Number{}
		w.put(bare)
		more := f
		more.Accesses = []registry.Access{{Provider: "cloud-b"}}
		i := w.stage(store.ImportOptions{}, of(slices.Concat([]registry.Filing{f, more}, many(10, 3000))...))
		w.put(filing("京ICP备00009999号-1", "other.example.org"))
		done := w.publish(i.ID)
		got, err := w.s.Filing(background, store.KeyOf(&f))
		if err != nil || len(got.Filing.Accesses) != 2 || done.Counts.Skipped != 0 {
			t.Errorf("got %+v, %v, %d skipped; want both accesses", store.ViewOf(&got.Filing), err, done.Counts.Skipped)
		}
	})
}
