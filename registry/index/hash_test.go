package index_test

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/dchest/siphash"

	"github.com/icpgate/icpgate/registry/index"
)

// TestSums compares the walk with the published function, suffix by suffix, for
// dots and ends in every place of a block.
func TestSums(t *testing.T) {
	k0, k1 := binary.LittleEndian.Uint64(testKey[:8]), binary.LittleEndian.Uint64(testKey[8:])
	r := rand.New(rand.NewPCG(1, 1))
	for range 20_000 {
		var labels []string
		for range 1 + r.IntN(5) {
			labels = append(labels, strings.Repeat(string(rune('a'+r.IntN(26))), 1+r.IntN(20)))
		}
		name := strings.Join(labels, ".")
		got := index.Sums(testKey, name)
		if len(got) != len(labels) {
			t.Fatalf("%q: got %d suffixes; want %d", name, len(got), len(labels))
		}
		for i, s := range got {
			suffix := []byte(strings.Join(labels[len(labels)-1-i:], "."))
			slices.Reverse(suffix)
			if want := siphash.Hash(k0, k1, suffix); s[0]^s[1] != want {
				t.Fatalf("%q, level %d: got %x; want %x", name, i+1, s[0]^s[1], want)
			}
		}
	}
}
