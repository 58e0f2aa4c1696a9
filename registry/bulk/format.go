package bulk

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Format is the form of a file. The zero value finds it from the content.
type Format uint8

// The formats.
const (
	FormatAuto        Format = iota
	FormatCSV                // a table with a header; comma, semicolon or tab between
	FormatJSONL              // one filing object a line
	FormatPublicQuery        // answers of the public query: envelope, list, object, or one a line
)

var formatWords = [...]string{"auto", "csv", "jsonl", "public-query"}

// ParseFormat reads the word of a format.
func ParseFormat(s string) (Format, error) {
	for i, w := range formatWords {
		if w == s {
			return Format(i), nil
		}
	}
	return 0, fmt.Errorf("unknown format %q; expect %s", s, strings.Join(formatWords[:], ", "))
}

// String returns the word of f, for example "public-query".
func (f Format) String() string { return wordOf(formatWords[:], uint8(f)) }

func wordOf(words []string, i uint8) string {
	if int(i) < len(words) {
		return words[i]
	}
	return fmt.Sprintf("invalid(%d)", i)
}

// shape is what a file turned out to be: its format, and for JSON whether each
// line is a value of its own.
type shape struct {
	format  Format
	byLines bool
}

// findShape tells the shape of a file by its first bytes. told is the format
// that the caller gave.
func findShape(head []byte, told Format) (shape, error) {
	head = bytes.TrimLeft(head, " \t\r\n")
	if len(head) == 0 {
		return shape{}, errors.New("the file is empty")
	}
	if bytes.IndexByte(head, 0) >= 0 {
		return shape{}, errors.New("the file holds NUL bytes and is no text; expect CSV or JSON in UTF-8 or GB18030")
	}
	isJSON := head[0] == '{' || head[0] == '['
	switch {
	case told == FormatCSV, told == FormatAuto && !isJSON:
		return shape{FormatCSV, true}, nil
	case !isJSON:
		return shape{}, fmt.Errorf("the file begins with %q, which is no JSON; expect { or [", cutBytes(head, 20))
	case told == FormatJSONL:
		return shape{FormatJSONL, true}, nil
	}
	s := shape{told, oneByLine(head)}
	if told == FormatAuto {
		s.format = vocabulary(head)
	}
	if s.format == FormatJSONL && !s.byLines && head[0] == '{' && !startsWithValue(head) {
		s.byLines = true // broken or very long lines: refused one by one
	}
	return s, nil
}

// startsWithValue reports whether head begins with a whole JSON value.
func startsWithValue(head []byte) bool {
	var v json.RawMessage
	return json.NewDecoder(bytes.NewReader(head)).Decode(&v) == nil
}

// magics are the beginnings of files that people try to import.
var magics = []struct{ magic, is string }{
	{"PK\x03\x04", "a ZIP archive (XLSX is one); save the table as CSV"},
	{"\x1f\x8b", "compressed with gzip; decompress it first"},
	{"\x28\xb5\x2f\xfd", "compressed with zstd; decompress it first"},
	{"\xd0\xcf\x11\xe0", "an old Office file; save the table as CSV"},
	{"%PDF", "a PDF; only CSV and JSON can be read"},
}

// refuseBinary tells the files that cannot be read, before they are decoded.
func (d *decoder) refuseBinary() error {
	head, _ := d.src.Peek(4) // an error comes again when it is read
	for _, m := range magics {
		if bytes.HasPrefix(head, []byte(m.magic)) {
			return fmt.Errorf("the file is %s", m.is)
		}
	}
	return nil
}

// oneByLine reports whether at least half of the whole lines are JSON objects,
// so that one broken line among them does not hide the form.
func oneByLine(head []byte) bool {
	whole, good := 0, 0
	for len(head) > 0 {
		line, rest, ended := bytes.Cut(head, []byte("\n"))
		head = rest
		line = bytes.TrimSpace(line)
		valid := len(line) > 0 && line[0] == '{' && json.Valid(line)
		if len(line) == 0 || !ended && !valid {
			continue
		}
		whole++
		if valid {
			good++
		}
	}
	return good > 0 && 2*good >= whole
}

// publicWords are keys that only records of the public query have.
var publicWords = []string{
	`"serviceLicence"`, `"mainLicence"`, `"unitName"`, `"natureName"`, `"updateRecordTime"`, `"limitAccess"`,
	`"params"`, `"list"`, `"blacklistLevel"`, `"blackListLevel"`,
}

// vocabulary tells whose keys the first bytes of a JSON file hold.
func vocabulary(head []byte) Format {
	for _, w := range publicWords {
		_, after, found := bytes.Cut(head, []byte(w))
		if found && bytes.HasPrefix(bytes.TrimLeft(after, " \t\r\n"), []byte(":")) {
			return FormatPublicQuery
		}
	}
	return FormatJSONL
}

func cutBytes(b []byte, n int) []byte {
	if len(b) > n {
		return b[:n]
	}
	return b
}
