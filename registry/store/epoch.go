package store

import (
	"context"
	"time"

	"github.com/icpgate/icpgate/registry"
)

// NewEpoch begins a new life of the registry, with a new key for fingerprints: for
// a key that became known, or where the registry's past is in doubt. Edges go on
// with what they have and fetch a snapshot.
func (s *Store) NewEpoch(ctx context.Context, by By) (registry.Revision, error) {
	return s.write(ctx, by, func(t *tx) error { return t.newEpoch() })
}

// newEpoch takes the place of the epoch and drops the log, whose cursors are of
// another one.
func (t *tx) newEpoch() error {
	was := t.at
	t.at.Epoch = newEpoch(t.now)
	if t.at.Epoch.Made <= was.Epoch.Made {
		t.at.Epoch.Made = was.Epoch.Made + 1 // the clock may have been set back
	}
	t.base = t.at.Rev
	key := newKeyOfSnapshots()
	t.note("epoch", "", was, t.at)
	if err := t.exec("DELETE FROM change"); err != nil {
		return err
	}
	return t.exec("UPDATE meta SET epoch_made = ?, epoch_random = ?, base = ?, snapshot_key = ? WHERE id = 1",
		t.at.Epoch.Made, int64(t.at.Epoch.Random), int64(t.base), key[:])
}

// Since returns how many revisions of the log were made at a time or later.
func (s *Store) Since(ctx context.Context, at time.Time) (n uint64, err error) {
	err = s.r.QueryRowContext(ctx, s.e.query(`SELECT count(*) FROM revision r
		WHERE r.made_at >= ? AND r.rev > (SELECT base FROM meta WHERE id = 1)`), at.UnixMilli()).Scan(&n)
	return n, err
}

// Trim drops the log of all but the newest so many revisions; edges that are
// further behind fetch a snapshot. The journal stays.
func (s *Store) Trim(ctx context.Context, by By, revisions uint64) error {
	_, err := s.write(ctx, by, func(t *tx) error {
		if t.at.Rev < revisions || t.at.Rev-revisions <= t.base {
			return nil
		}
		base := t.at.Rev - revisions
		if err := t.exec("DELETE FROM change WHERE rev <= ?", int64(base)); err != nil {
			return err
		}
		return t.exec("UPDATE meta SET base = ? WHERE id = 1", int64(base))
	})
	return err
}
