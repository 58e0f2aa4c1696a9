package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// A SQLite database is held by the lock of a file. Programs that have another
// database open say so in a table, for as long as a lease runs; who wants it alone
// waits for no other lease.
const (
	leaseFor   = 20 * time.Second
	leaseEvery = 5 * time.Second
)

// exclusively marks the lease of a program that wants the database alone.
const exclusively = " (alone)"

func (s *Store) lease(ctx context.Context) error {
	node := randomID()
	if s.e.alone() {
		s.node = node
		return nil
	}
	what := s.o.What
	if s.o.Exclusive {
		what += exclusively
	}
	if err := s.takeLease(ctx, node, what); err != nil {
		return err
	}
	s.node = node
	ctx, stop := context.WithCancel(context.Background())
	s.leased = stop
	s.running.Go(func() { s.keepLease(ctx) })
	s.running.Go(func() { s.keepIndexes(ctx) })
	return nil
}

// takeLease enters this program, unless one is there that one of both wants out.
func (s *Store) takeLease(ctx context.Context, node, what string) error {
	tx, err := s.w.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(ctx, "UPDATE meta SET rev = rev WHERE id = 1"); err != nil {
		return err
	}
	now := s.o.Now().UnixMilli()
	if _, err := tx.ExecContext(ctx, s.e.query("DELETE FROM node WHERE until < ?"), now); err != nil {
		return err
	}
	var other string
	query := "SELECT what FROM node WHERE what LIKE '%" + exclusively + "' LIMIT 1"
	if s.o.Exclusive {
		query = "SELECT what FROM node LIMIT 1"
	}
	switch err := tx.QueryRowContext(ctx, query).Scan(&other); {
	case err == nil:
		return fmt.Errorf("%w by %q; ask the service that runs there, or end it (its lease ends within %s)", ErrInUse, other, leaseFor)
	case !errors.Is(err, sql.ErrNoRows):
		return err
	}
	if _, err := tx.ExecContext(ctx, s.e.query("INSERT INTO node (id, what, until) VALUES (?, ?, ?)"), node, what, now+leaseFor.Milliseconds()); err != nil {
		return err
	}
	return tx.Commit()
}

func (s *Store) keepLease(ctx context.Context) {
	tick := time.NewTicker(leaseEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.stopped:
			return
		case <-tick.C:
		}
		asked, cancel := context.WithTimeout(ctx, leaseEvery)
		// A failure is tried again at the next tick; the lease outlasts three. The
		// transaction also finds out whether the server was promoted.
		_, _ = s.write(asked, By{Who: s.o.What, Why: "it is open"}, func(t *tx) error {
			return t.exec("UPDATE node SET until = ? WHERE id = ?", s.o.Now().Add(leaseFor).UnixMilli(), s.node)
		})
		cancel()
	}
}

// unlease ends the lease.
func (s *Store) unlease() error {
	if s.leased == nil {
		return nil
	}
	s.leased()
	ctx, cancel := context.WithTimeout(context.Background(), leaseEvery)
	defer cancel()
	_, err := s.w.ExecContext(ctx, s.e.query("DELETE FROM node WHERE id = ?"), s.node)
	return err
}

// endLoad makes the indexes again that a load of an import dropped, if the program
// that made it died. An import that is to be resumed drops them anew.
func (s *Store) endLoad(ctx context.Context) error {
	var loading sql.NullString
	if err := s.w.QueryRowContext(ctx, "SELECT loading FROM meta WHERE id = 1").Scan(&loading); err != nil || !loading.Valid {
		return err
	}
	if elsewhere, err := s.PublishedElsewhere(ctx); err != nil || elsewhere[loading.String] {
		return err // who loads, or goes on with it, makes them
	}
	return s.setLoading(ctx, "")
}

// keepIndexes makes the indexes again that a load has dropped whose program died, as soon
// as its lease has ended: nobody may publish that import again, or any. Who publishes
// sees to them itself.
func (s *Store) keepIndexes(ctx context.Context) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		select {
		case <-s.stopped:
			stop()
		case <-ctx.Done():
		}
	}()
	tick := time.NewTicker(leaseEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if s.importing.TryLock() {
			_ = s.endLoad(ctx) // a failure is tried again at the next tick
			s.importing.Unlock()
		}
	}
}

// loads reports whether indexes are dropped for the load of a program that died: who
// publishes next makes them again.
func (s *Store) loads(ctx context.Context) (bool, error) {
	var loading sql.NullString
	if err := s.w.QueryRowContext(ctx, "SELECT loading FROM meta WHERE id = 1").Scan(&loading); err != nil || !loading.Valid {
		return false, err
	}
	elsewhere, err := s.PublishedElsewhere(ctx)
	return !elsewhere[loading.String], err
}

// setLoading drops the indexes for the load of an import, or with "" makes them
// again.
func (s *Store) setLoading(ctx context.Context, id string) error {
	tx, err := s.w.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(ctx, s.e.query("UPDATE meta SET loading = ? WHERE id = 1"), nullText(id)); err != nil {
		return err
	}
	before, after := s.e.loading()
	if id == "" {
		before = after
	}
	for _, ddl := range before {
		if _, err := tx.ExecContext(ctx, ddl); err != nil {
			return s.failed(fmt.Errorf("%s: %w", ddl, err))
		}
	}
	return tx.Commit()
}
