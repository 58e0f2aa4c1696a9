package store_test

import (
	"database/sql"
	"strings"
	"testing"

	"github.com/icpgate/icpgate/registry/store"
)

// TestMigrations opens databases of every version that there was, with something in
// them where there is a dump of it, and one of a version to come.
func TestMigrations(t *testing.T) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			for v := range store.SchemaVersion + 1 {
				dsn := e.empty(t)
				if err := store.MigrateTo(dsn, v); err != nil {
					t.Fatalf("version %d: %v", v, err)
				}
				w := &world{T: t, dsn: dsn, now: day(2026, 3, 1), key: store.NewKey()}
				w.open()
				w.fill()
				w.reopen()
				if wrong, err := w.s.Check(background); err != nil || len(wrong) > 0 {
					t.Errorf("version %d: %q, %v", v, wrong, err)
				}
				w.s.Close()
			}
		})
	}
}

func TestNewerSchema(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		w.s.Close()
		defer w.open()
		driver := "sqlite"
		if strings.Contains(w.dsn, "dbname=") {
			driver = "pgx"
		}
		db, err := sql.Open(driver, w.dsn)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		set := func(by string) {
			if _, err := db.Exec("UPDATE schema_version SET version = version + " + by); err != nil {
				t.Fatal(err)
			}
		}
		set("1")
		if s, err := store.Open(background, w.dsn, store.Options{Key: w.key}); err == nil || !strings.Contains(err.Error(), "newer program") {
			t.Errorf("got %v; want an error that tells of a newer program", err)
			if err == nil {
				s.Close()
			}
		}
		set("-1")
	})
}
