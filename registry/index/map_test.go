package index_test

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/index"
)

// written puts a snapshot into a directory of its own.
func written(t testing.TB, x *index.Index) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "registry.icpidx")
	if err := index.WriteFile(path, x); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestMap: a mapped snapshot answers as one that was read.
func TestMap(t *testing.T) {
	g := newGenerator(9, 8)
	fs, blacklist := g.registry(2000, 30)
	path := written(t, build(t, testOptions, fs, blacklist...))
	mapped, err := index.Map(path)
	if err != nil {
		t.Fatal(err)
	}
	read, err := index.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if mapped.Info() != read.Info() || mapped.Key() != read.Key() {
		t.Errorf("got %+v; want %+v", mapped.Info(), read.Info())
	}
	for range 20_000 {
		d := g.query(fs)
		if got, want := mapped.Cover(d), read.Cover(d); !equal(got, want) {
			t.Fatalf("Cover(%q): got %+v; want %+v", d, got, want)
		}
		a := g.addr()
		if got, want := mapped.CoverAddr(a), read.CoverAddr(a); !equal(got, want) {
			t.Fatalf("CoverAddr(%s): got %+v; want %+v", a, got, want)
		}
		checkRecords(t, d, read.Cover(d).Filings, mapped.Records(d))
	}
	if again := written(t, mapped); !bytes.Equal(must(os.ReadFile(again)), must(os.ReadFile(path))) {
		t.Error("a mapped snapshot is written otherwise than it is")
	}
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

func TestMapErrors(t *testing.T) {
	dir := t.TempDir()
	path := written(t, small(t))
	image := must(os.ReadFile(path))
	image[len(image)/2] ^= 1
	awaitMappings(t, 0) // those of other tests
	for name, content := range map[string][]byte{"empty": nil, "foreign": []byte("domain\n"), "damaged": image, "short": image[:len(image)/2]} {
		bad := filepath.Join(dir, name)
		if err := os.WriteFile(bad, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if x, err := index.Map(bad); err == nil || x != nil || !strings.Contains(err.Error(), bad) {
			t.Errorf("%s: got %v; want an error that names the file", name, err)
		}
	}
	for _, bad := range []string{dir, filepath.Join(dir, "missing")} {
		if _, err := index.Map(bad); err == nil || !strings.Contains(err.Error(), bad) {
			t.Errorf("%s: got %v; want an error that names it", bad, err)
		}
	}
	if got := index.Mappings(); got != 0 {
		t.Errorf("got %d mappings; want none", got)
	}
}

// TestMapReplaced: readers go on while the file beneath them is replaced, and the
// mappings go when nobody reads them any more.
func TestMapReplaced(t *testing.T) {
	if !index.CanMap() {
		t.Skip("this system maps no files")
	}
	path := written(t, build(t, testOptions, []registry.Filing{filingOf("a.example")}))
	before := index.Mappings()
	var live atomic.Pointer[index.Index]
	swap := func() {
		x, err := index.Map(path)
		if err != nil {
			t.Fatal(err)
		}
		live.Store(x)
	}
	swap()
	var stop atomic.Bool
	var readers sync.WaitGroup
	d := registry.MustParseDomain("www.a.example")
	for range 2 {
		readers.Go(func() {
			for !stop.Load() {
				x := live.Load()
				c := x.Cover(d)
				if recs := live.Load().Records(d); len(c.Filings) != 1 || len(recs) != 1 || recs[0].Domain.String() != "a.example" {
					t.Errorf("got %+v and %+v; want one filing", c, recs)
					return
				}
			}
		})
	}
	o := testOptions
	for range 50 {
		o.Revision.Rev++
		if err := index.WriteFile(path, build(t, o, []registry.Filing{filingOf("a.example")})); err != nil {
			t.Fatal(err)
		}
		swap()
		runtime.GC()
	}
	stop.Store(true)
	readers.Wait()
	kept := live.Load().Records(d)
	live.Store(nil)
	awaitMappings(t, before)
	if len(kept) != 1 || kept[0].Domain.String() != "a.example" || kept[0].Number.String() != "" {
		t.Errorf("got %+v; want a record that outlives its snapshot", kept)
	}
}

// awaitMappings collects garbage until the cleanups have run: they do so in a
// goroutine of the runtime, after the cycle that found nobody.
func awaitMappings(t *testing.T, want int64) {
	t.Helper()
	for range 1000 {
		if runtime.GC(); index.Mappings() <= want {
			return
		}
		runtime.Gosched()
	}
	t.Errorf("got %d mappings; want %d", index.Mappings(), want)
}
