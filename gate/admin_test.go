package gate_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
)

// TestAdmin: what the admin port says is what clients get, and at which address.
// A bare edge of a provider takes what it fronts for the provider's own, and what
// answers there is what `serves` says.
func TestAdmin(t *testing.T) {
	admin := freePort(t)
	block := func(key, serves string) string {
		return key + " {\nicp {\nregistry registry.icp\nprovider aliyun\nadmin " + admin + "\n}\nserves " + serves + "\nupstream " + newOrigin(t, new(seen)) + "\n}\n"
	}
	p := start(t, 3, block("http://127.0.0.1:0", "223.5.5.5 2400:3200::1 product ecs")+block("http://127.0.0.2:0", "mainland product cdn")+
		strings.Replace(block("tls://127.0.0.1:0", "mainland"), "registry registry.icp", "registry registry.icp\nmainland ml", 1),
		map[string]string{"ml": "223.0.0.0/8\n10.0.0.0/8\n"})

	for addr, want := range map[string]string{p.addr(t, "http://127.0.0.1:"): "not-accessed", p.addr(t, "http://127.0.0.2:"): ""} {
		req, err := http.NewRequest("GET", "http://"+addr, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = "www.elsewhere.example"
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got := resp.Header.Get("X-ICP-Reason"); got != want {
			t.Errorf("a client of %s is told %q; want %q", addr, got, want)
		}
	}
	for _, tc := range []struct{ question, verdict, reason, product string }{
		{"&block=1", "block", "not-accessed", "ecs"},
		{"&block=2", "pass", "filed", "cdn"},
		{"&block=3&addr=223.5.5.5", "block", "not-accessed", "unknown"},
	} {
		var x struct {
			Verdict, Reason string
			Query           struct{ Product string }
			Block           struct{ Label string }
		}
		body := adminAsked(t, admin, "/explain?host=www.elsewhere.example"+tc.question, "application/json")
		if err := json.Unmarshal([]byte(body), &x); err != nil {
			t.Fatal(err)
		}
		if x.Verdict != tc.verdict || x.Reason != tc.reason || x.Query.Product != tc.product || !strings.Contains(x.Block.Label, "://127.0.0.") {
			t.Errorf("%s: got %s; want %+v", tc.question, body, tc)
		}
	}
	if got := adminAsked(t, admin, "/sightings", "text/csv"); !strings.Contains(got, "elsewhere.example,www.elsewhere.example,223.5.5.5,not-accessed,http,enforce,") {
		t.Errorf("sightings\n%s\nwant the address that the listener stands for", got)
	}
	status := adminAsked(t, admin, "/status", "text/plain")
	for _, want := range []string{"ready     true", "block 3  tls://127.0.0.1:0\n", "provider     aliyun"} {
		if !strings.Contains(status, want) {
			t.Errorf("status\n%s\nwant %q in it", status, want)
		}
	}
	if strings.Contains(status, "nodata") {
		t.Errorf("status\n%s\ntells of DNS answers", status)
	}
	if !strings.Contains(p.log.String(), "level=WARN") || !strings.Contains(p.log.String(), "10.0.0.0/8") {
		t.Errorf("it said\n%s\nwant the warning of what the mainland file lists in vain", p.log)
	}
	if list := adminAsked(t, admin, "/", "text/plain"); !strings.Contains(list, "\n/metrics     figures for Prometheus\n/readyz") {
		t.Errorf("the list of pages\n%s\nwant /metrics in its place", list)
	}
	for _, path := range []string{"/healthz", "/readyz", "/revision"} {
		adminAsked(t, admin, path, "text/plain")
	}
}

// adminAsked asks the admin port, which has to answer.
func adminAsked(t *testing.T, admin, path, accept string) string {
	t.Helper()
	req, err := http.NewRequest("GET", "http://"+admin+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", accept)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %s, %v", path, resp.Status, b, err)
	}
	return string(b)
}
