package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/icpgate/icpgate/deploy/loopback"
	"github.com/icpgate/icpgate/registry/api"
	"github.com/icpgate/icpgate/registry/feed"
)

// chain is a registry of record, a relay of it, and a relay of that relay, each a
// program of its own.
type chain struct {
	*testing.T
	dir   string
	at    []string // URLs: the registry of record, and the relays
	cmds  []*exec.Cmd
	args  [][]string
	staff *remote
}

func newChain(t *testing.T) *chain {
	t.Helper()
	dir := t.TempDir()
	c := &chain{T: t, dir: dir}
	name := []string{"origin", "near", "far"}
	for i, n := range name {
		in := filepath.Join(dir, n)
		if err := os.MkdirAll(in, 0o700); err != nil {
			t.Fatal(err)
		}
		args := []string{"--dir", filepath.Join(in, "registry")}
		token(t, in, "edge", "feed,coverage,sightings,status", args...)
		token(t, in, "ann", "read,write,admin", args...)
		args = append(args, "--admin", loopback.Free(t), "--listen", net.JoinHostPort(loopback.Host(), "0"))
		if i > 0 {
			args = append(args, "--upstream", c.at[i-1], "--upstream-key", c.keys(), "--upstream-token", filepath.Join(dir, name[i-1], "edge.txt"))
		}
		cmd, url := startServe(t, args...)
		args[5] = strings.TrimPrefix(url, "http://") // when it comes again
		c.at, c.cmds, c.args = append(c.at, url), append(c.cmds, cmd), append(c.args, args)
	}
	c.staff = &remote{t, c.at[0], filepath.Join(dir, "origin")}
	return c
}

// keys is the file of the key of the registry of record.
func (c *chain) keys() string { return filepath.Join(c.dir, "origin", "registry", publicName) }

