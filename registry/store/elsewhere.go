package store

import (
	"context"
	"database/sql"
	"time"
)

// lookEvery is how often who waits for another program looks whether it is done.
const lookEvery = time.Second

// publishable refuses what cannot be brought into force.
func (i *Import) publishable() error {
	switch i.State {
	case ImportStaged, ImportPublishing:
		return nil
	case ImportWaiting:
		return i.waits()
	}
	return i.is()
}

// beAt enters that this program is at an import, for others on the database to see. It
// waits while another one is, and returns the import as it is then: it may be done.
// Where the program is alone there are no others.
func (s *Store) beAt(ctx context.Context, i Import, progress func(ImportProgress)) (Import, error) {
	if s.e.alone() {
		return i, nil
	}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		mine, err := s.claim(ctx, i.ID)
		if err != nil {
			return i, s.failed(err)
		}
		if i, err = s.Import(ctx, i.ID); err != nil || i.State == ImportDone {
			return i, err
		}
		if err := i.publishable(); err != nil || mine {
			return i, err
		}
		if progress != nil {
			progress(ImportProgress{"publishing", i.Done, i.Chunks})
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return i, ctx.Err()
		case <-s.stopped:
			return i, ErrClosed
		}
	}
}

// claim enters this program as the one that is at an import, unless one that is alive
// is. The column says who stages an import, and is empty once it is staged.
func (s *Store) claim(ctx context.Context, id string) (mine bool, err error) {
	r, err := s.w.ExecContext(ctx, s.e.query(`UPDATE import SET node = ? WHERE id = ? AND state IN (?, ?)
		AND (node IN ('', ?) OR node NOT IN (SELECT id FROM node WHERE until >= ?))`),
		s.node, id, string(ImportStaged), string(ImportPublishing), s.node, s.o.Now().UnixMilli())
	if err != nil {
		return false, err
	}
	n, err := r.RowsAffected()
	return n > 0, err
}

// leave takes back what beAt entered; where that fails it counts until the lease of
// this program ends.
func (s *Store) leave(ctx context.Context, id string) {
	if s.e.alone() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaseEvery)
	defer cancel()
	_, _ = s.w.ExecContext(ctx, s.e.query("UPDATE import SET node = '' WHERE id = ? AND node = ?"), id, s.node)
}

// PublishedElsewhere are the imports, by id, that other programs on the database are
// publishing. One that died counts for up to 20 seconds more.
func (s *Store) PublishedElsewhere(ctx context.Context) (ids map[string]bool, err error) {
	return s.publishedElsewhere(ctx, s.r)
}

func (s *Store) publishedElsewhere(ctx context.Context, q querier) (ids map[string]bool, err error) {
	if s.e.alone() {
		return nil, nil
	}
	err = s.each(ctx, q, "SELECT i.id FROM import i JOIN node n ON n.id = i.node WHERE i.state IN (?, ?) AND n.id <> ? AND n.until >= ?",
		[]any{string(ImportStaged), string(ImportPublishing), s.node, s.o.Now().UnixMilli()}, func(rows *sql.Rows) error {
			var id string
			err := rows.Scan(&id)
			if ids == nil {
				ids = map[string]bool{}
			}
			ids[id] = true
			return err
		})
	return ids, err
}
