package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"

	sqlitelib "modernc.org/sqlite"
)

// openKeeping opens the pool that writes: its connections keep statements.
func openKeeping(name string) *sql.DB { return sql.OpenDB(keeping{name}) }

// keeping makes connections that keep statements.
type keeping struct{ name string }

// Connect implements driver.Connector.
func (k keeping) Connect(context.Context) (driver.Conn, error) {
	c, err := k.Driver().Open(k.name)
	if err != nil {
		return nil, err
	}
	own, ok := c.(sqliteConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("a connection of type %T cannot do what it has to", c), c.Close())
	}
	return &keepingConn{sqliteConn: own, kept: map[string]driver.StmtExecContext{}}, nil
}

// Driver implements driver.Connector.
func (keeping) Driver() driver.Driver { return &sqlitelib.Driver{} }

// sqliteConn is what a connection of the driver can do.
type sqliteConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.Pinger
	driver.QueryerContext
	driver.SessionResetter
	driver.Validator
}

// keepingConn is a connection with statements that are kept: to prepare one costs as
// much as to run it. Like every connection it is for one goroutine at a time.
type keepingConn struct {
	sqliteConn
	kept map[string]driver.StmtExecContext // by their text
}

// prepared returns a statement that is kept.
func (c *keepingConn) prepared(ctx context.Context, q string) (driver.StmtExecContext, error) {
	if s, ok := c.kept[q]; ok {
		return s, nil
	}
	made, err := c.PrepareContext(ctx, q)
	if err != nil {
		return nil, err
	}
	s, ok := made.(driver.StmtExecContext)
	if !ok {
		return nil, errors.Join(fmt.Errorf("a statement of type %T cannot be run", made), made.Close())
	}
	c.kept[q] = s
	return s, nil
}

// Close implements driver.Conn. SQLite keeps a connection open, with its files and
// the log, as long as one of its statements is.
func (c *keepingConn) Close() error {
	var errs []error
	for q, s := range c.kept {
		if s, ok := s.(driver.Stmt); ok {
			errs = append(errs, s.Close())
		}
		delete(c.kept, q)
	}
	return errors.Join(append(errs, c.sqliteConn.Close())...)
}
