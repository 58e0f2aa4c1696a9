package place_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"github.com/oschwald/maxminddb-golang/v2"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/place"
)

func iso(code string) map[string]any { return map[string]any{"iso_code": code} }

// countryRecords has every form in which databases write a country.
var countryRecords = map[string]any{
	"203.0.113.0/25":    map[string]any{"country": iso("CN"), "registered_country": iso("US")},
	"203.0.113.128/26":  map[string]any{"country": "CN"},
	"203.0.113.192/26":  map[string]any{"country": "China", "country_code": "CN"},
	"198.51.100.0/26":   "cn",
	"198.51.100.64/26":  map[string]any{"registered_country": iso("CN")},
	"198.51.100.128/26": map[string]any{"country": iso("HK")},
	"198.51.100.192/27": map[string]any{"country_code": "MO"},
	"198.51.100.224/27": map[string]any{"country": iso("TW")},
	"192.0.2.0/26":      map[string]any{"country": iso("DE")},
	"192.0.2.64/26":     map[string]any{"country": iso("ZZ")},
	"192.0.2.128/26":    map[string]any{"continent": map[string]any{"code": "AS"}},
	"192.0.2.192/26":    nil,
}

func TestMMDB(t *testing.T) {
	for _, recordSize := range []int{24, 28, 32} {
		for _, ipVersion := range []int{4, 6} {
			t.Run(fmt.Sprintf("record size %d, IPv%d", recordSize, ipVersion), func(t *testing.T) {
				data := mmdb(t, recordSize, ipVersion, countryRecords)
				l, err := place.ParseMMDB("country.mmdb", bytes.NewReader(data))
				if err != nil {
					t.Fatal(err)
				}
				for addr, want := range map[string]string{
					"203.0.113.1": "mainland", "203.0.113.129": "mainland", "203.0.113.193": "mainland", "198.51.100.1": "mainland",
					"198.51.100.65": "mainland", "198.51.100.129": "hong-kong", "198.51.100.193": "macao", "198.51.100.225": "taiwan",
					"192.0.2.1": "overseas", "192.0.2.65": "unknown", "192.0.2.129": "unknown", "192.0.2.193": "unknown", "8.8.8.8": "unknown",
				} {
					if got := l.PlaceIn(netip.MustParseAddr(addr)); got != want {
						t.Errorf("%s is %s; want %s", addr, got, want)
					}
				}
				// 203.0.113.0/24 and 198.51.100.0/25 come back together from their halves.
				if l.Len() != 6 {
					t.Errorf("%d prefixes; want 6", l.Len())
				}
			})
		}
	}
}

func TestMMDBIPv6(t *testing.T) {
	data := mmdb(t, 28, 6, map[string]any{"2001:db8::/33": iso("x"), "2001:db8:8000::/33": map[string]any{"country": iso("CN")}, "2001:db9::/32": "US"})
	s := place.Sources{}
	var err error
	if s.Mainland, err = place.ParseMMDB("six.mmdb", bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	tab := table(t, s)
	for addr, want := range map[string]registry.Place{"2001:db8:8000::1": registry.Mainland, "2001:db8::1": registry.Private, "2001:db9::1": registry.Overseas, "192.0.2.1": registry.Private} {
		if got := tab.Lookup(netip.MustParseAddr(addr)).Place; got != want {
			t.Errorf("Lookup(%s) = %v; want %v", addr, got, want)
		}
	}
}

// TestMMDBSources: what the database knows overrides the built-in table in both
// modes; what it does not know is outside (only) or left to the table (add).
func TestMMDBSources(t *testing.T) {
	cn, us, cn6 := builtinAddr(t, "CN", false), builtinAddr(t, "US", false), builtinAddr(t, "CN", true)
	data := mmdb(t, 24, 6, map[string]any{cn.String() + "/32": "US", us.String() + "/32": "CN"})
	l, err := place.ParseMMDB("country.mmdb", bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	for _, add := range []bool{false, true} {
		tab := table(t, place.Sources{Mainland: l, MainlandAdd: add})
		unlisted := registry.Overseas
		if add {
			unlisted = registry.Mainland
		}
		for a, want := range map[netip.Addr]registry.Place{cn: registry.Overseas, us: registry.Mainland, cn6: unlisted} {
			if got := tab.Lookup(a).Place; got != want {
				t.Errorf("add %t: Lookup(%s) = %v; want %v", add, a, got, want)
			}
		}
	}
}

func TestMMDBRefused(t *testing.T) {
	good := mmdb(t, 24, 6, countryRecords)
	for _, tt := range []struct {
		name string
		data []byte
		want string
	}{
		{"empty", nil, "not a usable MaxMind DB"},
		{"text", []byte("203.0.113.0/24\n"), "not a usable MaxMind DB"},
		{"cut short", good[:len(good)/2], "not a usable MaxMind DB"},
		{"no countries", mmdb(t, 24, 6, map[string]any{"192.0.2.0/24": map[string]any{"asn": "64496"}}), `"Test-Country" holds no network in country CN`},
		{"no IP version", mmdb(t, 24, 0, map[string]any{"192.0.2.0/24": "CN"}), "IP version 0; expect 4 or 6"},
		{"no mainland", mmdb(t, 24, 4, map[string]any{"192.0.2.0/24": "US"}), "holds no network in country CN"},
	} {
		_, err := place.ParseMMDB("country.mmdb", bytes.NewReader(tt.data))
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "country.mmdb: ") {
			t.Errorf("%s: %v; want an error of country.mmdb with %q", tt.name, err, tt.want)
		}
	}
	if _, err := place.ParseMMDBUpTo(good, 3); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("a tree larger than allowed: %v; want an error", err)
	}
}

