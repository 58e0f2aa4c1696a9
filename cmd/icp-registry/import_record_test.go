package main

import (
	"strings"
	"testing"

	"github.com/icpgate/icpgate/registry/api"
	"github.com/icpgate/icpgate/registry/store"
)

// TestNext: what is said to be done next with an import can be done.
func TestNext(t *testing.T) {
	for _, c := range []struct {
		name     string
		state    store.ImportState
		done     int
		skipped  int
		want     []string
		unwanted []string
	}{
		{"staged", store.ImportStaged, 0, 0, []string{"import publish 7", "import drop 7"}, []string{"undo"}},
		{"half published", store.ImportPublishing, 3, 0, []string{"import publish 7", "import undo 7"}, []string{"drop"}},
		{"done", store.ImportDone, 4, 0, []string{"import undo 7"}, []string{"publish", "others"}},
		{"done but for one", store.ImportDone, 4, 1, []string{"1 filings that others have changed", "import undo 7"}, []string{"publish"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			i := api.Import{}
			i.ID, i.State, i.Done, i.Counts.Skipped = "7", c.state, c.done, c.skipped
			var out strings.Builder
			next(&out, i)
			for _, s := range c.want {
				if !strings.Contains(out.String(), s) {
					t.Errorf("got %q; want %q in it", out.String(), s)
				}
			}
			for _, s := range c.unwanted {
				if strings.Contains(out.String(), s) {
					t.Errorf("got %q; %q cannot be done", out.String(), s)
				}
			}
		})
	}
}
