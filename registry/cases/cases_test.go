package cases_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/cases"
)

// ruleBook reads all cases of the rule book.
func ruleBook(t *testing.T) []cases.Case {
	t.Helper()
	const path = "../testdata/cases.jsonl"
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []cases.Case
	for c, err := range cases.Read(path, f) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	return all
}

// refuses are the cases that are about a filing that the import refuses; in all
// others a refused one would be a slip of the pen.
var refuses = map[string]bool{"S012": true, "C069": true, "C071": true, "C163": true, "C296": true, "C325": true, "C326": true}

func TestCases(t *testing.T) {
	all := ruleBook(t)
	if len(all) < 300 {
		t.Errorf("%d cases in the rule book; want all of them", len(all))
	}
	for _, c := range all {
		t.Run(c.ID, func(t *testing.T) {
			r, err := cases.Run(c, cases.Options{})
			if err != nil {
				t.Fatalf("%s: %v", c.At, err)
			}
			for _, m := range r.Mismatches {
				t.Errorf("%s: %s: %s", c.At, c.Description, m)
			}
			if len(r.Refused) > 0 && !refuses[c.ID] {
				t.Errorf("%s: refused: %v; want every filing taken", c.At, r.Refused)
			}
			checkCoverage(t, c)
		})
	}
}

// longChinese is more Chinese than a term or a title has.
var longChinese = regexp.MustCompile(`\p{Han}{9,}`)

// TestCasesQuoteNothing: cases refer to the documents by section, in words of
// their own.
func TestCasesQuoteNothing(t *testing.T) {
	for _, c := range ruleBook(t) {
		for _, s := range []string{c.Description, c.Source, c.Decided} {
			if strings.ContainsAny(s, "\"“”「」") || longChinese.MatchString(s) {
				t.Errorf("%s: %q looks like a quotation", c.At, s)
			}
		}
	}
}

