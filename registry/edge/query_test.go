package edge_test

import (
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/edge"
	"github.com/icpgate/icpgate/registry/place"
)

// full opens an Edge with all kinds of files.
func full(t testing.TB) *edge.Edge {
	t.Helper()
	dir := t.TempDir()
	in := func(name, text string) string {
		path := filepath.Join(dir, name)
		write(t, path, text)
		return path
	}
	snapshot(t, filepath.Join(dir, "r.snap"), 1, "filed.test")
	return open(t, edge.Config{
		Registry: filepath.Join(dir, "r.snap"), Provider: "aliyun",
		Mainland: in("mainland", "203.0.113.0/24\n"),
		Networks: in("networks", "203.0.113.0/26 aliyun ecs cn-hangzhou\n203.0.113.64/26 aliyun - cn-hangzhou\n"),
		Bindings: in("bindings", "bound.test waf acceleration=global origin=here\n"),
		Suffixes: in("suffixes", "cdn.own.test aliyun cdn\ncdn.other.test tencent cdn\n"),
		Profiles: in("profiles", "aliyun waf access\n"),
		ExemptFiles: []edge.ExemptFile{
			{Path: in("exempt", "exempt.test\n*.exempt.test until 2030-01-01 # soon\n"), Until: 1_900_000_000},
		},
		Exempt: []edge.Exempted{{Name: registry.MustParseDomain("exempt.test"), Below: true, Exemption: registry.Exemption{Granted: true, Authority: true, Until: 2000}}},
		Clients: []edge.Client{
			{Prefix: netip.MustParsePrefix("192.0.2.0/24"), Treatment: edge.ExemptClient},
			{Prefix: netip.MustParsePrefix("192.0.2.128/25"), Treatment: edge.MonitoredClient},
			{Prefix: netip.MustParsePrefix("2001:db8::/32"), Treatment: edge.ExemptClient},
		},
		Now: func() time.Time { return time.Unix(1000, 0) },
	})
}

// TestAt: whose address, which product, from which source.
func TestAt(t *testing.T) {
	e := full(t)
	tests := []struct {
		name     string
		host     string
		alias    string // CNAME targets, in order
		addr     string
		provider registry.ProviderID
		product  registry.Product
	}{
		{"networks", "filed.test", "", "203.0.113.1", "aliyun", registry.ECS},
		{"networks before suffix", "filed.test", "x.cdn.own.test", "203.0.113.1", "aliyun", registry.ECS},
		{"binding before networks", "bound.test", "", "203.0.113.1", "aliyun", registry.WAF},
		{"suffix where networks have no product", "filed.test", "x.cdn.own.test", "203.0.113.65", "aliyun", registry.CDN},
		{"suffix of another owner", "filed.test", "x.cdn.other.test", "203.0.113.65", "aliyun", registry.ProductUnknown},
		{"suffix alone", "filed.test", "x.cdn.other.test", "203.0.113.129", "tencent", registry.CDN},
		{"the first suffix", "filed.test", "no.test x.cdn.other.test x.cdn.own.test", "203.0.113.129", "tencent", registry.CDN},
		{"only looks like a suffix", "filed.test", "xcdn.other.test", "203.0.113.129", "", registry.ProductUnknown},
		{"nothing", "filed.test", "", "203.0.113.129", "", registry.ProductUnknown},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			host := registry.MustParseDomain(tt.host)
			h := e.Hints(host)
			for _, target := range strings.Fields(tt.alias) {
				h = e.Along(h, registry.MustParseDomain(target))
			}
			q := edge.At(e.Query(registry.Host{Name: host}, registry.ChannelDNS), e.Locate(netip.MustParseAddr(tt.addr)), h)
			if q.AddressProvider != tt.provider || q.Product != tt.product || q.Place != registry.Mainland {
				t.Errorf("got %q %s %s; want %q %s mainland", q.AddressProvider, q.Product, q.Place, tt.provider, tt.product)
			}
		})
	}
}

func TestQuery(t *testing.T) {
	e := full(t)
	bound := registry.MustParseDomain("bound.test")
	q := edge.At(e.Query(registry.Host{Name: bound}, registry.ChannelHTTPS), place.Where{Place: registry.Overseas}, e.Hints(bound))
	if q.Provider != "aliyun" || q.Channel != registry.ChannelHTTPS || q.Now != 1000 || q.Place != registry.Overseas ||
		q.Acceleration != registry.GlobalAcceleration || q.Origin != registry.OriginHere {
		t.Errorf("got %+v", q)
	}
	// The file demands more of a WAF than the built-in profile does.
	if q.Profile.Demand(registry.WAF, registry.OriginUnknown) != registry.DemandAccess {
		t.Error("the profile is not the file's")
	}
	if e.Query(registry.Host{Addr: netip.MustParseAddr("203.0.113.1")}, registry.ChannelHTTP).Exemption.Granted {
		t.Error("an address is exempt")
	}
	if e.Config().Provider != "aliyun" {
		t.Errorf("got config %+v", e.Config())
	}
}

