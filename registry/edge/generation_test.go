package edge_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/edge"
	"github.com/icpgate/icpgate/registry/index"
)

// generation returns that of an Edge which must have one.
func generation(t *testing.T, e *edge.Edge) edge.Generation {
	t.Helper()
	g, ok := e.Generation()
	if !ok {
		t.Fatal("there is no generation; want one")
	}
	if again, _ := e.Generation(); again != g {
		t.Fatal("two generations; nothing was put in force between")
	}
	return g
}

// TestGeneration: it is another one after all that can be put in force, and
// another one for each Edge.
func TestGeneration(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	x, err := index.NewBuilder(index.Options{}).Build()
	if err != nil {
		t.Fatal(err)
	}
	live := new(index.Live)
	now := time.Unix(1_700_000_000, 0)
	cfg := edge.Config{
		Live: live, Poll: time.Hour, Now: func() time.Time { return now },
		Networks: write("networks", "203.0.113.0/24 aliyun ecs x mainland\n"), Mainland: write("mainland", "203.0.113.0/24\n"),
		Bindings: write("bindings", "a.example cdn\n"), Suffixes: write("suffixes", "b.example aliyun cdn\n"), Profiles: write("profiles", "aliyun ecs filing\n"),
		ExemptFiles: []edge.ExemptFile{{Path: write("exempt", "a.example\n")}},
	}
	e, err := edge.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	if _, ok := e.Generation(); ok {
		t.Error("there is a generation without a registry")
	}
	live.Swap(x)
	g := generation(t, e)
	other, err := edge.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(other.Close)
	if generation(t, other) == g {
		t.Error("two Edges have the same generation")
	}
	seen := map[[3]uint64]string{}
	step := func(what string, change func()) {
		t.Helper()
		change()
		e.Refresh()
		next := generation(t, e)
		born, view, data := next.Numbers()
		if before, ok := seen[[3]uint64{born, view, data}]; ok || next == g {
			t.Errorf("%s: the generation is that of %s", what, before)
		}
		g, seen[[3]uint64{born, view, data}] = next, what
	}
	for name, text := range map[string]string{
		"networks": "203.0.113.0/24 aliyun cdn x mainland\n", "mainland": "203.0.113.0/25\n", "bindings": "a.example oss\n",
		"suffixes": "b.example aliyun oss\n", "profiles": "aliyun ecs access\n", "exempt": "b.example\n",
	} {
		step(name, func() { write(name, text+"# longer\n") })
	}
	step("a revision", func() {
		c := registry.Change{Revision: live.View().Revision()}
		c.Revision.Rev++
		if err := live.Apply(c); err != nil {
			t.Fatal(err)
		}
	})
	step("a snapshot", func() {
		x, err := index.NewBuilder(index.Options{}).Build()
		if err != nil {
			t.Fatal(err)
		}
		live.Swap(x)
	})
}

// TestGenerationTooOld: a registry that is too old has none, and what it had before
// does not come back with it.
func TestGenerationTooOld(t *testing.T) {
	made := time.Unix(1_700_000_000, 0)
	x, err := index.NewBuilder(index.Options{MadeAt: made}).Build()
	if err != nil {
		t.Fatal(err)
	}
	live, now := new(index.Live), made
	live.Swap(x)
	e, err := edge.Open(edge.Config{Live: live, Poll: time.Hour, Now: func() time.Time { return now }, MaxStale: time.Hour, OnStale: edge.StaleBlock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	g := generation(t, e)
	now = made.Add(2 * time.Hour)
	e.Refresh()
	if _, ok := e.Generation(); ok {
		t.Error("a registry that is too old has a generation")
	}
	now = made
	e.Refresh()
	if generation(t, e) == g {
		t.Error("the generation of before is back")
	}
}
