package gate

import (
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/edge"
	"github.com/icpgate/icpgate/registry/index"
)

// openEdge opens an Edge whose mainland is the file's, with an empty registry.
func openEdge(t testing.TB, cfg edge.Config, mainland string) *edge.Edge {
	t.Helper()
	dir := t.TempDir()
	x, err := index.NewBuilder(index.Options{
		Revision: registry.Revision{Epoch: registry.Epoch{Made: 1}, Rev: 1}, MadeAt: time.Unix(1_700_000_000, 0),
	}).Build()
	if err != nil {
		t.Fatal(err)
	}
	cfg.Registry, cfg.Mainland = filepath.Join(dir, "r.snap"), filepath.Join(dir, "mainland")
	if err := index.WriteFile(cfg.Registry, x); err != nil {
		t.Fatal(err)
	}
	setFile(t, cfg.Mainland, mainland)
	if cfg.Networks != "" {
		text := cfg.Networks
		cfg.Networks = filepath.Join(dir, "networks")
		setFile(t, cfg.Networks, text)
	}
	e, err := edge.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

func setFile(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func addrs(all ...string) (as []netip.Addr) {
	for _, a := range all {
		as = append(as, netip.MustParseAddr(a))
	}
	return as
}

const networks = "203.0.113.0/26 aliyun ecs cn-hangzhou\n203.0.113.64/26 tencent slb ap-guangzhou\n"

func TestJudged(t *testing.T) {
	bare := edge.Config{Provider: "aliyun"}
	netted := edge.Config{Provider: "aliyun", Networks: networks}
	local := destination{Local: netip.MustParseAddrPort("203.0.113.1:443")}
	for _, tc := range []struct {
		name   string
		cfg    edge.Config
		serves Serves
		d      destination
		want   []string // place, owner, product
	}{
		{"local", bare, Serves{}, local, []string{"mainland aliyun unknown"}},
		{"local, nobody's edge", edge.Config{}, Serves{}, local, []string{"mainland  unknown"}},
		{"local, outside", bare, Serves{}, destination{Local: netip.MustParseAddrPort("198.51.100.1:1")}, []string{"private  unknown"}},
		{"local, networks", netted, Serves{}, local, []string{"mainland aliyun ecs"}},
		{"local, another's", netted, Serves{}, destination{Local: netip.MustParseAddrPort("[::ffff:203.0.113.65]:443")}, []string{"mainland tencent slb"}},
		{"local, nobody's in the networks", netted, Serves{}, destination{Local: netip.MustParseAddrPort("203.0.113.129:443")}, []string{"mainland  unknown"}},
		{"proxied before local", netted, Serves{}, destination{Local: local.Local, Proxied: netip.MustParseAddrPort("203.0.113.65:1")}, []string{"mainland tencent slb"}},
		{"original before proxied", netted, Serves{}, destination{
			Local: netip.MustParseAddrPort("10.0.0.1:1"), Proxied: netip.MustParseAddrPort("203.0.113.65:1"), Original: local.Local,
		}, []string{"mainland aliyun ecs"}},
		{"serves before all", netted, Serves{Addrs: addrs("203.0.113.66")}, destination{Original: local.Local}, []string{"mainland tencent slb"}},
		{"serves several", netted, Serves{Addrs: addrs("203.0.113.1", "203.0.113.65", "203.0.113.2")}, destination{}, []string{"mainland aliyun ecs", "mainland tencent slb"}},
		{"serves product", netted, Serves{Addrs: addrs("203.0.113.1"), Product: registry.CDN}, destination{}, []string{"mainland aliyun cdn"}},
		{"mainland", netted, Serves{Mainland: true, Product: registry.OSS}, local, []string{"mainland aliyun oss"}},
		{"mainland, nobody's edge", edge.Config{}, Serves{Mainland: true}, destination{}, []string{"mainland  unknown"}},
		{"unix socket", bare, Serves{}, destination{}, nil},
	} {
		l := newLocator(openEdge(t, tc.cfg, "203.0.113.0/24\n"), tc.serves)
		got := l.judged(nil, tc.d)
		if tc.want == nil {
			if len(got) != 1 || got[0].Place == registry.Mainland || got[0].Provider != "" {
				t.Errorf("%s: %+v; want one unknown place", tc.name, got)
			}
			continue
		}
		var words []string
		for _, w := range got {
			words = append(words, w.Place.String()+" "+string(w.Provider)+" "+w.Product.String())
		}
		if !reflect.DeepEqual(words, tc.want) {
			t.Errorf("%s: %q; want %q", tc.name, words, tc.want)
		}
	}
}

// TestNamed: sightings name an address that is judged, by the family of the
// client's where there are several.
func TestNamed(t *testing.T) {
	e := openEdge(t, edge.Config{Provider: "aliyun", Networks: networks}, "203.0.113.0/24\n")
	came := destination{Local: netip.MustParseAddrPort("10.0.0.1:443")}
	for _, tc := range []struct {
		serves   Serves
		d        destination
		want     string
		provider registry.ProviderID
	}{
		{Serves{}, destination{Local: netip.MustParseAddrPort("203.0.113.1:443")}, "203.0.113.1", "aliyun"},
		{Serves{Addrs: addrs("203.0.113.65")}, came, "203.0.113.65", "tencent"},
		{Serves{Addrs: addrs("2001:db8::1", "203.0.113.1", "203.0.113.65")}, came, "203.0.113.1", "aliyun"},
		{Serves{Addrs: addrs("203.0.113.1", "203.0.113.65")}, destination{Local: netip.MustParseAddrPort("[::ffff:203.0.113.65]:443")}, "203.0.113.65", "tencent"},
		{Serves{Addrs: addrs("2001:db8::1")}, came, "2001:db8::1", ""},
		{Serves{Addrs: addrs("203.0.113.1"), Asked: true}, destination{Told: netip.MustParseAddr("203.0.113.66")}, "203.0.113.66", "tencent"},
		{Serves{Mainland: true}, came, "10.0.0.1", "aliyun"},
	} {
		a, w := newLocator(e, tc.serves).named(tc.d)
		if a.String() != tc.want || w.Provider != tc.provider {
			t.Errorf("%+v, %+v: got %s of %q; want %s of %q", tc.serves, tc.d, a, w.Provider, tc.want, tc.provider)
		}
	}
}

// TestJudgedAfterReload: what changes in the files counts at once.
func TestJudgedAfterReload(t *testing.T) {
	e := openEdge(t, edge.Config{Provider: "aliyun"}, "203.0.113.0/24\n")
	l := newLocator(e, Serves{Addrs: addrs("203.0.113.1", "198.51.100.1")})
	if got := l.judged(nil, destination{}); len(got) != 2 {
		t.Fatalf("%+v; want two places", got)
	}
	setFile(t, e.Config().Mainland, "203.0.113.0/24\n198.51.100.0/24\n")
	e.Refresh()
	if got := l.judged(nil, destination{}); len(got) != 1 || got[0].Place != registry.Mainland {
		t.Errorf("%+v; want one place, in the mainland", got)
	}
}

func TestJudgedNoAllocs(t *testing.T) {
	l := newLocator(openEdge(t, edge.Config{Provider: "aliyun", Networks: networks}, "203.0.113.0/24\n"),
		Serves{Addrs: addrs("203.0.113.1", "203.0.113.65")})
	var places [4]edge.Where
	if n := testing.AllocsPerRun(1000, func() { l.judged(places[:0], destination{}) }); n != 0 {
		t.Errorf("%v allocations; want 0", n)
	}
}

// BenchmarkJudged: one local address, as most listeners have it.
func BenchmarkJudged(b *testing.B) {
	l := newLocator(openEdge(b, edge.Config{Provider: "aliyun", Networks: networks}, "203.0.113.0/24\n"), Serves{})
	d := destination{Local: netip.MustParseAddrPort("203.0.113.1:443")}
	var places [4]edge.Where
	for b.Loop() {
		l.judged(places[:0], d)
	}
}
