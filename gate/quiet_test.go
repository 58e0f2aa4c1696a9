package gate_test

import (
	"testing"

	"github.com/icpgate/icpgate/gate"
)

// TestQuiet: memory is given back once for every time of silence, and never while
// something comes.
func TestQuiet(t *testing.T) {
	given := 0
	look := gate.Quiet(func() { given++ })
	for i, heads := range []uint64{5, 5, 5, 5, 5, 5, 6, 6, 7, 8, 9, 9, 9, 9, 9} {
		look(heads)
		want := 0
		switch {
		case i >= 13:
			want = 2
		case i >= 3:
			want = 1
		}
		if given != want {
			t.Fatalf("after look %d: given back %d times; want %d", i+1, given, want)
		}
	}
}
