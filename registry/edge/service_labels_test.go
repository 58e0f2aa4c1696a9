package edge_test

import (
	"path/filepath"
	"testing"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/edge"
)

// TestJudgeServiceLabels: what is explained of a name of DNS is what a resolver does
// with it. Labels that name a service count as little for the one as for the other.
func TestJudgeServiceLabels(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.snap")
	snapshot(t, path, 1, "a.gov.cn")
	e := open(t, edge.Config{Registry: path})
	host := registry.Host{Name: registry.MustParseDomain("_8443._https.a.gov.cn")}
	for ch, want := range map[registry.Channel]registry.Reason{registry.ChannelDNS: registry.Filed, registry.ChannelHTTP: registry.GovUnitUnfiled} {
		if got := e.Judge(edge.Question{Host: host, Channel: ch})[0].Facts.Verdict.Reason; got != want {
			t.Errorf("%s: got %s; want %s", ch, got, want)
		}
	}
}
