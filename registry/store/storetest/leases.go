package storetest

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// EndLeases ends the leases of all programs that have a database of PostgreSQL open, as
// the time does for those that were killed. Of SQLite there are none.
func EndLeases(t testing.TB, dsn string) {
	t.Helper()
	if !strings.Contains(dsn, "dbname=") {
		return
	}
	conn, err := pgx.Connect(context.Background(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(context.Background(), "DELETE FROM node"); err != nil {
		t.Fatal(err)
	}
}
