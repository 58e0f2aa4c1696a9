package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

// outputs are the forms of what commands print.
var outputs = []string{"table", "json", "csv"}

// output is -o of a command.
type output struct{ form string }

func (o *output) flags(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&o.form, "output", "o", "table", "table, json or csv")
	completeWords(cmd, "output", outputs...)
}

func (o *output) check(cmd *cobra.Command) error {
	if !slices.Contains(outputs, o.form) {
		return usageError(cmd, fmt.Errorf("output %q; expect table, json or csv", o.form))
	}
	return nil
}

// listing is what a command prints: the whole for json, and its rows for the others.
type listing struct {
	whole any
	head  []string
	rows  [][]string
}

// print prints a listing.
func (o *output) print(w io.Writer, l listing) error {
	switch o.form {
	case "json":
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return e.Encode(l.whole)
	case "csv":
		out := csv.NewWriter(w)
		for _, row := range append([][]string{l.head}, l.rows...) {
			safe := make([]string, len(row))
			for i, s := range row {
				safe[i] = noFormula(s)
			}
			if err := out.Write(safe); err != nil {
				return err
			}
		}
		out.Flush()
		return out.Error()
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, strings.ToUpper(strings.Join(l.head, "\t")))
	for _, row := range l.rows {
		shown := make([]string, len(row))
		for i, s := range row {
			shown[i] = printable(s)
		}
		fmt.Fprintln(t, strings.Join(shown, "\t"))
	}
	return t.Flush()
}

// noFormula is a cell that no spreadsheet takes for a formula.
func noFormula(s string) string {
	first, _ := utf8.DecodeRuneInString(strings.TrimLeftFunc(s, func(r rune) bool { return unicode.In(r, unicode.Z, unicode.Cf) }))
	if strings.ContainsRune("=+-@＝＋－＠\t\r\n", first) {
		return "'" + s
	}
	return s
}

// printable takes what would spoil a table, or a terminal, out of a text.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return ' '
		}
		return r
	}, s)
}

// moment writes a time; "" where it is not known.
func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339)
}
