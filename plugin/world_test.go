package icp_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
	clog "github.com/coredns/coredns/plugin/pkg/log"

	icp "github.com/icpgate/icpgate/plugin"
	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/edge"
	"github.com/icpgate/icpgate/registry/index"
)

// The addresses of the tests' world, all set aside for documentation.
const (
	ours    = "203.0.113.1"        // in the mainland, an ecs of aliyun's, whose edge this is
	ourCDN  = "203.0.113.65"       // in the mainland, a cdn of aliyun's
	theirs  = "203.0.113.129"      // in the mainland, another provider's ecs
	nobodys = "203.0.113.200"      // in the mainland, of an unknown owner
	ours6   = "2001:db8:86::1"     // in the mainland, an ecs of aliyun's
	abroad  = "198.51.100.1"       // overseas
	abroad6 = "2001:db8:49::1"     // overseas
	private = "10.0.0.1"           // not public
	notice  = "203.0.113.250"      // the notice host, in the mainland
	notice6 = "2001:db8:86::fa"    // the same
	mapped  = "64:ff9b::cb00:71c8" // nobodys behind the well-known translator
)

const networks = `
203.0.113.0/26     aliyun   ecs  cn-hangzhou mainland
203.0.113.64/26    aliyun   cdn  cn-hangzhou mainland
203.0.113.128/26   tencent  ecs  ap-guangzhou mainland
2001:db8:86::/48   aliyun   ecs  cn-hangzhou mainland
198.51.100.0/24    farhost  ecs  somewhere   overseas
2001:db8:49::/48   farhost  ecs  somewhere   overseas
`

const mainland = "203.0.113.0/24\n2001:db8:86::/48\n"

// world is a directory with a registry and networks.
type world struct {
	dir string
	cfg edge.Config
}

// newWorld makes a world in which accessed.test is filed and accessed here,
// elsewhere.test filed and accessed with tencent, cancelled.test no longer filed,
// and restricted.test filed but restricted.
func newWorld(t testing.TB) world {
	t.Helper()
	w := world{dir: t.TempDir()}
	w.cfg = edge.Config{
		Registry: w.path("r.snap"), Provider: registry.Aliyun,
		Mainland: w.file(t, "mainland", mainland), Networks: w.file(t, "networks", networks),
		Poll: time.Hour,
	}
	w.registry(t, filing("accessed.test", registry.Aliyun), filing("elsewhere.test", registry.Tencent),
		cancelled("cancelled.test"), restricted("restricted.test"))
	return w
}

func (w world) path(name string) string { return filepath.Join(w.dir, name) }

// file writes a file and returns its path.
func (w world) file(t testing.TB, name, text string) string {
	t.Helper()
	if err := os.WriteFile(w.path(name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return w.path(name)
}

// registry writes the snapshot anew.
func (w world) registry(t testing.TB, filings ...registry.Filing) {
	t.Helper()
	b := index.NewBuilder(index.Options{MadeAt: time.Unix(1_700_000_000, 0)})
	for _, f := range filings {
		if err := b.Add(f); err != nil {
			t.Fatal(err)
		}
	}
	x, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	if err := index.WriteFile(w.path("r.snap"), x); err != nil {
		t.Fatal(err)
	}
}

// filing is a normal filing of a name with an active access.
func filing(name string, provider registry.ProviderID) registry.Filing {
	return registry.Filing{
		Site:          registry.Site{Domains: []registry.Domain{registry.MustParseDomain(name)}},
		Accesses:      []registry.Access{{Provider: provider}},
		AccessesKnown: true,
	}
}

func cancelled(name string) registry.Filing {
	f := filing(name, registry.Aliyun)
	f.Status = registry.StatusCancelled
	return f
}

func restricted(name string) registry.Filing {
	f := filing(name, registry.Aliyun)
	f.Restricted = true
	return f
}

// TestMain puts the directive where cmd/coredns puts it.
func TestMain(m *testing.M) {
	i := slices.Index(dnsserver.Directives, "local")
	if err := dnsserver.SetDirectives(slices.Insert(slices.Clone(dnsserver.Directives), i, "icp")); err != nil {
		panic(err)
	}
	caddy.Quiet, dnsserver.Quiet = true, true
	if os.Getenv("ICP_TEST_LOG") == "" {
		clog.Discard()
	}
	dir, err := os.MkdirTemp("", "icp-state-*")
	if err != nil {
		panic(err)
	}
	os.Setenv("XDG_STATE_HOME", dir)
	icp.NoHurry()
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}
