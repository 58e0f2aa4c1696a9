package store

import (
	"context"
	"time"
)

// Patience is how long what was staged waits to be confirmed and published unless told
// otherwise: longer than from one monthly list to the next nobody needs it.
const Patience = 30 * 24 * time.Hour

// Waiting returns the imports that are staged and of which nothing is in force, the
// oldest first.
func (s *Store) Waiting(ctx context.Context) ([]Import, error) { return s.notPublished(ctx, s.r) }

func (s *Store) notPublished(ctx context.Context, q querier) ([]Import, error) {
	return s.imports(ctx, q, "SELECT "+importColumns+" FROM import WHERE state IN (?, ?) ORDER BY made_at, id", string(ImportStaged), string(ImportWaiting))
}

// DropWaiting gives the imports up that were staged more than keep ago and of which
// nothing is in force, and those that died while they were staged. What is being published
// is left, and what this program is to publish after another. It returns how many went.
func (s *Store) DropWaiting(ctx context.Context, by By, keep time.Duration) (n int, err error) {
	_, err = s.write(ctx, by, func(t *tx) error {
		n = 0 // it may be tried again
		list, err := s.notPublished(t.ctx, t)
		if err != nil {
			return err
		}
		elsewhere, err := s.publishedElsewhere(t.ctx, t)
		if err != nil {
			return err
		}
		busy := map[string]bool{}
		s.atIt.Range(func(_, id any) bool { busy[id.(string)] = true; return true })
		for _, i := range list {
			if busy[i.ID] || elsewhere[i.ID] || t.now.Sub(i.Made) <= keep {
				continue
			}
			t.note("import", i.ID, map[string]any{"state": i.State, "made": i.Made}, map[string]any{"state": ImportDropped})
			if err := t.drop(i.ID); err != nil {
				return err
			}
			n++
		}
		dead, err := t.deadImports()
		if err != nil {
			return err
		}
		for _, id := range dead {
			t.note("import", id, map[string]any{"state": ImportStaging}, map[string]any{"state": ImportDropped})
			if err := t.drop(id); err != nil {
				return err
			}
			n++
		}
		return nil
	})
	return n, err
}
