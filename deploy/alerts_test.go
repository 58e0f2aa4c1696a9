package deploy_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

var metric = regexp.MustCompile(`\b(?:coredns_icp|icp_gate|icp_registry)_[a-z_]+`)

// TestAlerts: the rules ask for metrics that the documentation has, and it says what
// to do about each.
func TestAlerts(t *testing.T) {
	var file struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert, Expr, For string
				Annotations      struct{ Summary string }
			}
		}
	}
	if err := yaml.UnmarshalStrict([]byte(read(t, "alerts.yml")), &file); err != nil {
		t.Fatal(err)
	}
	operating := read(t, "../docs/operating.md")
	known := map[string]bool{}
	for _, text := range []string{operating, read(t, "../plugin/README.md"), read(t, "../gate/README.md")} {
		for _, name := range metric.FindAllString(text, -1) {
			known[name] = true
		}
	}
	rules := 0
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			rules++
			if r.Annotations.Summary == "" || !strings.Contains(operating, r.Alert) {
				t.Errorf("%s: no summary, or docs/operating.md does not name it", r.Alert)
			}
			names := metric.FindAllString(r.Expr, -1)
			if len(names) == 0 {
				t.Errorf("%s asks for no metric", r.Alert)
			}
			for _, name := range names {
				if !known[name] {
					t.Errorf("%s asks for %s, which is documented nowhere", r.Alert, name)
				}
			}
		}
	}
	if rules < 10 {
		t.Errorf("%d rules", rules)
	}
}

// TestRegistryMetricsAreListed: docs/operating.md lists the metrics of the registry.
func TestRegistryMetricsAreListed(t *testing.T) {
	operating := read(t, "../docs/operating.md")
	names := regexp.MustCompile(`(?:Name: |desc\()"([a-z_]+)"`).FindAllStringSubmatch(read(t, "../registry/api/metrics.go"), -1)
	if len(names) < 15 {
		t.Fatalf("%d metrics found", len(names))
	}
	for _, m := range names {
		if !regexp.MustCompile("`icp_registry_" + m[1] + "[`{]").MatchString(operating) {
			t.Errorf("docs/operating.md does not list icp_registry_%s", m[1])
		}
	}
}
