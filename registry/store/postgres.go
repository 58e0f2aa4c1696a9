package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

// postgres keeps the registry in PostgreSQL, or in what speaks its protocol.
type postgres struct {
	dollars
	dsn  string
	real bool // it is PostgreSQL itself
}

// oldestPostgres is the oldest major version that is tested.
const oldestPostgres = 15

func (e *postgres) open(ctx context.Context, o *Options) (write, read *sql.DB, err error) {
	config, err := pgx.ParseConfig(e.dsn)
	if err != nil {
		return nil, nil, fmt.Errorf("database: %w", redacted(err))
	}
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "icp-registry"
	}
	db := stdlib.OpenDB(*config, stdlib.OptionAfterConnect(quickly))
	db.SetMaxOpenConns(o.Readers + 4)
	db.SetMaxIdleConns(o.Readers)
	if err := db.PingContext(ctx); err != nil {
		db.Close()
		return nil, nil, fmt.Errorf("database %s of %s:%d: %w", config.Database, config.Host, config.Port, err)
	}
	return db, db, nil
}

// quickly has a session compress what imports stage and the log keeps by LZ4, where
// the server has it: the default takes a tenth of the time of a first import.
func quickly(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, "SET default_toast_compression = 'lz4'")
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		return nil // it is built without, or is no PostgreSQL
	}
	return err
}

// redacted keeps the error of a DSN without the DSN, which may hold a password.
func redacted(err error) error {
	var parse *pgconn.ParseConfigError
	if errors.As(err, &parse) {
		if inner := errors.Unwrap(parse); inner != nil {
			return fmt.Errorf("the connection string cannot be read: %w", inner)
		}
		return errors.New("the connection string cannot be read; expect postgres://USER@HOST:PORT/NAME or words such as host=HOST dbname=NAME")
	}
	return err
}

func (e *postgres) check(ctx context.Context, db *sql.DB) error {
	var version, encoding string
	var number int
	if err := db.QueryRowContext(ctx, "SELECT version()").Scan(&version); err != nil {
		return err
	}
	if !strings.HasPrefix(version, "PostgreSQL") {
		return nil // it numbers its versions in its own way
	}
	e.real = !strings.Contains(version, "-YB-")
	if err := db.QueryRowContext(ctx, "SELECT current_setting('server_version_num')::int").Scan(&number); err != nil {
		return err
	}
	if number/10000 < oldestPostgres {
		return fmt.Errorf("%s; PostgreSQL %d or later is needed", version, oldestPostgres)
	}
	if err := db.QueryRowContext(ctx, "SELECT current_setting('server_encoding')").Scan(&encoding); err != nil {
		return err
	}
	if encoding != "UTF8" {
		return fmt.Errorf("the database is encoded in %s; make one with ENCODING 'UTF8'", encoding)
	}
	return nil
}

func (e *postgres) schema(ddl string) string {
	if strings.HasPrefix(ddl, onlyPostgres) && !e.real {
		return noMigration
	}
	return ddl
}

func (*postgres) packing() *packing { return nil }

func (e *postgres) byBytes() bool { return e.real }

func (*postgres) reading() *sql.TxOptions {
	return &sql.TxOptions{ReadOnly: true, Isolation: sql.LevelRepeatableRead}
}

// insert copies rows. Where they may meet others a copy cannot be, and statements
// of many rows do.
func (e *postgres) insert(ctx context.Context, c *sql.Conn, tx *sql.Tx, t *table) error {
	if t.conflict != "" || len(t.rows) < 20 {
		return e.insertMany(ctx, tx, t)
	}
	err := c.Raw(func(dc any) error {
		conn, ok := dc.(*stdlib.Conn)
		if !ok {
			return fmt.Errorf("the connection is a %T; expect one of pgx", dc)
		}
		_, err := conn.Conn().CopyFrom(ctx, pgx.Identifier{t.name}, t.columns, pgx.CopyFromRows(t.rows))
		return err
	})
	return named(t.name, err)
}

// insertMost is how many rows a statement inserts; PostgreSQL takes 65,535
// arguments.
const insertMost = 500

func (e *postgres) insertMany(ctx context.Context, tx *sql.Tx, t *table) error {
	for from := 0; from < len(t.rows); from += insertMost {
		rows := t.rows[from:min(from+insertMost, len(t.rows))]
		args := make([]any, 0, len(rows)*len(t.columns))
		for _, r := range rows {
			args = append(args, r...)
		}
		if _, err := tx.ExecContext(ctx, e.query(t.insertSQL(len(rows))), args...); err != nil {
			return named(t.name, err)
		}
	}
	return nil
}

