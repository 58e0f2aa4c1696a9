package store_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/icpgate/icpgate/registry/store"
	"github.com/icpgate/icpgate/registry/store/storetest"
)

func TestMain(m *testing.M) {
	if os.Getenv("ICP_STORE_CHILD") != "" {
		child()
		return
	}
	code := m.Run()
	storetest.Stop()
	os.Exit(code)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// template is a database with the schema, made once.
const template = "icptemplate"

var makeTemplate = sync.OnceValue(func() error {
	if out, err := storetest.SQL("postgres", "CREATE DATABASE "+template); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	s, err := store.Open(context.Background(), storetest.DSN(template), store.Options{})
	if err != nil {
		return err
	}
	return s.Close()
})

// postgresDSN makes a database with the schema, and skips the test where there is
// no server.
func postgresDSN(t testing.TB) string {
	t.Helper()
	storetest.Dir(t)
	if err := makeTemplate(); err != nil {
		t.Fatal(err)
	}
	return storetest.Database(t, template)
}

// emptyPostgres makes one without anything.
func emptyPostgres(t testing.TB) string { return storetest.Database(t, "") }

// engines are the databases that every test runs on.
var engines = []struct {
	name string
	dsn  func(testing.TB) string
	// empty is a database without a schema.
	empty func(testing.TB) string
}{
	{"sqlite", sqliteDSN, sqliteDSN},
	{"postgres", postgresDSN, emptyPostgres},
}

func sqliteDSN(t testing.TB) string { return filepath.Join(t.TempDir(), "registry.db") }

// onEach runs a test on every database; open opens it, again if it was closed.
func onEach(t *testing.T, test func(t *testing.T, w *world)) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			w := &world{T: t, dsn: e.dsn(t), now: time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC), key: store.NewKey()}
			w.open()
			t.Cleanup(func() { w.s.Close() })
			test(t, w)
		})
	}
}

// world is a store with a clock that the test sets.
type world struct {
	*testing.T
	dsn string
	mu  sync.Mutex
	now time.Time
	key *store.Key
	s   *store.Store

	unpublished string // an import of onFullDisk
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func (w *world) open() {
	w.Helper()
	s, err := store.Open(context.Background(), w.dsn, store.Options{Now: w.clock, Key: w.key, What: "a test"})
	if err != nil {
		w.Fatal(err)
	}
	w.s = s
}

func (w *world) reopen() {
	w.Helper()
	if err := w.s.Close(); err != nil {
		w.Fatal(err)
	}
	w.open()
}

var background = context.Background()

var staff = store.By{Who: "ann", Owner: "ann", Why: "a test"}

// holdsNot looks for texts in all that the database holds.
func (w *world) holdsNot(texts ...string) {
	w.Helper()
	var all string
	if strings.Contains(w.dsn, "dbname=") {
		path, err := storetest.Tool("pg_dump")
		if err != nil {
			w.Fatal(err)
		}
		out, err := exec.Command(path, w.dsn).Output()
		if err != nil {
			w.Fatal(err)
		}
		all = string(out)
		for _, t := range texts {
			if strings.Contains(all, fmt.Sprintf("%x", t)) {
				w.Errorf("the database holds %q in bytes", t)
			}
		}
	} else {
		for _, name := range []string{w.dsn, w.dsn + "-wal"} {
			b, err := os.ReadFile(name)
			if err != nil && !os.IsNotExist(err) {
				w.Fatal(err)
			}
			all += string(b)
		}
	}
	if len(all) < 10_000 {
		w.Fatalf("only %d bytes of the database were looked at", len(all))
	}
	for _, t := range texts {
		if strings.Contains(all, t) {
			w.Errorf("the database holds %q", t)
		}
	}
}
