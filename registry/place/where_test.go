package place_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/phuslu/iploc"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/place"
)

// sources reads the texts of a networks and a mainland file; "" is no file.
func sources(t testing.TB, networks, mainland string) (s place.Sources) {
	t.Helper()
	var err error
	if networks != "" {
		if s.Networks, err = place.ParseNetworks("networks", strings.NewReader(networks)); err != nil {
			t.Fatal(err)
		}
	}
	if mainland != "" {
		if s.Mainland, err = place.ParseMainland("mainland", strings.NewReader(mainland)); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func table(t testing.TB, s place.Sources) *place.Table {
	t.Helper()
	tab, err := s.Table()
	if err != nil {
		t.Fatal(err)
	}
	return tab
}

// builtinAddr finds an address that the built-in table has in a country, so that
// no real one need be written down.
func builtinAddr(t testing.TB, country string, v6 bool) netip.Addr {
	t.Helper()
	for i := range 1 << 16 {
		a := netip.AddrFrom4([4]byte{byte(i >> 8), byte(i), 1, 1})
		if v6 {
			a = netip.AddrFrom16([16]byte{0x24, byte(i >> 8), byte(i), 0, 15: 1})
		}
		if iploc.IPCountry(a) == country {
			return a
		}
	}
	t.Fatalf("the built-in table has no address in %s", country)
	return netip.Addr{}
}

func TestBuiltin(t *testing.T) {
	builtin := table(t, place.Sources{})
	for _, tt := range []struct {
		country string
		want    registry.Place
	}{
		{"CN", registry.Mainland}, {"HK", registry.HongKong}, {"MO", registry.Macao},
		{"TW", registry.Taiwan}, {"DE", registry.Overseas}, {"US", registry.Overseas},
	} {
		a := builtinAddr(t, tt.country, false)
		if got := builtin.Lookup(a); got != (place.Where{Place: tt.want}) {
			t.Errorf("Lookup(%s of %s) = %+v; want %v", a, tt.country, got, tt.want)
		}
		mapped := netip.AddrFrom16(a.As16())
		if got := builtin.Lookup(mapped).Place; got != tt.want {
			t.Errorf("Lookup(%s of %s) = %v; want %v", mapped, tt.country, got, tt.want)
		}
	}
	for country, want := range map[string]registry.Place{"CN": registry.Mainland, "HK": registry.HongKong, "JP": registry.Overseas} {
		a := builtinAddr(t, country, true)
		if got := builtin.Lookup(a).Place; got != want {
			t.Errorf("Lookup(%s of %s) = %v; want %v", a, country, got, want)
		}
	}
}

func TestSpecialPurpose(t *testing.T) {
	builtin := table(t, place.Sources{})
	for _, s := range []string{
		"0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.127.255.255", "127.0.0.1", "169.254.169.254", "172.31.255.255",
		"192.0.0.1", "192.0.2.1", "192.168.1.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1",
		"224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
		"::", "::1", "::192.0.2.1", "100::1", "100:0:0:1::1", "2001:2::1", "2001:10::1", "2001:db8::1", "3fff::1", "5f00::1",
		"fc00::1", "fd12:3456::1", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1",
		"::ffff:10.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b:1::a00:1", "2002:a00:1::1", "2001:0:4136:e378:8000:63bf:f5ff:fffe",
	} {
		if got := builtin.Lookup(netip.MustParseAddr(s)).Place; got != registry.Private {
			t.Errorf("Lookup(%s) = %v; want private", s, got)
		}
	}
	for _, s := range []string{"192.0.0.9", "2001:1::1", "100.63.255.255", "100.128.0.0", "172.32.0.0", "198.20.0.0", "223.255.255.255", "4000::1"} {
		if got := builtin.Lookup(netip.MustParseAddr(s)).Place; got == registry.Private {
			t.Errorf("Lookup(%s) = private; want another place", s)
		}
	}
	if got := builtin.Lookup(netip.Addr{}); got != (place.Where{}) {
		t.Errorf("Lookup of no address = %+v; want nothing", got)
	}
	if got := new(place.Table).Lookup(netip.MustParseAddr("192.0.2.1")); got != (place.Where{}) {
		t.Errorf("Lookup in the zero Table = %+v; want nothing", got)
	}
}

// TestPrivateListed holds the rule that a list does not make private space
// public, and that documentation addresses are as the files say.
func TestPrivateListed(t *testing.T) {
	const networks = `
10.1.0.0/16    aliyun ecs cn-hangzhou            # the region alone does not make it public
10.2.0.0/16    aliyun ecs cn-hangzhou mainland   # the written place does
127.0.0.0/8    - - - mainland
0.0.0.0/0      tencent - - mainland              # wider than the private blocks: says nothing of them
198.51.100.0/24 huawei oss cn-north-4
`
	const mainland = "10.3.0.0/16\n192.0.2.0/24\n2001:db8:1::/48\nfd00::/8\n"
	for _, tt := range []struct {
		addr string
		want place.Where
	}{
		{"10.1.0.1", place.Where{Place: registry.Private, Provider: "aliyun", Product: registry.ECS, Region: "cn-hangzhou"}},
		{"10.2.0.1", place.Where{Place: registry.Mainland, Provider: "aliyun", Product: registry.ECS, Region: "cn-hangzhou"}},
		{"10.3.0.1", place.Where{Place: registry.Private, Provider: "tencent"}},
		{"127.0.0.1", place.Where{Place: registry.Mainland}},
		{"192.168.0.1", place.Where{Place: registry.Private, Provider: "tencent"}},
		{"198.51.100.7", place.Where{Place: registry.Mainland, Provider: "huawei", Product: registry.OSS, Region: "cn-north-4"}},
		{"192.0.2.7", place.Where{Place: registry.Mainland, Provider: "tencent"}},
		{"2001:db8:1::7", place.Where{Place: registry.Mainland}},
		{"2001:db8:2::7", place.Where{Place: registry.Private}},
		{"fd00::7", place.Where{Place: registry.Private}},
	} {
		tab := table(t, sources(t, networks, mainland))
		if got := tab.Lookup(netip.MustParseAddr(tt.addr)); got != tt.want {
			t.Errorf("Lookup(%s) = %+v; want %+v", tt.addr, got, tt.want)
		}
	}
}

func TestOrderOfSources(t *testing.T) {
	cn, hk, us := builtinAddr(t, "CN", false), builtinAddr(t, "HK", false), builtinAddr(t, "US", false)
	one := func(a netip.Addr, rest string) string { return a.String() + "/32 " + rest + "\n" }
	for _, tt := range []struct {
		name               string
		networks, mainland string
		add                bool
		confirm            int
		addr               netip.Addr
		want               registry.Place
	}{
		{"built-in alone", "", "", false, 0, cn, registry.Mainland},
		{"not listed, only", "", "192.0.2.0/24", false, 0, cn, registry.Overseas},
		{"not listed, add", "", "192.0.2.0/24", true, 0, cn, registry.Mainland},
		{"not listed, only: Hong Kong keeps its name", "", "192.0.2.0/24", false, 0, hk, registry.HongKong},
		{"not listed, only: overseas", "", "192.0.2.0/24", false, 0, us, registry.Overseas},
		{"listed against the built-in table", "", us.String(), true, 0, us, registry.Mainland},
		{"networks before the list", one(us, "aliyun cdn us-west-1"), us.String(), false, 0, us, registry.Overseas},
		{"networks before the built-in table", one(us, "aliyun ecs cn-beijing"), "", false, 0, us, registry.Mainland},
		{"a networks row leaves the place to the list", one(us, "aliyun ecs - unknown"), us.String(), false, 0, us, registry.Mainland},
		{"a networks row leaves the place to the built-in table", one(cn, "aliyun ecs - unknown"), "", false, 0, cn, registry.Mainland},
		{"a networks row leaves the place to what the list lacks", one(cn, "aliyun ecs - unknown"), "192.0.2.1", false, 0, cn, registry.Overseas},
		{"confirmed by the built-in table", "", cn.String(), false, 2, cn, registry.Mainland},
		{"not confirmed by the built-in table", "", us.String(), false, 2, us, registry.PlaceUnknown},
		{"the built-in table not confirmed by the list", "", "192.0.2.0/24", true, 2, cn, registry.PlaceUnknown},
		{"networks confirmed by the list", one(us, "aliyun ecs cn-beijing"), us.String(), false, 2, us, registry.Mainland},
		{"networks confirmed by the built-in table", one(cn, "aliyun ecs cn-beijing"), "192.0.2.0/24", false, 2, cn, registry.Mainland},
		{"two of three", one(us, "aliyun ecs cn-beijing"), us.String(), false, 3, us, registry.PlaceUnknown},
		{"three of three", one(cn, "aliyun ecs cn-beijing"), cn.String(), false, 3, cn, registry.Mainland},
		{"two of three by the two others", one(cn, "aliyun ecs - unknown"), cn.String(), false, 2, cn, registry.Mainland},
		{"overseas needs no confirmation", "", "192.0.2.0/24", false, 2, us, registry.Overseas},
		{"private needs no confirmation", "", "192.0.2.0/24", false, 2, netip.MustParseAddr("10.0.0.1"), registry.Private},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := sources(t, tt.networks, tt.mainland)
			s.MainlandAdd, s.Confirm = tt.add, tt.confirm
			if got := table(t, s).Lookup(tt.addr).Place; got != tt.want {
				t.Errorf("Lookup(%s) = %v; want %v", tt.addr, got, tt.want)
			}
		})
	}
}

