package place_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/place"
)

func TestCarried(t *testing.T) {
	for addr, want := range map[string]string{
		"192.0.2.33":                           "192.0.2.33",
		"::ffff:192.0.2.33":                    "192.0.2.33",
		"64:ff9b::192.0.2.33":                  "192.0.2.33",
		"64:ff9b:1::192.0.2.33":                "192.0.2.33",
		"64:ff9b:1:abcd::192.0.2.33":           "192.0.2.33",
		"64:ff9b:2::192.0.2.33":                "64:ff9b:2::c000:221",
		"64:ff9b::1:0:c000:221":                "64:ff9b::1:0:c000:221",
		"2002:c000:221::1":                     "192.0.2.33",
		"2002:c000:221:1::5efe:10.0.0.1":       "192.0.2.33",
		"2001:0:4136:e378:8000:63bf:3fff:fdde": "192.0.2.33", // hand-inverted, as in RFC 4380 §4
		"2001:1::1":                            "2001:1::1",
		"2001:db8::1":                          "2001:db8::1",
		"fe80::5efe:192.0.2.33":                "fe80::5efe:c000:221", // ISATAP is asked about beside
		"::192.0.2.33":                         "192.0.2.33",
		"::ffff:0:192.0.2.33":                  "192.0.2.33",
		"::ffff:1:192.0.2.33":                  "::ffff:1:c000:221",
		"::1":                                  "::1",
		"::":                                   "::",
		"::0.1.2.3":                            "::1:203",
		"fe80::1%eth0":                         "fe80::1",
	} {
		if got := place.Carried(netip.MustParseAddr(addr)).String(); got != want {
			t.Errorf("carried(%s) = %s; want %s", addr, got, want)
		}
	}
}

// An address in ISATAP's form is in the mainland by its network or by what it
// carries: neither may hide the other.
func TestISATAP(t *testing.T) {
	const rows = "192.0.2.0/24 aliyun ecs cn-beijing\n198.51.100.0/24 aliyun ecs ap-southeast-1\n" +
		"2001:db8:1::/48 tencent cvm ap-guangzhou\n2001:db8:2::/48 tencent cvm na-siliconvalley"
	tab := table(t, sources(t, strings.ReplaceAll(rows, "cvm", "ecs"), ""))
	for addr, want := range map[string]registry.ProviderID{
		"2001:db8:1::5efe:198.51.100.7":     "tencent", // a mainland host that names a foreign one
		"2001:db8:2::5efe:192.0.2.33":       "aliyun",  // a router abroad that tunnels to the mainland
		"2001:db8:2::200:5efe:192.0.2.33":   "aliyun",  // with the universal bit
		"fe80::5efe:192.0.2.33":             "aliyun",
		"2001:db8:1::5efe:192.0.2.33":       "tencent",
		"2001:db8:2:0:8000:5efe:c000:221":   "", // another interface identifier
		"2001:db8:2::5efe:198.51.100.7":     "",
		"2001:db8:2::5eff:192.0.2.33":       "",
		"2001:db8:2:0:200:5efe:203.0.113.9": "",
	} {
		got := tab.Lookup(netip.MustParseAddr(addr))
		if mainland := got.Place == registry.Mainland; mainland != (want != "") || mainland && got.Provider != want {
			t.Errorf("Lookup(%s) = %+v; want in the mainland by %q", addr, got, want)
		}
	}
}

