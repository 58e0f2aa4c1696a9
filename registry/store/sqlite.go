package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	sqlitelib "modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"github.com/icpgate/icpgate/registry/disk"
)

// sqlite keeps the registry in one file, written by one connection.
type sqlite struct {
	path string
	lock *os.File
}

// oldestSQLite is the first version without the loss of data when a write and a
// checkpoint of two connections meet (WAL reset, 3.7.0 to 3.51.2).
const oldestSQLite = "3.51.3"

// Pragmas of both pools. FULL makes a commit wait for the disk. Rows are found by
// checked pages: a memory-mapped file could not report an error of the disk.
const pragmas = "_pragma=busy_timeout(10000)&_pragma=foreign_keys(1)&_pragma=synchronous(FULL)&_pragma=mmap_size(0)&_pragma=temp_store(2)"

func (e *sqlite) open(ctx context.Context, o *Options) (write, read *sql.DB, err error) {
	if e.lock, err = lockFile(e.path + ".lock"); err != nil {
		return nil, nil, err
	}
	if err := e.create(); err != nil {
		return nil, nil, err
	}
	name := e.uri() + "?" + pragmas
	write = openKeeping(name + "&_txlock=immediate&_pragma=journal_mode(WAL)&_pragma=journal_size_limit(67108864)&_pragma=cache_size(-65536)")
	write.SetMaxOpenConns(1)
	if err := write.PingContext(ctx); err != nil {
		write.Close()
		return nil, nil, fmt.Errorf("%s: %w", e.path, err)
	}
	// What is read often stands in the kernel's cache, too; each reader's own is kept
	// for good.
	read, err = sql.Open("sqlite", name+"&_pragma=query_only(1)&_pragma=cache_size(-4096)")
	if err != nil {
		write.Close()
		return nil, nil, err
	}
	read.SetMaxOpenConns(o.Readers)
	read.SetMaxIdleConns(o.Readers)
	return write, read, nil
}

// uri names the file to SQLite, whatever stands in its path.
func (e *sqlite) uri() string {
	return "file:" + (&url.URL{Path: filepath.ToSlash(e.path)}).EscapedPath()
}

