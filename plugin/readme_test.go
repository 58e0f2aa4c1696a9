package icp_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/coredns/caddy/caddyfile"

	"github.com/icpgate/icpgate/deploy/loopback"
	"github.com/icpgate/icpgate/registry/edge"
)

var fence = regexp.MustCompile("(?ms)^~~~ corefile\n(.*?)^~~~$")

// TestReadme starts every Corefile of the documentation and checks that it is
// laid out as CoreDNS's own are.
func TestReadme(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	rest := string(text)
	for _, section := range []string{"# icp", "## Name", "## Description", "## Syntax", "## Metrics", "## Ready", "## Metadata", "## Examples", "## See Also", "## Bugs"} {
		_, after, ok := strings.Cut(rest, section+"\n")
		if !ok {
			t.Fatalf("no section %q, or not in its place", section)
		}
		rest = after
	}
	w := newWorld(t)
	w.file(t, "registry.snap", read(t, w.path("r.snap")))
	w.file(t, "networks.txt", networks)
	fences := fence.FindAllStringSubmatch(string(text), -1)
	if len(fences) < 3 {
		t.Fatalf("found %d examples; want 3 at least", len(fences))
	}
	for _, f := range fences {
		// The examples listen on the usual port of every address.
		corefile := strings.Replace(f[1], ". {", ".:0 {\nSERVER", 1)
		s := w.start(t, strings.Replace(corefile, ":9154", loopback.Free(t), 1))
		s.stop()
	}
}

// TestReadmeListsAll: every option and metric that there is stands in the text.
func TestReadmeListsAll(t *testing.T) {
	text := read(t, "README.md")
	d := caddyfile.NewDispenser("Corefile", strings.NewReader("icp {\nno-such-option\n}"))
	d.Next()
	_, err := edge.Parse(&d, "")
	_, options, ok := strings.Cut(err.Error(), "; expect ")
	if !ok {
		t.Fatalf("got error %q; want one that lists the options", err)
	}
	for _, o := range strings.Fields(strings.NewReplacer(",", " ", " or ", " ").Replace(options)) {
		if !strings.Contains(text, "\n    "+o+" ") || !strings.Contains(text, "\n* `"+o+"`") && !strings.Contains(text, "\n* `"+o+" ") {
			t.Errorf("no word of the option %s", o)
		}
	}
	for _, f := range []string{"verdicts_total", "inspect_duration_seconds", "registry_revision", "registry_age_seconds",
		"registry_filings", "reloads_total", "feed_connected",
		"cache_hits_total", "cache_misses_total", "cache_evictions_total", "cache_entries", "unreadable_answers_total", "refused_records_total",
		"log_dropped_total", "sightings", "sightings_other_total"} {
		if !strings.Contains(text, "`coredns_icp_"+f+"{") {
			t.Errorf("no word of coredns_icp_%s", f)
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
