package main

import (
	"bufio"
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/feed"
)

// TestServe: a first start makes all that is needed, an edge follows with its
// token, a second program is refused, and a signal ends it in order.
func TestServe(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "registry")
	token := strings.TrimSpace(runOut(t, "token", "create", "edge-1", "--scope", "edge", "--dir", dir))
	cmd := exec.Command("icp-registry", "serve", "--dir", dir, "--listen", "127.0.0.1:0")
	log, err := cmd.StderrPipe()
	if err := errors.Join(err, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	lines, address := bufio.NewScanner(log), ""
	for address == "" && lines.Scan() {
		if _, rest, ok := strings.Cut(lines.Text(), "address="); ok {
			address, _, _ = strings.Cut(rest, " ")
		}
	}
	go func() {
		for lines.Scan() {
		}
	}()
	keys, err := feed.OpenKeys(filepath.Join(dir, "signing.pub.pem"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := feed.NewClient("http://"+address, func() (string, error) { return token, nil })
	if err != nil {
		t.Fatal(err)
	}
	r, _, err := feed.OpenReplica(filepath.Join(dir, "edge"), feed.ReplicaOptions{Keys: keys})
	if !errors.Is(err, feed.ErrEmpty) {
		t.Fatal(err)
	}
	defer r.Close()
	told := make(chan struct{}, 1)
	f := feed.NewFollower(r, c, feed.FollowOptions{Keys: keys, Jitter: -1, Report: -1, Changed: func(feed.FollowStatus) {
		select {
		case told <- struct{}{}:
		default:
		}
	}})
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	done := make(chan struct{})
	go func() { defer close(done); f.Run(ctx) }()
	for s := f.Status(); !s.Connected || r.Revision() == (registry.Revision{}); s = f.Status() {
		select {
		case <-told:
		case <-ctx.Done():
			t.Fatalf("the edge does not follow: %+v", s)
		}
	}
	out, err := exec.Command("icp-registry", "token", "list", "--dir", dir).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "a service is running") {
		t.Errorf("a second program on the database: %v %s", err, out)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("after SIGTERM: %v", err)
	}
	cancel()
	<-done
	if out := runOut(t, "token", "list", "--dir", dir); !strings.Contains(out, "edge-1") || strings.Contains(out, token) {
		t.Errorf("the list of tokens is %s", out)
	}
}

// runOut runs the program and returns what it prints.
func runOut(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("icp-registry", args...).Output()
	if err != nil {
		t.Fatalf("icp-registry %s: %v", strings.Join(args, " "), err)
	}
	return string(out)
}

func TestServeRefuses(t *testing.T) {
	for want, args := range map[string][]string{
		"in the clear":              {"--dir", t.TempDir(), "--listen", "0.0.0.0:0"},
		"no directory":              {},
		"--cert without --key":      {"--dir", t.TempDir(), "--cert", "a.pem"},
		"go with --cert":            {"--dir", t.TempDir(), "--key", "a.pem"},
		"missing port in address":   {"--dir", t.TempDir(), "--listen", "127.0.0.1"},
		"no such file":              {"--dir", t.TempDir(), "--cert", "a.pem", "--key", "b.pem"},
		"unexpected \"everything\"": {"everything"},
	} {
		out, err := exec.Command("icp-registry", append([]string{"serve"}, args...)...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), want) {
			t.Errorf("serve %v: %v %s; want %q", args, err, out, want)
		}
	}
}
