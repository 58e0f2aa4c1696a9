package place

import (
	"net/netip"
	"strings"
	"sync"

	"github.com/phuslu/iploc"

	"github.com/icpgate/icpgate/registry"
)

// builtinPlace asks the built-in table, which knows countries only. a must carry
// no other address. With IPLOC_IPV4ONLY set in the environment, iploc leaves its
// IPv6 data packed and every IPv6 address is unknown.
func builtinPlace(a netip.Addr) registry.Place { return placeOfCountry(iploc.IPCountry(a)) }

// placeOfCountry reads an ISO 3166-1 code in upper case. The codes that stand
// for no country (user-assigned ones, "AP" for somewhere in Asia) are unknown.
func placeOfCountry(code string) registry.Place {
	switch code {
	case "CN":
		return registry.Mainland
	case "HK":
		return registry.HongKong
	case "MO":
		return registry.Macao
	case "TW":
		return registry.Taiwan
	case "", "ZZ", "XX", "AP", "A1", "A2", "O1", "T1":
		return registry.PlaceUnknown
	}
	return registry.Overseas
}

// countryCode returns s as an upper-case country code, "" if it is none.
func countryCode(s string) string {
	s = strings.ToUpper(s)
	if len(s) != 2 || s[0] < 'A' || s[0] > 'Z' || (s[1] < 'A' || s[1] > 'Z') && (s[1] < '0' || s[1] > '9') {
		return ""
	}
	return s
}

// loadBuiltin has iploc unpack its IPv6 data, which it does at the first IPv6
// look-up: 100 ms on a slow core that no client should wait for.
var loadBuiltin = sync.OnceFunc(func() { iploc.IPCountry(netip.IPv6Unspecified()) })
