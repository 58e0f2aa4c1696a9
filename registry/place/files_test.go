package place_test

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/place"
)

func TestParseMainland(t *testing.T) {
	const text = "\ufeff# made up\r\n\r\n203.0.113.0/24   # a comment\r\n203.0.113.0/25\r\n203.0.113.0/24\r\n192.0.2.7\r\n2001:DB8::/32\r\n2001:db9::1"
	l, err := place.ParseMainland("list", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if l.Len() != 5 {
		t.Errorf("%d prefixes; want 5", l.Len())
	}
	for addr, want := range map[string]string{
		"203.0.113.200": "mainland", "192.0.2.7": "mainland", "192.0.2.8": "unknown", "2001:db8::1": "mainland", "2001:db9::1": "mainland", "2001:db9::2": "unknown",
	} {
		if got := l.PlaceIn(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s is %s; want %s", addr, got, want)
		}
	}
}

// TestWrongLines: each wrong line is named with its number, its value and what
// would be right.
func TestWrongLines(t *testing.T) {
	parsers := map[string]func(string, io.Reader) error{
		"mainland": func(n string, r io.Reader) error { _, err := place.ParseMainland(n, r); return err },
		"networks": func(n string, r io.Reader) error { _, err := place.ParseNetworks(n, r); return err },
		"suffixes": func(n string, r io.Reader) error { _, err := place.ParseSuffixes(n, r); return err },
		"bindings": func(n string, r io.Reader) error { _, err := place.ParseBindings(n, r); return err },
	}
	for _, tt := range []struct{ form, text, want string }{
		{"mainland", "203.0.113.0/24\nfoo", `f:2: "foo" is no CIDR and no address; write for example 192.0.2.0/24`},
		{"mainland", "203.0.113.1/24", `f:1: "203.0.113.1/24" has bits below its length; write 203.0.113.0/24, or 203.0.113.1 for`},
		{"mainland", "203.0.113.0/33", `is no CIDR`},
		{"mainland", "203.0.113.0/24 cn", `unexpected "cn" after "203.0.113.0/24"`},
		{"mainland", "fe80::1%eth0", `has a zone, which names an interface of one host; write fe80::1`},
		{"mainland", "::ffff:203.0.113.0/120", `is IPv4 written as IPv6; write 203.0.113.0/24`},
		{"mainland", "::ffff:203.0.113.9", `write 203.0.113.9/32`},
		{"mainland", "::ffff:0:0/90", `mixes IPv4 and IPv6`},
		{"mainland", "# nothing", `f lists no prefix`},
		{"mainland", "192.0.2.1\n" + strings.Repeat("x", 70000), `f:2: the line is longer than 65536 bytes`},
		{"mainland", strings.Repeat("x", 1000), strings.Repeat("x", 80) + `…"`},
		{"networks", "203.0.113.0/24 aliyun ecs", `3 fields; expect CIDR PROVIDER PRODUCT REGION [PLACE]`},
		{"networks", "203.0.113.0/24 aliyun ecs cn-beijing mainland x", `6 fields`},
		{"networks", "203.0.113.0/24 ali_yun ecs cn-beijing", `provider "ali_yun" holds '_'`},
		{"networks", "203.0.113.0/24 aliyun vm cn-beijing", `unknown product "vm"; expect unknown, ecs,`},
		{"networks", "203.0.113.0/24 aliyun vm cn-beijing", `or origin-pull for back-to-origin ranges`},
		{"networks", "203.0.113.0/24 aliyun ecs cn-wuhu", `region "cn-wuhu" of provider "aliyun" does not tell the place; add mainland`},
		{"networks", "203.0.113.0/24 tencent ecs ap-southeast-1", `does not tell the place`},
		{"networks", "203.0.113.0/24 aliyun ecs -", `does not tell the place`},
		{"networks", "203.0.113.0/24 aliyun ecs - china", `unknown place "china"; expect mainland, hong-kong`},
		{"networks", "203.0.113.0/24 aliyun ecs - none", `unknown place "none"`},
		{"networks", "203.0.113.0/24 aliyun ecs cn-hongkong mainland", `region "cn-hongkong" of "aliyun" is hong-kong, not mainland; if the place is right, write - as region`},
		{"networks", "203.0.113.0/24 aliyun ecs " + strings.Repeat("x", 65) + " mainland", `is longer than 64 bytes`},
		{"networks", "203.0.113.0/24 aliyun ecs cn-beijing\n\n203.0.113.0/24 aliyun slb cn-beijing", `f:3: 203.0.113.0/24 was given with other values in line 1; keep one`},
		{"networks", "203.0.113.0/24 aliyun cdn cn-beijing\n203.0.113.0/24 tencent origin-pull ap-beijing", `f:2: 203.0.113.0/24 has another provider, region or place than in line 1`},
		{"suffixes", "w.example.com aliyun", `2 fields; expect SUFFIX PROVIDER PRODUCT`},
		{"suffixes", "w.example.com aliyun origin-pull", `unknown product "origin-pull"`},
		{"suffixes", "a*.b*.example.com aliyun cdn", `has wildcards in two labels`},
		{"suffixes", "example.* aliyun cdn", `has a wildcard in its last label`},
		{"suffixes", "* aliyun cdn", `has a wildcard in its last label`},
		{"suffixes", "a!*.example.com aliyun cdn", `label "a!*" holds '!'`},
		{"suffixes", "例*.example.com aliyun cdn", `label "例*" holds '例'`},
		{"suffixes", "a[1.example.com aliyun cdn", `bracket that is not closed`},
		{"suffixes", ".example.com aliyun cdn", `empty label`},
		{"suffixes", ". aliyun cdn", `empty`},
		{"suffixes", "..*.example.com aliyun cdn", `empty label`},
		{"suffixes", "w.example.com:53 aliyun cdn", `w.example.com:53`},
		{"suffixes", "w.example.com aliyun cdn\nW.example.com. tencent cdn", `f:2: w.example.com was given with other values in line 1; keep one`},
		{"bindings", "www.example.com", `no product; expect NAME|*.NAME PRODUCT`},
		{"bindings", "www.example.com vm", `unknown product "vm"`},
		{"bindings", "www.example.com cdn acceleration=china", `unknown acceleration "china"; expect mainland, global or overseas`},
		{"bindings", "www.example.com cdn acceleration", `unknown acceleration ""`},
		{"bindings", "www.example.com cdn origin=there", `unknown origin "there"; expect here, elsewhere or overseas`},
		{"bindings", "www.example.com cdn origin=here origin=here", `origin is given twice`},
		{"bindings", "www.example.com cdn region=x", `unknown option "region=x"; expect acceleration=… or origin=…`},
		{"bindings", "* cdn", `label "*" holds "*"`},
		{"bindings", "*. cdn", `is empty`},
		{"bindings", "a.*.example.com cdn", `label "*" holds "*"`},
		{"bindings", "192.0.2.1 cdn", `is an address, not a name`},
		{"bindings", "*.example.com cdn\n*.example.com cdn origin=here", `f:2: *.example.com was bound otherwise in line 1; keep one`},
	} {
		err := parsers[tt.form]("f", strings.NewReader(tt.text))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s %.60q: got %v; want an error with %q", tt.form, tt.text, err, tt.want)
		}
	}
	for form, parse := range parsers {
		broken := errors.New("disk broke")
		if err := parse("f", io.MultiReader(strings.NewReader("# x\n"), iotest.ErrReader(broken))); !errors.Is(err, broken) {
			t.Errorf("%s from a broken disk: %v; want %v", form, err, broken)
		}
	}
}

