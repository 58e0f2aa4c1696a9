package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/icpgate/icpgate/deploy/loopback"
	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/feed"
)

// TestServe: a first start makes all that is needed, an edge follows with its
// token, a second program is refused, and a signal ends it in order.
func TestServe(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "registry")
	token := strings.TrimSpace(runOut(t, "token", "create", "edge-1", "--scope", "edge", "--dir", dir))
	admin := loopback.Free(t)
	cmd, url := startServe(t, "--dir", dir, "--listen", "127.0.0.1:0", "--admin", admin, "--pprof")
	keys, err := feed.OpenKeys(filepath.Join(dir, "signing.pub.pem"))
	if err != nil {
		t.Fatal(err)
	}
	r, f := followAt(t, url, token, filepath.Join(dir, "edge"), keys)
	f.await("the registry", func() bool { return f.Status().Connected && r.Revision() != (registry.Revision{}) })
	out, err := exec.Command("icp-registry", "token", "list", "--dir", dir).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "a service is running") {
		t.Errorf("a second program on the database: %v %s", err, out)
	}
	for path, want := range map[string]string{
		"/metrics": "icp_registry_streams 1", "/healthz": "ok", "/readyz": "ready", "/explain?host=a.test": "Not filed", "/debug/pprof/cmdline": "icp-registry",
	} {
		if status, text := get(t, "http://"+admin+path, ""); status != http.StatusOK || !strings.Contains(string(text), want) {
			t.Errorf("%s: %d %.500s; want %q", path, status, text, want)
		}
	}
	if status, _ := get(t, url+"/metrics", token); status != http.StatusNotFound {
		t.Errorf("/metrics of the service itself: %d", status)
	}
	terminate(t, cmd)
	if out := runOut(t, "token", "list", "--dir", dir); !strings.Contains(out, "edge-1") || strings.Contains(out, token) {
		t.Errorf("the list of tokens is %s", out)
	}
}

// startServe serves until the test ends, unless that is done before, and returns
// where.
func startServe(t *testing.T, args ...string) (*exec.Cmd, string) {
	t.Helper()
	cmd, url, _ := startServing(t, args...)
	return cmd, url
}

// startServing is startServe with the service's log, from its first line on.
func startServing(t *testing.T, args ...string) (*exec.Cmd, string, *serviceLog) {
	t.Helper()
	cmd := exec.Command("icp-registry", append([]string{"serve"}, args...)...)
	r, w, err := os.Pipe() // of our own: Wait closes one of cmd's before all of it is read
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = w
	err = cmd.Start()
	w.Close()
	if err != nil {
		r.Close()
		t.Fatal(err)
	}
	said := &serviceLog{news: make(chan struct{}, 1)}
	go said.follow(r)
	t.Cleanup(func() {
		if lines, ended := said.there(); t.Failed() {
			t.Logf("serve %v has ended %t; its log went on:\n%s", args, ended, strings.Join(lines, "\n"))
		}
		cmd.Process.Kill()
	})
	_, rest, _ := strings.Cut(awaitLine(t, said, "address="), "address=")
	said.again()
	address, _, _ := strings.Cut(rest, " ")
	return cmd, "http://" + address, said
}

// serviceLog is what a service says. All of it is kept, whether somebody reads it or
// not. It is safe for concurrent use.
type serviceLog struct {
	mu    sync.Mutex
	lines []string
	read  int           // of lines
	ended bool          // there will be no more
	news  chan struct{} // filled after every change
}

// follow takes down what comes until the service ends.
func (l *serviceLog) follow(from io.ReadCloser) {
	defer from.Close()
	for b, ended := bufio.NewReader(from), false; !ended; {
		line, err := b.ReadString('\n')
		ended = err != nil
		l.mu.Lock()
		if line != "" {
			l.lines = append(l.lines, strings.TrimSuffix(line, "\n"))
		}
		l.ended = ended
		l.mu.Unlock()
		select {
		case l.news <- struct{}{}:
		default: // it is filled already
		}
	}
}

