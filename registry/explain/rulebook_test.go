package explain_test

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/explain"
)

// TestReferencesStandInTheRuleBook: whoever is given a reference can look it up in
// docs/rules.md, and finds every word there.
func TestReferencesStandInTheRuleBook(t *testing.T) {
	book, err := os.ReadFile("../../docs/rules.md")
	if err != nil {
		t.Fatal(err)
	}
	known := numbers(string(book))
	words := []string{}
	check := func(what, ref string) {
		t.Helper()
		for _, cited := range citations(ref) {
			if !known[cited] {
				t.Errorf("%s: reference %q; docs/rules.md has no %s", what, ref, cited)
			}
		}
	}
	for _, r := range registry.Reasons() {
		_, ref := explain.ReasonText(explain.English, r)
		check(r.String(), ref)
		words = append(words, r.String())
	}
	for a := registry.Advisory(0); !strings.HasPrefix(a.String(), "invalid"); a++ {
		_, ref := explain.AdvisoryText(explain.English, a)
		check(a.String(), ref)
		words = append(words, a.String())
	}
	for p := registry.Page(0); !strings.HasPrefix(p.String(), "invalid"); p++ {
		_, ref := explain.PageText(explain.English, p)
		check("page "+p.String(), ref)
	}
	for e := registry.Effect(0); !strings.HasPrefix(e.String(), "invalid"); e++ {
		_, ref := explain.EffectText(explain.English, e)
		check("effect "+e.String(), ref)
	}
	for knob, values := range registry.Knobs() {
		for _, value := range values {
			_, ref := explain.KnobText(explain.English, knob, value)
			check("policy "+knob+" "+value, ref)
		}
	}
	for n := registry.Defence; !strings.HasPrefix(n.String(), "invalid"); n++ {
		words = append(words, n.String())
	}
	for _, w := range words {
		if !bytes.Contains(book, []byte("`"+w+"`")) {
			t.Errorf("docs/rules.md does not say what %q is", w)
		}
	}
}

// TestCasesRestOnTheRuleBook: so do the cases.
func TestCasesRestOnTheRuleBook(t *testing.T) {
	book, err := os.ReadFile("../../docs/rules.md")
	if err != nil {
		t.Fatal(err)
	}
	known := numbers(string(book))
	cases, err := os.ReadFile("../testdata/cases.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	cited := 0
	for line := range bytes.Lines(cases) {
		var c struct{ ID, Source string }
		if err := json.Unmarshal(line, &c); err != nil {
			t.Fatal(err)
		}
		for _, cite := range citations(c.Source) {
			if cited++; !known[cite] {
				t.Errorf("case %s: source %q; docs/rules.md has no %s", c.ID, c.Source, cite)
			}
		}
	}
	if cited == 0 {
		t.Error("no case cites anything")
	}
}

var (
	ruleNumber = regexp.MustCompile(`\b([RP])(\d+)(?:–[RP](\d+))?\b`)
	bookPart   = regexp.MustCompile(`rule book §?(\d(?:\.\d)?)(?:, (\d\.\d))?`)
	sourceMark = regexp.MustCompile(`(?:^|; )(B§|A\b|TC\b|HW\b|MIIT-IF)`)
	headings   = regexp.MustCompile(`(?m)^##+ (\d(?:\.\d)?)`)
	ruleRows   = regexp.MustCompile(`(?m)^\| ([RP])(\d+)(?:–[RP](\d+))? \|`)
	sourceRows = regexp.MustCompile(`(?m)^\| (A|B§|TC|HW|MIIT-IF)\b`)
)

// citations are what a reference names, each as numbers has it.
func citations(ref string) (list []string) {
	for _, m := range ruleNumber.FindAllStringSubmatch(ref, -1) {
		list = append(list, span(m[1], m[2], m[3])...)
	}
	for _, m := range bookPart.FindAllStringSubmatch(ref, -1) {
		list = append(list, "part "+m[1])
		if m[2] != "" {
			list = append(list, "part "+m[2])
		}
	}
	for _, m := range sourceMark.FindAllStringSubmatch(ref, -1) {
		list = append(list, "source "+m[1])
	}
	return list
}

// numbers are the rules, parts and sources that a rule book has.
func numbers(book string) map[string]bool {
	known := map[string]bool{}
	for _, m := range ruleRows.FindAllStringSubmatch(book, -1) {
		for _, n := range span(m[1], m[2], m[3]) {
			known[n] = true
		}
	}
	for _, m := range headings.FindAllStringSubmatch(book, -1) {
		known["part "+m[1]] = true
	}
	for _, m := range sourceRows.FindAllStringSubmatch(book, -1) {
		known["source "+m[1]] = true
	}
	return known
}

// span is a number, or all from it to another.
func span(letter, first, last string) (list []string) {
	from, _ := strconv.Atoi(first)
	to, _ := strconv.Atoi(last)
	for n := from; n <= max(from, to); n++ {
		list = append(list, letter+strconv.Itoa(n))
	}
	return list
}