func TestLongestPrefix(t *testing.T) {
	tab := table(t, sources(t, `
203.0.113.0/24   aliyun  cdn cn-shanghai
203.0.113.128/25 aliyun  origin-pull cn-shanghai
203.0.113.0/26   tencent waf ap-guangzhou
203.0.113.0/26   tencent origin-pull ap-guangzhou
203.0.113.8      tencent ecs ap-hongkong
203.0.113.64/26  huawei  origin-pull cn-north-4
2001:db8::/32    aliyun  ecs cn-hongkong
2001:db8:5::/48  aliyun  slb cn-beijing
`, ""))
	for addr, want := range map[string]place.Where{
		"203.0.113.200":    {Place: registry.Mainland, Provider: "aliyun", Product: registry.CDN, Region: "cn-shanghai", OriginPull: true},
		"203.0.113.5":      {Place: registry.Mainland, Provider: "tencent", Product: registry.WAF, Region: "ap-guangzhou", OriginPull: true},
		"203.0.113.8":      {Place: registry.HongKong, Provider: "tencent", Product: registry.ECS, Region: "ap-hongkong"},
		"203.0.113.70":     {Place: registry.Mainland, Provider: "huawei", Region: "cn-north-4", OriginPull: true},
		"2001:db8:5::1":    {Place: registry.Mainland, Provider: "aliyun", Product: registry.SLB, Region: "cn-beijing"},
		"2001:db8:6::1":    {Place: registry.HongKong, Provider: "aliyun", Product: registry.ECS, Region: "cn-hongkong"},
		"2002:cb00:7108::": {Place: registry.HongKong, Provider: "tencent", Product: registry.ECS, Region: "ap-hongkong"},
		"198.51.100.1":     {Place: registry.Private},
	} {
		if got := tab.Lookup(netip.MustParseAddr(addr)); got != want {
			t.Errorf("Lookup(%s) = %+v; want %+v", addr, got, want)
		}
	}
}

