package api_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"

	"github.com/icpgate/icpgate/registry/api"
	"github.com/icpgate/icpgate/registry/feed"
)

// values are the metrics by name and labels.
func (w *world) values(t *testing.T) map[string]float64 {
	t.Helper()
	families, err := w.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	all := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			all[f.GetName()+"{"+strings.Join(labels, ",")+"}"] = valueOf(m)
		}
	}
	return all
}

func valueOf(m *dto.Metric) float64 {
	if h := m.GetHistogram(); h != nil {
		return float64(h.GetSampleCount())
	}
	return m.GetCounter().GetValue() + m.GetGauge().GetValue()
}

// TestMetrics: requests count by route and class, whatever paths, names and tokens
// they have; streams, edges and the registry show.
func TestMetrics(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/v1/decide?host=a.test", "/v1/decide?host=b.test", "/v1/decide", "/v1/nothing", "/v1/nothing/" + strings.Repeat("x", 50), "/v1/%64ecide?host=a.test"} {
		w.ask(t, http.MethodGet, path, w.bearer("coverage"), "")
	}
	w.ask(t, http.MethodGet, "/v1/decide?host=a.test", nil, "")
	w.ask(t, http.MethodGet, "/v1/decide?host=a.test", w.bearer("read"), "")
	w.ask(t, http.MethodGet, feed.SnapshotPath+"/"+strings.Repeat("0", 64), w.bearer("feed"), "")
	c, err := feed.NewClient(w.url, func() (string, error) { return w.secret["all"], nil })
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	rev := w.hub.Replica().Revision()
	stream, err := c.Feed(ctx, rev)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	behind := rev
	behind.Rev--
	if err := c.Report(ctx, feed.EdgeReport{EdgeStatus: feed.EdgeStatus{Revision: rev}, Behind: []feed.EdgeBehind{
		{Name: "a", EdgeStatus: feed.EdgeStatus{Revision: behind}}, {Name: "b", EdgeStatus: feed.EdgeStatus{Revision: rev, Error: "disk full"}},
		{Name: "c", Ago: 3600, EdgeStatus: feed.EdgeStatus{Revision: behind}},
	}}); err != nil {
		t.Fatal(err)
	}
	round, end := context.WithCancel(ctx)
	w.Keep(round, api.Keeping{Done: func(api.Kept, error) { end() }})
	got := w.values(t)
	for name, want := range map[string]float64{
		"icp_registry_requests_total{class=2xx,route=/v1/decide}":            2,
		"icp_registry_requests_total{class=4xx,route=/v1/decide}":            3,
		"icp_registry_requests_total{class=4xx,route=other}":                 3,
		"icp_registry_requests_total{class=4xx,route=/v1/snapshot/{sha256}}": 1,
		"icp_registry_requests_total{class=2xx,route=/v1/feed}":              1,
		"icp_registry_request_duration_seconds{route=/v1/decide}":            5,
		"icp_registry_denied_total{lack=token}":                              1,
		"icp_registry_denied_total{lack=scope}":                              1,
		"icp_registry_streams{}":                                             1,
		"icp_registry_slow_streams_total{}":                                  0,
		"icp_registry_edges{state=current}":                                  1,
		"icp_registry_edges{state=behind}":                                   1,
		"icp_registry_edges{state=failing}":                                  1,
		"icp_registry_edges{state=silent}":                                   1,
		"icp_registry_edge_lag_revisions{}":                                  1,
		"icp_registry_registry_revision{}":                                   float64(rev.Rev),
		"icp_registry_registry_filings{}":                                    1,
		"icp_registry_feed_connected{}":                                      1,
		"icp_registry_imports{state=waiting}":                                0,
		"icp_registry_keeping_rounds_total{result=success}":                  1,
		"icp_registry_dropped_total{kind=sightings}":                         0,
	} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s is %v, %t; want %v", name, v, ok, want)
		}
	}
	if _, ok := got["icp_registry_request_duration_seconds{route=/v1/feed}"]; ok {
		t.Error("a stream counts as a request that takes long")
	}
}
