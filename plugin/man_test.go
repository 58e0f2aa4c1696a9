package icp_test

import (
	"os/exec"
	"testing"
)

// TestManPage: the page that `make man` makes of README.md is one without faults,
// and man shows it.
func TestManPage(t *testing.T) {
	mandoc, man := need(t, "mandoc", "mandoc"), need(t, "man", "man-db")
	page, err := exec.Command("../deploy/man").Output()
	if err != nil {
		t.Fatalf("deploy/man: %v", err)
	}
	w := newWorld(t)
	path := w.file(t, "coredns-icp.7", string(page))
	// mandoc exits with an error where it has a warning or worse to tell.
	mandoc.run(t, "-Tlint", "-W", "warning", path)
	text := man.run(t, "--encoding=ascii", "-P", "cat", "-l", path)
	wantText(t, text, `^COREDNS-ICP\(7\)`, `^NAME$`, `^\s+icp\s+- withholds answers`, `^DESCRIPTION$`, `^SYNTAX$`, `^METRICS$`, `^EXAMPLES$`, `^BUGS$`,
		`^\s+registry FILE\|URL \[key FILE\] \[token FILE\] \[ca FILE\] \[cert FILE KEY-FILE\] \[accept-epoch ID\] \[thin\]$`, `coredns_icp_verdicts_total`, "!~~~")
}
