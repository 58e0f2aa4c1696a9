package registry_test

import (
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/publicsuffix"

	"github.com/icpgate/icpgate/registry"
)

func TestRegistrable(t *testing.T) {
	for name, want := range map[string]string{
		"example.com":                        "example.com",
		"a.b.example.com":                    "example.com",
		"www.example.com.cn":                 "example.com.cn",
		"www.example.bj.cn":                  "example.bj.cn",
		"a.gov.cn":                           "a.gov.cn",
		"b1.a.gov.cn":                        "a.gov.cn",
		"www.xn--fsqu00a.政务":                 "xn--fsqu00a.xn--zfr164b",
		"www.例子.公司.cn":                       "xn--fsqu00a.xn--55qx5d.cn",
		"foo.github.io":                      "github.io",
		"a.b.foo.github.io":                  "github.io",
		"bucket.s3.amazonaws.com":            "amazonaws.com",
		"www.example.com.ck":                 "example.com.ck",
		"www.ck":                             "www.ck",
		"www.example.nosuchtld":              "example.nosuchtld",
		"com":                                "",
		"com.cn":                             "",
		"gov.cn":                             "",
		"xn--zfr164b":                        "",
		"nosuchtld":                          "",
		"com.ck":                             "",
		"1.0.0.2.ip6.arpa":                   "2.ip6.arpa",
		"x.compute.amazonaws.com":            "amazonaws.com",
		"y.x.cn-north-1.eb.amazonaws.com.cn": "amazonaws.com.cn",
	} {
		d := registry.MustParseDomain(name)
		got, ok := d.Registrable()
		if got.String() != want || ok != (want != "") {
			t.Errorf("Registrable(%s): got %q, %v; want %q", name, got, ok, want)
		}
		if got, want := d.IsPublicSuffix(), want == ""; got != want {
			t.Errorf("IsPublicSuffix(%s): got %v; want %v", name, got, want)
		}
	}
	if d, ok := (registry.Domain{}).Registrable(); ok || (registry.Domain{}).IsPublicSuffix() {
		t.Errorf("the zero Domain: got registrable %q; want none, and no suffix", d)
	}
}

// registrableSlow is one label more than the suffix by the list's own package.
func registrableSlow(d registry.Domain) (registry.Domain, bool) {
	suffix := registry.MustParseDomain(registry.PublicSuffix(d.String()))
	if suffix == d {
		return registry.Domain{}, false
	}
	return d.Last(suffix.Labels() + 1), true
}

// TestIsPublicSuffix compares the table with the list's own package: all rules,
// and the names around them.
func TestIsPublicSuffix(t *testing.T) {
	rules := append(strings.Fields(registry.ICANNRules), registry.ICANNTLDs...)
	if len(rules) < 5000 {
		t.Fatalf("got %d rules; want all of the list", len(rules))
	}
	for _, rule := range rules {
		name := strings.TrimPrefix(strings.TrimPrefix(rule, "!"), "*.")
		for _, name := range []string{name, "com." + name, "x." + name, "y.x." + name, "x-" + name, name + ".com", name + ".cn", name + ".ck", name + ".nosuchtld"} {
			d, err := registry.ParseDomain(name)
			if err != nil {
				t.Fatal(err)
			}
			for ; !d.IsZero(); d = d.Parent() {
				if got, want := d.IsPublicSuffix(), registry.PublicSuffix(d.String()) == d.String(); got != want {
					t.Errorf("IsPublicSuffix(%s): got %v; want %v", d, got, want)
				}
				got, ok := d.Registrable()
				if want, wantOK := registrableSlow(d); got != want || ok != wantOK {
					t.Errorf("Registrable(%s): got %s, %v; want %s, %v", d, got, ok, want, wantOK)
				}
			}
		}
	}
}

