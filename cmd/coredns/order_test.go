package main

import (
	"slices"
	"testing"

	"github.com/coredns/coredns/core/dnsserver"
)

// TestOrder: the directive stands above all that makes, keeps or alters answers,
// and below what records them.
func TestOrder(t *testing.T) {
	before := slices.Clone(dnsserver.Directives)
	t.Cleanup(func() {
		if err := dnsserver.SetDirectives(before); err != nil {
			t.Fatal(err)
		}
	})
	if err := insertDirective(); err != nil {
		t.Fatal(err)
	}
	place := func(name string) int {
		t.Helper()
		i := slices.Index(dnsserver.Directives, name)
		if i < 0 {
			t.Fatalf("no directive %q", name)
		}
		return i
	}
	for _, above := range []string{"prometheus", "errors", "log", "dnstap", "metadata", "multisocket"} {
		if place(above) > place("icp") {
			t.Errorf("%s stands below icp; want it above", above)
		}
	}
	for _, below := range []string{"local", "dns64", "any", "loadbalance", "tsig", "rewrite", "autopath", "acl", "cache", "header", "dnssec",
		"minimal", "template", "transfer", "dynupdate", "hosts", "k8s_external", "kubernetes", "file", "auto", "forward"} {
		if place(below) < place("icp") {
			t.Errorf("%s stands above icp; want it below", below)
		}
	}
}
