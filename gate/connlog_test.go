package gate_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/icpgate/icpgate/gate"
	"github.com/icpgate/icpgate/gate/internal/hello"
	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/index"
)

// eventually asks until it is so, and fails when it does not come to that.
func eventually(t testing.TB, what string, so func() bool) {
	t.Helper()
	within(t, time.Minute, what, so)
}

// within waits until something is so, for d at most.
func within(t testing.TB, d time.Duration, what string, so func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(d); !so(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("not within %s: %s", d, what)
		}
	}
}

// logLines reads a log of n lines.
func logLines(t *testing.T, path string, n int) (list []map[string]string) {
	t.Helper()
	var text []byte
	eventually(t, fmt.Sprintf("%d lines in %s", n, path), func() bool {
		text, _ = os.ReadFile(path)
		return strings.Count(string(text), "\n") >= n
	})
	for line := range strings.Lines(string(text)) {
		var m map[string]string
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		list = append(list, m)
	}
	if len(list) != n {
		t.Fatalf("%d lines; want %d:\n%s", len(list), n, text)
	}
	return list
}

func TestConnectionLog(t *testing.T) {
	p := start(t, 2, fmt.Sprintf(`
http://127.0.0.1:0 {
	ICP
	upstream %s
	log conn.log client-prefix 24 48
}
tls://127.0.0.1:0 {
	ICP
	upstream %s
	log conn.log
}`, newOrigin(t, new(seen)), newSink(t)), nil)
	path := filepath.Join(p.dir, "conn.log")
	answer := talk(t, p.addr(t, "http:"), "GET / HTTP/1.1\r\nHost: filed.example\r\n\r\nGET / HTTP/1.1\r\nHost: unfiled.example\r\n\r\n")
	talk(t, p.addr(t, "http:"), "GET / HTTP/1.1\r\nHost: a\x00b\r\n\r\n")
	talk(t, p.addr(t, "tls:"), string(hello.For("elsewhere.example")))
	var got []string
	for _, m := range logLines(t, path, 4) {
		got = append(got, strings.Join([]string{m["protocol"], m["client"], m["host"], m["verdict"], m["reason"], m["mode"], m["cause"]}, " "))
		if m["host"] == "unfiled.example" && (m["id"] == "" || !strings.Contains(answer, m["id"])) {
			t.Errorf("the answer does not tell the id %q of the log", m["id"])
		}
		if at, err := time.Parse(time.RFC3339Nano, m["time"]); err != nil || time.Since(at) > time.Minute {
			t.Errorf("time %q: %v", m["time"], err)
		}
		if m["addr"] != "127.0.0.1" || m["listener"] == "" {
			t.Errorf("addr %q, listener %q", m["addr"], m["listener"])
		}
	}
	want := []string{
		"http 127.0.0.0/24 filed.example pass accessed enforce ",
		"http 127.0.0.0/24 unfiled.example block unfiled enforce ",
		"http 127.0.0.0/24  block malformed enforce bad-header",
		"https 127.0.0.1 elsewhere.example block not-accessed enforce ",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm()&^0o640 != 0 {
		t.Errorf("mode %v, %v; want 0640 at most", info.Mode(), err)
	}
}

// TestConnectionLogRotated: a file that was moved away is left alone, and a new
// one begun, whether a signal comes or not, and with a configuration that is wrong.
func TestConnectionLogRotated(t *testing.T) {
	p := start(t, 1, fmt.Sprintf("http://127.0.0.1:0 {\nICP\nupstream %s\nlog conn.log\n}", newOrigin(t, new(seen))), nil)
	path := filepath.Join(p.dir, "conn.log")
	ask := func() { talk(t, p.addr(t, "http:"), "GET / HTTP/1.1\r\nHost: filed.example\r\n\r\n") }
	ask()
	logLines(t, path, 1)
	for i, signal := range []os.Signal{nil, syscall.SIGHUP} {
		moved := fmt.Sprintf("%s.%d", path, i)
		if err := os.Rename(path, moved); err != nil {
			t.Fatal(err)
		}
		if signal != nil {
			p.write(t, "nonsense")
			if err := p.cmd.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			p.log.await(t, "what was in force stays")
		}
		ask()
		logLines(t, path, 1)
		logLines(t, moved, 1)
	}
}

// startHere starts a gate in this process; text is its configuration, ICP in it
// the block of all tests.
func startHere(t testing.TB, text string) (*gate.Gate, *prometheus.Registry, string) {
	t.Helper()
	dir := t.TempDir()
	x := newIndex(t, 1, filing("filed.example", registry.Aliyun), filing("elsewhere.example", registry.Tencent))
	if err := index.WriteFile(filepath.Join(dir, "registry.icp"), x); err != nil {
		t.Fatal(err)
	}
	cfg, err := parseConf(dir, strings.ReplaceAll(text, "ICP", icpBlock))
	if err != nil {
		t.Fatal(err)
	}
	reg := prometheus.NewRegistry()
	g, err := gate.Start(cfg, gate.Options{Metrics: reg})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Close() })
	return g, reg, dir
}

// only is the address of the only listener of a gate.
func only(g *gate.Gate) string {
	for _, a := range g.Listeners() {
		return a.String()
	}
	return ""
}

// metric is the sum of all of a metric's values with these label values.
func metric(t testing.TB, reg prometheus.Gatherer, name string, labels ...string) (sum float64) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
	each:
		for _, m := range f.GetMetric() {
			for _, want := range labels {
				if !strings.Contains(m.String(), `"`+want+`"`) {
					continue each
				}
			}
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return sum
}

// TestConnectionLogNeverWaits: with a log that takes nothing any more, requests
// go on; what is lost is counted.
func TestConnectionLogNeverWaits(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := makeFIFO(pipe); err != nil {
		t.Skipf("no named pipes here: %v", err)
	}
	reader, err := os.OpenFile(pipe, os.O_RDWR, 0) // opened, and never read
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	g, reg, _ := startHere(t, fmt.Sprintf("http://127.0.0.1:0 {\nICP\nupstream %s\nlog %s\n}", newOrigin(t, new(seen)), pipe))
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for range 6000 { // the pipe takes some 300 lines, the queue 4096
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+only(g)+"/", nil)
		req.Host = "filed.example"
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("got %s; want 200", resp.Status)
		}
	}
	if n := metric(t, reg, "icp_gate_connection_log_dropped_total"); n == 0 {
		t.Error("no line was dropped, or none counted")
	}
}

func TestConnectionLogSampled(t *testing.T) {
	g, _, dir := startHere(t, fmt.Sprintf("http://127.0.0.1:0 {\nICP\nupstream %s\nlog conn.log sample 10\n}", newOrigin(t, new(seen))))
	talk(t, only(g), strings.Repeat("GET / HTTP/1.1\r\nHost: filed.example\r\n\r\n", 30))
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	logLines(t, filepath.Join(dir, "conn.log"), 3)
}

func TestConnectionLogRefused(t *testing.T) {
	dir := confDir(t)
	cfg, err := parseConf(dir, site("http://127.0.0.1:0", "log no/such/dir.log"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := gate.Start(cfg, gate.Options{}); err == nil || !strings.Contains(err.Error(), "no/such/dir.log") || !strings.Contains(err.Error(), "gate.conf:1") {
		t.Errorf("got %v; want one that names the file and the block", err)
	}
}
