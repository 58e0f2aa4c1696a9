package registry_test

import (
	"errors"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/icpgate/icpgate/registry"
)

const (
	anyOrigin = registry.OriginUnknown
	here      = registry.OriginHere
)

// allProducts are the products, found by their words.
func allProducts() []registry.Product {
	var all []registry.Product
	for p := registry.Product(0); !strings.HasPrefix(p.String(), "invalid"); p++ {
		all = append(all, p)
	}
	return all
}

// TestBuiltinProfiles holds the table of the rule book against the built-in data.
func TestBuiltinProfiles(t *testing.T) {
	edge := map[registry.Product]bool{registry.OSS: true, registry.CDN: true, registry.WAF: true, registry.AntiDDoS: true, registry.Mail: true}
	huawei := map[registry.Product]bool{registry.OSS: true, registry.WAF: true, registry.AntiDDoS: true}
	for _, id := range []registry.ProviderID{registry.Aliyun, registry.Tencent, registry.Huawei, "cloud-a", ""} {
		p := (*registry.Profiles)(nil).For(id)
		for _, product := range allProducts() {
			want := registry.DemandAccess
			if edge[product] {
				want = registry.DemandFiling
			}
			for _, o := range []registry.Origin{registry.OriginUnknown, registry.OriginElsewhere, registry.OriginOverseas} {
				if got := p.Demand(product, o); got != want {
					t.Errorf("%q, %s, origin %s: got %s; want %s", id, product, o, got, want)
				}
			}
			if id == registry.Huawei && huawei[product] {
				want = registry.DemandAccess
			}
			if got := p.Demand(product, here); got != want {
				t.Errorf("%q, %s, origin here: got %s; want %s", id, product, got, want)
			}
		}
	}
	if got := (&registry.Profile{}).Demand(registry.CDN, anyOrigin); got != registry.DemandAccess {
		t.Errorf("the zero profile: got %s; want access", got)
	}
	if got := (*registry.Profiles)(nil).For(registry.Aliyun).Demand(200, anyOrigin); got != registry.DemandAccess {
		t.Errorf("a product that does not exist: got %s; want access", got)
	}
}

func TestParseProfiles(t *testing.T) {
	ps, err := registry.ParseProfiles("p", strings.NewReader("\ufeff# comment\n\n"+
		"cloud-a cdn access # here too\n"+
		"*       cdn filing origin-here=access\n"+
		"Aliyun  ecs filing\n"+
		"*       ecs access\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		id      registry.ProviderID
		product registry.Product
		origin  registry.Origin
		want    registry.Demand
	}{
		{"cloud-a", registry.CDN, anyOrigin, registry.DemandAccess}, // its own line, though "*" comes later
		{"cloud-a", registry.CDN, here, registry.DemandAccess},
		{"cloud-b", registry.CDN, anyOrigin, registry.DemandFiling},
		{"cloud-b", registry.CDN, here, registry.DemandAccess},
		{registry.Tencent, registry.CDN, here, registry.DemandAccess},
		{registry.Aliyun, registry.ECS, anyOrigin, registry.DemandFiling},
		{registry.Aliyun, registry.ECS, here, registry.DemandFiling},
		{registry.Huawei, registry.ECS, anyOrigin, registry.DemandAccess},
		{registry.Huawei, registry.OSS, here, registry.DemandAccess}, // untouched
		{"cloud-a", registry.OSS, here, registry.DemandFiling},
	} {
		if got := ps.For(tt.id).Demand(tt.product, tt.origin); got != tt.want {
			t.Errorf("%s %s origin %s: got %s; want %s", tt.id, tt.product, tt.origin, got, tt.want)
		}
	}
	if got := (*registry.Profiles)(nil).For(registry.Aliyun).Demand(registry.ECS, anyOrigin); got != registry.DemandAccess {
		t.Errorf("the built-in profile afterwards: got %s; want it unchanged", got)
	}
}

func TestParseProfilesRefuses(t *testing.T) {
	for in, want := range map[string]string{
		"\ncloud-a cdn":                          "p:2: 2 fields; expect PROVIDER",
		"cloud-a cdn access more still":          "5 fields",
		"cloud a cdn access":                     "unknown product",
		"clo/ud cdn access":                      "holds '/'",
		"云a cdn access":                          "holds '云'",
		"- cdn access":                           "no letter or digit",
		"\n" + strings.Repeat("a", 1<<16):        "p:2: the line is longer than 65536 bytes",
		"cloud-a car access":                     `unknown product "car"`,
		"cloud-a cdn none":                       "access or filing",
		"cloud-a cdn access here=access":         "expect origin-here=",
		"cloud-a cdn access origin-here=x":       "access or filing",
		"cloud-a cdn access\nCLOUD-A cdn access": "p:2: CLOUD-A cdn was given in line 1 already",
		"* cdn access\n* cdn access":             "line 1 already",
	} {
		if _, err := registry.ParseProfiles("p", strings.NewReader(in)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v; want an error with %q", in, err, want)
		}
	}
	broken := errors.New("disk gone")
	if _, err := registry.ParseProfiles("p", iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("got %v; want %v", err, broken)
	}
}

func FuzzParseProfiles(f *testing.F) {
	f.Add("cloud-a cdn access origin-here=filing\n* ecs filing # x\n")
	f.Add("* * *")
	f.Fuzz(func(t *testing.T, s string) {
		ps, err := registry.ParseProfiles("p", strings.NewReader(s))
		if err != nil {
			if !strings.HasPrefix(err.Error(), "p:") {
				t.Errorf("%v names no file", err)
			}
			return
		}
		for _, id := range []registry.ProviderID{"", registry.Huawei, "cloud-a"} {
			for _, p := range allProducts() {
				ps.For(id).Demand(p, here)
			}
		}
	})
}
