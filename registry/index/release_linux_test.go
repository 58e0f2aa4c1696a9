package index_test

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/index"
)

// inMemory is how many KiB of a mapped file are in memory for this process.
func inMemory(t *testing.T, path string) (kib int) {
	t.Helper()
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	within, found := false, false
	for lines := bufio.NewScanner(f); lines.Scan(); {
		switch line := lines.Text(); {
		case strings.HasSuffix(line, " "+path):
			within, found = true, true
		case within && strings.HasPrefix(line, "Rss:"):
			var n int
			if _, err := fmt.Sscanf(line, "Rss: %d kB", &n); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			kib += n
			within = false
		}
	}
	if !found {
		t.Fatalf("%s is not mapped", path)
	}
	return kib
}

// TestRelease: what was read to verify a mapped file leaves memory, and answers are
// as before.
func TestRelease(t *testing.T) {
	const n = 20_000
	var all []registry.Filing
	for i := range n {
		all = append(all, filingOf(fmt.Sprintf("site%d.example", i)))
	}
	path, err := filepath.EvalSymlinks(written(t, build(t, testOptions, all)))
	if err != nil {
		t.Fatal(err)
	}
	x, err := index.Map(path)
	if err != nil {
		t.Fatal(err)
	}
	size := int(x.Info().Bytes >> 10)
	if got := inMemory(t, path); got < size/2 {
		t.Fatalf("%d KiB of %d are in memory after all was verified; this shows nothing", got, size)
	}
	x.Release()
	if got := inMemory(t, path); got != 0 {
		t.Errorf("%d KiB of %d are still in memory", got, size)
	}
	for i := range n {
		name := fmt.Sprintf("site%d.example", i)
		if got := x.Cover(registry.MustParseDomain(name)).Filings; len(got) != 1 {
			t.Fatalf("%s has %d filings; want 1", name, len(got))
		}
	}
	built := build(t, testOptions, all[:1])
	built.Release() // of none
	if got := built.Cover(registry.MustParseDomain("site0.example")).Filings; len(got) != 1 {
		t.Errorf("an index that is not mapped has %d filings; want 1", len(got))
	}
}
