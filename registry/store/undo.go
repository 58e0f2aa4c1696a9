package store

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/icpgate/icpgate/registry"
)

// Undo stages the reverse of an import that is done: what it changed becomes what
// it was before, what it added is removed. What others have changed since stays.
// Within a day nobody has to confirm it; Publish brings it into force.
func (s *Store) Undo(ctx context.Context, by By, id string) (Import, error) {
	if err := by.check(); err != nil {
		return Import{}, err
	}
	was, err := s.Import(ctx, id)
	if err != nil {
		return Import{}, err
	}
	if was.State != ImportDone && was.State != ImportPublishing {
		return Import{}, fmt.Errorf("%w: import %q is %s; nothing of it is in force", ErrInvalid, id, was.State)
	}
	i := Import{ID: randomID(), Made: s.o.Now().UTC(), By: by, Options: ImportOptions{Source: "undo of " + id}, State: ImportStaging, Undoes: id}
	s.staging.Store(i.ID, true)
	defer s.staging.Delete(i.ID)
	if err := s.beginUndo(ctx, &i, &was); err != nil {
		return i, err
	}
	if err := s.stageUndo(ctx, &i, &was); err != nil {
		_, dropped := s.write(context.WithoutCancel(ctx), by, func(t *tx) error { return t.drop(i.ID) })
		if dropped == nil {
			i.State = ImportDropped
		}
		return i, err
	}
	return i, nil
}

// beginUndo ends an import that is half published, so that what is undone is all: was
// becomes what it is then, as more of it may have been published since it was read.
func (s *Store) beginUndo(ctx context.Context, i, was *Import) error {
	if was.State == ImportPublishing {
		_, err := s.write(ctx, i.By, func(t *tx) error {
			now, err := s.importOf(t.ctx, t, was.ID)
			if err != nil {
				return err
			}
			if *was = now; was.State != ImportPublishing {
				return nil
			}
			t.note("import", was.ID, map[string]any{"state": was.State}, map[string]any{"state": ImportDone, "revisions": fmt.Sprintf("%d to %d", was.First, was.Last)})
			if err := t.exec("DELETE FROM staged WHERE import_id = ?", was.ID); err != nil {
				return err
			}
			return t.exec("UPDATE import SET state = ?, chunks = done WHERE id = ?", string(ImportDone), was.ID)
		})
		if err != nil {
			return err
		}
	}
	return s.beginImport(ctx, i)
}

func (s *Store) stageUndo(ctx context.Context, i, was *Import) error {
	c := &comparison{ctx: ctx, s: s, o: &i.Options}
	p, err := newSpool(0)
	if err != nil {
		return err
	}
	c.spools.files = append(c.spools.files, p)
	defer c.spools.close()
	err = s.View(ctx, func(v *View) error {
		i.Base, i.Counts.Before = v.Revision.Rev, v.Count
		u := &undoing{v: v, was: was, i: i, p: p, seen: map[string]bool{}}
		if err := u.revisions(); err != nil {
			return err
		}
		if err := u.changed(); err != nil {
			return err
		}
		return u.added()
	})
	if err != nil {
		return err
	}
	if err := c.spools.sort(); err != nil {
		return err
	}
	late, err := s.late(ctx, s.r, was)
	if err != nil {
		return err
	}
	i.State = ImportStaged
	if late && i.Counts.brake() {
		i.State = ImportWaiting
	}
	return c.keep(i)
}

// undoing finds what an import did.
type undoing struct {
	v    *View
	was  *Import
	i    *Import
	p    *spool
	of   map[uint64]bool // its revisions
	seen map[string]bool // keys that it changed
}

func (u *undoing) revisions() error {
	u.of = map[uint64]bool{}
	return u.v.s.each(u.v.ctx, u.v.tx, "SELECT rev FROM revision WHERE import_id = ?", []any{u.was.ID}, func(rows *sql.Rows) error {
		var rev int64
		err := rows.Scan(&rev)
		u.of[uint64(rev)] = true
		return err
	})
}

// changed puts down the filings whose states the import ended.
func (u *undoing) changed() error {
	var batch []task
	err := u.v.s.each(u.v.ctx, u.v.tx, "SELECT key, until, state FROM past WHERE until >= ? AND until <= ? ORDER BY key, until",
		[]any{int64(u.was.First), int64(u.was.Last)}, func(rows *sql.Rows) error {
			var x task
			var until int64
			var body []byte
			if err := rows.Scan(&x.key, &until, &body); err != nil {
				return err
			}
			if !u.of[uint64(until)] || u.seen[x.key] {
				return nil // the oldest of its states is what was before
			}
			u.seen[x.key] = true
			d := decoder{b: body}
			x.kind, x.f = taskRestore, d.filing()
			batch = append(batch, x)
			return d.whole()
		})
	if err != nil {
		return err
	}
	for from := 0; from < len(batch); from += inBatch {
		if err := u.restore(batch[from:min(from+inBatch, len(batch))]); err != nil {
			return err
		}
	}
	return nil
}

// restore puts tasks down whose filings nobody else has changed since.
func (u *undoing) restore(list []task) error {
	var keys []any
	for i := range list {
		keys = append(keys, list[i].key)
	}
	now, err := u.v.s.loadSites(u.v.ctx, u.v.tx, "s.key IN (%s)", keys)
	if err != nil {
		return err
	}
	byKey := map[string]*record{}
	for _, r := range now {
		byKey[r.key] = r
	}
	for i := range list {
		x, r := &list[i], byKey[list[i].key]
		var is *registry.Filing
		if r != nil {
			if !u.of[r.rev] {
				u.i.Counts.Skipped++
				continue
			}
			x.rev, is = r.rev, &r.f
		}
		u.i.Counts.Changed++
		if is == nil || flips(is, &x.f) {
			u.i.Counts.Flips++
		}
		if err := u.p.add(u.v.s.seal, x); err != nil {
			return err
		}
	}
	return nil
}

// added puts down the filings that the import added, to be removed.
func (u *undoing) added() error {
	return u.v.s.each(u.v.ctx, u.v.tx, "SELECT key, rev FROM site WHERE rev >= ? AND rev <= ?", []any{int64(u.was.First), int64(u.was.Last)}, func(rows *sql.Rows) error {
		var x task
		var rev int64
		if err := rows.Scan(&x.key, &rev); err != nil {
			return err
		}
		x.kind, x.rev = taskRemove, uint64(rev)
		if !u.of[x.rev] || u.seen[x.key] {
			return nil
		}
		u.i.Counts.Cancelled++
		u.i.Counts.Flips++
		return u.p.add(u.v.s.seal, &x)
	})
}
