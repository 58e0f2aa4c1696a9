package edge_test

import (
	"net/netip"
	"path/filepath"
	"testing"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/edge"
	"github.com/icpgate/icpgate/registry/feed"
	"github.com/icpgate/icpgate/registry/index"
	"github.com/icpgate/icpgate/registry/place"
)

// listing are lists as a registry tells them.
type listing struct{ *feed.Lists }

func (listing) ListsState() uint64 { return 1 }

// TestOperatorsSpelling: what an operator's file says of something counts, and what
// the registry says of other things is beside it, however the file spells them.
func TestOperatorsSpelling(t *testing.T) {
	lists := feed.NewLists([16]byte{})
	for _, x := range []registry.Entry{
		{List: registry.ListNetworks, Key: "192.0.2.1", Value: "aliyun ecs cn-beijing"},
		{List: registry.ListNetworks, Key: "2001:db8::1", Value: "aliyun ecs cn-beijing"},
		{List: registry.ListNetworks, Key: "198.51.100.0/24", Value: "aliyun ecs cn-beijing"},
		{List: registry.ListServers, Key: "192.0.2.2", Value: "aliyun ecs cn-beijing"},
		{List: registry.ListServers, Key: "198.51.100.0/24", Value: "huawei ecs cn-north-4"}, // the networks count before it
		{List: registry.ListBindings, Key: "www.a.test", Value: "ecs"},
		{List: registry.ListBindings, Key: "*.b.test", Value: "ecs"},
		{List: registry.ListBindings, Key: "xn--fsqu00a.test", Value: "ecs"},
		{List: registry.ListBindings, Key: "c.test", Value: "waf"},
		{List: registry.ListSuffixes, Key: "w.a.test", Value: "aliyun cdn"},
		{List: registry.ListSuffixes, Key: "xn--fsqu00a.test", Value: "aliyun cdn"},
		{List: registry.ListSuffixes, Key: "w.c.test", Value: "aliyun waf"},
		{List: registry.ListProfiles, Key: "cloud-a cdn", Value: "access"},
		{List: registry.ListProfiles, Key: "cloud-a oss", Value: "access"},
	} {
		if err := lists.Apply(x); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		write(t, path, text)
		return path
	}
	e := open(t, edge.Config{
		Live: new(index.Live), Lists: listing{lists}, Provider: "cloud-a",
		Networks: file("networks", "\ufeff192.0.2.1/32 tencent ecs ap-beijing # ours\r\n2001:DB8:0::1/128 tencent ecs ap-beijing\n192.0.2.2/32 tencent ecs ap-beijing\n"),
		Bindings: file("bindings", "WWW.A.test. cdn\n*.B.test. cdn\n例子.test cdn\n"),
		Suffixes: file("suffixes", "W.A.test. tencent oss\n例子.test tencent oss\nw[1-5].C.test. tencent oss\n"),
		Profiles: file("profiles", "Cloud-A cdn filing\n"),
	})
	for addr, want := range map[string]registry.ProviderID{"192.0.2.1": "tencent", "2001:db8::1": "tencent", "192.0.2.2": "tencent", "198.51.100.7": "aliyun"} {
		if got := e.Locate(netip.MustParseAddr(addr)).Provider; got != want {
			t.Errorf("%s is of %q; want %q", addr, got, want)
		}
	}
	for _, tt := range []struct {
		name, target string
		want         registry.Product
	}{
		{"www.a.test", "", registry.CDN}, {"x.b.test", "", registry.CDN}, {"xn--fsqu00a.test", "", registry.CDN}, {"c.test", "", registry.WAF},
		{"d.test", "x.w.a.test", registry.OSS}, {"d.test", "x.xn--fsqu00a.test", registry.OSS}, {"d.test", "x.w1.c.test", registry.OSS}, {"d.test", "x.w.c.test", registry.WAF},
	} {
		name := registry.MustParseDomain(tt.name)
		h := e.Hints(name)
		if tt.target != "" {
			h = e.Along(h, registry.MustParseDomain(tt.target))
		}
		if got := edge.At(e.Query(registry.Host{Name: name}, registry.ChannelDNS), place.Where{}, h).Product; got != tt.want {
			t.Errorf("%s by way of %q is %s; want %s", tt.name, tt.target, got, tt.want)
		}
	}
	if p := e.Query(registry.Host{}, registry.ChannelDNS).Profile; p.Demand(registry.CDN, 0) != registry.DemandFiling || p.Demand(registry.OSS, 0) != registry.DemandAccess {
		t.Errorf("cloud-a demands %s of cdn and %s of oss; want the operator's filing and the registry's access", p.Demand(registry.CDN, 0), p.Demand(registry.OSS, 0))
	}
}
