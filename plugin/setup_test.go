package icp_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/coredns/caddy"
	"github.com/miekg/dns"

	"github.com/icpgate/icpgate/deploy/loopback"
	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/edge"
	"github.com/icpgate/icpgate/registry/index"
)

// TestSetup: what the directive refuses in a Corefile, with words that help.
// What the block itself holds is tested where it is parsed.
func TestSetup(t *testing.T) {
	w := newWorld(t)
	w.file(t, "broken", "??? ???\n")
	tests := []struct {
		name, corefile string
		want           []string // in the error; nil if there is none
	}{
		{"plain", "ICP", nil},
		{"with zones", "icp example.com 10.0.0.0/8 {\nregistry r.snap\n}", nil},
		{"twice", "ICP\nICP", []string{"plugin/icp", "once"}},
		{"no block", "icp", []string{"plugin/icp", "Corefile:4", "no registry"}},
		{"bad option", "icp {\nregistry r.snap\ncolour red\n}", []string{"plugin/icp", "Corefile:6", `"colour"`, "registry, state"}},
		{"missing file", "icp {\nregistry gone.snap\n}", []string{"plugin/icp", "Corefile:5", w.path("gone.snap")}},
		{"no snapshot", "icp {\nregistry broken\n}", []string{"plugin/icp", "registry", w.path("broken")}},
		{"broken networks", "icp {\nregistry r.snap\nnetworks broken\n}", []string{"plugin/icp", w.path("broken") + ":1"}},
		{"nobody to confirm", "icp {\nregistry r.snap\nconfirm 2\n}", []string{"plugin/icp", "confirm 2"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inst, err := caddy.Start(w.corefile(".:0 {\nSERVER\n" + tt.corefile + "\nwhoami\n}"))
			if err == nil {
				s := &server{instance: inst}
				t.Cleanup(s.stop)
				s.settle(t)
			}
			if (err == nil) != (tt.want == nil) {
				t.Fatalf("got error %v; want one: %t", err, tt.want != nil)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got error %q; want %q in it", err, want)
				}
			}
		})
	}
}

// TestBlocks: every server block has its own directive, and several keys share one.
func TestBlocks(t *testing.T) {
	w := newWorld(t)
	up := newUpstream(t, "a.unfiled.test. 60 IN A "+ours, "b.unfiled.test. 60 IN A "+ours, "c.unfiled.test. 60 IN A "+ours, "d.unfiled.test. 60 IN A "+ours)
	s := w.start(t, `a.unfiled.test:0 b.unfiled.test:0 {
		SERVER
		ICP
		forward . `+up.addr+`
	}
	c.unfiled.test:0 {
		SERVER
		ICP(mode monitor)
		forward . `+up.addr+`
	}
	.:0 {
		SERVER
		forward . `+up.addr+`
	}`)
	for name, blocked := range map[string]bool{"a": true, "b": true, "c": false, "d": false} {
		m := s.ask(t, query{name: name + ".unfiled.test", qtype: dns.TypeA})
		if got := len(m.Answer) == 0; got != blocked {
			t.Errorf("%s: got\n%s; want blocked %t", name, m, blocked)
		}
	}
}

// TestReadyOfAllBlocks: the ready plugin knows one handler by our name, whichever
// it is; all of them tell the same.
func TestReadyOfAllBlocks(t *testing.T) {
	w := newWorld(t)
	addr := loopback.Free(t)
	ready := fmt.Sprintf("ready %s {\nmonitor continuously\n}", addr)
	w.start(t, "a.test:0 {\nSERVER\n"+ready+"\nICP\nwhoami\n}\nb.test:0 {\nSERVER\n"+ready+"\nICP(fail closed)\nwhoami\n}")
	wantStatus(t, addr, http.StatusOK)

	// A block whose registry has not come yet, under whatever handler.
	cfg := w.cfg
	cfg.Live, cfg.Policy.Fail = new(index.Live), registry.FailClosed
	e, err := edge.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	wantStatus(t, addr, http.StatusServiceUnavailable)
	e.Close()
	wantStatus(t, addr, http.StatusOK)
}

func wantStatus(t *testing.T, addr string, want int) {
	t.Helper()
	resp, err := http.Get("http://" + addr + "/ready")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != want {
		t.Errorf("got %s; want %d", resp.Status, want)
	}
}
