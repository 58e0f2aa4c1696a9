package index_test

import (
	"context"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/index"
)

// TestMergeMemory: a merge takes memory for the changes and not for what it
// merges them into, and little for each.
func TestMergeMemory(t *testing.T) {
	taken := func(names, changed int) uint64 {
		// What is taken away here sends the merge through all that is below it.
		fs := []registry.Filing{filingOf("u.gov.cn"), filingOf("open.example"), filingOf("deep.open.example")}
		for i := range names {
			fs = append(fs, filingOf(string(appendNumbered(nil, i))+".example"))
		}
		base := build(t, testOptions, fs)
		c := index.Changes{Names: map[registry.Domain][]registry.Filing{
			registry.MustParseDomain("u.gov.cn"): nil, registry.MustParseDomain("deep.open.example"): nil,
		}}
		for i := range changed {
			d := registry.MustParseDomain(string(appendNumbered(nil, 2*i)) + ".example")
			if c.Names[d] = nil; i%3 > 0 {
				c.Names[d] = []registry.Filing{filingOf(d.String())}
			}
		}
		path := filepath.Join(t.TempDir(), "merged")
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if err := index.Merge(context.Background(), path, base, c, index.Options{}); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	few, many := taken(2000, 100), taken(42_000, 100)
	if per := (float64(many) - float64(few)) / 40_000; per > 8 {
		t.Errorf("got %.1f bytes for each name of the old snapshot; want none", per)
	}
	if per := float64(taken(42_000, 20_100)-many) / 20_000; per > 400 {
		t.Errorf("got %.0f bytes for each change; want 400 at most", per)
	}
}

// appendNumbered appends a label of its own for every number.
func appendNumbered(b []byte, i int) []byte {
	for b = append(b, 'n'); i > 0; i /= 10 {
		b = append(b, '0'+byte(i%10))
	}
	return b
}
