package icp_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/coredns/coredns/plugin/metadata"
	"github.com/coredns/coredns/plugin/test"
	"github.com/coredns/coredns/request"
	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"

	icp "github.com/icpgate/icpgate/plugin"
)

// count returns the value of the verdict counter with these labels.
func count(t *testing.T, labels map[string]string) float64 {
	t.Helper()
	return counted(t, "verdicts_total", labels)
}

// counted returns the value of a counter with these labels.
func counted(t *testing.T, counter string, labels map[string]string) float64 {
	t.Helper()
	families, err := prometheus.DefaultGatherer.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		if f.GetName() != "coredns_icp_"+counter {
			continue
		}
		for _, m := range f.GetMetric() {
			match := 0
			for _, l := range m.GetLabel() {
				if want, ok := labels[l.GetName()]; ok && want == l.GetValue() {
					match++
				}
			}
			if match == len(labels) {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	return sum
}

// TestVerdictCounter: one answer, one count, of the worst that is in it.
func TestVerdictCounter(t *testing.T) {
	w := newWorld(t)
	tests := []struct {
		verdict, reason string
		host            string
		answer          []string
	}{
		{"pass", "accessed", "accessed.test.", []string{"accessed.test. 60 IN A " + ours}},
		{"block", "unfiled", "unfiled.test.", []string{"unfiled.test. 60 IN A " + abroad, "unfiled.test. 60 IN A " + ours}},
		{"block", "not-accessed", "elsewhere.test.", []string{"elsewhere.test. 60 IN A " + ourCDN, "elsewhere.test. 60 IN A " + ours}},
		{"pass", "filed", "elsewhere.test.", []string{"elsewhere.test. 60 IN A " + theirs}},
		{"pass", "outside-mainland", "unfiled.test.", []string{"unfiled.test. 60 IN A " + abroad}},
		{"pass", "not-public", "unfiled.test.", []string{"unfiled.test. 60 IN A " + private}},
		{"pass", "no-address", "unfiled.test.", []string{`unfiled.test. 60 IN TXT "x"`}},
		{"pass", "not-judged", "x.cluster.local.", []string{"x.cluster.local. 60 IN A " + ours}},
	}
	for _, tt := range tests {
		labels := map[string]string{"zone": ".", "verdict": tt.verdict, "reason": tt.reason, "mode": "enforce"}
		all := map[string]string{"zone": "."}
		one, total := count(t, labels), count(t, all)
		ask(t, icp.Open(t, w.cfg, answering{answer: tt.answer}.handler(t), "."), query{name: tt.host, qtype: dns.TypeA})
		if n := count(t, labels) - one; n != 1 {
			t.Errorf("%s %s: counted %v; want 1", tt.verdict, tt.reason, n)
		}
		if n := count(t, all) - total; n != 1 {
			t.Errorf("%s %s: counted %v in all; want 1", tt.verdict, tt.reason, n)
		}
	}
}

// TestRefusedRecords: what is taken out of an answer that goes on is counted by
// the section that it was in; a block answer is a verdict and nothing more.
func TestRefusedRecords(t *testing.T) {
	w := newWorld(t)
	tests := []struct {
		name       string
		answer     answering
		qtype      uint16
		additional float64
		answers    float64
	}{
		{"a mixed answer", answering{answer: []string{"unfiled.test. 60 IN A " + abroad, "unfiled.test. 60 IN A " + ours, "unfiled.test. 60 IN A " + theirs}}, dns.TypeA, 0, 2},
		{"a hint", answering{answer: []string{"unfiled.test. 60 IN HTTPS 1 . ipv4hint=" + ours + "," + abroad}}, dns.TypeHTTPS, 0, 1},
		{"beside it", answering{answer: []string{"unfiled.test. 60 IN SRV 0 0 80 unfiled.test."}, extra: []string{"unfiled.test. 60 IN A " + ours}}, dns.TypeSRV, 1, 0},
		{"blocked", answering{answer: []string{"unfiled.test. 60 IN A " + ours}}, dns.TypeA, 0, 0},
		{"passed", answering{answer: []string{"unfiled.test. 60 IN A " + abroad}}, dns.TypeA, 0, 0},
	}
	for _, tt := range tests {
		at := func(section string) float64 {
			return counted(t, "refused_records_total", map[string]string{"section": section})
		}
		answers, additional, authority := at("answer"), at("additional"), at("authority")
		ask(t, icp.Open(t, w.cfg, tt.answer.handler(t), "."), query{name: "unfiled.test.", qtype: tt.qtype})
		if a, b, c := at("answer")-answers, at("additional")-additional, at("authority")-authority; a != tt.answers || b != tt.additional || c != 0 {
			t.Errorf("%s: counted %v, %v and %v; want %v in the answer and %v beside it", tt.name, a, b, c, tt.answers, tt.additional)
		}
	}
}

func TestMetricNames(t *testing.T) {
	w := newWorld(t)
	icp.Open(t, w.cfg, nil, ".")
	all, err := prometheus.DefaultGatherer.Gather()
	if err != nil {
		t.Fatal(err)
	}
	families := slices.DeleteFunc(all, func(f *dto.MetricFamily) bool { return !strings.HasPrefix(f.GetName(), "coredns_icp_") })
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	filings := 0.0
	for _, f := range families {
		if f.GetName() != "coredns_icp_registry_filings" {
			continue
		}
		for _, m := range f.GetMetric() {
			if m.GetLabel()[0].GetValue() == w.path("r.snap") {
				filings = m.GetGauge().GetValue()
			}
		}
	}
	if filings != 4 {
		t.Errorf("got %v filings; want the 4 of the registry", filings)
	}
}

func TestMetadata(t *testing.T) {
	w := newWorld(t)
	tests := []struct {
		host   string
		answer []string
		want   string // verdict reason name filed product place
	}{
		{"WWW.accessed.test.", []string{"www.accessed.test. 60 IN A " + ours}, "pass accessed www.accessed.test accessed.test ecs mainland"},
		{"unfiled.test.", []string{"unfiled.test. 60 IN A " + ourCDN}, "block unfiled unfiled.test - cdn mainland"},
		{"unfiled.test.", []string{"unfiled.test. 60 IN A " + abroad}, "pass outside-mainland unfiled.test - unknown overseas"},
		{`a\.b.test.`, []string{`a\.b.test. 60 IN A ` + ours}, "block unfiled unreadable.invalid - ecs mainland"},
	}
	for _, tt := range tests {
		p := icp.Open(t, w.cfg, answering{answer: tt.answer}.handler(t), ".")
		ctx := metadata.ContextWithMetadata(context.Background())
		r := query{name: tt.host, qtype: dns.TypeA}.msg()
		ctx = p.Metadata(ctx, request.Request{Req: r, W: &test.ResponseWriter{}})
		read := func() string {
			var words []string
			for _, label := range []string{"verdict", "reason", "name", "filed", "product", "place"} {
				v := metadata.ValueFunc(ctx, "icp/"+label)()
				if v == "" {
					v = "-"
				}
				words = append(words, v)
			}
			return strings.Join(words, " ")
		}
		if got := read(); got != "- - - - - -" {
			t.Errorf("%s: got %q before the answer; want nothing", tt.host, got)
		}
		if _, err := p.ServeDNS(ctx, &test.ResponseWriter{}, r); err != nil {
			t.Fatal(err)
		}
		if got := read(); got != tt.want {
			t.Errorf("%s: got %q; want %q", tt.host, got, tt.want)
		}
	}
}
