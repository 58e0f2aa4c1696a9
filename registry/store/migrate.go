package store

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"strconv"
)

// migrations are numbered from 1 and only go forward. They are written in
// PostgreSQL's types; the engine rewrites them, or leaves one out that begins with
// onlyPostgres. A released one never changes.
//
//go:embed migrations/*.sql
var migrations embed.FS

// schemaVersion is the newest version.
func schemaVersion() int {
	names, _ := fs.Glob(migrations, "migrations/*.sql") // the pattern is right
	return len(names)
}

// onlyPostgres begins a migration that other databases need not make.
const onlyPostgres = "-- PostgreSQL only:"

// noMigration does nothing.
const noMigration = "SELECT 1"

func migration(version int) (string, error) {
	b, err := migrations.ReadFile(fmt.Sprintf("migrations/%04d.sql", version))
	return string(b), err
}

// versionTable is where the version of the schema stands.
const versionTable = `CREATE TABLE IF NOT EXISTS schema_version (
	id      SMALLINT PRIMARY KEY CHECK (id = 1),
	version BIGINT NOT NULL
);
INSERT INTO schema_version (id, version) VALUES (1, 0) ON CONFLICT (id) DO NOTHING;`

// migrate brings the schema to the newest version, each step in a transaction of
// its own. Programs that start together wait for each other at the table of
// versions.
func (s *Store) migrate(ctx context.Context) error {
	_, err := s.w.ExecContext(ctx, s.e.schema(versionTable))
	if err != nil {
		// Two that make one table at once meet in the catalogue.
		if _, again := s.version(ctx, s.w); again != nil {
			return fmt.Errorf("schema: %w", err)
		}
	}
	return s.migrateTo(ctx, schemaVersion())
}

func (s *Store) migrateTo(ctx context.Context, newest int) error {
	for {
		done, err := s.step(ctx, newest)
		if err != nil {
			return fmt.Errorf("schema: %w", s.failed(err))
		}
		if done {
			return nil
		}
	}
}

// step makes the next migration; done if there is none.
func (s *Store) step(ctx context.Context, newest int) (done bool, err error) {
	tx, err := s.w.BeginTx(ctx, nil)
	if err != nil {
		return false, err
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(ctx, "UPDATE schema_version SET version = version WHERE id = 1"); err != nil {
		return false, err
	}
	at, err := s.version(ctx, tx)
	switch {
	case err != nil:
		return false, err
	case at > newest:
		return false, fmt.Errorf("version %d was made by a newer program; this one knows %d: update it", at, newest)
	case at == newest:
		return true, nil
	}
	ddl, err := migration(at + 1)
	if err != nil {
		return false, err
	}
	if _, err := tx.ExecContext(ctx, s.e.schema(ddl)); err != nil {
		return false, fmt.Errorf("migration %d: %w", at+1, err)
	}
	if _, err := tx.ExecContext(ctx, "UPDATE schema_version SET version = "+strconv.Itoa(at+1)+" WHERE id = 1"); err != nil {
		return false, err
	}
	return false, tx.Commit()
}

type querier interface {
	QueryRowContext(context.Context, string, ...any) *sql.Row
	QueryContext(context.Context, string, ...any) (*sql.Rows, error)
}

func (s *Store) version(ctx context.Context, q querier) (n int, err error) {
	err = q.QueryRowContext(ctx, "SELECT version FROM schema_version WHERE id = 1").Scan(&n)
	return n, err
}
