package icp

import (
	"testing"

	"github.com/coredns/coredns/plugin"

	"github.com/icpgate/icpgate/registry/edge"
	"github.com/icpgate/icpgate/registry/index"
)

// Open makes a handler as setup does, for the time of the test.
func Open(t testing.TB, cfg edge.Config, next plugin.Handler, zones ...string) *ICP {
	t.Helper()
	e, err := edge.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	p := &ICP{Next: next, zones: zones, cfg: cfg}
	p.edge.Store(e)
	return p
}

// Refresh makes every started handler look at its files.
func Refresh() {
	opened.Range(func(k, _ any) bool {
		k.(*ICP).edge.Load().Refresh()
		return true
	})
}

// Opened counts the handlers that have started and not stopped.
func Opened() (n int) {
	opened.Range(func(any, any) bool { n++; return true })
	return n
}

// Indexes returns the registries that the process holds.
func Indexes() (all []*index.Index) {
	for _, x := range edge.Registries() {
		all = append(all, x.View.Snapshot())
	}
	return all
}
