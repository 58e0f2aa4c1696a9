package api_test

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/api"
	"github.com/icpgate/icpgate/registry/edge"
	"github.com/icpgate/icpgate/registry/feed"
	"github.com/icpgate/icpgate/registry/index"
	"github.com/icpgate/icpgate/registry/store"
)

// said are lists as a registry tells them.
type said struct{ *feed.Lists }

func (said) ListsState() uint64 { return 1 }

// What entries are made of: mostly right, and what is nearly so or belongs elsewhere.
var (
	entryProviders = []string{"aliyun", "tencent", "huawei", "cloud-a", "Cloud-B", "*", "-", "c#d", ""}
	entryProducts  = []string{"ecs", "cdn", "oss", "mail", "unknown", "origin-pull", "-", "ECS", "nonsense"}
	entryRegions   = []string{"cn-hangzhou", "cn-hongkong", "ap-southeast-1", "ap-nowhere", "cn-test", "CN-Test", "-", "c#d", strings.Repeat("r", 65)}
	entryPlaces    = []string{"mainland", "hong-kong", "overseas", "private", "unknown", "none", "", "mars"}
	entryDemands   = []string{"access", "filing", "none", "filing origin-here=access", "access origin-here=", "access origin-here=none filing"}
	entryOptions   = []string{"", "acceleration=global", "acceleration=mars", "origin=here", "origin=", "origin=here origin=overseas", "acceleration=unknown", "", ""}
	entryPrefixes  = []string{"192.0.2.0/24", "192.0.2.1", "192.0.2.1/32", "192.0.2.1/24", "0.0.0.0/0", "2001:db8::/32", "2001:DB8::1", "::ffff:192.0.2.1", "::ffff:192.0.2.0/120", "::ffff:0:0/95", "::/0", "fe80::1%eth0", "example.com"}
	entryTLDs      = []string{"com", "COM", "net", "test", "example", "中国", "xn--fiqs8s", "公司", "cn", "invalid", "localhost", "museum"}
	entryNames     = []string{"example.com", "EXAMPLE.com.", "*.example.com", "*.*.example.com", "a*.example.com", "*", "*.", ".", "com", "a_b.example", "中文.example", "xn--fiq228c.example", "a..b", strings.Repeat("a.", 120) + "example", "exa#mple.com", "192.0.2.1", "example.com extra"}
)

// drawLine makes a key and a value of a list.
func drawLine(r *rapid.T, list registry.List) (key, value string) {
	of := func(what string, from []string) string { return rapid.SampledFrom(from).Draw(r, what) }
	switch list {
	case registry.ListNetworks:
		return of("key", entryPrefixes), strings.Join([]string{of("provider", entryProviders), of("product", entryProducts), of("region", entryRegions), of("place", entryPlaces)}, " ")
	case registry.ListBindings:
		return of("key", entryNames), of("product", entryProducts) + " " + of("one", entryOptions) + " " + of("another", entryOptions)
	case registry.ListSuffixes:
		return of("key", entryNames), of("provider", entryProviders) + " " + of("product", entryProducts)
	case registry.ListProfiles:
		return of("provider", entryProviders) + " " + of("product", entryProducts), of("demand", entryDemands)
	}
	return of("key", append(entryTLDs, entryNames...)), of("value", []string{"", "", "x"})
}

// TestEdgesReadWhatIsAccepted: whatever the registry of record takes into its lists,
// edges read; and what was refused has left no trace.
func TestEdgesReadWhatIsAccepted(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		taken := map[registry.List]int{}
		n := 0
		draw := func(r *rapid.T) {
			for range 8 {
				n++
				list, do := drawEntry(r, w.clock.now(), n)
				_, err := w.store.Edit(t.Context(), by, do)
				switch {
				case err == nil:
					taken[list]++
				case !errors.Is(err, store.ErrInvalid):
					r.Fatalf("%s: %v; want it taken or refused", list, err)
				}
			}
			lists := feed.NewLists([16]byte{})
			for _, list := range registry.AllLists() {
				all, err := w.store.Entries(t.Context(), list)
				if err != nil {
					r.Fatal(err)
				}
				for _, x := range all {
					if err := lists.Apply(x); err != nil {
						r.Fatal(err)
					}
				}
			}
			e, err := edge.Open(edge.Config{Live: new(index.Live), Lists: said{lists}, Now: w.clock.now})
			if err != nil {
				r.Fatalf("an edge cannot read it: %v", err)
			}
			e.Close()
		}
		rapid.Check(t, draw)
		for _, list := range registry.AllLists() {
			for again := 0; taken[list] == 0 && again < 20 && !t.Failed(); again++ { // nearly never
				rapid.Check(t, draw)
			}
			if taken[list] == 0 {
				t.Errorf("nothing was taken into %s", list)
			}
		}
		if wrong, err := w.store.Check(t.Context()); err != nil || len(wrong) > 0 {
			t.Errorf("the registry's own check: %q, %v", wrong, err)
		}
	})
}