func TestConfirmNeedsSources(t *testing.T) {
	for _, tt := range []struct {
		networks, mainland string
		confirm            int
		ok                 bool
	}{
		{"", "", 1, true}, {"", "", 2, false}, {"", "192.0.2.1", 2, true}, {"", "192.0.2.1", 3, false},
		{"192.0.2.1 - - - mainland", "192.0.2.1", 3, true}, {"", "", -1, false},
	} {
		s := sources(t, tt.networks, tt.mainland)
		s.Confirm = tt.confirm
		if _, err := s.Table(); (err == nil) != tt.ok {
			t.Errorf("confirm %d with networks %q and mainland %q: %v; want ok %t", tt.confirm, tt.networks, tt.mainland, err, tt.ok)
		}
	}
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	list, nets := write("list.txt", "203.0.113.0/24\n"), write("nets.txt", "203.0.113.0/25 aliyun ecs cn-beijing\n")
	db := write("country.MMDB", string(mmdb(t, 24, 6, map[string]any{"203.0.113.0/24": "CN", "198.51.100.0/24": "HK"})))
	for _, c := range []place.Config{{Mainland: list, Networks: nets}, {Mainland: db, Networks: nets, MainlandAdd: true, Confirm: 2}} {
		tab, err := place.Open(c)
		if err != nil {
			t.Fatal(err)
		}
		want := place.Where{Place: registry.Mainland, Provider: "aliyun", Product: registry.ECS, Region: "cn-beijing"}
		if got := tab.Lookup(netip.MustParseAddr("203.0.113.1")); got != want {
			t.Errorf("%+v: got %+v; want %+v", c, got, want)
		}
	}
	for _, c := range []place.Config{
		{Mainland: filepath.Join(dir, "missing")}, {Networks: filepath.Join(dir, "missing")},
		{Mainland: write("bad.txt", "nonsense")}, {Mainland: write("bad.mmdb", "nonsense")}, {Networks: list},
		{Mainland: write("empty.txt", "# nothing\n")},
	} {
		if _, err := place.Open(c); err == nil {
			t.Errorf("Open(%+v) succeeded; want an error", c)
		} else if file := c.Mainland + c.Networks; !strings.Contains(err.Error(), filepath.Base(file)) {
			t.Errorf("Open(%+v): %v; want the file named", c, err)
		}
	}
}

