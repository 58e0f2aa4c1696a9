//go:build linux || darwin || freebsd

package edge_test

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/icpgate/icpgate/registry/edge"
)

func fifo(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestPipes: a pipe in the place of a file is refused, and not waited for.
func TestPipes(t *testing.T) {
	pipe := fifo(t)
	good := filepath.Join(t.TempDir(), "r.snap")
	snapshot(t, good, 1, "a.test")
	for option, cfg := range map[string]edge.Config{
		"registry": {Registry: pipe},
		"networks": {Registry: good, Networks: pipe},
		"mainland": {Registry: good, Mainland: pipe},
		"suffixes": {Registry: good, Suffixes: pipe},
		"bindings": {Registry: good, Bindings: pipe},
		"profiles": {Registry: good, Profiles: pipe},
		"exempt":   {Registry: good, ExemptFiles: []edge.ExemptFile{{Path: pipe}}},
		"log":      {Registry: good, Log: edge.Log{On: true, File: pipe, Sample: 1}},
	} {
		t.Run(option, func(t *testing.T) {
			e, err := edge.Open(cfg)
			if err == nil {
				e.Close()
				t.Fatal("got no error")
			}
			if !strings.Contains(err.Error(), pipe) {
				t.Errorf("got error %q; want one that names %s", err, pipe)
			}
			if option == "log" {
				return
			}
			block := "icp {\n" + option + " " + pipe + "\n}"
			if option != "registry" {
				block = "icp {\nregistry " + good + "\n" + option + " " + pipe + "\n}"
			}
			if _, err := parseIn("", block); err == nil || !strings.Contains(err.Error(), pipe) {
				t.Errorf("the block is read with error %v; want one that names %s", err, pipe)
			}
		})
	}
}

// TestPipeMovedIn: a pipe that takes the place of a file while it is watched
// leaves in force what was.
func TestPipeMovedIn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.snap")
	snapshot(t, path, 1, "a.test")
	tell := make(told, 1)
	e := open(t, edge.Config{Registry: path, Observer: tell})
	if err := os.Rename(fifo(t), path); err != nil {
		t.Fatal(err)
	}
	e.Refresh()
	if r := next(t, tell); r.Err == nil || !strings.Contains(r.Err.Error(), path) || !filed(e, "a.test") {
		t.Errorf("got error %v, filed %t; want one that names the file, and the old registry", r.Err, filed(e, "a.test"))
	}
}

// TestLogToPipe: a pipe with a reader takes the log; when the reader has gone,
// lines are lost and counted.
func TestLogToPipe(t *testing.T) {
	pipe := fifo(t)
	r, err := os.OpenFile(pipe, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	e := logging(t, newClock(), edge.Log{On: true, File: pipe, Sample: 1})
	e.Blocked(blocked("a.example", ""))
	b := make([]byte, 1000)
	n, err := r.Read(b)
	if err != nil || !strings.Contains(string(b[:n]), "a.example") {
		t.Errorf("got %q, %v; want a line", b[:n], err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	before := edge.Dropped(edge.DropWrite)
	e.Blocked(blocked("b.example", ""))
	e.Close()
	if n := edge.Dropped(edge.DropWrite) - before; n != 1 {
		t.Errorf("got %d lines lost; want 1", n)
	}
}

// TestLogTorn: a write that ends within a line, as on a full disk, spoils that line
// alone; and what is missing is told, however often telling it failed.
func TestLogTorn(t *testing.T) {
	pipe := fifo(t)
	reader := func() *os.File {
		r, err := os.OpenFile(pipe, os.O_RDONLY|syscall.O_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	r := reader()
	e := logging(t, newClock(), edge.Log{On: true, File: pipe, Sample: 1})
	before := edge.Dropped(edge.DropWrite)
	const many = 800 // more than a pipe holds
	for range many {
		e.Blocked(blocked("a.example", ""))
	}
	text := make([]byte, 100_000)
	if _, err := io.ReadFull(r, text); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil { // within a line
		t.Fatal(err)
	}
	gone := func() int { return int(edge.Dropped(edge.DropWrite) - before) }
	for range 3 { // each would have told of those before
		n := gone()
		e.Blocked(blocked("b.example", ""))
		until(t, "more to be lost", func() bool { return gone() > n })
	}
	r = reader()
	e.Blocked(blocked("c.example", ""))
	e.Close()
	rest, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	whole, spoilt, told := 0, 0, 0
	for l := range bytes.Lines(append(text, rest...)) {
		var line map[string]any
		if json.Unmarshal(l, &line) != nil {
			spoilt++
			continue
		}
		whole++
		n, _ := line["suppressed"].(float64)
		told += int(n)
	}
	if whole+gone() != many+4 || spoilt > 1 || told != gone() {
		t.Errorf("got %d whole and %d spoilt lines, %d lost and %d told of; want %d in all, and all that are lost told of", whole, spoilt, gone(), told, many+4)
	}
}