// checkCoverage holds what the index answered for a case against the plain rule:
// each filing asked for its scope.
func checkCoverage(t *testing.T, c cases.Case) {
	t.Helper()
	questions, err := cases.Questions(c, cases.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range questions {
		if !q.Coverage.Loaded || q.Query.Host.Kind() != registry.NameHost {
			continue
		}
		name := q.Query.Host.Name
		want := map[string]int{}
		for _, f := range cases.FilingsOf(c) {
			for _, d := range f.Site.Domains {
				if s := f.Scope(d, name); s != registry.ScopeNone {
					want[fmt.Sprint(d, f.Site.Kind, f.Status, f.Restricted, s == registry.ScopeInherited)]++
				}
			}
		}
		got := map[string]int{}
		for _, f := range q.Coverage.Filings {
			got[fmt.Sprint(name.Last(int(f.Filed)), f.Kind, f.Status, f.Restricted, f.Inherited)]++
		}
		if !maps.Equal(got, want) {
			t.Errorf("%s: coverage of %s: got %v; want %v", c.At, name, got, want)
		}
	}
}

// TestCasesNameEveryWord: each reason, page, advisory and effect is expected by
// a case, and each value of each knob is set by one.
func TestCasesNameEveryWord(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range ruleBook(t) {
		seen["reason "+c.Expect.Reason.String()] = true
		seen["page "+c.Expect.Page.String()] = true
		seen["effect "+c.Expect.Effect] = true
		for _, a := range c.Expect.Advisories {
			seen["advisory "+a.String()] = true
		}
		for knob, value := range c.Query.Policy {
			seen[knob+" "+value] = true
		}
		if c.Source == "" {
			t.Errorf("%s: case %s has no source", c.At, c.ID)
		}
	}
	want := []string{
		"page none", "page unfiled", "page not-accessed", "page other", "page undecided", "effect pass", "effect block", "effect strip",
		"gov strict", "gov inherit", "ip_literal allow", "ip_literal filed-only", "ip_literal block", "no_host allow", "no_host block",
		"pending_access block", "pending_access allow", "fail open", "fail closed", "mode enforce", "mode monitor", "mixed strip", "mixed block",
	}
	for _, r := range registry.Reasons() {
		want = append(want, "reason "+r.String())
	}
	for a := registry.Advisory(0); !strings.HasPrefix(a.String(), "invalid"); a++ {
		want = append(want, "advisory "+a.String())
	}
	for _, w := range want {
		if !seen[w] {
			t.Errorf("no case for %s", w)
		}
	}
}

const good = `{"id":"X","query":{"channel":"http","provider":"cloud-a","host":"www.example.com","destination":"mainland"},` +
	`"filings":[{"domain":"example.com","accesses":[{"provider":"cloud-b"}]}],` +
	`"expect":{"verdict":"block","reason":"not-accessed","page":"not-accessed","advisories":["access-here"]}}`

func TestReadRefuses(t *testing.T) {
	for _, tt := range []struct{ name, old, new, want string }{
		{"no JSON", good, "{", "unexpected EOF"},
		{"two objects", good, good + good, "one object a line"},
		{"an unknown field", `"id":"X"`, `"id":"X","colour":1`, `unknown field "colour"`},
		{"an unknown field of the query", `"host"`, `"hots"`, `unknown field "hots"`},
		{"an unknown field of a filing", `"domain"`, `"domian"`, `unknown field "domian"`},
		{"an unknown field of an access", `{"provider":"cloud-b"}`, `{"provder":"cloud-b"}`, `unknown field "provder"`},
		{"an unknown field of expect", `"page"`, `"pgae"`, `unknown field "pgae"`},
		{"an unknown channel", `"http"`, `"gopher"`, "expect dns, http, https or quic"},
		{"an unknown place", `"mainland"`, `"moon"`, "hong-kong"},
		{"an unknown reason", `"not-accessed",`, `"bored",`, `unknown reason "bored"`},
		{"an unknown verdict", `"block"`, `"maybe"`, "expect pass or block"},
		{"an unknown status", `"accesses"`, `"status":"fine","accesses"`, `unknown filing status "fine"`},
		{"an unknown knob", `"host"`, `"policy":{"colour":"red"},"host"`, `unknown policy "colour"`},
		{"an unknown value of a knob", `"host"`, `"policy":{"ip_literal":"red"},"host"`, "allow, filed-only or block"},
		{"a bad profile", `"host"`, `"profiles":["cloud-a cdn maybe"],"host"`, "profiles:1: unknown demand"},
		{"an unknown role", `"host"`, `"role":"clown","host"`, "origin-pull"},
		{"an unknown state of the registry", `"host"`, `"registry":"asleep","host"`, "unavailable"},
		{"a bad blacklist", `"host"`, `"blacklisted":"example.com","host"`, "true, false or a list"},
		{"mixed without answers", `"mainland"`, `"mixed"`, "mixed and answers go together"},
		{"answers without mixed", `"host"`, `"answers":[{"ip":"192.0.2.1","destination":"mainland"}],"host"`, "mixed and answers go together"},
		{"an exempt name that is none", `"host"`, `"exempt":["*.a b.example.com"],"host"`, `label "a b"`},
		{"no id", `"id":"X",`, ``, "no id"},
		{"no reason", `"reason":"not-accessed",`, ``, "needs verdict and reason"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			line := strings.Replace(good, tt.old, tt.new, 1)
			n := 0
			for _, err := range cases.Read("x.jsonl", strings.NewReader("\n"+line+"\n"+good)) {
				if n++; n == 1 && (err == nil || !strings.HasPrefix(err.Error(), "x.jsonl:2: ") || !strings.Contains(err.Error(), tt.want)) {
					t.Errorf("got %v; want an error at x.jsonl:2 with %q", err, tt.want)
				}
				if n == 2 && err != nil {
					t.Errorf("the case behind it: %v", err)
				}
			}
			if n != 2 {
				t.Errorf("got %d cases; want the bad one and the good one", n)
			}
		})
	}
}

func TestReadRefusesAnIDTwice(t *testing.T) {
	var errs []error
	for _, err := range cases.Read("x.jsonl", strings.NewReader(good+"\n"+good)) {
		errs = append(errs, err)
	}
	if len(errs) != 2 || errs[0] != nil || errs[1] == nil || !strings.Contains(errs[1].Error(), "at x.jsonl:1 already") {
		t.Errorf("got %v; want the second one refused, naming the first", errs)
	}
}

