package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// Restore makes a registry of a backup, at a new epoch: dsn must be empty, unless
// replace is set. open opens the backup, twice: it is checked as a whole before
// anything is written, and a database has all of it or nothing.
func Restore(ctx context.Context, dsn string, o Options, by By, replace bool, open func() (io.ReadCloser, error)) (BackupInfo, error) {
	info, err := restore(ctx, dsn, o, by, replace, open)
	if err != nil {
		return info, fmt.Errorf("restore: %w", err)
	}
	return info, nil
}

func restore(ctx context.Context, dsn string, o Options, by By, replace bool, open func() (io.ReadCloser, error)) (info BackupInfo, err error) {
	if err := by.check(); err != nil {
		return info, err
	}
	if info, err = reading(open, nil); err != nil {
		return info, err
	}
	e, err := engineOf(dsn)
	if err != nil {
		return info, err
	}
	o.Exclusive = true
	o.setDefaults()
	seal, err := newSealer(o.Key)
	if err != nil {
		return info, err
	}
	l := &loader{o: &o, seal: seal, schema: info.Schema, replace: replace}
	l.load = func(tx *tx) error {
		tx.by, tx.now = by, o.Now()
		again, err := reading(open, func(t *backupTable) error { return tx.insert(t.name, t.columns, "", t.rows...) })
		if err != nil {
			return err
		}
		if again.Sum != info.Sum {
			return fmt.Errorf("%w: it was changed while it was read", ErrBackup)
		}
		return tx.restored(&info)
	}
	return info, e.restore(ctx, l)
}

// reading opens a backup and reads it.
func reading(open func() (io.ReadCloser, error), hand func(*backupTable) error) (BackupInfo, error) {
	r, err := open()
	if err != nil {
		return BackupInfo{}, err
	}
	defer r.Close()
	return readBackup(r, hand)
}

// restored checks what was loaded and begins a new epoch.
func (t *tx) restored(info *BackupInfo) error {
	for name, rows := range info.Rows {
		var n int
		if err := t.row("SELECT count(*) FROM " + name).Scan(&n); err != nil {
			return err
		}
		if n != rows {
			return fmt.Errorf("table %s has %d rows of %d", name, n, rows)
		}
	}
	var check []byte
	if err := t.row("SELECT key_check FROM meta WHERE id = 1").Scan(&check); err != nil {
		return err
	}
	if check != nil && (t.s.seal == nil || !bytes.Equal(check, t.s.seal.check)) {
		return errors.New("the backup's personal data is encrypted with another key; name the right one")
	}
	if err := t.exec("UPDATE meta SET loading = NULL, base = rev, life = '' WHERE id = 1"); err != nil {
		return err
	}
	if err := t.lock(); err != nil {
		return err
	}
	was := t.at
	if err := t.newEpoch(); err != nil {
		return err
	}
	t.note("restore", "", was, map[string]string{"at": t.now.UTC().Format(time.RFC3339)})
	_, err := t.finish()
	return err
}

// loader loads a backup into an empty database.
type loader struct {
	o       *Options
	seal    *sealer
	schema  int  // of the backup
	replace bool // what is there goes
	load    func(*tx) error
}

// into loads all in one transaction; clear are the statements that empty the
// database first.
func (l *loader) into(ctx context.Context, e engine, w *sql.DB, clear []string) error {
	s := &Store{e: e, o: *l.o, w: w, r: w, seal: l.seal}
	conn, err := w.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	raw, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer raw.Rollback()
	if err := l.all(ctx, s, conn, raw, clear); err != nil {
		return s.failed(err)
	}
	return s.failed(raw.Commit())
}

// all loads under the schema of the backup, and brings that up to date then.
func (l *loader) all(ctx context.Context, s *Store, conn *sql.Conn, raw *sql.Tx, clear []string) error {
	before, after := s.e.loading()
	run := func(list []string) error {
		for _, q := range list {
			if _, err := raw.ExecContext(ctx, q); err != nil {
				return err
			}
		}
		return nil
	}
	old, err := s.migrations(0, l.schema)
	if err != nil {
		return err
	}
	if err := run(slices.Concat(clear, old, before)); err != nil {
		return err
	}
	t := &tx{Tx: raw, ctx: ctx, s: s, conn: conn}
	if err := l.load(t); err != nil {
		return err
	}
	newer, err := s.migrations(l.schema, schemaVersion())
	if err != nil {
		return err
	}
	if err := run(newer); err != nil {
		return err
	}
	return run(after)
}

// migrations are the statements from one version of the schema to another.
func (s *Store) migrations(from, to int) (list []string, err error) {
	if from == 0 {
		list = append(list, s.e.schema(versionTable))
	}
	for v := from + 1; v <= to; v++ {
		text, err := migration(v)
		if err != nil {
			return nil, err
		}
		list = append(list, s.e.schema(text))
	}
	return append(list, fmt.Sprintf("UPDATE schema_version SET version = %d WHERE id = 1", to)), nil
}

// errNotEmpty: a restore would take the place of something.
var errNotEmpty = errors.New("a registry is there already; name an empty database, or replace it")
