// Package storetest runs a PostgreSQL for tests. The tests of one process share
// it; it listens on a socket in a directory of its own, and nowhere else.
//
//	func TestMain(m *testing.M) {
//		code := m.Run()
//		storetest.Stop()
//		os.Exit(code)
//	}
//	…
//	s, err := store.Open(ctx, storetest.Database(t, ""), store.Options{})
//
// Where PostgreSQL 15 is not installed tests are skipped, or with REQUIRE_PEERS=1
// fail.
package storetest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

// User is whom tests connect as; they may do everything.
const User = "icp"

// server is the one of this process.
var server struct {
	once sync.Once
	dir  string
	err  error // why there is none
	cmd  *exec.Cmd
	log  sync.WaitGroup
	n    atomic.Int64
}

// Tool finds a program of PostgreSQL 15, as Debian lays it.
func Tool(name string) (string, error) {
	path := filepath.Join("/usr/lib/postgresql/15/bin", name)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	return exec.LookPath(name)
}

// Dir starts the server if it does not run, and returns the directory of its
// socket.
func Dir(t testing.TB) string {
	t.Helper()
	server.once.Do(func() { server.err = start() })
	switch {
	case server.err == nil:
		return server.dir
	case os.Getenv("REQUIRE_PEERS") == "1":
		t.Fatal(server.err)
	default:
		t.Skip(server.err)
	}
	return ""
}

// Database makes a database, a copy of template unless that is empty, and returns
// how to connect to it.
func Database(t testing.TB, template string) string {
	t.Helper()
	Dir(t)
	name := fmt.Sprintf("icp%d", server.n.Add(1))
	query := "CREATE DATABASE " + name
	if template != "" {
		query += " TEMPLATE " + template
	}
	if out, err := SQL("postgres", query); err != nil {
		t.Fatalf("create database: %v: %s", err, out)
	}
	return DSN(name)
}

// DSN tells how to connect to a database of the server.
func DSN(name string) string {
	return fmt.Sprintf("host=%s user=%s dbname=%s", server.dir, User, name)
}

// SQL runs a query in a database of the server.
func SQL(database, query string) (string, error) {
	path, err := Tool("psql")
	if err != nil {
		return "", err
	}
	out, err := exec.Command(path, "-h", server.dir, "-U", User, "-d", database, "-AtXc", query).CombinedOutput()
	return string(out), err
}

// Stop ends the server, if it was started.
func Stop() {
	if server.cmd == nil {
		return
	}
	_ = server.cmd.Process.Signal(syscall.SIGINT) // it may have ended by itself
	server.log.Wait()
	_ = server.cmd.Wait()
	os.RemoveAll(server.dir)
}

// start makes a cluster and starts it as a user without rights, since PostgreSQL
// refuses root. No test cuts the power, so it need not wait for a disk.
func start() error {
	initdb, err := Tool("initdb")
	if err != nil {
		return errors.New("postgresql-15 is not installed")
	}
	postgres, err := Tool("postgres")
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "icpstore")
	if err != nil {
		return err
	}
	server.dir = dir
	attr, err := Unprivileged(dir)
	if err != nil {
		return err
	}
	run := func(name string, args ...string) *exec.Cmd {
		cmd := exec.Command(name, args...)
		cmd.Dir, cmd.SysProcAttr = dir, attr
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8", "TZ=UTC"}
		return cmd
	}
	data := filepath.Join(dir, "data")
	if out, err := run(initdb, "-D", data, "-U", User, "-A", "trust", "-E", "UTF8", "--no-sync").CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	attr.Setpgid, attr.Pdeathsig = true, syscall.SIGKILL
	cmd := run(postgres, "-D", data, "-k", dir, "-c", "listen_addresses=", "-c", "max_connections=200", "-c", "fsync=off", "-c", "shared_buffers=128MB")
	log, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	server.cmd = cmd
	return ready(log)
}

// ready waits until the server says that it takes connections. Its log is read on
// until it ends, and kept in its directory.
func ready(log io.Reader) error {
	kept, err := os.Create(filepath.Join(server.dir, "log"))
	if err != nil {
		return err
	}
	said := make(chan error, 1)
	server.log.Go(func() {
		defer kept.Close()
		var all []string
		up := false
		for lines := bufio.NewScanner(log); lines.Scan(); {
			fmt.Fprintln(kept, lines.Text())
			if !up && strings.Contains(lines.Text(), "ready to accept connections") {
				up = true
				said <- nil
			}
			if !up {
				all = append(all, lines.Text())
			}
		}
		if !up {
			said <- fmt.Errorf("postgres ended: %s", strings.Join(all, "\n"))
		}
	})
	return <-said
}

// Unprivileged gives dir to a user without rights, if this process has all; a
// process with the attributes that it returns may write there.
func Unprivileged(dir string) (*syscall.SysProcAttr, error) {
	if os.Geteuid() != 0 {
		return &syscall.SysProcAttr{}, nil
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
