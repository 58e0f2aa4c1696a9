package gate_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/icpgate/icpgate/gate"
	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/index"
)

var (
	fence = regexp.MustCompile("(?ms)^~~~ gatefile\n(.*?)^~~~$")
	// Ports that others may have, in listeners and of the admin port.
	listened = regexp.MustCompile(`(?m)^(http|tls|mixed|quic|auth|grpc|spoe)://:\d+`)
	adminAt  = regexp.MustCompile(`(?m)^ *admin .*\n`)
)

// TestReadme starts the program with every example of the documentation and
// checks that it is laid out as a man page.
func TestReadme(t *testing.T) {
	rest := readme(t)
	for _, section := range []string{"# icp-gate", "## Name", "## Description", "## Syntax", "## Metrics", "## Ready", "## Signals", "## Examples", "## See Also", "## Bugs"} {
		_, after, ok := strings.Cut(rest, section+"\n")
		if !ok {
			t.Fatalf("no section %q, or not in its place", section)
		}
		rest = after
	}
	fences := fence.FindAllStringSubmatch(readme(t), -1)
	if len(fences) < 5 {
		t.Fatalf("found %d examples; want 5 at least", len(fences))
	}
	files := readmeFiles(t)
	for _, f := range fences {
		text := adminAt.ReplaceAllString(listened.ReplaceAllString(f[1], "$1://127.0.0.1:0"), "")
		p := start(t, strings.Count(text, "://127.0.0.1:0")+strings.Count(text, "://unix:"), text, files)
		p.signal(t, os.Interrupt)
		if err := p.cmd.Wait(); err != nil {
			t.Errorf("%v with\n%s\nit said\n%s", err, f[1], p.log)
		}
	}
}

func readme(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// readmeFiles are the files that the examples name.
func readmeFiles(t *testing.T) map[string]string {
	t.Helper()
	c := newCertificate(t, "www.example.com")
	snap := t.TempDir() + "/registry.snap"
	if err := index.WriteFile(snap, newIndex(t, 1, filing("filed.example", registry.Aliyun))); err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for name, path := range map[string]string{"registry.snap": snap, "cert.pem": c.Cert, "key.pem": c.Key} {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = string(b)
	}
	return files
}

// TestReadmeListsAll: the syntax is what the parser takes, line by line, and
// there is a word of every directive, pair and metric.
func TestReadmeListsAll(t *testing.T) {
	text := readme(t)
	_, rest, _ := strings.Cut(text, "## Syntax\n")
	block, rest, _ := strings.Cut(rest, "\n}\n~~~")
	_, block, _ = strings.Cut(block, "    }\n")
	var want []string
	for _, d := range gate.Directives() {
		want = append(want, "    "+d)
		name, usage, _ := strings.Cut(d, " ")
		if !strings.Contains(rest, "\n* `"+name+"`") && !strings.Contains(rest, "\n* `"+name+" ") {
			t.Errorf("no word of the directive %s", name)
		}
		for _, word := range regexp.MustCompile(`[a-z][a-z0-9-]+`).FindAllString(usage, -1) {
			if !strings.Contains(rest, "`"+word+"`") && !strings.Contains(rest, word+"`") && !strings.Contains(rest, "`"+word) {
				t.Errorf("no word of %s in %s", word, d)
			}
		}
	}
	if got := strings.Split(block, "\n"); !slices.Equal(got, want) {
		t.Errorf("the syntax is\n%s\nwant\n%s", block, strings.Join(want, "\n"))
	}
	_, metrics, _ := strings.Cut(text, "## Metrics\n")
	for _, m := range gateMetrics(t) {
		if !strings.Contains(metrics, "`"+m+"{") {
			t.Errorf("no word of the metric %s", m)
		}
	}
}

// described keeps what collectors describe.
type described struct {
	prometheus.Registerer
	names []string
}

var fqName = regexp.MustCompile(`fqName: "([^"]*)"`)

// MustRegister implements prometheus.Registerer.
func (d *described) MustRegister(list ...prometheus.Collector) {
	for _, c := range list {
		descs := make(chan *prometheus.Desc, 100)
		c.Describe(descs)
		close(descs)
		for x := range descs {
			d.names = append(d.names, fqName.FindStringSubmatch(x.String())[1])
		}
	}
	d.Registerer.MustRegister(list...)
}

func gateMetrics(t *testing.T) []string {
	t.Helper()
	d := &described{Registerer: prometheus.NewRegistry()}
	g, err := gate.Start(gate.Config{}, gate.Options{Metrics: d})
	if err != nil {
		t.Fatal(err)
	}
	g.Close()
	if len(d.names) < 20 {
		t.Fatalf("found the metrics %v; want 20 at least", d.names)
	}
	return d.names
}
