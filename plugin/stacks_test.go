package icp_test

import (
	"runtime"
	"runtime/metrics"
	"testing"
)

// Where an icp runs, goroutines begin with a stack that a verdict fits into.
func TestStacksBeginLarge(t *testing.T) {
	newWorld(t).start(t, ".:0 {\nSERVER\nICP\nwhoami\n}")
	runtime.GC()
	runtime.GC() // the first may have begun before the holders ran
	size := []metrics.Sample{{Name: "/gc/stack/starting-size:bytes"}}
	metrics.Read(size)
	if got := size[0].Value.Uint64(); got < 8<<10 {
		t.Errorf("goroutines begin with %d bytes; want 8192 at least", got)
	}
}