func TestReadReportsTheReadersError(t *testing.T) {
	broken := errors.New("disk gone")
	n := 0
	for _, err := range cases.Read("x.jsonl", iotest.ErrReader(broken)) {
		if n++; !errors.Is(err, broken) {
			t.Errorf("got %v; want %v", err, broken)
		}
	}
	if n != 1 {
		t.Errorf("got %d results; want the error alone", n)
	}
}

func TestReadStopsWhenAsked(t *testing.T) {
	for range cases.Read("x.jsonl", strings.NewReader(good+"\n{\n")) {
		break
	}
}

// one reads a single case.
func one(t *testing.T, line string) cases.Case {
	t.Helper()
	for c, err := range cases.Read("x.jsonl", strings.NewReader(line)) {
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	t.Fatal("no case")
	return cases.Case{}
}

func TestRunTellsEveryMismatch(t *testing.T) {
	line := strings.Replace(good, `{"verdict":"block","reason":"not-accessed","page":"not-accessed","advisories":["access-here"]}`,
		`{"verdict":"pass","reason":"filed","effect":"strip","product":"cdn","filed":"www.example.com","audit":["psb-due"]}`, 1)
	r, err := cases.Run(one(t, line), cases.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range r.Mismatches {
		got = append(got, m.String())
	}
	want := []string{
		"verdict: got block; want pass", "reason: got not-accessed; want filed", "page: got not-accessed; want none",
		"advisories: got access-here; want none", "effect: got block; want strip", "product: got unknown; want cdn",
		"filed: got example.com; want www.example.com",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got %q; want %q", got, want)
	}
	if !r.AuditSkipped {
		t.Error("expectations of the audit: got compared; want skipped and said")
	}
}

func TestOptionsLieUnderTheCase(t *testing.T) {
	profiles, err := registry.ParseProfiles("p", strings.NewReader("cloud-a unknown filing"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := cases.Run(one(t, good), cases.Options{Profiles: profiles, Policy: registry.Policy{Mode: registry.Monitor}})
	if err != nil {
		t.Fatal(err)
	}
	if r.Verdict.Reason != registry.Filed {
		t.Errorf("with a profile that asks for a filing only: got %s; want filed", r.Verdict.Reason)
	}
	r, err = cases.Run(one(t, good), cases.Options{Policy: registry.Policy{Mode: registry.Monitor}})
	if err != nil || r.Effect != registry.EffectPass {
		t.Errorf("with mode monitor below the case: got effect %s, error %v; want pass", r.Effect, err)
	}
	enforced := one(t, strings.Replace(good, `"host"`, `"policy":{"mode":"enforce"},"host"`, 1))
	r, err = cases.Run(enforced, cases.Options{Policy: registry.Policy{Mode: registry.Monitor}})
	if err != nil || r.Effect != registry.EffectBlock {
		t.Errorf("with mode enforce in the case: got effect %s, error %v; want block", r.Effect, err)
	}
}

func TestRefusedFilingIsAbsent(t *testing.T) {
	r, err := cases.Run(one(t, strings.Replace(good, `"domain":"example.com"`, `"domain":"com"`, 1)), cases.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if r.Verdict.Reason != registry.Unfiled || len(r.Refused) != 1 {
		t.Errorf("got %s, refused %v; want unfiled, one refused", r.Verdict.Reason, r.Refused)
	}
}

func TestDNSHostThatIsNoNameIsAMistakeOfTheCase(t *testing.T) {
	line := strings.Replace(strings.Replace(good, `"http"`, `"dns"`, 1), "www.example.com", `www\\.example.com`, 1)
	if _, err := cases.Run(one(t, line), cases.Options{}); err == nil || !strings.Contains(err.Error(), `case "X"`) {
		t.Errorf("got %v; want an error that names the case", err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(good)
	f.Add(strings.Replace(good, `"host"`, `"blacklisted":["example.com"],"now":"2026-01-01T00:00:00Z","host"`, 1))
	f.Add(`{"id":"","query":{},"filings":[null],"expect":{}}`)
	f.Fuzz(func(t *testing.T, text string) {
		for c, err := range cases.Read("x", strings.NewReader(text)) {
			if err == nil {
				cases.Run(c, cases.Options{}) // must not panic; whether it runs is the case's own
			}
		}
	})
}
