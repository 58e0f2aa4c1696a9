package bulk

import (
	"encoding/csv"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/icpgate/icpgate/registry"
)

// Problem is what is wrong with a row, or worth a look. The zero value is none.
type Problem struct {
	File   string // as given; empty for a row that came from no file
	Line   int    // on which the row begins, from 1
	Column string // empty where it is the row as a whole
	Value  string // cut if it is long
	Reason string
	Hint   string // what would be right; may be empty
}

// String writes the problem on one line: file:line: column "value": reason; hint.
func (p Problem) String() string {
	var b strings.Builder
	if p.File != "" {
		fmt.Fprintf(&b, "%s:%d: ", p.File, p.Line)
	}
	if p.Column != "" {
		fmt.Fprintf(&b, "%s %q: ", p.Column, p.Value)
	}
	b.WriteString(p.Reason)
	if p.Hint != "" {
		b.WriteString("; " + p.Hint)
	}
	return b.String()
}

// RowError says why a row is refused.
type RowError struct{ Problem }

// Error writes what Problem.String writes.
func (e *RowError) Error() string { return e.String() }

func rowError(c column, value, reason, hint string) *RowError {
	return &RowError{Problem{
		Column: c.String(), Value: cutText(value, maxValue), Reason: cutText(reason, maxReason), Hint: hint,
	}}
}

// refuseFor makes a RowError of an error of the domain package: what stands
// behind its last semicolon is the hint.
func refuseFor(c column, value string, err error) *RowError {
	reason := err.Error()
	if name := (*registry.DomainError)(nil); errors.As(err, &name) {
		reason = name.Cause
	} else if inner := errors.Unwrap(err); inner != nil {
		reason = inner.Error() // without the value, which stands in front already
	}
	hint := ""
	if i := strings.LastIndex(reason, "; "); i >= 0 {
		reason, hint = reason[:i], reason[i+2:]
	}
	return rowError(c, value, reason, hint)
}

// maxValue and maxReason are how much of a text a report quotes, in characters.
const (
	maxValue  = 80
	maxReason = 400
)

func cutText(s string, most int) string {
	n := 0
	for i := range s {
		if n++; n > most {
			return s[:i] + "…"
		}
	}
	return strings.Clone(s) // not to keep the whole row alive
}

// WarningKind is what sort of thing a warning is about.
type WarningKind uint8

// The kinds of warnings.
const (
	WarnUnknownColumn        WarningKind = iota // a column or key that is not read
	WarnNumberSpelling                          // a number was mended
	WarnNumberWithoutOrdinal                    // an entity's number where a site's is due
	WarnEntityNumber                            // entity and site number do not belong together
	WarnKind                                    // column and number name two kinds
	WarnProvince                                // column and number name two provinces, or it is unknown
	WarnDomainSpelling                          // separators, ports
	WarnHomePage                                // the domain was taken from a URL
	WarnWWW                                     // filed under www., which covers that name alone
	WarnSeveralDomains                          // several domains and no day of filing
	WarnDate                                    // another spelling, a placeholder, a day to come
	WarnNature                                  // unknown word
	WarnAddress                                 // several server addresses
	WarnCancelled                               // cancelled with its entity though the status says otherwise
	warningKinds
)

var warningWords = [...]string{
	"unknown-column", "number-spelling", "number-without-ordinal", "entity-number", "kind", "province", "domain-spelling",
	"home-page", "www", "several-domains", "date", "nature", "address", "cancelled-with-entity",
}

// String returns the word of k, for example "number-spelling".
func (k WarningKind) String() string { return wordOf(warningWords[:], uint8(k)) }