// secret is the token of an edge at one of the chain.
func (c *chain) secret(name string) string {
	c.Helper()
	text, err := os.ReadFile(filepath.Join(c.dir, name, "edge.txt"))
	if err != nil {
		c.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

// kill ends one as a crash does; start brings it back where it was.
func (c *chain) kill(i int) {
	c.Helper()
	if err := c.cmds[i].Process.Kill(); err != nil {
		c.Fatal(err)
	}
	_ = c.cmds[i].Wait() // it was killed
}

func (c *chain) start(i int) {
	c.Helper()
	c.cmds[i], _ = startServe(c.T, c.args[i]...)
}

// metric is a line of the metrics of one of the chain.
func (c *chain) metric(i int, name string) string {
	c.Helper()
	_, text := get(c.T, "http://"+c.args[i][3]+"/metrics", "")
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// TestRelayOfRelay: an edge behind a relay of a relay is where the registry of record
// is, is known there, hands its sightings over, and goes on when the one in the
// middle was killed.
func TestRelayOfRelay(t *testing.T) {
	c := newChain(t)
	keys, err := feed.OpenKeys(c.keys())
	if err != nil {
		t.Fatal(err)
	}
	origin := clientOf(t, c.at[0], c.secret("origin"))
	now := func() *feed.Manifest {
		t.Helper()
		m, _, err := origin.Manifest(t.Context(), keys)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	r, e := followAt(t, c.at[2], c.secret("far"), t.TempDir(), keys)
	first := now().Revision
	c.staff.as("ann", 0, "set", "a.example", "--new", "--why", "x")
	e.await("the first change", func() bool { return r.Revision().Rev == first.Rev+1 })

	d, sums, err := clientOf(t, c.at[2], c.secret("far")).Digest(t.Context(), keys)
	if err != nil || d.Revision != r.Revision() {
		t.Errorf("the digest through two relays: %+v, %v", d, err)
	}
	if mine, _, ok := r.Digest(); !ok || len(mine.Differ(sums)) != 0 {
		t.Error("the edge differs from the registry of record")
	}

	seen := time.Unix(1_790_000_000, 0).UTC()
	batch, err := (&feed.SightingBatch{Boot: "b1", Seq: 1, Rows: []feed.Sighting{{
		Name: "z.test", Hosts: []string{"www.z.test"}, Addr: "192.0.2.1", Reason: "unfiled", Channel: "https", Mode: "enforce", First: seen, Last: seen, Hits: 7,
	}}}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // it counts once
		if err := clientOf(t, c.at[2], c.secret("far")).Sightings(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
	}
	if out := c.staff.as("ann", 0, "sightings", "-o", "csv"); strings.Count(out, "z.test,www.z.test,192.0.2.1,unfiled,https,enforce,") != 1 || !strings.Contains(out, ",7,open,") {
		t.Errorf("the sightings at the registry of record: %s", out)
	}

	// The one in the middle is killed; what is changed meanwhile comes when it is back.
	c.kill(1)
	c.staff.as("ann", 0, "set", "b.example", "--new", "--why", "x")
	c.start(1)
	e.await("what came meanwhile", func() bool { return r.Revision().Rev == first.Rev+2 })
	if e.Status().Snapshots != 1 {
		t.Errorf("the edge has fetched %d snapshots; want the first alone", e.Status().Snapshots)
	}
	for i, want := range []string{"", "0", "0"} {
		if got := c.metric(i, "icp_registry_feed_lag_revisions"); got != want {
			t.Errorf("%s is %q revisions behind upstream; want %q", c.at[i], got, want)
		}
		if got := c.metric(i, "icp_registry_registry_age_seconds"); got == "" {
			t.Errorf("%s does not tell how old its registry is", c.at[i])
		}
	}
	e.await("the reports", func() bool {
		var out struct{ Edges []api.Edge }
		ann, err := os.ReadFile(filepath.Join(c.dir, "origin", "ann.txt"))
		if err != nil {
			t.Fatal(err)
		}
		_, text := get(t, c.at[0]+"/v1/edges", strings.TrimSpace(string(ann)))
		if err := json.Unmarshal(text, &out); err != nil {
			t.Fatal(err)
		}
		for _, x := range out.Edges {
			if strings.Count(x.Name, "/") == 2 && x.Status.Revision == r.Revision() && x.Equal {
				return true
			}
		}
		return false
	})
}

// TestGateBehindRelays: a gate behind a relay of a relay blocks and passes what the
// registry of record says, also while what it follows is away. All are real programs.
func TestGateBehindRelays(t *testing.T) {
	c := newChain(t)
	program := filepath.Join(c.dir, "icp-gate")
	if out, err := exec.Command("go", "build", "-o", program, "github.com/icpgate/icpgate/cmd/icp-gate").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "the site ", r.Host) }))
	t.Cleanup(site.Close)
	conf := filepath.Join(c.dir, "gate.conf")
	text := fmt.Sprintf(`http://127.0.0.1:0 {
	upstream %s
	serves mainland
	icp {
		registry %s token %s key %s
		state %s
		provider aliyun
	}
}
`, strings.TrimPrefix(site.URL, "http://"), c.at[2], filepath.Join(c.dir, "far", "edge.txt"), c.keys(), filepath.Join(c.dir, "state"))
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	gate := startGate(t, program, conf)
	until := func(want int, when string) {
		t.Helper()
		limit := time.Now().Add(5 * time.Minute)
		for {
			got := askGate(t, gate, "www.example.com")
			if got == want {
				return
			}
			if time.Now().After(limit) {
				t.Fatalf("%s the gate answers %d; want %d", when, got, want)
			}
		}
	}
	until(http.StatusForbidden, "before it is filed")
	c.staff.as("ann", 0, "set", "example.com", "--new", "--number", "京ICP备12345678号-1", "--provider", "aliyun", "--why", "x")
	until(http.StatusOK, "filed")
	c.kill(2)
	c.kill(1)
	if got := askGate(t, gate, "www.example.com"); got != http.StatusOK {
		t.Errorf("with the relays away: %d", got)
	}
	c.staff.as("ann", 0, "cancel", "example.com", "--why", "x")
	c.start(1)
	c.start(2)
	until(http.StatusForbidden, "cancelled")
}

// startGate starts a gate that is ended with the test, and returns where it listens.
func startGate(t *testing.T, program, conf string) string {
	t.Helper()
	cmd := exec.Command(program, "-conf", conf)
	log, err := cmd.StderrPipe()
	if err := errors.Join(err, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	lines, said := bufio.NewScanner(log), ""
	for lines.Scan() {
		said += lines.Text() + "\n"
		if _, address, ok := strings.Cut(lines.Text(), "address="); ok && strings.Contains(lines.Text(), "serving") {
			go func() {
				for lines.Scan() {
				}
			}()
			return address
		}
	}
	t.Fatalf("icp-gate ended: %s", said)
	return ""
}

// askGate asks for a host and returns the status.
func askGate(t *testing.T, address, host string) int {
	t.Helper()
	req, err := http.NewRequest("GET", "http://"+address+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = host
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}
