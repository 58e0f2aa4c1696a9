package cases

import (
	"fmt"
	"slices"
	"strings"

	"github.com/icpgate/icpgate/registry"
)

// Result is what a case came to.
type Result struct {
	Verdict registry.Verdict
	Host    registry.Host // the one that decided, of SNI and Host
	Filed   registry.Domain
	Effect  registry.Effect
	Product registry.Product // found or given
	// Refused are the filings that the import refused, and why.
	Refused    []error
	Mismatches []Mismatch
	// AuditSkipped: the case expects advisories of the audit, which are not computed.
	AuditSkipped bool
}

// Mismatch is one field in which a result differs from what was expected.
type Mismatch struct{ Field, Got, Want string }

// String tells field, got and want.
func (m Mismatch) String() string {
	return fmt.Sprintf("%s: got %s; want %s", m.Field, orNone(m.Got), orNone(m.Want))
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// Run judges a case. An error says that the case itself cannot be run; that it
// came to something else than it expects stands in Result.Mismatches.
func Run(c Case, o Options) (Result, error) {
	a, err := ask(c, o)
	if err != nil {
		return Result{}, fmt.Errorf("case %q: %w", c.ID, err)
	}
	r := Result{Product: a.product, Refused: a.refused, AuditSkipped: len(c.Expect.Audit) > 0}
	worst, passes := Question{}, false
	for i, names := range a.addresses {
		q := worstOf(names)
		passes = passes || !q.Decide().Block
		if i > 0 {
			q = worstOf([]Question{worst, q})
		}
		worst = q
	}
	r.Verdict, r.Host = worst.Decide(), worst.Query.Host
	r.Filed = r.Host.Name.Last(int(r.Verdict.Filed))
	r.Effect = worst.Query.Policy.EffectOf(r.Verdict, passes)
	r.Mismatches = compare(c.Expect, r)
	return r, nil
}

// worstOf returns the question whose verdict counts; the first among equals.
func worstOf(all []Question) Question {
	worst := all[0]
	for _, q := range all[1:] {
		if v := worst.Decide(); v.Worse(q.Decide()) != v {
			worst = q
		}
	}
	return worst
}

// compare lists where a result differs from what is expected.
func compare(e Expect, r Result) []Mismatch {
	var all []Mismatch
	check := func(field, got, want string) {
		if got != want {
			all = append(all, Mismatch{field, got, want})
		}
	}
	check("verdict", r.Verdict.String(), string(e.Verdict))
	check("reason", r.Verdict.Reason.String(), e.Reason.String())
	check("page", r.Verdict.Page().String(), e.Page.String())
	check("advisories", advisoryWords(r.Verdict.Advisories.Slice()), advisoryWords(e.Advisories))
	if e.Effect != "" {
		check("effect", r.Effect.String(), e.Effect)
	}
	if e.Product != "" {
		check("product", r.Product.String(), e.Product)
	}
	if e.Filed != "" {
		check("filed", r.Filed.String(), e.Filed)
	}
	return all
}

// advisoryWords lists advisories as a set: sorted, each once.
func advisoryWords(all []registry.Advisory) string {
	words := make([]string, 0, len(all))
	for _, a := range all {
		words = append(words, a.String())
	}
	slices.Sort(words)
	return strings.Join(slices.Compact(words), ", ")
}