func TestWarnings(t *testing.T) {
	tab := table(t, sources(t, "2002:cb00:7100::/40 - - - mainland", "10.0.0.0/8\n192.168.0.0/16\n192.0.2.0/24\n"))
	got := strings.Join(tab.Warnings(), "\n")
	for _, want := range []string{"2 prefixes of private space", "1 prefixes, such as 2002:cb00:7100::/40"} {
		if !strings.Contains(got, want) {
			t.Errorf("warnings %q; want %q among them", got, want)
		}
	}
	if got := table(t, place.Sources{}).Warnings(); got != nil {
		t.Errorf("warnings of the built-in table: %q; want none", got)
	}
}

func TestNoAllocs(t *testing.T) {
	s := sources(t, "203.0.113.0/24 aliyun cdn cn-shanghai", "198.51.100.0/24")
	s.Confirm = 2
	tab := table(t, s)
	suffixes := place.BuiltinSuffixes()
	bindings, err := place.ParseBindings("b", strings.NewReader("*.example.com cdn"))
	if err != nil {
		t.Fatal(err)
	}
	cname, name := registry.MustParseDomain("www.example.com.w.kunlunxyz.com"), registry.MustParseDomain("a.b.example.com")
	for _, s := range []string{"203.0.113.1", "198.51.100.1", "192.0.2.1", "8.8.8.8", "2001:db8::1", "2400::1", "64:ff9b::192.0.2.1", "fe80::1%eth0"} {
		a := netip.MustParseAddr(s)
		if n := testing.AllocsPerRun(100, func() { tab.Lookup(a) }); n != 0 {
			t.Errorf("Table.Lookup(%s) allocates %v times; want none", s, n)
		}
	}
	if n := testing.AllocsPerRun(100, func() { suffixes.Lookup(cname) }); n != 0 {
		t.Errorf("Suffixes.Lookup allocates %v times; want none", n)
	}
	if n := testing.AllocsPerRun(100, func() { bindings.Lookup(name) }); n != 0 {
		t.Errorf("Bindings.Lookup allocates %v times; want none", n)
	}
}
