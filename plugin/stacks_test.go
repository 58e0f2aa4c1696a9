package icp_test

import (
	"os"
	"os/exec"
	"runtime"
	"runtime/metrics"
	"strings"
	"testing"
)

// Where an icp runs, goroutines begin with a stack that a verdict fits into. That
// depends on all of a process, so it is one without what other tests have left.
func TestStacksBeginLarge(t *testing.T) {
	const alone = "ICP_TEST_STACKS"
	if os.Getenv(alone) == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestStacksBeginLarge$", "-test.v")
		cmd.Env = append(os.Environ(), alone+"=1")
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: TestStacksBeginLarge") {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	newWorld(t).start(t, ".:0 {\nSERVER\nICP\nwhoami\n}")
	runtime.GC()
	runtime.GC() // the first may have begun before the holders ran
	size := []metrics.Sample{{Name: "/gc/stack/starting-size:bytes"}}
	metrics.Read(size)
	if got := size[0].Value.Uint64(); got < 8<<10 {
		t.Errorf("goroutines begin with %d bytes; want 8192 at least", got)
	}
}
