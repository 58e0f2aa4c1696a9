package bulk

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// reader takes files apart into rows and sends them into the pipe.
type reader struct {
	pipe    *pipe
	opts    *Options
	files   []string
	reports []FileReport // form and encoding of each file, as far as they are read
}

func (in *reader) all() error {
	for i, name := range in.files {
		if err := in.file(i, name); err != nil {
			return fmt.Errorf("%s could not be imported: %w", name, err)
		}
		in.pipe.flush()
	}
	return nil
}

func (in *reader) file(i int, name string) error {
	f := in.opts.Stdin
	if name != "-" {
		opened, err := in.opts.open(name)
		if err != nil {
			return err
		}
		defer opened.Close()
		f = opened
	}
	dec := newDecoder(&countingReader{in.pipe, f}, in.opts.Encoding)
	if err := dec.refuseBinary(); err != nil {
		return err
	}
	in.pipe.file = uint16(i)
	err := in.text(dec)
	in.reports[i] = FileReport{Format: in.pipe.format, Encoding: dec.found}
	return err
}

// text reads a decoded file.
func (in *reader) text(r io.Reader) error {
	in.pipe.format = in.opts.Format
	l := newLines(r)
	head, err := l.peek(encodingSample)
	if err != nil {
		return err
	}
	if mark := "\ufeff"; len(head) >= len(mark) && string(head[:len(mark)]) == mark {
		l.take(len(mark))
		head, _ = l.peek(encodingSample) // its error comes again when it is read
	}
	s, err := findShape(head, in.opts.Format)
	if err != nil {
		return err
	}
	in.pipe.format = s.format
	switch {
	case s.format == FormatCSV:
		return in.table(l, findComma(head))
	case s.byLines:
		return in.jsonLines(l)
	}
	return newDocument(l, 1, in.object).read()
}

// countingReader counts for the progress, and ends with the context.
type countingReader struct {
	pipe *pipe
	r    io.Reader
}

// Read implements io.Reader.
func (c *countingReader) Read(p []byte) (int, error) {
	if err := c.pipe.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := c.r.Read(p)
	c.pipe.bytes += int64(n)
	return n, err
}

// table reads CSV: mostly many lines at once, which the parsers take apart.
func (in *reader) table(l *lines, comma byte) error {
	r := &csvReader{l: l, comma: comma}
	fields, line, err := r.read()
	if err != nil {
		return fmt.Errorf("line %d: the header %w", line, err)
	}
	columns, err := in.header(fields, line)
	if err != nil {
		return err
	}
	for {
		line, text := l.number, l.text(l.whole(batchBytes))
		l.take(len(text))
		if len(text) == 0 {
			if line, text, err = in.single(r); err == io.EOF {
				return nil
			} else if err != nil {
				return err
			}
		}
		if len(text) == 0 {
			continue // it was refused
		}
		it, err := in.pipe.next(line, text)
		if err != nil {
			return err
		}
		it.columns, it.comma = columns, comma
	}
}

// single reads a record that spans lines, or one that is long or broken: those
// are refused, and there is no text.
func (in *reader) single(r *csvReader) (line int, text []byte, err error) {
	_, line, err = r.read()
	if broken := (*brokenRecord)(nil); errors.As(err, &broken) {
		return line, nil, in.pipe.refuse(wholeRow(broken.reason, broken.hint), line)
	}
	if err != nil {
		return line, nil, err
	}
	return line, r.l.buf[r.l.start-r.length : r.l.start], nil
}

// header finds the column of each field of a table, and warns of those that are
// not read.
func (in *reader) header(fields []string, line int) ([]column, error) {
	it, err := in.pipe.next(line, nil)
	if err != nil {
		return nil, err
	}
	it.header = true
	for len(fields) > 1 && trim(fields[len(fields)-1]) == "" {
		fields = fields[:len(fields)-1]
	}
	var columns []column
	for _, name := range fields {
		col, without := columnOf(name)
		if col != noColumn && slices.Contains(columns, col) {
			return nil, fmt.Errorf("line %d: two columns of the header name the %s, the second %q; remove one of them", line, col, cutText(name, maxValue))
		}
		columns = append(columns, col)
		if col == noColumn && !without && len(it.unknown) < maxUnknown {
			it.unknown = append(it.unknown, trim(name))
		}
	}
	for _, needed := range []column{colDomain, colHomePage, colAddress} {
		if slices.Contains(columns, needed) {
			return columns, nil
		}
	}
	return nil, fmt.Errorf("line %d: no column names the domain in the header %q; expect columns of %s, or the Chinese ones of the public query",
		line, cutText(strings.Join(fields, ","), maxValue), strings.Join(Columns(), ", "))
}

// findComma tells the separator of a table: the one that makes the most known
// columns of its first line.
func findComma(head []byte) byte {
	best, most := byte(','), 0
	for _, comma := range []byte{',', '\t', ';'} {
		r := &csvReader{l: newLinesOf(head), comma: comma}
		fields, _, err := r.read()
		if err != nil {
			continue
		}
		known := 0
		for _, name := range fields {
			if col, without := columnOf(name); col != noColumn || without && trim(name) != "" {
				known++
			}
		}
		if known > most {
			best, most = comma, known
		}
	}
	return best
}

// newLinesOf reads lines of a text in memory.
func newLinesOf(text []byte) *lines {
	return &lines{buf: text, end: len(text), err: io.EOF, number: 1}
}

// jsonLines reads one object a line.
func (in *reader) jsonLines(l *lines) error {
	for {
		n, err := l.line(0)
		line := l.number
		switch {
		case err == io.EOF:
			return nil
		case err == errTooLong:
			if err = l.skip(); err == nil {
				err = in.pipe.refuse(wholeRow(errLong.reason, errLong.hint), line)
			}
		case err == nil:
			if text := bytes.Trim(l.text(n), " \t\r\n"); len(text) > 0 {
				err = in.jsonLine(text, line)
			}
			l.take(n)
		}
		if err != nil {
			return err
		}
	}
}

// jsonLine takes an object, or the elements of an answer in its envelope.
func (in *reader) jsonLine(text jsonValue, line int) error {
	mayHold := in.pipe.format == FormatPublicQuery && (bytes.Contains(text, []byte(`"list"`)) || bytes.Contains(text, []byte(`"params"`)) || bytes.Contains(text, []byte(`"data"`)))
	if !mayHold || checkObject(text) != nil {
		return in.object(text, line)
	}
	list, ok := listIn(text, 0)
	if !ok {
		return in.object(text, line)
	}
	if err := answered(text); err != nil {
		return fmt.Errorf("line %d: %w", line, err)
	}
	if list == nil {
		return nil
	}
	var failed error
	_ = eachElement(list, func(v jsonValue) *RowError {
		if failed == nil {
			failed = in.object(v, line)
		}
		return nil
	})
	return failed
}

// object sends one element of a JSON file.
func (in *reader) object(v jsonValue, line int) error {
	_, err := in.pipe.next(line, v)
	return err
}