func named(table string, err error) error {
	if err != nil {
		return fmt.Errorf("table %s: %w", table, err)
	}
	return nil
}

// makesIndexes is set for the statements that make indexes and constraints again:
// memory to sort in, and to check constraints by going through two indexes side by
// side, which takes a third of the time of a table of hashes.
var makesIndexes = []string{
	"SELECT set_config('maintenance_work_mem', '256MB', true) WHERE pg_size_bytes(current_setting('maintenance_work_mem')) < pg_size_bytes('256MB')",
	"SET LOCAL enable_hashjoin = off",
}

// loading: constraints that look at another table for every row are checked once
// for all rows instead.
func (e *postgres) loading() (before, after []string) {
	before = []string{
		"DROP INDEX IF EXISTS domain_name", "DROP INDEX IF EXISTS site_entity_number",
		"ALTER TABLE domain DROP CONSTRAINT IF EXISTS domain_site", "ALTER TABLE access DROP CONSTRAINT IF EXISTS access_site",
		"ALTER TABLE site DROP CONSTRAINT IF EXISTS site_entity",
	}
	after = []string{
		"CREATE INDEX IF NOT EXISTS domain_name ON domain (name)", "CREATE INDEX IF NOT EXISTS site_entity_number ON site (entity_number)",
		"ALTER TABLE domain DROP CONSTRAINT IF EXISTS domain_site", "ALTER TABLE domain ADD CONSTRAINT domain_site FOREIGN KEY (site_id) REFERENCES site (id)",
		"ALTER TABLE access DROP CONSTRAINT IF EXISTS access_site", "ALTER TABLE access ADD CONSTRAINT access_site FOREIGN KEY (site_id) REFERENCES site (id)",
		"ALTER TABLE site DROP CONSTRAINT IF EXISTS site_entity", "ALTER TABLE site ADD CONSTRAINT site_entity FOREIGN KEY (entity_number) REFERENCES entity (number)",
	}
	if e.real {
		after = append(slices.Clone(makesIndexes), after...)
	}
	return before, after
}

// learning: without it PostgreSQL takes nearly every entity for blacklisted and
// erased, and reads all of them for every revision of a load; it looks by itself,
// but only once a minute.
func (*postgres) learning() []string {
	return []string{"ANALYZE entity", "ANALYZE site", "ANALYZE domain", "ANALYZE access"}
}

// again: a deadlock, or what distributed SQL asks to be tried again.
func (*postgres) again(err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && (e.Code == "40001" || e.Code == "40P01")
}

func (*postgres) full(err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && e.Code == "53100"
}

func (*postgres) close() error { return nil }

func (*postgres) alone() bool { return false }

// restore loads all in one transaction, with what was there before gone in it.
func (e *postgres) restore(ctx context.Context, l *loader) error {
	w, _, err := e.open(ctx, l.o)
	if err != nil {
		return err
	}
	defer w.Close()
	if err := e.check(ctx, w); err != nil {
		return err
	}
	there, err := e.count(ctx, w, "SELECT count(*) FROM information_schema.tables WHERE table_schema = current_schema() AND table_name = 'meta'")
	if err != nil {
		return err
	}
	var clear []string
	if there > 0 {
		if !l.replace {
			return errNotEmpty
		}
		others, err := e.count(ctx, w, e.query("SELECT count(*) FROM node WHERE until >= ?"), l.o.Now().UnixMilli())
		if err != nil {
			return err
		}
		if others > 0 {
			return fmt.Errorf("%w by %d programs; end them before what they have is replaced", ErrInUse, others)
		}
		for _, name := range append([]string{"change", "node", "schema_version"}, backupTables...) {
			clear = append(clear, "DROP TABLE IF EXISTS "+name+" CASCADE")
		}
	}
	return l.into(ctx, e, w, clear)
}

func (*postgres) count(ctx context.Context, db *sql.DB, query string, args ...any) (n int, err error) {
	err = db.QueryRowContext(ctx, query, args...).Scan(&n)
	return n, err
}

// sound: PostgreSQL has no such question; it reports damage where it meets it.
func (*postgres) sound(context.Context, *sql.DB) ([]string, error) { return nil, nil }

// life is the timeline: a server that is promoted begins a new one.
func (e *postgres) life(ctx context.Context, tx *sql.Tx) (timeline string, err error) {
	if !e.real {
		return "", nil
	}
	err = tx.QueryRowContext(ctx, "SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)").Scan(&timeline)
	return timeline, err
}
