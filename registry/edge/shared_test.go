package edge_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/edge"
	"github.com/icpgate/icpgate/registry/index"
)

// snapshot writes a registry with normal filings of the names.
func snapshot(t testing.TB, path string, rev uint64, names ...string) {
	t.Helper()
	b := index.NewBuilder(index.Options{
		Revision: registry.Revision{Epoch: registry.Epoch{Made: 1}, Rev: rev}, MadeAt: time.Unix(1_700_000_000, 0),
	})
	for _, n := range names {
		f := registry.Filing{Site: registry.Site{Domains: []registry.Domain{registry.MustParseDomain(n)}}}
		if err := b.Add(f); err != nil {
			t.Fatal(err)
		}
	}
	x, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	if err := index.WriteFile(path, x); err != nil {
		t.Fatal(err)
	}
}

// open opens an Edge for the time of the test. Unless that says so, files are looked
// at with Refresh alone.
func open(t testing.TB, cfg edge.Config) *edge.Edge {
	t.Helper()
	if cfg.Poll == 0 {
		cfg.Poll = time.Hour
	}
	e, err := edge.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

// told is an Observer that hands on what it is told.
type told chan edge.Reload

func (c told) Reloaded(r edge.Reload) { c <- r }
func (c told) Aged(string)            {}

// filed reports whether the registry of e has a filing for a name.
func filed(e *edge.Edge, name string) bool {
	return len(e.Coverage(registry.MustParseDomain(name)).Filings) > 0
}

func TestOpenFollowsTheRegistry(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.snap")
	snapshot(t, path, 1, "a.test")
	tell := make(told, 10)
	e := open(t, edge.Config{Registry: path, Observer: tell})
	if !filed(e, "www.a.test") || filed(e, "b.test") {
		t.Fatal("the first snapshot is not in force")
	}

	snapshot(t, path, 2, "b.test")
	e.Refresh()
	if r := <-tell; r.Err != nil || r.Data != "registry" || r.Files[0] != path {
		t.Errorf("got reload %+v; want the registry's, without error", r)
	}
	if filed(e, "a.test") || !filed(e, "b.test") {
		t.Error("the second snapshot is not in force")
	}

	write(t, path, "no snapshot")
	e.Refresh()
	if r := <-tell; r.Err == nil || !strings.Contains(r.Err.Error(), path) {
		t.Errorf("got reload %+v; want an error that names the file", r)
	}
	if !filed(e, "b.test") || !e.Ready() {
		t.Error("a bad file has displaced the registry")
	}
	e.Refresh()
	if len(tell) != 0 {
		t.Errorf("the same bad file was told of twice: %+v", <-tell)
	}

	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	e.Refresh()
	if r := <-tell; r.Err == nil {
		t.Error("a removed file was not told of")
	}
	snapshot(t, path, 3, "c.test")
	e.Refresh()
	if r := <-tell; r.Err != nil || !filed(e, "c.test") {
		t.Errorf("got %+v; want the file that came back in force", r)
	}
}

// TestReloadWarns: what in new data has no effect is told with them, as at setup.
func TestReloadWarns(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mainland.txt")
	write(t, path, "192.0.2.0/24\n")
	tell := make(told, 10)
	reg := filepath.Join(t.TempDir(), "r.snap")
	snapshot(t, reg, 1, "a.test")
	e := open(t, edge.Config{Registry: reg, Mainland: path, Observer: tell})
	write(t, path, "192.0.2.0/24\n10.0.0.0/8\n")
	e.Refresh()
	r := <-tell
	if r.Err != nil || len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "10.0.0.0/8") {
		t.Errorf("got %+v; want a warning that names the private prefix", r)
	}
	if w := e.Warnings(); !slices.Equal(w, r.Warnings) {
		t.Errorf("the edge warns of %q; want what was told", w)
	}
}

