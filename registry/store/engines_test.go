package store_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/icpgate/icpgate/registry/store"
)

// server is the PostgreSQL that the tests of this process share. It listens on a
// socket in a directory of its own, and nowhere else.
var server struct {
	once sync.Once
	dir  string
	why  string // why there is none
	stop func()
	n    int
	mu   sync.Mutex
}

func TestMain(m *testing.M) {
	if os.Getenv("ICP_STORE_CHILD") != "" {
		child()
		return
	}
	code := m.Run()
	if server.stop != nil {
		server.stop()
	}
	os.Exit(code)
}

// tool finds a program of PostgreSQL 15, as Debian lays it.
func tool(name string) (string, error) {
	if path := filepath.Join("/usr/lib/postgresql/15/bin", name); exists(path) {
		return path, nil
	}
	return exec.LookPath(name)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// startServer makes a cluster and starts it as a user without rights, since
// PostgreSQL refuses root. No test cuts the power, so it need not wait for a disk.
func startServer() {
	initdb, err := tool("initdb")
	if err != nil {
		server.why = "postgresql-15 is not installed"
		return
	}
	postgres, _ := tool("postgres")
	dir, err := os.MkdirTemp("", "icpstore")
	if err != nil {
		server.why = err.Error()
		return
	}
	attr, err := unprivileged(dir)
	if err != nil {
		server.why = err.Error()
		return
	}
	run := func(name string, args ...string) *exec.Cmd {
		cmd := exec.Command(name, args...)
		cmd.Dir, cmd.SysProcAttr = dir, attr
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8", "TZ=UTC"}
		return cmd
	}
	data := filepath.Join(dir, "data")
	if out, err := run(initdb, "-D", data, "-U", "icp", "-A", "trust", "-E", "UTF8", "--no-sync").CombinedOutput(); err != nil {
		server.why = fmt.Sprintf("initdb: %v\n%s", err, out)
		return
	}
	cmd := run(postgres, "-D", data, "-k", dir, "-c", "listen_addresses=", "-c", "max_connections=200", "-c", "fsync=off", "-c", "shared_buffers=128MB")
	if attr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		server.why = err.Error()
		return
	}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		server.why = err.Error()
		return
	}
	server.dir = dir
	server.stop = func() {
		cmd.Process.Signal(syscall.SIGINT)
		cmd.Wait()
		log.Close()
		os.RemoveAll(dir)
	}
	for range 300 {
		if out, err := psql("postgres", "CREATE DATABASE icptemplate"); err == nil {
			break
		} else if server.why = out; cmd.Process.Signal(syscall.Signal(0)) != nil {
			return
		}
		time.Sleep(50 * time.Millisecond) // it is starting
	}
	s, err := store.Open(context.Background(), fmt.Sprintf("host=%s user=icp dbname=icptemplate", dir), store.Options{})
	if err != nil {
		server.why = err.Error()
		return
	}
	s.Close()
	server.why = ""
}

// unprivileged gives dir to a user without rights, if this process has all.
func unprivileged(dir string) (*syscall.SysProcAttr, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		if u, err = user.Lookup("nobody"); err != nil {
			return nil, err
		}
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	if err := os.Chown(dir, uid, gid); err != nil {
		return nil, err
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, nil
}

func psql(db, query string) (string, error) {
	path, err := tool("psql")
	if err != nil {
		return "", err
	}
	out, err := exec.Command(path, "-h", server.dir, "-U", "icp", "-d", db, "-AtXc", query).CombinedOutput()
	return string(out), err
}

// postgresDSN makes a database with the schema, and skips the test where there is
// no server.
func postgresDSN(t testing.TB) string { return database(t, "TEMPLATE icptemplate") }

// emptyPostgres makes one without anything.
func emptyPostgres(t testing.TB) string { return database(t, "") }

func database(t testing.TB, like string) string {
	t.Helper()
	server.once.Do(startServer)
	if server.why != "" {
		if os.Getenv("REQUIRE_PEERS") == "1" {
			t.Fatal(server.why)
		}
		t.Skip(server.why)
	}
	server.mu.Lock()
	server.n++
	name := fmt.Sprintf("icp%d", server.n)
	server.mu.Unlock()
	if out, err := psql("postgres", "CREATE DATABASE "+name+" "+like); err != nil {
		t.Fatalf("create database: %v: %s", err, out)
	}
	return fmt.Sprintf("host=%s user=icp dbname=%s", server.dir, name)
}

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
		path, err := tool("pg_dump")
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
