package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/icpgate/icpgate/registry/cases"
)

// tally counts what became of the cases.
type tally struct{ passed, failed, unreadable, audit int }

func testRulesCommand(e env) *cobra.Command {
	var policies []string
	var profiles string
	cmd := &cobra.Command{
		Use:   "test-rules FILE.jsonl...",
		Short: "Run cases of the rule book against the built-in rules",
		Long: `Runs cases, one JSON object a line: a query, the filings that exist, and the
verdict that is expected. Prints every field in which a verdict differs from
what its case expects, and exits with 1 if there is any.

With --policy and --profiles it tells what a policy would change before it is
in force: they are laid under every case, and what a case sets itself stands.
"-" is the standard input.

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
			if o.Profiles, err = openProfiles(profiles); err != nil {
				return fmt.Errorf("profiles: %w", err)
			}
			return testRules(files, o, e)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringArrayVar(&policies, "policy", nil, "a policy `KNOB=VALUE` under all cases, for example gov=inherit; may be repeated")
	f.StringVar(&profiles, "profiles", "", "`FILE` of product profiles over the built-in ones")
	completePolicy(cmd)
	return cmd
}

// testRules runs the cases of all files and prints the closing line.
func testRules(files []string, o cases.Options, e env) error {
	var t tally
	for _, name := range files {
		if err := t.file(name, o, e); err != nil {
			return err
		}
	}
	if t.audit > 0 {
		fmt.Fprintf(e.stdout, "%d cases expect advisories of the audit, which is not run: these were skipped\n", t.audit)
	}
	fmt.Fprintf(e.stdout, "%d passed, %d failed", t.passed, t.failed)
	if t.unreadable > 0 {
		fmt.Fprintf(e.stdout, ", %d unreadable", t.unreadable)
	}
	fmt.Fprintln(e.stdout)
	switch {
	case t.failed+t.unreadable > 0:
		return &exitError{code: exitFailed}
	case t.passed == 0:
		return withHint(fmt.Errorf("no case in %q", files), "expect one JSON object a line; icp-registry test-rules --help shows one")
	}
	return nil
}

// file runs the cases of one file.
func (t *tally) file(name string, o cases.Options, e env) error {
	in := e.stdin
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
			t.unreadable++
			fmt.Fprintln(e.stdout, err)
			continue
		}
		t.count(c, r, e)
	}
	return nil
}

// count counts a case and prints its mismatches.
func (t *tally) count(c cases.Case, r cases.Result, e env) {
	if r.AuditSkipped {
		t.audit++
	}
	if len(r.Mismatches) == 0 {
		t.passed++
		return
	}
	t.failed++
	fmt.Fprintf(e.stdout, "%s %s: %s\n", c.At, c.ID, c.Description)
	for _, m := range r.Mismatches {
		fmt.Fprintf(e.stdout, "    %s\n", m)
	}
	for _, err := range r.Refused {
		fmt.Fprintf(e.stdout, "    a filing was refused: %v\n", err)
	}
}
