package bulk

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/xuri/excelize/v2"

	"github.com/icpgate/icpgate/registry"
)

// Writer writes filings in a form that Import or a person reads. Nothing may be
// written after Close, which says whether all is written. A Writer is not safe for
// concurrent use.
type Writer interface {
	// Write writes one filing under its domains, or its address.
	Write(f *registry.Filing) error
	Close() error
}

// NewWriter returns a writer of a form: csv, jsonl or xlsx. In csv and xlsx there
// is a row for each access, with the columns of the package; a text that a
// spreadsheet would take for a formula has an apostrophe before it, which Import
// takes away. jsonl holds texts as they are.
func NewWriter(format string, w io.Writer) (Writer, error) {
	switch format {
	case "csv":
		out := &csvWriter{w: csv.NewWriter(w)}
		return out, out.w.Write(Columns())
	case "jsonl":
		return &jsonWriter{w: bufio.NewWriter(w)}, nil
	case "xlsx":
		return newSheetWriter(w)
	}
	return nil, fmt.Errorf("form %q; expect csv, jsonl or xlsx", format)
}

// text is a cell that no spreadsheet takes for a formula (OWASP, CSV injection). What
// already begins as such a cell does gets another apostrophe, so that plain gives
// back every text.
func text(s string) string {
	if formula(strings.TrimLeft(s, "'")) {
		return "'" + s
	}
	return s
}

// plain is what text was made of.
func plain(s string) string {
	if rest, ok := strings.CutPrefix(s, "'"); ok && formula(strings.TrimLeft(rest, "'")) {
		return rest
	}
	return s
}

// formula reports whether a spreadsheet may take a cell for a formula: by a sign at its
// beginning, in full width as Chinese keyboards write it too, which spaces and what
// nobody sees may stand before, or by a control character.
func formula(s string) bool {
	if s == "" || strings.IndexByte("\t\r\n", s[0]) >= 0 {
		return s != ""
	}
	r, _ := utf8.DecodeRuneInString(trim(s))
	return strings.ContainsRune("=+-@＝＋－＠", r)
}

// rowsOf are the rows of a filing: the cells of Columns.
func rowsOf(f *registry.Filing) (rows [][]string) {
	var filed []string // of one cell: without a number, rows of their own would be filings of their own
	for _, d := range f.Site.Domains {
		filed = append(filed, d.String())
	}
	names := strings.Join(filed, " ")
	accesses := []registry.Access{{}}
	switch {
	case f.AccessesKnown && len(f.Accesses) == 0:
		accesses[0].Provider = "-"
	case f.AccessesKnown:
		accesses = f.Accesses
	}
	addr := ""
	if a := f.Addr; a.IsValid() {
		addr = a.String()
	} else if f.FiledAddr.IsValid() {
		addr = f.FiledAddr.String()
	}
	for _, a := range accesses {
		provider, status, at := accessCellsOf(f, a)
		rows = append(rows, []string{
			names, f.Site.Number.String(), f.Entity.Number.String(), text(f.Entity.Name), natureCell(f.Entity.Nature), text(f.Site.Name),
			f.Site.Kind.String(), f.Status.String(), f.Site.Number.Province(), timeCell(f.Site.FiledAt), timeCell(f.UpdatedAt),
			provider, status, at, boolCell(f.Restricted), strings.Join(f.Covers, " "), addr,
		})
	}
	return rows
}

func accessCellsOf(f *registry.Filing, a registry.Access) (provider, status, at string) {
	if !f.AccessesKnown || a.Provider == "-" {
		return string(a.Provider), "", ""
	}
	if a.At != 0 {
		at = timeCell(time.Unix(a.At, 0))
	}
	return string(a.Provider), a.Status.String(), at
}

func natureCell(n registry.Nature) string {
	if n == registry.NatureUnknown {
		return ""
	}
	return n.String()
}

func boolCell(b bool) string {
	if b {
		return "true"
	}
	return ""
}

// timeCell is a moment in China's time, as a day where it is the beginning of one.
func timeCell(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	t = t.In(china)
	if t.Equal(time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, china)) {
		return t.Format(time.DateOnly)
	}
	return t.Format(time.RFC3339)
}

type csvWriter struct{ w *csv.Writer }

