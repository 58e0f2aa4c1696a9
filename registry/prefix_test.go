package registry_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/icpgate/icpgate/registry"
)

// TestParsePrefix: one network has one form, which PrefixText writes so that it is
// read again; what could be read in two ways is refused with what would be right.
func TestParsePrefix(t *testing.T) {
	for s, want := range map[string]string{
		"192.0.2.0/24": "192.0.2.0/24", "192.0.2.1": "192.0.2.1", "192.0.2.1/32": "192.0.2.1", "0.0.0.0/0": "0.0.0.0/0",
		"2001:DB8:0::/32": "2001:db8::/32", "2001:db8::1/128": "2001:db8::1", "::/0": "::/0",
	} {
		p, err := registry.ParsePrefix(s)
		if got := registry.PrefixText(p); err != nil || got != want {
			t.Errorf("%s is %s, %v; want %s", s, got, err, want)
		}
		if again, err := registry.ParsePrefix(want); err != nil || again != p {
			t.Errorf("%s is read again as %s, %v; want %s", want, again, err, p)
		}
	}
	for s, want := range map[string]string{
		"": "write for example", "example.com": "write for example", "192.0.2.0/33": "write for example", "fe80::1%eth0": "write fe80::1",
		"192.0.2.1/24": "write 192.0.2.0/24, or 192.0.2.1", "::ffff:192.0.2.1": "write 192.0.2.1/32", "::ffff:192.0.2.0/120": "write 192.0.2.0/24",
		"::ffff:0:0/95": "mixes", (netip.Prefix{}).String(): "write for example", strings.Repeat("1", 1<<20): strings.Repeat("1", 80) + "…\"",
	} {
		if p, err := registry.ParsePrefix(s); err == nil || !strings.Contains(err.Error(), want) || len(err.Error()) > 200 {
			t.Errorf("%.80s is %s, %v; want an error with %q", s, p, err, want)
		}
	}
}