// TestNAT64 uses the table of RFC 6052 §2.4.
func TestNAT64(t *testing.T) {
	for prefix, addr := range map[string]string{
		"2001:db8::/32":         "2001:db8:c000:221::",
		"2001:db8:100::/40":     "2001:db8:1c0:2:21::",
		"2001:db8:122::/48":     "2001:db8:122:c000:2:2100::",
		"2001:db8:122:300::/56": "2001:db8:122:3c0:0:221::",
		"2001:db8:122:344::/64": "2001:db8:122:344:c0:2:2100::",
		"2001:db8:122:344::/96": "2001:db8:122:344::192.0.2.33",
		"64:ff9b:1:8000::/56":   "64:ff9b:1:80c0:0:221::",
	} {
		s := sources(t, "192.0.2.33 aliyun ecs cn-beijing", "")
		s.NAT64 = []netip.Prefix{netip.MustParsePrefix(prefix)}
		if got := table(t, s).Lookup(netip.MustParseAddr(addr)); got.Place != registry.Mainland || got.Provider != "aliyun" {
			t.Errorf("prefix %s: Lookup(%s) = %+v; want aliyun in the mainland", prefix, addr, got)
		}
	}
	// The longest of overlapping prefixes counts.
	s := sources(t, "192.0.2.33 - - - mainland", "")
	s.NAT64 = []netip.Prefix{netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("2001:db8:122:344::/96")}
	if got := table(t, s).Lookup(netip.MustParseAddr("2001:db8:122:344::192.0.2.33")).Place; got != registry.Mainland {
		t.Errorf("overlapping prefixes: got %v; want mainland", got)
	}
}

// TestLocalNAT64: networks cut the prefix of RFC 8215 as they like, so each length of
// RFC 6052 is read; but where the operator has said the length, only that.
func TestLocalNAT64(t *testing.T) {
	s := sources(t, "192.0.2.33 aliyun ecs cn-beijing\n198.51.100.0/24 - - - overseas", "")
	tab := table(t, s)
	for addr, want := range map[string]registry.Place{
		"64:ff9b:1:c000:2:2100::":       registry.Mainland, // /48
		"64:ff9b:1:c000:2:2100:1:1":     registry.Mainland, // and a suffix, which translators skip
		"64:ff9b:1:abc0:0:221::":        registry.Mainland, // /56
		"64:ff9b:1:abcd:c0:2:2100::":    registry.Mainland, // /64
		"64:ff9b:1:abcd:ffc0:2:2100::":  registry.Mainland, // the eighth byte is skipped, too
		"64:ff9b:1:abcd::192.0.2.33":    registry.Mainland, // /96
		"64:ff9b:1:c000:2:2200::":       registry.Private,
		"64:ff9b:1:abcd::198.51.100.7":  registry.Overseas,
		"64:ff9b:1::198.51.100.7":       registry.Overseas,
		"64:ff9b:2:c000:2:2100::":       registry.Private, // not the prefix any more, but reserved
		"64:ff9b:1:0:c0:2:2100:c633":    registry.Mainland,
		"64:ff9b:1:c000:2:21c6:33:6407": registry.Mainland,
	} {
		got := tab.Lookup(netip.MustParseAddr(addr))
		if got.Place != want || want == registry.Mainland && got.Provider != "aliyun" {
			t.Errorf("Lookup(%s) = %+v; want %v", addr, got, want)
		}
	}
	s.NAT64 = []netip.Prefix{netip.MustParsePrefix("64:ff9b:1:c000::/96")}
	tab = table(t, s)
	for addr, want := range map[string]bool{
		"64:ff9b:1:c000:2:2100:c633:6407": true, // outside what is configured
		"64:ff9b:1:c000::198.51.100.7":    false,
		"64:ff9b:1:c000::192.0.2.33":      true,
	} {
		if got := tab.Lookup(netip.MustParseAddr(addr)); (got.Place == registry.Mainland) != want {
			t.Errorf("configured: Lookup(%s) = %+v; want it in the mainland: %t", addr, got, want)
		}
	}
}

func TestNAT64Refused(t *testing.T) {
	for _, tt := range []struct {
		prefix netip.Prefix
		want   string
	}{
		{netip.MustParsePrefix("192.0.2.0/24"), "no IPv6 prefix"},
		{netip.MustParsePrefix("::ffff:0:0/96"), "no IPv6 prefix"},
		{netip.Prefix{}, "no IPv6 prefix"},
		{netip.MustParsePrefix("2001:db8::/44"), "RFC 6052"},
		{netip.MustParsePrefix("2001:db8::1/96"), "2001:db8::/96"},
	} {
		_, err := place.Open(place.Config{NAT64: []netip.Prefix{tt.prefix}})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("NAT64 %v: %v; want an error with %q", tt.prefix, err, tt.want)
		}
	}
}
