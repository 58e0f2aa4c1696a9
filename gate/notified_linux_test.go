package gate_test

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// TestServiceManagerIsTold: a service manager hears when the program serves, and at
// a restart which process is the service from then on, before the old one ends.
func TestServiceManagerIsTold(t *testing.T) {
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: filepath.Join(t.TempDir(), "notify")})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	told := func() string {
		t.Helper()
		b := make([]byte, 256)
		n, err := manager.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		return string(b[:n])
	}
	p := startBy(t, []string{"env", "NOTIFY_SOCKET=" + manager.LocalAddr().String()}, 1,
		"http://"+freePort(t)+" {\nICP\nupstream "+newOrigin(t, new(seen))+"\n}", nil)
	if got := told(); got != "READY=1" {
		t.Fatalf("told %q; want READY=1", got)
	}
	p.signal(t, syscall.SIGUSR2)
	if got := told(); got != "READY=1" {
		t.Fatalf("told %q by the next process; want READY=1", got)
	}
	next, ok := strings.CutPrefix(told(), "MAINPID=")
	if pid, err := strconv.Atoi(next); !ok || err != nil || pid == p.cmd.Process.Pid {
		t.Fatalf("told of process %q; want another than %d", next, p.cmd.Process.Pid)
	}
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("the process before: %v", err)
	}
	before, err := os.Readlink("/proc/" + next + "/exe")
	if program, _ := built(); err != nil || before != program {
		t.Errorf("the process that is the service runs %q, %v; want %q", before, err, program)
	}
}