// TestMMDBLoop: a tree whose nodes lead to each other has no end that could be
// reached by walking.
func TestMMDBLoop(t *testing.T) {
	w := mmdbWriter{}
	for n := range 100 {
		w.nodes = append(w.nodes, [2]int{n + 1, n + 1})
	}
	w.nodes = append(w.nodes, [2]int{})
	if _, err := place.ParseMMDBUpTo(w.file(t, 24, 6), 1<<12); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("got %v; want an error that calls the file damaged", err)
	}
}

// TestMMDBAliases: published databases let the prefixes that carry IPv4 lead to
// its part of the tree; nothing of that is kept.
func TestMMDBAliases(t *testing.T) {
	w := newMMDBWriter(6, countryRecords)
	for _, s := range []string{"::ffff:0:0/96", "2001::/32", "2002::/16", "64:ff9b::/96"} {
		w.alias(s)
	}
	l, err := place.ParseMMDB("country.mmdb", bytes.NewReader(w.file(t, 28, 6)))
	if err != nil {
		t.Fatal(err)
	}
	if l.Len() != 6 {
		t.Errorf("%d prefixes; want the 6 of IPv4", l.Len())
	}
	tab := table(t, place.Sources{Mainland: l})
	for _, s := range []string{"::ffff:203.0.113.1", "2002:cb00:7101::1", "64:ff9b::203.0.113.1"} {
		if got := tab.Lookup(netip.MustParseAddr(s)).Place; got != registry.Mainland {
			t.Errorf("Lookup(%s) = %v; want mainland", s, got)
		}
	}
}

// FuzzMMDB compares what a database is turned into with what its reader says
// address by address.
func FuzzMMDB(f *testing.F) {
	for _, size := range []int{24, 28, 32} {
		f.Add(mmdb(f, size, 4, countryRecords), []byte{203, 0, 113, 1})
		f.Add(mmdb(f, size, 6, countryRecords), []byte{198, 51, 100, 130})
		aliased := newMMDBWriter(6, countryRecords)
		aliased.alias("2002::/16")
		f.Add(aliased.file(f, size, 6), []byte{203, 0, 113, 1})
		f.Add(mmdb(f, size, 6, map[string]any{"2001:db8::/32": "CN", "::/8": "CN"}), []byte{192, 0, 2, 1})
	}
	f.Fuzz(func(t *testing.T, data, addr []byte) {
		l, err := place.ParseMMDBUpTo(data, 1<<12)
		if err != nil {
			return
		}
		db, err := maxminddb.OpenBytes(data)
		if err != nil {
			t.Fatalf("accepted, but the reader says %v", err)
		}
		a, ok := netip.AddrFromSlice(addr)
		if !ok || db.Metadata.IPVersion == 4 && a.Is6() || a.Is4In6() || a.Is6() && netip.MustParsePrefix("::/96").Contains(a) {
			return
		}
		result := db.Lookup(a)
		if p := result.Prefix(); a.Is6() && p.Addr().Is4() {
			return // an alias of the IPv4 part: such addresses are judged by what they carry
		}
		var whole any
		if result.Decode(&whole) != nil {
			return // a damaged part of the record that is no country, which we do not read
		}
		if got, want := l.PlaceIn(a), slowCountry(whole); got != want {
			t.Errorf("%s is %s; want %s", a, got, want)
		}
	})
}

// slowCountry looks through a whole record.
func slowCountry(v any) string {
	if s, ok := v.(string); ok {
		return place.PlaceOfCountry(s)
	}
	m, _ := v.(map[string]any)
	for _, key := range []string{"country", "country_code", "registered_country"} {
		x := m[key]
		if sub, ok := x.(map[string]any); ok {
			x = sub["iso_code"]
		}
		if s, ok := x.(string); ok && isCode.MatchString(s) {
			return place.PlaceOfCountry(s)
		}
	}
	return "unknown"
}

var isCode = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]$`)
