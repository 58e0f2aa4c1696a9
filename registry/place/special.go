package place

import (
	"net/netip"

	"github.com/gaissmai/bart"
)

// special is what the IANA special-purpose registries say of a block. The zero
// value is a block inside another one that is public after all.
type special uint8

const (
	specialPublic        special = iota
	specialPrivate               // not reachable from the public
	specialDocumentation         // the same, unless a file gives it a place
)

// specialBlocks are the blocks of the IANA IPv4 and IPv6 Special-Purpose Address
// Registries that are not globally reachable, those inside them that are, and
// multicast. Blocks that carry an IPv4 address are never looked up (carried).
var specialBlocks = map[string]special{
	"0.0.0.0/8":       specialPrivate,       // "this network", RFC 791 §3.2
	"10.0.0.0/8":      specialPrivate,       // RFC 1918
	"100.64.0.0/10":   specialPrivate,       // carrier-grade NAT, RFC 6598
	"127.0.0.0/8":     specialPrivate,       // loopback, RFC 1122 §3.2.1.3
	"169.254.0.0/16":  specialPrivate,       // link-local, RFC 3927
	"172.16.0.0/12":   specialPrivate,       // RFC 1918
	"192.0.0.0/24":    specialPrivate,       // protocol assignments, RFC 6890 §2.1
	"192.0.0.9/32":    specialPublic,        // PCP anycast, RFC 7723
	"192.0.0.10/32":   specialPublic,        // TURN anycast, RFC 8155
	"192.0.2.0/24":    specialDocumentation, // RFC 5737
	"192.168.0.0/16":  specialPrivate,       // RFC 1918
	"198.18.0.0/15":   specialPrivate,       // benchmarks, RFC 2544
	"198.51.100.0/24": specialDocumentation, // RFC 5737
	"203.0.113.0/24":  specialDocumentation, // RFC 5737
	"224.0.0.0/4":     specialPrivate,       // multicast, RFC 5771
	"240.0.0.0/4":     specialPrivate,       // reserved, RFC 1112 §4, with the broadcast address
	"::/8":            specialPrivate,       // unspecified, loopback and reserved, RFC 4291
	"100::/64":        specialPrivate,       // discard-only, RFC 6666
	"100:0:0:1::/64":  specialPrivate,       // dummy prefix, RFC 9780
	"2001::/23":       specialPrivate,       // protocol assignments, RFC 2928: benchmarks, ORCHID …
	"2001:1::1/128":   specialPublic,        // PCP anycast, RFC 7723
	"2001:1::2/128":   specialPublic,        // TURN anycast, RFC 8155
	"2001:1::3/128":   specialPublic,        // DNS-SD SRP anycast, RFC 9665
	"2001:3::/32":     specialPublic,        // AMT, RFC 7450
	"2001:4:112::/48": specialPublic,        // AS112, RFC 7535
	"2001:20::/28":    specialPublic,        // ORCHIDv2, RFC 7343
	"2001:30::/28":    specialPublic,        // DRIP entity tags, RFC 9374
	"2001:db8::/32":   specialDocumentation, // RFC 3849
	"3fff::/20":       specialDocumentation, // RFC 9637
	"5f00::/16":       specialPrivate,       // segment routing, RFC 9602
	"fc00::/7":        specialPrivate,       // unique local, RFC 4193
	"fe80::/10":       specialPrivate,       // link-local, RFC 4291
	"fec0::/10":       specialPrivate,       // site-local, deprecated by RFC 3879
	"ff00::/8":        specialPrivate,       // multicast, RFC 4291
}

// specialTable makes specialBlocks searchable.
func specialTable() *bart.Table[special] {
	t := new(bart.Table[special])
	for s, kind := range specialBlocks {
		t.Insert(netip.MustParsePrefix(s), kind)
	}
	return t
}
