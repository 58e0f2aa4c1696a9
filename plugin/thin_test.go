package icp_test

import (
	"net/http/httptest"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"

	icp "github.com/icpgate/icpgate/plugin"
	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/edge"
	"github.com/icpgate/icpgate/registry/feed"
	"github.com/icpgate/icpgate/registry/index"
)

// gauge returns the value of a metric of a source, -1 if there is none.
func gauge(t *testing.T, metric, source string) float64 {
	t.Helper()
	families, err := prometheus.DefaultGatherer.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == metric && m.GetLabel()[0].GetValue() == source {
				return m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
	}
	return -1
}

// TestThin: answers are judged by what a registry service says over HTTP; once it
// has gone, by what it said, and what it never said is left to fail.
func TestThin(t *testing.T) {
	w := newWorld(t)
	x, err := index.ReadFile(w.path("r.snap"))
	if err != nil {
		t.Fatal(err)
	}
	live := new(index.Live)
	live.Swap(x)
	service := httptest.NewServer(feed.CoverageHandler(live.View, nil))
	cfg := w.cfg
	cfg.Registry, cfg.Service, cfg.ThinTimeout = "", service.URL, 2*time.Minute
	cfg.Policy.Fail = registry.FailClosed
	withheld := func(name string) bool {
		t.Helper()
		p := icp.Open(t, cfg, answering{answer: []string{name + ". 60 IN A " + ours}}.handler(t), ".")
		return len(ask(t, p, query{name: name, qtype: dns.TypeA}).Answer) == 0
	}
	// The first one stays open, or the answers would go with the last.
	icp.Open(t, cfg, nil, ".")
	if withheld("www.accessed.test") || !withheld("unfiled.test") {
		t.Error("the verdicts are not those of the service's registry")
	}
	if got := gauge(t, "coredns_icp_feed_connected", service.URL); got != 1 {
		t.Errorf("got feed_connected %v; want 1", got)
	}
	service.Close()
	p := icp.Open(t, cfg, answering{answer: []string{"silent.test. 60 IN A " + ours}}.handler(t), ".")
	wantBlocked(t, ask(t, p, query{name: "silent.test", qtype: dns.TypeA, edns: true}), "registry does not answer")
	for range 2 {
		if withheld("www.accessed.test") || !withheld("never.test") {
			t.Error("the verdicts without the service are not those of what it said, and of fail")
		}
	}
	if got := gauge(t, "coredns_icp_feed_connected", service.URL); got != 0 {
		t.Errorf("got feed_connected %v; want 0", got)
	}
	for metric, want := range map[string]float64{"coredns_icp_cache_entries": 2, "coredns_icp_cache_hits_total": 2, "coredns_icp_cache_evictions_total": 0} {
		if got := gauge(t, metric, service.URL); got != want {
			t.Errorf("got %s %v; want %v", metric, got, want)
		}
	}
	if !edge.Ready() {
		t.Error("not ready, though the service has answered")
	}
}