// drawEntry makes a change of a list, right or wrong.
func drawEntry(r *rapid.T, now time.Time, n int) (registry.List, func(*store.Edit) error) {
	word := func(from []string) *rapid.Generator[string] { return rapid.SampledFrom(from) }
	list := rapid.SampledFrom(registry.AllLists()).Draw(r, "list")
	switch list {
	case registry.ListExemptions:
		x := store.Exemption{Below: rapid.Bool().Draw(r, "below"), Authority: rapid.Bool().Draw(r, "authority")}
		x.Name, _ = registry.ParseDomain(word(entryNames).Draw(r, "name"))
		if rapid.Bool().Draw(r, "ends") {
			x.Until = now.Add(time.Duration(rapid.Int64Range(-1, 1<<30).Draw(r, "until")) * time.Second * 400)
		}
		return list, func(e *store.Edit) error { return e.Exempt(x) }
	case registry.ListServers:
		v := registry.Server{
			ID: fmt.Sprint("i-", n%50), Provider: registry.ProviderID(word(entryProviders).Draw(r, "provider")), Product: rapid.SampledFrom([]registry.Product{registry.ECS, registry.CDN, registry.ProductUnknown}).Draw(r, "product"),
			Region: word(entryRegions).Draw(r, "region"), Place: registry.Place(rapid.IntRange(0, 7).Draw(r, "place")),
		}
		for range rapid.IntRange(0, 2).Draw(r, "addresses") {
			if p, err := netip.ParsePrefix(rapid.SampledFrom([]string{"198.51.100.0/24", "198.51.100.7/32", "2001:db8:1::/48", "::ffff:198.51.100.0/120", "0.0.0.0/0"}).Draw(r, "address")); err == nil {
				v.Addresses = append(v.Addresses, p)
			}
		}
		return list, func(e *store.Edit) error { return e.PutServer(v) }
	}
	x := registry.Entry{List: list}
	x.Key, x.Value = drawLine(r, list)
	return list, func(e *store.Edit) error { return e.Set(x) }
}

// TestUnreadable: what edges cannot read is refused with what would be right.
func TestUnreadable(t *testing.T) {
	w := newWorld(t)
	for key, tt := range map[string]struct{ list, value, want string }{
		"192.0.2.0/24":    {"networks", "cloud-a ecs cn-test", "add mainland, hong-kong"},
		"198.51.100.0/24": {"networks", "aliyun ecs cn-hongkong mainland", "is hong-kong, not mainland"},
		"cdn.example.net": {"suffixes", "aliyun origin-pull", "product"},
		".":               {"bindings", "cdn", "root"},
	} {
		in := api.SetEntry{Entry: api.Entry{Key: key, Value: tt.value}, Why: "x"}
		if text := w.call(t, "write", "PUT", api.ListsPath+"/"+tt.list, in, nil, 422); !strings.Contains(text, tt.want) || !strings.Contains(text, key) {
			t.Errorf("%s %s: %s; want %q", key, tt.value, text, tt.want)
		}
	}
	_, err := w.store.Edit(t.Context(), by, func(e *store.Edit) error {
		return e.PutServer(registry.Server{ID: "i-1", Provider: "cloud-a", Product: registry.ECS, Region: "r-1", Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32")}})
	})
	if err == nil || !strings.Contains(err.Error(), `server "i-1"`) || !strings.Contains(err.Error(), "overseas as the server's place") {
		t.Errorf("a server of nowhere: %v", err)
	}
}