func (c *csvWriter) Write(f *registry.Filing) error {
	for _, row := range rowsOf(f) {
		if err := c.w.Write(row); err != nil {
			return err
		}
	}
	return nil
}

func (c *csvWriter) Close() error {
	c.w.Flush()
	return c.w.Error()
}

type jsonWriter struct{ w *bufio.Writer }

// filingLine is a filing in the JSON lines form.
type filingLine struct {
	Domains      []registry.Domain `json:"domains,omitempty"`
	Number       string            `json:"number,omitempty"`
	EntityNumber string            `json:"entity_number,omitempty"`
	EntityName   string            `json:"entity_name,omitempty"`
	EntityNature string            `json:"entity_nature,omitempty"`
	SiteName     string            `json:"site_name,omitempty"`
	Kind         string            `json:"kind"`
	Status       string            `json:"status"`
	FiledAt      string            `json:"filed_at,omitempty"`
	UpdatedAt    string            `json:"updated_at,omitempty"`
	Accesses     *[]accessLine     `json:"accesses,omitempty"`
	Restricted   bool              `json:"restricted,omitempty"`
	Covers       []string          `json:"covers,omitempty"`
	Address      string            `json:"address,omitempty"`
}

type accessLine struct {
	Provider   string `json:"provider"`
	Status     string `json:"status"`
	AccessedAt string `json:"accessed_at,omitempty"`
}

func (j *jsonWriter) Write(f *registry.Filing) error {
	row := rowsOf(f)[0]
	line := filingLine{
		Domains: f.Site.Domains, Number: row[1], EntityNumber: row[2], EntityName: f.Entity.Name, EntityNature: row[4], SiteName: f.Site.Name,
		Kind: row[6], Status: row[7], FiledAt: row[9], UpdatedAt: row[10], Restricted: f.Restricted, Covers: f.Covers, Address: row[16],
	}
	if f.AccessesKnown {
		list := []accessLine{}
		for _, a := range f.Accesses {
			provider, status, at := accessCellsOf(f, a)
			list = append(list, accessLine{provider, status, at})
		}
		line.Accesses = &list
	}
	text, err := json.Marshal(line)
	if err != nil {
		return err
	}
	_, err = j.w.Write(append(text, '\n'))
	return err
}

func (j *jsonWriter) Close() error { return j.w.Flush() }

// maxSheet is how many rows a sheet of XLSX holds, with its header.
const maxSheet = 1 << 20

// sheetWriter writes a workbook, as many sheets as are needed.
type sheetWriter struct {
	out   io.Writer
	book  *excelize.File
	sheet *excelize.StreamWriter
	n     int // sheets
	row   int // of the sheet, the last one
}

func newSheetWriter(w io.Writer) (*sheetWriter, error) {
	s := &sheetWriter{out: w, book: excelize.NewFile()}
	return s, s.begin()
}

// begin starts a sheet with its header.
func (s *sheetWriter) begin() error {
	if s.sheet != nil {
		if err := s.sheet.Flush(); err != nil {
			return err
		}
	}
	s.n++
	name := fmt.Sprint("filings ", s.n)
	var err error
	if s.n == 1 {
		err = s.book.SetSheetName("Sheet1", name)
	} else {
		_, err = s.book.NewSheet(name)
	}
	if err != nil {
		return err
	}
	if s.sheet, err = s.book.NewStreamWriter(name); err != nil {
		return err
	}
	s.row = 0
	return s.put(Columns())
}

func (s *sheetWriter) put(cells []string) error {
	s.row++
	at, err := excelize.CoordinatesToCellName(1, s.row)
	if err != nil {
		return err
	}
	values := make([]any, len(cells))
	for i, c := range cells {
		values[i] = c // as text, never as a formula
	}
	return s.sheet.SetRow(at, values)
}

func (s *sheetWriter) Write(f *registry.Filing) error {
	for _, row := range rowsOf(f) {
		if s.row == maxSheet {
			if err := s.begin(); err != nil {
				return err
			}
		}
		if err := s.put(row); err != nil {
			return err
		}
	}
	return nil
}

func (s *sheetWriter) Close() error {
	defer s.book.Close()
	if err := s.sheet.Flush(); err != nil {
		return err
	}
	return s.book.Write(s.out)
}
