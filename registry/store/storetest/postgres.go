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
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
)

// User is whom tests connect as; they may do everything.
const User = "icp"

// server is the one of this process.
var server struct {
	once sync.Once
	node *Node
	err  error // why there is none
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
		return server.node.Dir
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
	return server.node.DSN(name)
}

// SQL runs a query in a database of the server.
func SQL(database, query string) (string, error) {
	return server.node.SQL(database, query)
}

// Stop ends the server, if it was started.
func Stop() {
	if server.node != nil {
		server.node.Stop()
	}
}

// start makes a cluster and starts it. No test of one server cuts the power, so it
// need not wait for a disk.
func start() error {
	dir, err := os.MkdirTemp("", "icpstore")
	if err != nil {
		return err
	}
	n, err := NewNode(dir, "fsync=off", "max_connections=200", "shared_buffers=128MB")
	if err == nil {
		err = n.Start()
	}
	if err != nil {
		os.RemoveAll(dir)
		return err
	}
	server.node = n
	return nil
}