// MarshalText writes the word of k.
func (k WarningKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// Warning is something to look at in a row that was accepted.
type Warning struct {
	Kind WarningKind
	Problem
}

// Conflict is a fact that two rows of one filing state differently. Of three
// rows the two that stand next to each other in time are named.
type Conflict struct {
	Key     string // the site number, or domain and kind
	Column  string // for an access: "access PROVIDER"
	Kept    string
	Dropped string

	KeptFile, DroppedFile string
	KeptLine, DroppedLine int
	Newer                 bool // the kept one has a newer updated_at; else it is the later row
}

// String writes the conflict on one line.
func (c Conflict) String() string {
	why := "the later row"
	if c.Newer {
		why = "the newer updated_at"
	}
	return fmt.Sprintf("%s: %s is %q by %s:%d and %q by %s:%d; kept the first, %s",
		c.Key, c.Column, c.Kept, c.KeptFile, c.KeptLine, c.Dropped, c.DroppedFile, c.DroppedLine, why)
}

// FileReport says what a file turned out to be.
type FileReport struct {
	Name     string
	Format   Format
	Encoding Encoding // EncodingAuto: nothing but ASCII
	Rows     int
}

// Report is what an import found. Rows = Refused + Merged + Filings. The lists
// hold the first of each sort, up to Options.Keep; the counts count all.
type Report struct {
	Files      []FileReport
	Rows       int
	Refused    int // rows that were not accepted
	Filings    int // handed on
	Merged     int // accepted rows that joined an earlier one, duplicates included
	Duplicates int // rows that say exactly what an earlier one says
	Conflicts  int
	Warnings   map[WarningKind]int

	RefusedRows   []Problem
	WarningList   []Warning
	ConflictList  []Conflict
	keep          int
	refusedTo     *csv.Writer
	refusedHeader bool
}

func (r *Report) refuse(p Problem) {
	r.Refused++
	if len(r.RefusedRows) < r.keep {
		p.Value = strings.Clone(p.Value)
		r.RefusedRows = append(r.RefusedRows, p)
	}
	if r.refusedTo == nil {
		return
	}
	if !r.refusedHeader {
		r.refusedHeader = true
		r.writeRefused("file", "line", "column", "value", "reason", "hint")
	}
	// The value is quoted as in Go, so that a spreadsheet takes no value for a formula.
	r.writeRefused(text(p.File), strconv.Itoa(p.Line), p.Column, strconv.Quote(p.Value), p.Reason, p.Hint)
}

// writeRefused leaves an error to the writer, which keeps it for closeRefused.
func (r *Report) writeRefused(record ...string) { _ = r.refusedTo.Write(record) }

func (r *Report) closeRefused() error {
	if r.refusedTo == nil {
		return nil
	}
	r.refusedTo.Flush()
	if err := r.refusedTo.Error(); err != nil {
		return fmt.Errorf("the refused rows could not be written: %w", err)
	}
	return nil
}

func newReport(keep int) Report { return Report{Warnings: map[WarningKind]int{}, keep: keep} }

func (r *Report) warn(w Warning) {
	r.Warnings[w.Kind]++
	if len(r.WarningList) < r.keep {
		w.Value = strings.Clone(w.Value) // it may be part of a long text
		r.WarningList = append(r.WarningList, w)
	}
}

func (r *Report) conflict(c Conflict) {
	r.Conflicts++
	if len(r.ConflictList) < r.keep {
		c.Key, c.Column = strings.Clone(c.Key), strings.Clone(c.Column)
		c.Kept, c.Dropped = strings.Clone(c.Kept), strings.Clone(c.Dropped)
		r.ConflictList = append(r.ConflictList, c)
	}
}

// join adds what later filings gave rise to.
func (r *Report) join(later *Report) {
	r.Filings += later.Filings
	r.Conflicts += later.Conflicts
	for kind, n := range later.Warnings {
		r.Warnings[kind] += n
	}
	r.WarningList = append(r.WarningList, later.WarningList[:min(len(later.WarningList), max(0, r.keep-len(r.WarningList)))]...)
	r.ConflictList = append(r.ConflictList, later.ConflictList[:min(len(later.ConflictList), max(0, r.keep-len(r.ConflictList)))]...)
}

// WarningCount returns how many warnings there were of all kinds.
func (r *Report) WarningCount() int {
	n := 0
	for _, count := range r.Warnings {
		n += count
	}
	return n
}

// String says in one line what was done.
func (r *Report) String() string {
	return fmt.Sprintf("%d rows: %d filings, %d merged (%d duplicates, %d conflicts), %d refused, %d warnings",
		r.Rows, r.Filings, r.Merged, r.Duplicates, r.Conflicts, r.Refused, r.WarningCount())
}