func TestManyWrongLines(t *testing.T) {
	_, err := place.ParseMainland("list", strings.NewReader("192.0.2.1\nfoo\nbar\n192.0.2.2\nbaz\n"))
	for _, want := range []string{"list:2: ", "list:3: ", "list:5: "} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v; want an error with %q", err, want)
		}
	}
	_, err = place.ParseMainland("list", strings.NewReader(strings.Repeat("foo\n", 1000)))
	if lines := strings.Split(fmt.Sprint(err), "\n"); len(lines) != 21 || !strings.Contains(lines[20], "the rest was not read") {
		t.Errorf("1000 wrong lines give %d lines, the last %q; want 20 and one that says so", len(lines), lines[len(lines)-1])
	}
}

func TestRepeatsAreFine(t *testing.T) {
	if _, err := place.ParseNetworks("f", strings.NewReader("203.0.113.0/24 aliyun ecs cn-beijing\n203.0.113.0/24 Aliyun ecs CN-Beijing\n")); err != nil {
		t.Error(err)
	}
	if _, err := place.ParseBindings("f", strings.NewReader("www.example.com cdn\nWWW.example.com. cdn\n*.www.example.com oss\n")); err != nil {
		t.Error(err)
	}
	for _, empty := range []string{"", "# nothing\n"} {
		if _, err := place.ParseNetworks("f", strings.NewReader(empty)); err != nil {
			t.Error(err)
		}
	}
}

func TestOfRegion(t *testing.T) {
	for _, tt := range []struct {
		provider registry.ProviderID
		region   string
		want     registry.Place
		ok       bool
	}{
		{"aliyun", "cn-hangzhou", registry.Mainland, true},
		{"aliyun", "cn-hongkong", registry.HongKong, true},
		{"aliyun", "ap-southeast-1", registry.Overseas, true},
		{"aliyun", "us-west-1", registry.Overseas, true},
		{"aliyun", "cn-somewhere", registry.PlaceUnknown, false},
		{"aliyun", "apx", registry.PlaceUnknown, false},
		{"aliyun", "ap", registry.Overseas, true},
		{"aliyun", "", registry.PlaceUnknown, false},
		{"tencent", "ap-guangzhou", registry.Mainland, true},
		{"tencent", "ap-shanghai-fsi", registry.Mainland, true},
		{"tencent", "ap-hongkong", registry.HongKong, true},
		{"tencent", "ap-singapore", registry.Overseas, true},
		{"tencent", "ap-southeast-1", registry.PlaceUnknown, false},
		{"tencent", "cn-hangzhou", registry.PlaceUnknown, false},
		{"huawei", "cn-north-4", registry.Mainland, true},
		{"huawei", "ap-southeast-1", registry.HongKong, true},
		{"huawei", "ap-southeast-3", registry.Overseas, true},
		{"huawei", "ap-southeast-9", registry.PlaceUnknown, false},
		{"baidu", "bj", registry.PlaceUnknown, false},
	} {
		if got, ok := place.OfRegion(tt.provider, tt.region); got != tt.want || ok != tt.ok {
			t.Errorf("OfRegion(%q, %q) = %v, %t; want %v, %t", tt.provider, tt.region, got, ok, tt.want, tt.ok)
		}
	}
}