// there reads what is there.
func (l *serviceLog) there() (lines []string, ended bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines, l.read = l.lines[l.read:], len(l.lines)
	return lines, l.ended
}

// again has the log read from its first line on.
func (l *serviceLog) again() {
	l.mu.Lock()
	l.read = 0
	l.mu.Unlock()
}

// find reads up to a line that holds a text, or all there is.
func (l *serviceLog) find(text string) (line string, found, ended bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.read < len(l.lines) {
		line = l.lines[l.read]
		if l.read++; strings.Contains(line, text) {
			return line, true, l.ended
		}
	}
	return "", false, l.ended
}

// awaitLine reads a log up to a line that holds a text.
func awaitLine(t *testing.T, said *serviceLog, text string) string {
	t.Helper()
	limit := time.NewTimer(5 * time.Minute)
	defer limit.Stop()
	for late := false; ; {
		line, found, ended := said.find(text)
		if found {
			return line
		}
		if ended || late {
			said.again()
			lines, _ := said.there()
			t.Fatalf("the service, ended %t, did not say %q, but\n%s", ended, text, strings.Join(lines, "\n"))
		}
		select {
		case <-said.news:
		case <-limit.C:
			late = true
		}
	}
}

// terminate ends a service in order.
func terminate(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("after SIGTERM: %v", err)
	}
}

// following is an edge that follows until the test ends, or end.
type following struct {
	*feed.Follower
	t    *testing.T
	told chan struct{}
	end  func()
}

// followAt has an edge follow a service.
func followAt(t *testing.T, url, token, dir string, keys *feed.Keys) (*feed.Replica, *following) {
	t.Helper()
	c, err := feed.NewClient(url, func() (string, error) { return token, nil })
	if err != nil {
		t.Fatal(err)
	}
	r, _, err := feed.OpenReplica(dir, feed.ReplicaOptions{Keys: keys})
	if err != nil && !errors.Is(err, feed.ErrEmpty) {
		t.Fatal(err)
	}
	e := &following{t: t, told: make(chan struct{}, 1)}
	e.Follower = feed.NewFollower(r, c, feed.FollowOptions{
		Keys: keys, Jitter: -1, Report: 200 * time.Millisecond, BackOff: 10 * time.Millisecond, BackOffMost: 100 * time.Millisecond,
		Changed: func(feed.FollowStatus) {
			select {
			case e.told <- struct{}{}:
			default:
			}
		},
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); e.Run(ctx) }()
	e.end = sync.OnceFunc(func() { cancel(); <-done; c.Close(); r.Close() })
	t.Cleanup(e.end)
	return r, e
}

// await waits until the edge is as wanted.
func (e *following) await(what string, ok func() bool) {
	e.t.Helper()
	limit := time.NewTimer(5 * time.Minute)
	defer limit.Stop()
	for !ok() {
		select {
		case <-e.told:
		case <-limit.C:
			e.t.Fatalf("in vain waited for %s: %+v", what, e.Status())
		}
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
		"without --upstream-key":    {"--dir", t.TempDir(), "--upstream", "http://127.0.0.1:1"},
		"go with --upstream":        {"--dir", t.TempDir(), "--upstream-token", "x"},
		"goes with --client-ca":     {"--dir", t.TempDir(), "--cert", "a.pem", "--key", "b.pem", "--client-revoked", "x"},
		"go together":               {"--dir", t.TempDir(), "--upstream", "http://127.0.0.1:1", "--upstream-key", "x", "--upstream-cert", "x"},
		"a number from 1 on":        {"--dir", t.TempDir(), "--downloads", "0"},
		"a time above 0":            {"--dir", t.TempDir(), "--snapshots", "0"},
		"--pprof goes with --admin": {"--dir", t.TempDir(), "--pprof"},
		"expect ADDRESS:PORT":       {"--dir", t.TempDir(), "--listen", "127.0.0.1:0", "--admin", "localhost"},
	} {
		out, err := exec.Command("icp-registry", append([]string{"serve"}, args...)...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), want) {
			t.Errorf("serve %v: %v %s; want %q", args, err, out, want)
		}
	}
}
