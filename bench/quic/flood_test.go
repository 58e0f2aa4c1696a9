//go:build linux

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// maxMemory is what the gate may take in a flood, in KB: the 64 MB of what waits,
// as much garbage, and what flows and ids take.
const maxMemory = 400 << 10

// TestFlood: in a flood of forged datagrams the memory is bounded, and filed
// connections succeed. The long form is with ICP_SOAK=1.
func TestFlood(t *testing.T) {
	dir := t.TempDir()
	bin := filepath.Join(dir, "icp-gate")
	if out, err := exec.Command("go", "build", "-o", bin, "../../cmd/icp-gate").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	o := options{dir: dir, gate: bin, filings: 2000, flood: 2 * time.Second, rate: 5000}
	if os.Getenv("ICP_SOAK") != "" {
		o.flood, o.rate = 30*time.Second, 100_000
	}
	w, err := o.start(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.stop()
	r, err := o.floodIn(w, o.rate, o.flood)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d forged; %d connections, the half of them within %s; memory %d, %d, %d KB", r.sent, r.asked, r.part(50), r.before, r.during, r.after)
	if r.failed > 0 || r.asked == 0 {
		t.Errorf("%d connections of %d failed: %v", r.failed, r.asked, r.lastError)
	}
	if r.during > maxMemory {
		t.Errorf("the gate took %d KB", r.during)
	}
}
