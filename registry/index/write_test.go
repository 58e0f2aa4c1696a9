package index_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/index"
)

// TestBuilderWriteFile: a file that several goroutines filled is the image that one
// makes in memory, to the byte.
func TestBuilderWriteFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "registry.icpidx")
	for _, test := range []struct{ filings, labels, blacklist int }{{0, 2, 0}, {1, 2, 0}, {8, 2, 3}, {60, 4, 3}, {3000, 300, 20}} {
		for round := range 10 {
			g := newGenerator(uint64(round), test.labels)
			fs, blacklist := g.registry(test.filings, test.blacklist)
			want := build(t, testOptions, fs, blacklist...)
			info := writeShared(t, path, fs, blacklist)
			got, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want.Image()) {
				t.Fatalf("%d filings, round %d: the file is not what Build makes", test.filings, round)
			}
			if info != want.Info() {
				t.Fatalf("got %+v; want %+v", info, want.Info())
			}
		}
	}
}

// writeShared shares the filings out among a Builder and three Adders.
func writeShared(t *testing.T, path string, fs []registry.Filing, blacklist []registry.Domain) index.Info {
	t.Helper()
	b := index.NewBuilder(testOptions)
	for _, d := range blacklist {
		b.Blacklist(d)
	}
	var group sync.WaitGroup
	for i, add := range []func(registry.Filing) error{b.Add, b.Adder().Add, b.Adder().Add, b.Adder().Add} {
		group.Go(func() {
			for n := i; n < len(fs); n += 4 {
				if err := add(fs[n]); err != nil {
					t.Errorf("Add(%v): %v", fs[n].Site.Domains, err)
				}
			}
		})
	}
	group.Wait()
	info, err := b.WriteFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func TestBuilderWriteFileErrors(t *testing.T) {
	dir := t.TempDir()
	b := index.NewBuilder(testOptions)
	a := b.Adder()
	if _, err := b.WriteFile(filepath.Join(dir, "none", "x")); err == nil || !strings.Contains(err.Error(), "cannot be written") {
		t.Errorf("a directory that is not there: got error %v", err)
	}
	if _, err := b.WriteFile(filepath.Join(dir, "x")); err == nil || !strings.Contains(err.Error(), "built already") {
		t.Errorf("a Builder that has built: got error %v", err)
	}
	if err := a.Add(filingOf("a.example")); err == nil || !strings.Contains(err.Error(), "built already") {
		t.Errorf("an Adder of a Builder that has built: got error %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("got %v in the directory, error %v; want nothing", left, err)
	}
}
