package bulk

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// document reads the elements of JSON that is not one object a line: lists,
// envelopes around a list, objects over several lines, one after the other.
// Elements are read one by one; what is held is one of them.
type document struct {
	in      *meteredReader
	dec     *json.Decoder
	element func(v jsonValue, line int) error // called with each; the error ends the reading
}

func newDocument(r io.Reader, line int, element func(v jsonValue, line int) error) *document {
	in := &meteredReader{r: r, line: line}
	return &document{in, json.NewDecoder(in), element}
}

// read reads all. Broken JSON ends it with an error, since where the next
// element begins cannot be told.
func (d *document) read() error {
	for {
		err := d.value(0)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// broken names the place of a JSON error.
func (d *document) broken(err error) error {
	if d.in.err != nil && d.in.err != io.EOF {
		return d.in.err
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("line %d: the JSON is broken, and what follows cannot be read: %w", d.in.lineAt(d.dec.InputOffset()), err)
}

// token takes the next token.
func (d *document) token() (json.Token, error) {
	d.in.left = 2 * maxRecord
	return d.dec.Token()
}

// value reads one value at the top, or one that an envelope holds.
func (d *document) value(depth int) error {
	t, err := d.token()
	switch {
	case err == io.EOF && depth == 0:
		return err
	case err != nil:
		return d.broken(err)
	case t == json.Delim('['):
		return d.list()
	case t == json.Delim('{'):
		return d.object(depth)
	case t == nil:
		return nil // "params": null of a failed answer
	}
	return fmt.Errorf("line %d: a %T where a list or object is due", d.in.lineAt(d.dec.InputOffset()), t)
}

// list hands over the elements of a list whose bracket is read.
func (d *document) list() error {
	for d.more() {
		v, err := d.raw()
		if err != nil {
			return err
		}
		if err := d.element(v, d.in.lineAt(d.dec.InputOffset()-int64(len(v)))); err != nil {
			return err
		}
	}
	return d.end()
}

func (d *document) more() bool {
	d.in.left = 2 * maxRecord
	return d.dec.More()
}

func (d *document) raw() (jsonValue, error) {
	d.in.left = 2 * maxRecord
	var v json.RawMessage
	if err := d.dec.Decode(&v); err != nil {
		return nil, d.broken(err)
	}
	return jsonValue(v), nil
}

func (d *document) end() error {
	if _, err := d.token(); err != nil {
		return d.broken(err)
	}
	return nil
}

// object reads an object whose brace is read: an envelope if it holds a list, or
// else an element itself, put together again from its members.
func (d *document) object(depth int) error {
	line := d.in.lineAt(d.dec.InputOffset() - 1)
	whole := []byte("{")
	envelope := false
	for d.more() {
		key, err := d.token()
		if err != nil {
			return d.broken(err)
		}
		name, _ := key.(string) // a key is one, or Token fails
		if isEnvelopeKey(name) && depth < maxEnvelope {
			envelope = true
			if err := d.value(depth + 1); err != nil {
				return err
			}
			continue
		}
		v, err := d.raw()
		if err != nil {
			return err
		}
		if len(whole) > maxRecord {
			return fmt.Errorf("line %d: an object %w", line, errTooLong)
		}
		whole = appendMember(whole, name, v)
	}
	if err := d.end(); err != nil {
		return err
	}
	whole = append(whole, '}')
	if envelope {
		return answered(whole)
	}
	return d.element(whole, line)
}

func appendMember(b []byte, key string, v jsonValue) []byte {
	if len(b) > 1 {
		b = append(b, ',')
	}
	k, _ := json.Marshal(key) // a string always can be
	return append(append(append(b, k...), ':'), v...)
}

// answered reports the error that the members of an envelope speak of.
func answered(envelope jsonValue) error {
	var success, code, msg string
	_ = eachMember(envelope, func(key string, v jsonValue) *RowError {
		switch key {
		case "success":
			success = v.text()
		case "code":
			code = v.text()
		case "msg":
			msg = v.text()
		}
		return nil
	})
	return failedAnswer(success, code, msg)
}

// meteredReader knows which line an offset is on, and bounds what is read for
// one token or element.
type meteredReader struct {
	r      io.Reader
	err    error   // of r
	left   int     // bytes that may still be read
	off    int64   // bytes read
	line   int     // of the last offset asked for
	ends   []int64 // offsets of the line ends behind it
	popped int
}

// Read implements io.Reader.
func (m *meteredReader) Read(p []byte) (int, error) {
	if m.left <= 0 {
		return 0, errors.New("an element " + errTooLong.Error())
	}
	n, err := m.r.Read(cutBytes(p, m.left))
	m.left, m.err = m.left-n, err
	for i := 0; i < n; i++ {
		j := bytes.IndexByte(p[i:n], '\n')
		if j < 0 {
			break
		}
		i += j
		m.ends = append(m.ends, m.off+int64(i))
	}
	m.off += int64(n)
	return n, err
}

// lineAt returns the line that an offset is on. Offsets must not decrease.
func (m *meteredReader) lineAt(off int64) int {
	for m.popped < len(m.ends) && m.ends[m.popped] < off {
		m.popped++
		m.line++
	}
	if m.popped > 1<<12 && m.popped > len(m.ends)/2 {
		m.ends = append(m.ends[:0], m.ends[m.popped:]...)
		m.popped = 0
	}
	return m.line
}
