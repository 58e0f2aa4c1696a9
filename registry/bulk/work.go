package bulk

import (
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"strings"
	"unicode/utf8"
)

// worker makes packed rows of the items of batches; for one goroutine.
type worker struct {
	parser
	packer
	seed  maphash.Seed
	cells cells
	row   row
	batch *batch
}

// work parses batches until there are no more.
func (w *worker) work(in <-chan *batch) {
	for b := range in {
		w.parse(b)
		b.parsed <- struct{}{}
	}
}

func (w *worker) parse(b *batch) {
	w.batch = b
	b.packed, b.results = b.packed[:0], b.results[:0]
	text := ""
	for i := range b.items {
		it := &b.items[i]
		switch {
		case it.header || it.refused != nil:
			w.end(it.line, &remarks{header: it.header, refused: it.refused, unknown: it.unknown})
		case it.columns != nil:
			if text == "" {
				text = string(b.text)
			}
			w.table(it, text[it.from:it.to])
		default:
			w.json(it, b.text[it.from:it.to])
		}
	}
}

// end ends the result of a line.
func (w *worker) end(line int, more *remarks) {
	w.batch.results = append(w.batch.results, result{line: line, end: len(w.batch.packed), more: more})
}

// accept parses the cells and packs the row they make.
func (w *worker) accept(line int, unknown []string) {
	if err := w.parser.row(&w.cells, &w.row); err != nil {
		w.end(line, &remarks{refused: err, unknown: unknown, warnings: w.takeWarnings()})
		return
	}
	var key []byte
	w.batch.packed, key = w.pack(w.batch.packed, &w.row)
	hash := hashOf(w.seed, key)
	var more *remarks
	if len(w.warnings) > 0 || len(unknown) > 0 {
		more = &remarks{unknown: unknown, warnings: w.takeWarnings()}
	}
	w.end(line, more)
	w.batch.results[len(w.batch.results)-1].hash = hash
}

func (w *worker) takeWarnings() []Warning {
	taken := w.warnings
	w.warnings = nil
	return taken
}

// json reads an object of a JSON file.
func (w *worker) json(it *item, text jsonValue) {
	w.cells.reset()
	unknown, err := w.cells.object(text, w.batch.format)
	if err != nil {
		w.end(it.line, &remarks{refused: err, unknown: unknown})
		return
	}
	w.accept(it.line, unknown)
}

// object fills the cells from a JSON object.
func (c *cells) object(text jsonValue, format Format) (unknown []string, err *RowError) {
	if err := checkObject(text); err != nil {
		return nil, err
	}
	if format == FormatPublicQuery {
		err = c.public(text, func(key string) {
			if len(unknown) < maxUnknown {
				unknown = append(unknown, key)
			}
		})
		return unknown, err
	}
	return nil, c.filing(text)
}

// maxUnknown bounds the unknown keys of one record that are warned of.
const maxUnknown = 100

// table reads the records of some lines of a table.
func (w *worker) table(it *item, text string) {
	l := newLinesOf(w.batch.text[it.from:it.to])
	l.number, l.all = it.line, text
	r := &csvReader{l: l, comma: it.comma}
	decoded := isText(text)
	for {
		fields, line, err := r.read()
		if err == io.EOF {
			return
		}
		if broken := (*brokenRecord)(nil); errors.As(err, &broken) {
			w.end(line, &remarks{refused: wholeRow(broken.reason, broken.hint)})
		} else if !isBlank(fields) {
			w.record(it.columns, fields, decoded || !r.pieced && isText(r.record), line)
		}
	}
}

// isBlank reports whether a record is a row that a spreadsheet left empty.
func isBlank(fields []string) bool {
	for _, f := range fields {
		if trim(f) != "" {
			return false
		}
	}
	return true
}

// record reads one record of a table. decoded tells that it holds no bytes that
// could not be decoded.
func (w *worker) record(columns []column, fields []string, decoded bool, line int) {
	n := len(fields)
	for n > len(columns) && fields[n-1] == "" {
		n-- // spreadsheets write separators up to the widest row
	}
	if n != len(columns) {
		w.end(line, &remarks{refused: wholeRow(fmt.Sprintf("has %d fields", n), fmt.Sprintf("expect %d, as the header has", len(columns)))})
		return
	}
	w.cells.reset()
	var refused *RowError
	for i, col := range columns {
		if col == noColumn || fields[i] == "" {
			continue
		}
		if !decoded && !isText(fields[i]) {
			value := strings.ToValidUTF8(fields[i], "\ufffd")
			refused = rowError(col, value, "holds bytes that are no characters", "tell the encoding of the file")
		}
		w.cells.value[col] = fields[i]
		if (col == colEntityName || col == colSiteName) && fields[i][0] == '\'' {
			w.cells.value[col] = plain(fields[i])
		}
	}
	if refused != nil {
		w.end(line, &remarks{refused: refused})
		return
	}
	w.accept(line, nil)
}

// isText reports whether s was decoded rightly.
func isText(s string) bool {
	return utf8.ValidString(s) && !strings.Contains(s, "\ufffd")
}
