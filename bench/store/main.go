//go:build linux

// Command store measures the registry of record and its feed with millions of
// filings: imports into SQLite and PostgreSQL, the first snapshot, an edge's
// restart, and how long a change takes to be decided by at an edge while a thousand
// edges follow and imports run.
//
//	go run ./bench/store -filings 200000
//
// What is measured runs in processes of its own. PostgreSQL is that of Debian's
// postgresql-15, a new cluster with fsync on. README.md says what came out. Linux
// only.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/icpgate/icpgate/bench/corpus"
	"github.com/icpgate/icpgate/bench/rig"
	"github.com/icpgate/icpgate/registry/store/storetest"
)

// options are what the command line says.
type options struct {
	dir     string
	filings int
	streams int
	seconds int
	parts   []string

	profile string // directory for CPU profiles; "" makes none

	part string // of a process that is measured
	dsn  string
	url  string
}

// parts are what is measured, in their order.
var parts = []string{"sqlite", "again", "snapshot", "restart", "streams", "postgres"}

func main() {
	var o options
	flag.StringVar(&o.dir, "dir", "bin/bench-store.files", "directory for `files`, some 10 GB for five million filings")
	flag.IntVar(&o.filings, "filings", 5_000_000, "filings in the registry")
	flag.IntVar(&o.streams, "streams", 1000, "edges that follow")
	flag.IntVar(&o.seconds, "seconds", 30, "for how long changes are made, with and without an import")
	names := flag.String("parts", strings.Join(parts, ","), "what to measure")
	flag.StringVar(&o.profile, "profile", "", "`directory` for a CPU profile of each part")
	flag.StringVar(&o.part, "part", "", "what this process is measured at; the program sets it itself")
	flag.StringVar(&o.dsn, "dsn", "", "its database")
	flag.StringVar(&o.url, "url", "", "its registry service")
	flag.Parse()
	o.parts = strings.Split(*names, ",")
	if err := o.run(); err != nil {
		fmt.Fprintln(os.Stderr, "store:", err)
		os.Exit(1)
	}
}

func (o options) run() (err error) {
	if o.part != "" {
		return o.measured()
	}
	for _, name := range o.parts {
		if !slices.Contains(parts, name) {
			return fmt.Errorf("-parts: unknown %q; there are %s", name, strings.Join(parts, ", "))
		}
	}
	if o.dir, err = filepath.Abs(o.dir); err == nil {
		err = os.MkdirAll(o.dir, 0o755)
	}
	if err == nil {
		err = rig.WriteOnce(o.csv(), func(w *bufio.Writer) { corpus.WriteFilings(w, o.filings) })
	}
	if err != nil {
		return err
	}
	fmt.Println("| what | takes | CPU s | most memory, MB | bar |\n|---|---|---|---|---|")
	sqlite := filepath.Join(o.dir, "registry.db")
	for _, name := range o.parts {
		switch name {
		case "sqlite":
			err = errors.Join(removeAll(sqlite, sqlite+"-wal", sqlite+"-shm"), o.child("import", sqlite, "into SQLite", "180 s"))
		case "again":
			err = o.child("again", sqlite, "the same file again, compared, nothing changed", "60 s")
		case "snapshot":
			err = errors.Join(removeAll(filepath.Join(o.dir, "served")), o.child("snapshot", sqlite, "the first snapshot", "20 s"))
		case "restart":
			err = o.restart(sqlite)
		case "streams":
			err = o.follow(sqlite)
		case "postgres":
			err = o.postgres()
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func (o options) csv() string { return filepath.Join(o.dir, fmt.Sprintf("filings-%d.csv", o.filings)) }

func removeAll(paths ...string) (err error) {
	for _, p := range paths {
		err = errors.Join(err, os.RemoveAll(p))
	}
	return err
}

// result is what a process that is measured tells.
type result struct {
	Seconds float64
	CPU     float64
	Peak    int64 // bytes
	Note    string
}

func (r result) row(what, bar string) {
	if r.Note != "" {
		what += " (" + r.Note + ")"
	}
	fmt.Printf("| %s | %.2f s | %.1f | %d | %s |\n", what, r.Seconds, r.CPU, r.Peak>>20, bar)
}

// child runs a part in a process of its own.
func (o options) child(part, dsn, what, bar string) error {
	cmd, out, err := o.start(part, dsn)
	if err != nil {
		return err
	}
	var r result
	err = json.NewDecoder(out).Decode(&r)
	if e := cmd.Wait(); e != nil {
		return e
	}
	if err == nil {
		r.row(what, bar)
	}
	return err
}

// start starts this program for a part.
func (o options) start(part, dsn string) (*exec.Cmd, io.Reader, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	cmd := exec.Command(self, "-dir", o.dir, "-filings", fmt.Sprint(o.filings), "-streams", fmt.Sprint(o.streams), "-seconds", fmt.Sprint(o.seconds), "-profile", o.profile,
		"-part", part, "-dsn", dsn, "-url", o.url)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	return cmd, out, cmd.Start()
}

// postgres measures a new cluster.
func (o options) postgres() error {
	dir, err := os.MkdirTemp(os.TempDir(), "icpbench")
	if err != nil {
		return err
	}
	node, err := storetest.NewNode(dir, "shared_buffers=1GB", "max_wal_size=8GB", "maintenance_work_mem=256MB")
	if err != nil {
		os.RemoveAll(dir)
		return err
	}
	defer node.Stop()
	if err := node.Start(); err != nil {
		return err
	}
	if err := o.child("import", node.DSN("postgres"), "into PostgreSQL", "60 s"); err != nil {
		return err
	}
	time.Sleep(time.Second) // the server's processes end after their connections
	cpu, err := node.CPU()
	if err != nil {
		return err
	}
	fmt.Printf("| the server's part of that | | %.1f | | |\n", cpu)
	if err := o.child("again", node.DSN("postgres"), "the same file again into PostgreSQL", "60 s"); err != nil {
		return err
	}
	return errors.Join(removeAll(filepath.Join(o.dir, "served-pg")), o.child("snapshot", node.DSN("postgres"), "the first snapshot from PostgreSQL", "20 s"))
}

// restart has an edge fetch the registry, and starts it anew without a service.
func (o options) restart(dsn string) error {
	service, url, err := o.service(dsn)
	if err != nil {
		return err
	}
	if err := removeAll(filepath.Join(o.dir, "edge")); err != nil {
		return err
	}
	o.url = url
	err = errors.Join(o.child("fetch", dsn, "an edge's first start, until it decides", ""), service.end())
	if err != nil {
		return err
	}
	for range 3 {
		began := time.Now()
		cmd, out, err := o.start("restarted", "")
		if err != nil {
			return err
		}
		line, err := bufio.NewReader(out).ReadString('\n')
		took := time.Since(began)
		if e := cmd.Wait(); e != nil || err != nil {
			return errors.Join(e, err)
		}
		fmt.Printf("| an edge's restart without a service, from the start of the process to the first answer (%s) | %.3f s | | | 1 s |\n", strings.TrimSpace(line), took.Seconds())
	}
	return nil
}
