package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/icpgate/icpgate/registry/cases"
	"github.com/icpgate/icpgate/registry/edge"
)

// tally counts what became of the cases, and keeps it where it is printed at the end.
type tally struct {
	env
	output
	Passed     int        `json:"passed"`
	Failed     int        `json:"failed"`
	Unreadable int        `json:"unreadable"`
	Audit      int        `json:"audit_skipped"`
	Cases      []caseDone `json:"cases"`
}

// caseDone is what became of one case.
type caseDone struct {
	At          string   `json:"at,omitempty"`
	ID          string   `json:"id,omitempty"`
	Description string   `json:"description,omitempty"`
	Result      string   `json:"result"` // passed, failed, unreadable
	Why         []string `json:"why,omitempty"`
}

func testRulesCommand(e env) *cobra.Command {
	var policies []string
	var profiles string
	t := tally{env: e}
	cmd := &cobra.Command{
		Use:   "test-rules FILE.jsonl...",
		Short: "Run cases of the rule book against the built-in rules",
		Long: `Runs cases, one JSON object a line: a query, the filings that exist, and the
verdict that is expected. Prints every field in which a verdict differs from
what its case expects, and exits with 1 if there is any.

With --policy and --profiles it tells what a policy would change before it is
in force: they are laid under every case, and what a case sets itself stands.
"-" is the standard input. With -o json or csv all cases are listed with what became
of each.

A case:

  {"id": "mine-1", "description": "our shop, through another provider's server",
   "query": {"channel": "http", "provider": "aliyun", "host": "shop.example.com",
             "product": "ecs", "destination": "mainland"},
   "filings": [{"domain": "example.com", "accesses": [{"provider": "tencent"}]}],
   "expect": {"verdict": "block", "reason": "not-accessed", "page": "not-accessed",
              "advisories": ["access-here"]}}`,
		Example: `  icp-registry test-rules registry/testdata/cases.jsonl
  icp-registry test-rules mine.jsonl --policy pending-access=allow --profiles profiles.txt`,
		Args: needArgs("file of cases"),
		RunE: func(cmd *cobra.Command, files []string) error {
			var o cases.Options
			var err error
			if o.Policy, err = policyOf(policies); err != nil {
				return usageError(cmd, err)
			}
			if o.Profiles, err = edge.ReadProfiles(profiles); err != nil {
				return fmt.Errorf("profiles: %w", err)
			}
			if err := t.check(cmd); err != nil {
				return err
			}
			return t.run(files, o)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringArrayVar(&policies, "policy", nil, "a policy `KNOB=VALUE` under all cases, for example gov=inherit; may be repeated")
	f.StringVar(&profiles, "profiles", "", "`FILE` of product profiles over the built-in ones")
	t.output.flags(cmd)
	completePolicy(cmd)
	return cmd
}

// run runs the cases of all files and prints what became of them.
func (t *tally) run(files []string, o cases.Options) error {
	t.Cases = []caseDone{}
	for _, name := range files {
		if err := t.file(name, o); err != nil {
			return err
		}
	}
	if err := t.close(); err != nil {
		return err
	}
	switch {
	case t.Failed+t.Unreadable > 0:
		return &exitError{code: exitFailed}
	case t.Passed == 0:
		return withHint(fmt.Errorf("no case in %q", files), "expect one JSON object a line; icp-registry test-rules --help shows one")
	}
	return nil
}

// close prints the closing line, or all cases in another form.
func (t *tally) close() error {
	if t.form != "table" {
		l := listing{whole: t, head: []string{"at", "id", "result", "description", "why"}}
		for _, c := range t.Cases {
			l.rows = append(l.rows, []string{c.At, c.ID, c.Result, c.Description, strings.Join(c.Why, "; ")})
		}
		return t.print(t.stdout, l)
	}
	if t.Audit > 0 {
		fmt.Fprintf(t.stdout, "%d cases expect advisories of the audit, which is not run: these were skipped\n", t.Audit)
	}
	fmt.Fprintf(t.stdout, "%d passed, %d failed", t.Passed, t.Failed)
	if t.Unreadable > 0 {
		fmt.Fprintf(t.stdout, ", %d unreadable", t.Unreadable)
	}
	_, err := fmt.Fprintln(t.stdout)
	return err
}

// file runs the cases of one file.
func (t *tally) file(name string, o cases.Options) error {
	in := t.stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return fmt.Errorf("cases: %w", err)
		}
		defer f.Close()
		in = f
	}
	for c, err := range cases.Read(name, in) {
		var r cases.Result
		if err == nil {
			r, err = cases.Run(c, o)
		}
		if err != nil {
			t.Unreadable++
			t.done(caseDone{Result: "unreadable", Why: []string{err.Error()}})
			continue
		}
		t.count(c, r)
	}
	return nil
}

// count counts a case, with its mismatches.
func (t *tally) count(c cases.Case, r cases.Result) {
	d := caseDone{At: c.At, ID: c.ID, Description: c.Description, Result: "passed"}
	if r.AuditSkipped {
		t.Audit++
	}
	if len(r.Mismatches) == 0 {
		t.Passed++
		t.done(d)
		return
	}
	t.Failed++
	d.Result = "failed"
	for _, m := range r.Mismatches {
		d.Why = append(d.Why, fmt.Sprint(m))
	}
	for _, err := range r.Refused {
		d.Why = append(d.Why, fmt.Sprintf("a filing was refused: %v", err))
	}
	t.done(d)
}

// done prints a case at once if it did not pass, or keeps it for another form.
func (t *tally) done(d caseDone) {
	switch {
	case t.form != "table":
		t.Cases = append(t.Cases, d)
	case d.Result == "unreadable":
		fmt.Fprintln(t.stdout, d.Why[0])
	case d.Result == "failed":
		fmt.Fprintf(t.stdout, "%s %s: %s\n", d.At, d.ID, d.Description)
		for _, why := range d.Why {
			fmt.Fprintf(t.stdout, "    %s\n", why)
		}
	}
}
