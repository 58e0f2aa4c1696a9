package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/store"
)

// TestFarTimes: a date that is far away goes through the log as any other, and one
// that no list could tell any more is refused.
func TestFarTimes(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		m := &replica{world: w, at: map[string]string{}}
		m.rev, _ = w.s.Revision(background)
		far := time.Date(9999, 12, 30, 0, 0, 0, 0, time.UTC)
		f := filing("沪ICP备00000001号-1", "far.example.org")
		f.Site.FiledAt, f.UpdatedAt = far, far
		w.put(f)
		m.follow()
		psb, _, err := registry.ParsePSBNumber("京公网安备11010802020134号")
		if err != nil {
			t.Fatal(err)
		}
		for _, beyond := range []time.Time{far.AddDate(0, 0, 1).Add(23 * time.Hour), time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)} {
			filed, accessed := f, f
			filed.Site.FiledAt = beyond
			accessed.AccessesKnown, accessed.Accesses = true, []registry.Access{{Provider: "aliyun", Status: registry.AccessActive, At: beyond.Unix()}}
			for what, do := range map[string]func(e *store.Edit) error{
				"a filing":  func(e *store.Edit) error { return e.PutFiling(filed) },
				"an access": func(e *store.Edit) error { return e.PutFiling(accessed) },
				"a PSB filing": func(e *store.Edit) error {
					return e.PutPSB(store.PSB{Number: psb, Name: f.Site.Domains[0], FiledAt: beyond})
				},
			} {
				if _, err := w.s.Edit(background, staff, do); !errors.Is(err, store.ErrInvalid) {
					t.Errorf("%s of %s: got %v; want it refused", what, beyond, err)
				}
			}
			if _, _, err := w.s.NewToken(background, staff, store.Token{Owner: "edge", Scopes: []string{store.ScopeRead}, Until: beyond}); !errors.Is(err, store.ErrInvalid) {
				t.Errorf("a token until %s: got %v; want it refused", beyond, err)
			}
		}
		m.follow()
	})
}
