package store

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"io"
	"strings"

	"github.com/jackc/pgx/v5/stdlib"
)

// copyRows are rows as PostgreSQL's COPY reads them in its binary format: the
// columns have the types of the schema to the byte.
type copyRows struct {
	table   string
	columns []string
	b       []byte
	n       int
}

// copyHead is the signature, without flags and without an extension.
const copyHead = "PGCOPY\n\xff\r\n\x00" + "\x00\x00\x00\x00" + "\x00\x00\x00\x00"

// copyTail ends the rows.
const copyTail = "\xff\xff"

func (*postgres) rowMaker(name string, columns []string) rowMaker {
	return &copyRows{table: name, columns: columns, b: []byte(copyHead)}
}

func (c *copyRows) reset() { c.b, c.n = c.b[:len(copyHead)], 0 }

func (c *copyRows) row() {
	c.n++
	c.b = binary.BigEndian.AppendUint16(c.b, uint16(len(c.columns)))
}

func (c *copyRows) size(n int) { c.b = binary.BigEndian.AppendUint32(c.b, uint32(n)) }

func (c *copyRows) big(v int64)   { c.size(8); c.b = binary.BigEndian.AppendUint64(c.b, uint64(v)) }
func (c *copyRows) small(v int64) { c.size(2); c.b = binary.BigEndian.AppendUint16(c.b, uint16(v)) }
func (c *copyRows) text(s string) { c.size(len(s)); c.b = append(c.b, s...) }
func (c *copyRows) null()         { c.size(-1) }

func (c *copyRows) bytes(b []byte) {
	if b == nil {
		c.null()
		return
	}
	c.size(len(b))
	c.b = append(c.b, b...)
}

func (e *postgres) insertMade(ctx context.Context, conn *sql.Conn, _ *sql.Tx, m rowMaker) error {
	c, ok := m.(*copyRows)
	if !ok {
		return fmt.Errorf("rows of type %T; expect those of PostgreSQL", m)
	}
	if c.n == 0 {
		return nil
	}
	err := conn.Raw(func(dc any) error {
		conn, ok := dc.(*stdlib.Conn)
		if !ok {
			return fmt.Errorf("the connection is a %T; expect one of pgx", dc)
		}
		_, err := conn.Conn().PgConn().CopyFrom(ctx, io.MultiReader(bytes.NewReader(c.b), strings.NewReader(copyTail)), "COPY "+c.table+" ("+strings.Join(c.columns, ",")+") FROM STDIN BINARY")
		return err
	})
	return named(c.table, err)
}
