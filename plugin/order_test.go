package icp_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
)

// TestOrder: where the directive stands below one that answers, nothing starts;
// it would start, and block nothing.
func TestOrder(t *testing.T) {
	before := slices.Clone(dnsserver.Directives)
	set := func(names []string) {
		t.Helper()
		if err := dnsserver.SetDirectives(names); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { set(before) })
	w := newWorld(t)
	corefile := w.corefile(".:0 {\nSERVER\nICP\ntemplate ANY ANY {\n rcode NXDOMAIN\n}\n}")
	without := slices.DeleteFunc(slices.Clone(before), func(s string) bool { return s == "icp" })
	for _, above := range []string{"local", "rewrite", "cache", "template", "forward", "view"} {
		set(slices.Insert(slices.Clone(without), slices.Index(without, above)+1, "icp"))
		inst, err := caddy.Start(corefile)
		if err == nil {
			(&server{instance: inst}).stop()
			t.Errorf("below %s it starts", above)
		} else if msg := err.Error(); !strings.Contains(msg, "icp below local") || !strings.Contains(msg, "plugin.cfg") {
			t.Errorf("below %s: got error %q; want one that names a directive above, and what to do", above, msg)
		}
	}
	set(before)
	w.start(t, string(".:0 {\nSERVER\nICP\n}"))
}
