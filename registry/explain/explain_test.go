package explain_test

import (
	"encoding/json"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/explain"
)

var update = flag.Bool("update", false, "write the golden files anew")

var langs = []explain.Lang{explain.English, explain.Chinese}

func TestEveryWordHasTextsInBothLanguages(t *testing.T) {
	for _, l := range langs {
		for _, r := range registry.Reasons() {
			text, ref := explain.ReasonText(l, r)
			checkText(t, l, "reason "+r.String(), text, ref, true)
			if r.Blocks() && (text.Owner == "" || text.Staff == "") {
				t.Errorf("%s: reason %s blocks, but does not say what to do next", l, r)
			}
		}
		for a := registry.Advisory(0); !strings.HasPrefix(a.String(), "invalid"); a++ {
			text, ref := explain.AdvisoryText(l, a)
			checkText(t, l, "advisory "+a.String(), text, ref, true)
			if text.Owner == "" && text.Staff == "" && !saidByReason[a] {
				t.Errorf("%s: advisory %s does not say what to do next", l, a)
			}
		}
		for lack := registry.Lack(0); !strings.HasPrefix(lack.String(), "invalid"); lack++ {
			text, ref := explain.LackText(l, lack)
			checkText(t, l, "lack "+lack.String(), text, ref, true)
			if text.Owner == "" || text.Staff == "" {
				t.Errorf("%s: lack %s does not say what to do next", l, lack)
			}
		}
		for p := registry.Page(0); !strings.HasPrefix(p.String(), "invalid"); p++ {
			text, ref := explain.PageText(l, p)
			checkText(t, l, "page "+p.String(), text, ref, true)
		}
		for e := registry.Effect(0); !strings.HasPrefix(e.String(), "invalid"); e++ {
			text, ref := explain.EffectText(l, e)
			checkText(t, l, "effect "+e.String(), text, ref, true)
		}
		for knob, values := range registry.Knobs() {
			for _, value := range values {
				text, ref := explain.KnobText(l, knob, value)
				checkText(t, l, "policy "+knob+" "+value, text, ref, false)
			}
		}
	}
}

// saidByReason are advisories that come with one reason only, which says itself
// what to do next.
var saidByReason = map[registry.Advisory]bool{registry.AccessHere: true, registry.FinishWithin45Days: true, registry.ReAccessSoon: true}

var place = regexp.MustCompile(`\{[^}]*\}`)

func checkText(t *testing.T, l explain.Lang, what string, text explain.Text, ref string, titled bool) {
	t.Helper()
	if text.Rule == "" || ref == "" || titled && text.Title == "" {
		t.Errorf("%s: %s: got %+v, reference %q; want a title, a rule and a reference", l, what, text, ref)
	}
	for _, s := range []string{text.Title, text.Rule, text.Owner, text.Staff} {
		chinese := strings.ContainsFunc(s, func(r rune) bool { return unicode.Is(unicode.Han, r) })
		if s != "" && chinese != (l == explain.Chinese) {
			t.Errorf("%s: %s: %q is not in the language", l, what, s)
		}
		for _, p := range place.FindAllString(s, -1) {
			switch p {
			case "{host}", "{filed}", "{registrable}", "{provider}":
			default:
				t.Errorf("%s: %s: unknown place %s", l, what, p)
			}
		}
	}
}

func TestLanguages(t *testing.T) {
	for _, tt := range []struct {
		locale string
		want   explain.Lang
	}{
		{"", explain.English}, {"C", explain.English}, {"POSIX", explain.English}, {"en_GB.UTF-8", explain.English},
		{"zh_CN.UTF-8", explain.Chinese}, {"zh", explain.Chinese}, {"zh-TW", explain.Chinese}, {"ZH_cn", explain.Chinese},
		{"zhx_CN", explain.English}, {"fr_FR@euro", explain.English},
	} {
		if got := explain.FromLocale(tt.locale); got != tt.want {
			t.Errorf("FromLocale(%q): got %v; want %v", tt.locale, got, tt.want)
		}
	}
	if _, err := explain.ParseLang("fr"); err == nil || !strings.Contains(err.Error(), "en or zh") {
		t.Errorf("ParseLang(fr): got %v; want an error that names the languages", err)
	}
}