func TestExemption(t *testing.T) {
	e := full(t)
	until2030 := time.Date(2030, 1, 1, 16, 0, 0, 0, time.UTC).Unix()
	tests := []struct {
		name string
		want registry.Exemption
	}{
		{"exempt.test", registry.Exemption{Granted: true, Until: 1_900_000_000}}, // the line's end is later than the file's
		{"www.exempt.test", registry.Exemption{Granted: true, Until: 2000, Authority: true}},
		{"a.www.exempt.test", registry.Exemption{Granted: true, Until: 2000, Authority: true}},
		{"notexempt.test", registry.Exemption{}},
		{"test", registry.Exemption{}},
	}
	for _, tt := range tests {
		d := registry.MustParseDomain(tt.name)
		var q registry.Query
		e.Prepare(&q, registry.Host{Name: d}, registry.ChannelDNS)
		if q.Exemption != tt.want {
			t.Errorf("%s: got %+v; want %+v", tt.name, q.Exemption, tt.want)
		}
		if now, ends := e.Exempts(d); now != tt.want.Granted || ends != (tt.want.Until != 0) {
			t.Errorf("%s: it is exempt %t, with an end %t; want as %+v has it", tt.name, now, ends, tt.want)
		}
	}
	// Once the one by authority has ended, the file's is still there.
	x, err := edge.ParseExemptions("f", strings.NewReader("*.a.test until 2001-01-01 authority\n*.www.a.test until 2030-01-01\n"))
	if err != nil {
		t.Fatal(err)
	}
	d := registry.MustParseDomain("x.www.a.test")
	if got := edge.Best(x, d, 2e9); got.Until != until2030 {
		t.Errorf("got %+v; want the one for the closer name", got)
	}
	if got := edge.Best(x, d, 1e9); got.Authority || got.Until != until2030 {
		t.Errorf("got %+v; want the one that still holds", got)
	}
}

func TestParseExemptionsErrors(t *testing.T) {
	tests := []struct{ text, want string }{
		{"a.test\n\n# b\na.test\n", "f:4: a.test was given in line 1 already"},
		{"*.a.test\n*.A.test.\n", "f:2: "},
		{"a.test until\n", "f:1: until without a time"},
		{"a.test until 2030-13-01\n", `f:1: time "2030-13-01"`},
		{"a.test because\n", `f:1: unexpected "because"`},
		{"a..test\n", "f:1: "},
		{"*\n", "f:1: "},
	}
	for _, tt := range tests {
		if _, err := edge.ParseExemptions("f", strings.NewReader(tt.text)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: got error %v; want %q in it", tt.text, err, tt.want)
		}
	}
}

func TestTreatment(t *testing.T) {
	e := full(t)
	tests := []struct {
		addr string
		want edge.Treatment
	}{
		{"192.0.2.1", edge.ExemptClient},
		{"192.0.2.200", edge.MonitoredClient},
		{"::ffff:192.0.2.1", edge.ExemptClient},
		{"198.51.100.1", edge.Usual},
		{"2001:db8::1", edge.ExemptClient},
	}
	for _, tt := range tests {
		if got := e.Treatment(netip.MustParseAddr(tt.addr)); got != tt.want {
			t.Errorf("%s: got %s; want %s", tt.addr, got, tt.want)
		}
	}
	if got := e.Treatment(netip.Addr{}); got != edge.Usual || !e.TreatsClients() {
		t.Errorf("got %s for no address; want %s", got, edge.Usual)
	}
}

// TestDecisionAllocatesNothing: what an edge does for one address.
func TestDecisionAllocatesNothing(t *testing.T) {
	e := full(t)
	host := registry.Host{Name: registry.MustParseDomain("www.filed.test")}
	target := registry.MustParseDomain("x.cdn.own.test")
	addr := netip.MustParseAddr("203.0.113.65")
	n := testing.AllocsPerRun(100, func() {
		h := e.Along(e.Hints(host.Name), target)
		q := edge.At(e.Query(host, registry.ChannelDNS), e.Locate(addr), h)
		if v := registry.Decide(q, e.Coverage(host.Name)); v.Block {
			t.Fatalf("got %v", v)
		}
	})
	if n != 0 {
		t.Errorf("got %v allocations; want 0", n)
	}
}
