package bulk

import (
	"bytes"
	"errors"
	"io"
	"strings"
)

// csvReader takes CSV records from lines, as RFC 4180 and encoding/csv read
// them. Unlike encoding/csv it goes on at the next line after a broken quote,
// even one that is never closed, and bounds the length of a record.
type csvReader struct {
	l      *lines
	comma  byte
	out    []byte // fields of a record with quotes
	ends   []int  // where they end in out
	fields []string
	record string // what fields are cut from
	pieced bool   // record is put together from its fields: their broken ends may make a character
	length int    // of the record in the file
}

// A brokenRecord is a record that could not be read; reading can go on.
type brokenRecord struct{ reason, hint string }

func (b *brokenRecord) Error() string { return b.reason }

var (
	errBareQuote = &brokenRecord{"holds a quote inside a field that is not quoted", `write "…""…" around a field with quotes`}
	errTail      = &brokenRecord{"has text between a closing quote and the next separator", `double the quotes inside a quoted field: "…""…"`}
	errUnclosed  = &brokenRecord{"has a quote that is never closed", "close the quote in the same field"}
	errLong      = &brokenRecord{errTooLong.Error(), "look for a missing line end or a quote that is not closed"}
)

// read returns the fields of the next record that is not empty, and the line it
// begins on. The slice is valid until the next call, its strings for ever. The
// error is io.EOF, a *brokenRecord, or that of the file.
func (c *csvReader) read() (fields []string, line int, err error) {
	for {
		n, err := c.l.line(0)
		line = c.l.number
		if err != nil {
			return nil, line, c.lineError(err)
		}
		text := trimEOL(c.l.text(n))
		switch {
		case len(text) == 0:
			c.l.take(n)
		case bytes.IndexByte(text, '"') < 0:
			c.split(c.l.str(len(text)))
			c.l.take(n)
			c.length = n
			return c.fields, line, nil
		default:
			err := c.quoted(n)
			return c.fields, line, err
		}
	}
}

func (c *csvReader) lineError(err error) error {
	if err != errTooLong {
		return err
	}
	if err := c.l.skip(); err != nil {
		return err
	}
	return errLong
}

// split cuts a record without quotes.
func (c *csvReader) split(text string) {
	c.fields, c.record, c.pieced = c.fields[:0], text, false
	for {
		i := strings.IndexByte(text, c.comma)
		if i < 0 {
			c.fields = append(c.fields, text)
			return
		}
		c.fields = append(c.fields, text[:i])
		text = text[i+1:]
	}
}

// quoted reads a record with quotes, whose first line has n bytes. If it is
// broken, only that line is taken: the lines behind it may be whole records.
func (c *csvReader) quoted(n int) error {
	c.out, c.ends = c.out[:0], c.ends[:0]
	end, err := c.scan(n)
	if err == nil {
		c.l.take(end)
		c.length = end
		c.cutOut()
		return nil
	}
	if broken := (*brokenRecord)(nil); errors.As(err, &broken) {
		c.l.take(n)
	}
	return err
}

// cutOut makes fields of out.
func (c *csvReader) cutOut() {
	text, from := string(c.out), 0
	c.fields, c.record, c.pieced = c.fields[:0], text, true
	for _, end := range c.ends {
		c.fields = append(c.fields, text[from:end])
		from = end
	}
}

// scan appends the fields of a record to out and returns the record's length;
// n is that of its first line.
func (c *csvReader) scan(n int) (int, error) {
	pos := 0
	for {
		text := trimEOL(c.l.text(n))
		if pos < len(text) && text[pos] == '"' {
			var err error
			if pos, n, err = c.quotedField(pos+1, n); err != nil {
				return 0, err
			}
			text = trimEOL(c.l.text(n))
		} else {
			field := text[pos:]
			if i := bytes.IndexByte(field, c.comma); i >= 0 {
				field = field[:i]
			}
			if bytes.IndexByte(field, '"') >= 0 {
				return 0, errBareQuote
			}
			c.out = append(c.out, field...)
			pos += len(field)
		}
		c.ends = append(c.ends, len(c.out))
		if pos >= len(text) {
			return n, nil
		}
		if text[pos] != c.comma {
			return 0, errTail
		}
		pos++
	}
}

// quotedField appends the field whose first byte behind the quote is at pos. It
// returns where the field has ended and the length of the record so far.
func (c *csvReader) quotedField(pos, n int) (int, int, error) {
	for {
		text := c.l.text(n)
		i := bytes.IndexByte(text[pos:], '"')
		if i < 0 {
			c.out = append(c.out, trimEOL(text[pos:])...)
			c.out = append(c.out, '\n')
			pos = n
			var err error
			if n, err = c.l.line(n); err != nil {
				return 0, 0, unclosed(err)
			}
			continue
		}
		c.out = append(c.out, text[pos:pos+i]...)
		pos += i + 1
		if pos >= len(text) || text[pos] != '"' {
			return pos, n, nil
		}
		c.out = append(c.out, '"')
		pos++
	}
}

func unclosed(err error) error {
	if err == io.EOF || err == errTooLong {
		return errUnclosed
	}
	return err
}

// trimEOL cuts "\n" or "\r\n" from the end, and a lone "\r" at the end of the
// text.
func trimEOL(b []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(b, []byte("\n")), []byte("\r"))
}