// factsOf are explanations worth reading whole.
func factsOf() map[string]explain.Facts {
	name := registry.Host{Name: registry.MustParseDomain("www.example.com")}
	rev := registry.Revision{Epoch: registry.Epoch{Made: 1767225600000, Random: 0xf00d}, Rev: 7}
	number := registry.MustParseNumber("京ICP备00000001号-1")
	query := registry.Query{Host: name, Channel: registry.ChannelHTTP, Place: registry.Mainland,
		Provider: "cloud-a", AddressProvider: "cloud-a", Product: registry.ECS}
	elsewhere := registry.Coverage{Loaded: true, Revision: rev, Filings: []registry.Covering{
		{Filed: 2, AccessesKnown: true, Accesses: []registry.Access{{Provider: "cloud-b", At: 1609459200}}}}}
	facts := map[string]explain.Facts{
		"unfiled": {Query: query, Coverage: registry.Coverage{Loaded: true, Revision: rev},
			Assumed: []explain.Assumption{explain.AssumedMainland}},
		"not-accessed": {Query: query, Coverage: elsewhere, Filings: []explain.Filing{{
			Domain: registry.MustParseDomain("example.com"), Number: number, EntityNumber: number.Entity(),
			EntityName: "Sample Company", SiteName: "Sample Site", UpdatedAt: time.Date(2024, 5, 1, 20, 0, 0, 0, time.UTC)}}},
		"no-registry": {Query: query},
	}
	monitored := query
	monitored.Policy.Mode = registry.Monitor
	facts["monitor"] = explain.Facts{Query: monitored, Coverage: elsewhere}
	gov := query
	gov.Host = registry.Host{Name: registry.MustParseDomain("b1.例子.政务")}
	facts["gov-unit"] = explain.Facts{Query: gov, Coverage: registry.Coverage{Loaded: true, Revision: rev, GovFiled: true,
		Filings: []registry.Covering{{Filed: 2, Inherited: true, Restricted: true}}}}
	addr := query
	addr.Host = registry.Host{Addr: netip.MustParseAddr("192.0.2.10")}
	addr.Policy.IPLiteral = registry.IPLiteralFiledOnly
	facts["address"] = explain.Facts{Query: addr, Coverage: registry.Coverage{Loaded: true, Revision: rev,
		Filings: []registry.Covering{{Kind: registry.KindIP, AccessesKnown: true, Accesses: []registry.Access{{Provider: "cloud-a"}}}}}}
	cdn := query
	cdn.Product, cdn.Acceleration, cdn.Origin, cdn.Provider, cdn.AddressProvider = registry.CDN, registry.OverseasAcceleration, registry.OriginHere, "", ""
	facts["cdn"] = explain.Facts{Query: cdn, Coverage: elsewhere, Assumed: []explain.Assumption{explain.AssumedNobody}}
	for k, f := range facts {
		f.Verdict = registry.Decide(f.Query, f.Coverage)
		facts[k] = f
	}
	return facts
}

func TestGolden(t *testing.T) {
	for name, f := range factsOf() {
		for _, l := range langs {
			e := explain.Explain(l, f)
			var text strings.Builder
			if err := e.WriteText(&text); err != nil {
				t.Fatal(err)
			}
			golden(t, name+"."+l.String()+".txt", text.String())
			if name == "not-accessed" {
				b, err := json.MarshalIndent(e, "", "  ")
				if err != nil {
					t.Fatal(err)
				}
				golden(t, name+"."+l.String()+".json", string(b)+"\n")
			}
		}
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", path, got, want)
	}
}

func TestDecidingFiling(t *testing.T) {
	host := registry.Host{Name: registry.MustParseDomain("a.shop.example.com")}
	q := registry.Query{Host: host, Channel: registry.ChannelHTTP, Place: registry.Mainland, Provider: "cloud-a",
		AddressProvider: "cloud-a", Product: registry.ECS}
	here := []registry.Access{{Provider: "cloud-a"}}
	elsewhere := []registry.Access{{Provider: "cloud-b"}}
	c := registry.Coverage{Loaded: true, Filings: []registry.Covering{
		{Filed: 3, AccessesKnown: true, Accesses: elsewhere},
		{Filed: 2, Kind: registry.KindApp, AccessesKnown: true, Accesses: here},
		{Filed: 2, AccessesKnown: true, Accesses: elsewhere},
		{Filed: 2, AccessesKnown: true, Accesses: here},
	}}
	e := explain.Explain(explain.English, explain.Facts{Query: q, Verdict: registry.Decide(q, c), Coverage: c})
	if e.Filed != "example.com" {
		t.Errorf("filed: got %q; want example.com", e.Filed)
	}
	for i, f := range e.Filings {
		if got, want := f.Decides, i == 3; got != want {
			t.Errorf("filing %d decides: got %v; want %v", i, got, want)
		}
	}
}

// TestTotal: whatever the facts, an explanation comes out, with no place left open.
func TestTotal(t *testing.T) {
	for _, l := range langs {
		for _, r := range registry.Reasons() {
			for _, host := range []registry.Host{{}, {Name: registry.MustParseDomain("www.example.com")}, {Addr: netip.MustParseAddr("2001:db8::1")}} {
				v := registry.Verdict{Reason: r, Block: r.Blocks(), Advisories: 1<<16 - 1, Filed: 200}
				var text strings.Builder
				f := explain.Facts{Query: registry.Query{Host: host}, Verdict: v,
					Coverage: registry.Coverage{Filings: []registry.Covering{{Filed: 9}}}}
				if err := explain.Explain(l, f).WriteText(&text); err != nil {
					t.Fatal(err)
				}
				if p := place.FindString(text.String()); p != "" {
					t.Errorf("%s %s: the place %s is left open", l, r, p)
				}
			}
		}
	}
}