func TestGov(t *testing.T) {
	for _, tt := range []struct {
		name, registrable string
	}{
		{"a.gov.cn", "a.gov.cn"},
		{"www.b1.a.gov.cn", "a.gov.cn"},
		{"a.政务", "a.xn--zfr164b"},
		{"b.a.政务", "a.xn--zfr164b"},
		{"gov.cn", ""},
		{"政务", ""},
		{"notgov.cn", ""},
		{"a.notgov.cn", ""},
		{"a.gov.cn.example.com", ""},
		{"gov.com", ""},
	} {
		d := registry.MustParseDomain(tt.name)
		if got := d.GovRegistrable().String(); got != tt.registrable {
			t.Errorf("GovRegistrable(%s): got %q; want %q", tt.name, got, tt.registrable)
		}
		if got, want := d.IsGov(), tt.registrable != ""; got != want {
			t.Errorf("IsGov(%s): got %v; want %v", tt.name, got, want)
		}
	}
}

func TestTLDsFileable(t *testing.T) {
	loaded := registry.TLDs{registry.MustParseDomain("cn"): {}, registry.MustParseDomain("xn--fiqs8s"): {}}
	for _, tt := range []struct {
		tlds registry.TLDs
		name string
		want bool
	}{
		{nil, "example.com", true},
		{nil, "example.政务", true},
		{nil, "www.example.com.ck", true},
		{nil, "example.nosuchtld", false},
		{nil, "foo.github.io", true},
		{loaded, "www.example.com.cn", true},
		{loaded, "example.中国", true},
		{loaded, "example.com", false},
		{registry.TLDs{}, "example.cn", false},
	} {
		if got := tt.tlds.Fileable(registry.MustParseDomain(tt.name)); got != tt.want {
			t.Errorf("%d TLDs, %s fileable: got %v; want %v", len(tt.tlds), tt.name, got, tt.want)
		}
	}
}

// TestTLDsAreThoseOfTheList: the generated table agrees with the list itself on
// every TLD, generic, country or wildcard, and on names that are none.
func TestTLDsAreThoseOfTheList(t *testing.T) {
	if n := len(registry.ICANNTLDs); n < 1000 || !slices.IsSorted(registry.ICANNTLDs) {
		t.Fatalf("%d TLDs, sorted %v; want more than 1000, sorted", n, slices.IsSorted(registry.ICANNTLDs))
	}
	inList := func(tld string) bool {
		_, one := publicsuffix.PublicSuffix(tld)
		_, two := publicsuffix.PublicSuffix("x." + tld)
		return one || two
	}
	for _, tld := range registry.ICANNTLDs {
		if !inList(tld) {
			t.Errorf("%s is no TLD of the list; run go generate ./registry", tld)
		}
	}
	for a := byte('a'); a <= 'z'; a++ {
		for b := byte('a'); b <= 'z'; b++ {
			tld := string([]byte{a, b})
			if got, want := registry.TLDs(nil).Fileable(registry.MustParseDomain("example."+tld)), inList(tld); got != want {
				t.Errorf("%s fileable: got %v; the list says %v; run go generate ./registry", tld, got, want)
			}
		}
	}
}

// FuzzRegistrable: the registrable domain is one label below the suffix, and the
// name lies within it.
func FuzzRegistrable(f *testing.F) {
	for _, s := range []string{"www.example.com", "foo.github.io", "a.ck", "gov.cn", "a.b.kobe.jp", "city.kobe.jp"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := registry.ParseDomain(s)
		if err != nil {
			return
		}
		r, ok := d.Registrable()
		if ok == d.IsPublicSuffix() {
			t.Fatalf("%s: registrable %v, but public suffix %v", d, ok, !ok)
		}
		if !ok {
			return
		}
		if !d.Within(r) || r.IsPublicSuffix() || !r.Parent().IsPublicSuffix() {
			t.Errorf("Registrable(%s): got %s", d, r)
		}
		if again, _ := r.Registrable(); again != r {
			t.Errorf("Registrable(%s): got %s; want itself", r, again)
		}
	})
}
