package gate_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
)

// listedEvasion is a line of testdata/evasions.jsonl: a way in which gates are got
// around or broken, and what is safe.
type listedEvasion struct{ ID, Class, How, Expect string }

// evasionCase is what tries a listed one, and what must come of it.
type evasionCase struct {
	run  func(t *testing.T) string
	want string
}

// tryListed tries all of a class with the program, and tells what came of each. One
// that is listed and has no case, or has one and is not listed, fails the test.
func tryListed(t *testing.T, class string, cases map[string]evasionCase) {
	t.Helper()
	text, err := os.ReadFile("testdata/evasions.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	tried := map[string]bool{}
	var table strings.Builder
	for line := range strings.Lines(string(text)) {
		var e listedEvasion
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if e.Class != class {
			continue
		}
		c, ok := cases[e.ID]
		if !ok || tried[e.ID] {
			t.Errorf("%s, %s: it has no case, or is listed twice", e.ID, e.How)
			continue
		}
		tried[e.ID] = true
		outcome := "skipped"
		t.Run(e.ID, func(t *testing.T) {
			if outcome = c.run(t); outcome != c.want {
				t.Errorf("%s: got %s; want %s, for it must be %s", e.How, outcome, c.want, e.Expect)
			}
		})
		fmt.Fprintf(&table, "%-4s %s: %s\n", e.ID, e.How, outcome)
	}
	for id := range cases {
		if !tried[id] {
			t.Errorf("%s is not listed", id)
		}
	}
	t.Logf("what came of each:\n%s", &table)
}
