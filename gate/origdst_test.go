package gate

import (
	"net/netip"
	"strings"
	"testing"
)

func TestOriginalGuard(t *testing.T) {
	var within []netip.Prefix
	for _, s := range []string{"203.0.113.0/24", "2001:db8:1::/48", "127.0.0.0/8"} {
		within = append(within, netip.MustParsePrefix(s))
	}
	g := newOriginalGuard(within,
		[]netip.AddrPort{netip.MustParseAddrPort("203.0.113.1:8443"), netip.MustParseAddrPort("[::]:15443")},
		[]netip.Addr{netip.MustParseAddr("203.0.113.1"), netip.MustParseAddr("2001:db8:1::1")})
	for dst, want := range map[string]string{
		"203.0.113.9:443":           "",
		"203.0.113.9:8443":          "", // another host's
		"203.0.113.9:15443":         "",
		"203.0.113.1:443":           "", // this machine's, where the gate does not listen
		"[2001:db8:1::9]:443":       "",
		"[::ffff:203.0.113.9]:443":  "",
		"203.0.113.1:8443":          "the gate itself",
		"203.0.113.1:15443":         "the gate itself",
		"[::ffff:203.0.113.1]:8443": "the gate itself",
		"[2001:db8:1::1]:15443":     "the gate itself",
		"127.0.0.1:15443":           "the gate itself",
		"198.51.100.1:443":          "outside",
		"[2001:db8:2::1]:443":       "outside",
		"203.0.113.9:0":             "outside",
	} {
		err := g.check(netip.MustParseAddrPort(dst))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v; want %q", dst, err, want)
		}
	}
	if err := g.check(netip.AddrPort{}); err == nil {
		t.Error("no destination is allowed")
	}
}