// create makes the file before SQLite does, which would let everybody read it.
func (e *sqlite) create() error {
	f, err := os.OpenFile(e.path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

func (e *sqlite) check(ctx context.Context, db *sql.DB) error {
	var version, mode string
	var sync int
	if err := db.QueryRowContext(ctx, "SELECT sqlite_version()").Scan(&version); err != nil {
		return err
	}
	if olderThan(version, oldestSQLite) {
		return fmt.Errorf("SQLite %s may lose data; %s or later is needed", version, oldestSQLite)
	}
	if err := db.QueryRowContext(ctx, "PRAGMA journal_mode").Scan(&mode); err != nil {
		return err
	}
	if err := db.QueryRowContext(ctx, "PRAGMA synchronous").Scan(&sync); err != nil {
		return err
	}
	if mode != "wal" || sync != 2 {
		return fmt.Errorf("%s: journal mode %q and synchronous %d; a write-ahead log and full synchronisation are needed: is the file on a local disk?", e.path, mode, sync)
	}
	return nil
}

// olderThan compares versions of three numbers.
func olderThan(version, least string) bool {
	v, l := strings.Split(version, "."), strings.Split(least, ".")
	for i := range l {
		a := 0
		if i < len(v) {
			a, _ = strconv.Atoi(v[i])
		}
		if b, _ := strconv.Atoi(l[i]); a != b {
			return a < b
		}
	}
	return false
}

func (*sqlite) query(q string) string { return q }

// schema turns PostgreSQL's types into SQLite's and makes tables strict.
func (*sqlite) schema(ddl string) string {
	if strings.HasPrefix(ddl, onlyPostgres) {
		return noMigration
	}
	return strings.NewReplacer(
		"BIGINT", "INTEGER", "SMALLINT", "INTEGER", "BYTEA", "BLOB",
		"\n); -- by key", "\n) STRICT, WITHOUT ROWID;", "\n);", "\n) STRICT;",
	).Replace(ddl)
}

func (*sqlite) reading() *sql.TxOptions { return &sql.TxOptions{ReadOnly: true} }

// insertRows is how many rows a statement inserts: more are not faster, and each
// argument takes memory.
const insertRows = 50

func (e *sqlite) insert(ctx context.Context, c *sql.Conn, tx *sql.Tx, t *table) error {
	return e.insertFlat(ctx, c, tx, t, slices.Concat(t.rows...))
}

// insertFlat inserts rows whose values follow each other.
func (e *sqlite) insertFlat(ctx context.Context, c *sql.Conn, tx *sql.Tx, t *table, all []any) error {
	atOnce := insertRows * len(t.columns)
	whole := len(all) / atOnce * atOnce
	if whole > 0 {
		err := c.Raw(func(dc any) error { return e.insertWhole(ctx, dc, t, all[:whole]) })
		if err != nil {
			return fmt.Errorf("table %s: %w", t.name, err)
		}
	}
	rest := all[whole:]
	if len(rest) == 0 {
		return nil
	}
	if _, err := tx.ExecContext(ctx, t.insertSQL(len(rest)/len(t.columns)), rest...); err != nil {
		return fmt.Errorf("table %s: %w", t.name, err)
	}
	return nil
}

// insertWhole inserts as many rows as whole statements take, by statements of the
// connection that are kept.
func (e *sqlite) insertWhole(ctx context.Context, dc any, t *table, all []any) error {
	conn, ok := dc.(*keepingConn)
	if !ok {
		return fmt.Errorf("the connection is a %T; expect one that keeps statements", dc)
	}
	stmt, err := conn.prepared(ctx, t.insertSQL(insertRows))
	if err != nil {
		return err
	}
	args := make([]driver.NamedValue, insertRows*len(t.columns))
	for i := range args {
		args[i].Ordinal = i + 1
	}
	for len(all) > 0 {
		for i := range args {
			args[i].Value = all[i]
		}
		if _, err := stmt.ExecContext(ctx, args); err != nil {
			return err
		}
		all = all[len(args):]
	}
	return nil
}

// loading: an index that grows at random places writes each of its pages many
// times; one that is made of all rows writes them once.
func (*sqlite) loading() (before, after []string) {
	return []string{"DROP INDEX IF EXISTS domain_name", "DROP INDEX IF EXISTS site_entity_number"},
		[]string{"CREATE INDEX IF NOT EXISTS domain_name ON domain (name)", "CREATE INDEX IF NOT EXISTS site_entity_number ON site (entity_number)"}
}

func (*sqlite) packing() *packing { return sqlitePacking }

func (*sqlite) byBytes() bool { return true }

func (*sqlite) again(error) bool { return false }

func (*sqlite) full(err error) bool {
	var e *sqlitelib.Error
	return errors.As(err, &e) && e.Code()&0xff == lib.SQLITE_FULL
}

func (e *sqlite) close() error {
	if e.lock == nil {
		return nil
	}
	return e.lock.Close()
}

func (*sqlite) alone() bool { return true }

// restore makes the new file beside the old one and puts it in its place when it
// is whole.
func (e *sqlite) restore(ctx context.Context, l *loader) (err error) {
	if e.lock, err = lockFile(e.path + ".lock"); err != nil {
		return err
	}
	defer e.close()
	if info, err := os.Stat(e.path); err == nil && info.Size() > 0 {
		if !l.replace {
			return fmt.Errorf("%s: %w", e.path, errNotEmpty)
		}
		if err := e.settle(ctx); err != nil {
			return err
		}
	}
	made := &sqlite{path: e.path + ".restored"}
	defer made.remove()
	made.remove()
	if err := made.fill(ctx, l); err != nil {
		return err
	}
	return disk.Rename(made.path, e.path)
}

// settle writes what stands in the log of an old file into it, so that the log of
// one file is never read with another.
func (e *sqlite) settle(ctx context.Context) error {
	db, err := sql.Open("sqlite", e.uri()+"?"+pragmas)
	if err != nil {
		return err
	}
	defer db.Close()
	if _, err := db.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
		return fmt.Errorf("%s, which is to be replaced: %w", e.path, err)
	}
	_, err = db.ExecContext(ctx, "PRAGMA journal_mode = DELETE")
	return err
}

// fill makes a file of a backup, with nothing left in its log.
func (e *sqlite) fill(ctx context.Context, l *loader) error {
	if err := e.create(); err != nil {
		return err
	}
	db := openKeeping(e.uri() + "?" + pragmas + "&_txlock=immediate&_pragma=journal_mode(WAL)")
	defer db.Close()
	db.SetMaxOpenConns(1)
	if err := l.into(ctx, e, db, nil); err != nil {
		return err
	}
	var found string
	if err := db.QueryRowContext(ctx, "PRAGMA quick_check").Scan(&found); err != nil || found != "ok" {
		return fmt.Errorf("what was restored is not sound: %s (%w)", found, err)
	}
	if _, err := db.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
		return err
	}
	return db.Close()
}

func (e *sqlite) remove() {
	for _, suffix := range []string{"", "-wal", "-shm"} {
		os.Remove(e.path + suffix)
	}
}

func (*sqlite) sound(ctx context.Context, db *sql.DB) (wrong []string, err error) {
	rows, err := db.QueryContext(ctx, "PRAGMA quick_check(20)")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			return wrong, err
		}
		if line != "ok" {
			wrong = append(wrong, line)
		}
	}
	return wrong, rows.Err()
}

func (*sqlite) learning() []string { return nil }

func (*sqlite) life(context.Context, *sql.Tx) (string, error) { return "", nil }

// flatRows are rows for statements that insert many.
type flatRows struct {
	t      table // without rows
	values []any
}

func (*sqlite) rowMaker(name string, columns []string) rowMaker {
	return &flatRows{t: table{name: name, columns: columns}}
}

func (r *flatRows) reset() {
	clear(r.values)
	r.values = r.values[:0]
}

func (*flatRows) row()            {}
func (r *flatRows) big(v int64)   { r.values = append(r.values, v) }
func (r *flatRows) small(v int64) { r.values = append(r.values, v) }
func (r *flatRows) text(s string) { r.values = append(r.values, s) }
func (r *flatRows) null()         { r.values = append(r.values, nil) }

func (r *flatRows) bytes(b []byte) {
	if b == nil {
		r.null()
		return
	}
	r.values = append(r.values, slices.Clone(b))
}

func (e *sqlite) insertMade(ctx context.Context, c *sql.Conn, tx *sql.Tx, m rowMaker) error {
	r, ok := m.(*flatRows)
	if !ok {
		return fmt.Errorf("rows of type %T; expect those of SQLite", m)
	}
	return e.insertFlat(ctx, c, tx, &r.t, r.values)
}