// TestPoll: a change is found without anybody asking.
func TestPoll(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.snap")
	snapshot(t, path, 1, "a.test")
	tell := make(told, 1)
	e := open(t, edge.Config{Registry: path, Observer: tell, Poll: time.Millisecond})
	// Written aside and put in place with an old date: a new file settles at once.
	next := filepath.Join(t.TempDir(), "next.snap")
	snapshot(t, next, 2, "b.test")
	past := time.Now().Add(-time.Hour)
	if err := os.Chtimes(next, past, past); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, path); err != nil {
		t.Fatal(err)
	}
	select {
	case r := <-tell:
		if r.Err != nil || !filed(e, "b.test") {
			t.Errorf("got %+v; want the new snapshot in force", r)
		}
	case <-time.After(2 * time.Minute):
		t.Fatal("the change was not found")
	}
}

// TestShared: Edges with the same file hold the same registry, read once; it
// goes with the last of them.
func TestShared(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.snap")
	snapshot(t, path, 1, "a.test")
	tell := make(told, 10)
	old := open(t, edge.Config{Registry: path, Observer: tell})
	x := old.View().Snapshot()

	// A reload of the configuration opens before it closes.
	next := open(t, edge.Config{Registry: path, Observer: tell, TTL: 30})
	old.Close()
	old.Close()
	if next.View().Snapshot() != x || old.View().Snapshot() != x {
		t.Error("the second Edge has read the file again")
	}

	third := open(t, edge.Config{Registry: path, Observer: tell})
	snapshot(t, path, 2, "b.test")
	third.Refresh()
	if next.View().Snapshot() != third.View().Snapshot() || next.View().Snapshot() == x {
		t.Error("Edges with one file hold different registries")
	}
	if <-tell; len(tell) != 0 {
		t.Error("a shared reload was told more than once")
	}

	next.Close()
	third.Close()
	last := open(t, edge.Config{Registry: path})
	if last.View().Snapshot() == third.View().Snapshot() {
		t.Error("the registry outlived the last Edge that held it")
	}
	if filed(third, "a.test") || !filed(third, "b.test") {
		t.Error("a closed Edge has lost what it held")
	}
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	good, bad := filepath.Join(dir, "good.snap"), filepath.Join(dir, "bad")
	snapshot(t, good, 1, "a.test")
	write(t, bad, "??? ???\n")
	tests := []struct {
		name string
		cfg  edge.Config
		want string
	}{
		{"registry", edge.Config{Registry: bad}, "registry: "},
		{"no registry", edge.Config{}, "registry: no snapshot file"},
		{"networks", edge.Config{Registry: good, Networks: bad}, "places: "},
		{"suffixes", edge.Config{Registry: good, Suffixes: bad}, "suffixes: "},
		{"bindings", edge.Config{Registry: good, Bindings: bad}, "bindings: "},
		{"profiles", edge.Config{Registry: good, Profiles: bad}, "profiles: "},
		{"exemptions", edge.Config{Registry: good, ExemptFiles: []edge.ExemptFile{{Path: bad}}}, "exempt: "},
		{"too few sources", edge.Config{Registry: good, Confirm: 3}, "confirm 3"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e, err := edge.Open(tt.cfg)
			if err == nil {
				e.Close()
				t.Fatal("got no error")
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got error %q; want %q in it", err, tt.want)
			}
		})
	}
	if edge.Held() != 0 {
		t.Errorf("got %d files still held after failing; want 0", edge.Held())
	}
}

func TestReady(t *testing.T) {
	if edge.Ready() {
		t.Fatal("ready with nothing open")
	}
	path := filepath.Join(t.TempDir(), "r.snap")
	snapshot(t, path, 1)
	closed := registry.Policy{Fail: registry.FailClosed}
	if e := open(t, edge.Config{Registry: path, Policy: closed}); !e.Ready() || !edge.Ready() {
		t.Error("not ready with a registry")
	}
	live := new(index.Live)
	if e := open(t, edge.Config{Live: live}); !e.Ready() || !edge.Ready() {
		t.Error("not ready under fail open")
	}
	if e := open(t, edge.Config{Live: live, Policy: closed}); e.Ready() {
		t.Error("ready under fail closed without a registry")
	}
	if edge.Ready() {
		t.Error("the process is ready although one of its blocks is not")
	}
	x, err := index.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	live.Swap(x)
	if !edge.Ready() {
		t.Error("not ready although the registry has come")
	}
}
