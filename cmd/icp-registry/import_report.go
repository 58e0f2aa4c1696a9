package main

import (
	"fmt"

	"github.com/icpgate/icpgate/registry/bulk"
)

// shown is how many refused rows, conflicts and warnings of a kind are printed.
const shown = 10

// printReport says what the import found: the summary on the standard output,
// what is wrong on the standard error.
func (im *importing) printReport(r bulk.Report) {
	for _, f := range r.Files {
		fmt.Fprintf(im.stdout, "%s: %s, %s, %d rows\n", f.Name, f.Format, encodingWord(f.Encoding), f.Rows)
	}
	im.printRefused(r)
	for i, c := range r.ConflictList {
		if i == shown {
			fmt.Fprintf(im.stderr, "… and %d more conflicts\n", r.Conflicts-shown)
			break
		}
		fmt.Fprintf(im.stderr, "conflict: %s\n", c)
	}
	im.printWarnings(r)
	if r.Rows > 0 {
		fmt.Fprintln(im.stdout, r.String())
	}
}

func (im *importing) printRefused(r bulk.Report) {
	for i, p := range r.RefusedRows {
		if i == shown {
			fmt.Fprintf(im.stderr, "… and %d more refused rows\n", r.Refused-shown)
			break
		}
		fmt.Fprintf(im.stderr, "refused: %s\n", p)
	}
	switch {
	case r.Refused == 0:
	case im.refused != "":
		fmt.Fprintf(im.stderr, "all %d refused rows are in %s\n", r.Refused, im.refused)
	case r.Refused > shown:
		fmt.Fprintln(im.stderr, "hint: --refused FILE writes all of them to a file")
	}
}

// printWarnings prints each kind of warning once, with its count and first case:
// a table that is wrong in one way is wrong so in every row.
func (im *importing) printWarnings(r bulk.Report) {
	seen := map[bulk.WarningKind]bool{}
	for _, w := range r.WarningList {
		if seen[w.Kind] {
			continue
		}
		seen[w.Kind] = true
		fmt.Fprintf(im.stderr, "warning: %s (%d times, first): %s\n", w.Kind, r.Warnings[w.Kind], w.Problem)
	}
}

// encodingWord names an encoding as it was found.
func encodingWord(e bulk.Encoding) string {
	if e == bulk.EncodingAuto {
		return "ascii"
	}
	return e.String()
}
