package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// engine is what differs between the databases: how they are opened, a few words
// of their SQL, and the way in for many rows at once.
type engine interface {
	// open returns the pool that writes and the one that reads; they may be one.
	open(ctx context.Context, o *Options) (write, read *sql.DB, err error)
	// check refuses a server or library that is too old.
	check(ctx context.Context, db *sql.DB) error
	// query rewrites a query with "?" for its arguments.
	query(q string) string
	// schema rewrites a migration.
	schema(ddl string) string
	// reading are the options of a transaction that sees one state.
	reading() *sql.TxOptions
	// insert adds rows to a table.
	insert(ctx context.Context, c *sql.Conn, tx *sql.Tx, t *table) error
	// rowMaker makes a place for new rows of a table; insertMade inserts what is in
	// it. The first may be called by any goroutine.
	rowMaker(name string, columns []string) rowMaker
	insertMade(ctx context.Context, c *sql.Conn, tx *sql.Tx, m rowMaker) error
	// packing are queries that read many rows as one; nil where that is no faster.
	packing() *packing
	// loading are the statements before and after a load of very many rows.
	loading() (before, after []string)
	// learning are the statements that tell the database what tables hold, for it to
	// choose by; none where it does without.
	learning() []string
	// byBytes reports whether keys are ordered byte by byte.
	byBytes() bool
	// again reports whether a transaction failed only because of another one.
	again(error) bool
	// full reports whether the disk is.
	full(error) bool
	// sound asks the database whether its file is, and returns what is wrong.
	sound(ctx context.Context, db *sql.DB) ([]string, error)
	// restore loads a backup in place of an empty database.
	restore(ctx context.Context, l *loader) error
	// life tells one run of a server as a primary from the next; empty where there
	// are none.
	life(ctx context.Context, tx *sql.Tx) (string, error)
	// alone reports whether no other program can write while this one is open.
	alone() bool
	close() error
}

// engineOf finds the database that a DSN names.
func engineOf(dsn string) (engine, error) {
	scheme, _, _ := strings.Cut(dsn, ":")
	switch {
	case dsn == "":
		return nil, errors.New(`no database; name a file, or a PostgreSQL database as "postgres://USER@HOST/NAME"`)
	case scheme == "postgres", scheme == "postgresql", strings.Contains(dsn, "dbname="), strings.Contains(dsn, "host="):
		return &postgres{dsn: dsn}, nil
	case scheme == "mysql", scheme == "sqlserver", scheme == "oracle", scheme == "mongodb":
		return nil, fmt.Errorf("database %q: only SQLite files and PostgreSQL are known", scheme)
	}
	path := strings.TrimPrefix(strings.TrimPrefix(dsn, "sqlite:"), "file:")
	if path == "" || path == ":memory:" {
		return nil, fmt.Errorf("database %q: name a file; a registry in memory would be lost", dsn)
	}
	return &sqlite{path: path}, nil
}

// dollars rewrites "?" to "$1", "$2" …; no query has a "?" that is no argument.
// Queries are few and are kept.
type dollars struct{ known sync.Map }

func (d *dollars) query(q string) string {
	if s, ok := d.known.Load(q); ok {
		return s.(string)
	}
	var b strings.Builder
	n := 0
	for i := range len(q) {
		if q[i] != '?' {
			b.WriteByte(q[i])
			continue
		}
		n++
		b.WriteByte('$')
		b.WriteString(strconv.Itoa(n))
	}
	s := b.String()
	d.known.Store(q, s)
	return s
}

// table are rows for one table.
type table struct {
	name    string
	columns []string
	// conflict is what follows the values of an insert, for example "ON CONFLICT
	// (number) DO NOTHING"; empty where every row is new.
	conflict string
	rows     [][]any
}

// values returns "(?,?),(?,?)" for n rows of so many columns.
func values(columns, n int) string {
	one := "(" + strings.Repeat("?,", columns-1) + "?)"
	return strings.Repeat(one+",", n-1) + one
}

// insertSQL is the statement for n rows of t.
func (t *table) insertSQL(n int) string {
	return "INSERT INTO " + t.name + " (" + strings.Join(t.columns, ",") + ") VALUES " + values(len(t.columns), n) + " " + t.conflict
}
