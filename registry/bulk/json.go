package bulk

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// jsonValue is a value as it stands in a valid JSON text.
type jsonValue []byte

// eachMember calls f with each member of a valid JSON object, in order, until
// one returns an error. encoding/json would need a value of its own for each
// line to name unknown and doubled keys, and keys in one letter case only.
func eachMember(object jsonValue, f func(key string, v jsonValue) *RowError) *RowError {
	b := blank(object)[1:]
	for b = blank(b); b[0] != '}'; b = blank(b) {
		if b[0] == ',' {
			b = blank(b[1:])
		}
		n := valueLen(b)
		key := jsonValue(b[:n]).text()
		b = blank(blank(b[n:])[1:]) // over the colon
		n = valueLen(b)
		if err := f(key, jsonValue(b[:n])); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// eachElement is eachMember for a list.
func eachElement(list jsonValue, f func(v jsonValue) *RowError) *RowError {
	b := blank(list)[1:]
	for b = blank(b); b[0] != ']'; b = blank(b) {
		if b[0] == ',' {
			b = blank(b[1:])
		}
		n := valueLen(b)
		if err := f(jsonValue(b[:n])); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

func blank(b []byte) []byte {
	i := 0
	for b[i] == ' ' || b[i] == '\t' || b[i] == '\r' || b[i] == '\n' {
		i++
	}
	return b[i:]
}

// valueLen returns the length of the value at the beginning of a valid text
// that goes on behind it.
func valueLen(b []byte) int {
	depth := 0
	for i := 0; ; i++ {
		switch b[i] {
		case '"':
			for i++; b[i] != '"'; i++ {
				if b[i] == '\\' {
					i++
				}
			}
			if depth == 0 {
				return i + 1
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth <= 0 {
				return i + 1 + min(depth, 0) // of a bare literal the bracket is not part
			}
		case ',', ' ', '\t', '\r', '\n':
			if depth == 0 {
				return i
			}
		}
	}
}

// kind returns what v is, by the first byte of its sort: '"', '{', '[', 't' for
// true and false, '0' for a number, 'n' for null.
func (v jsonValue) kind() byte {
	switch v[0] {
	case '"', '{', '[', 'n':
		return v[0]
	case 't', 'f':
		return 't'
	}
	return '0'
}

// text returns a string's content, and other values as they stand.
func (v jsonValue) text() string {
	if v[0] != '"' {
		return string(v)
	}
	if bytes.IndexByte(v, '\\') < 0 {
		return string(v[1 : len(v)-1])
	}
	var s string
	_ = json.Unmarshal(v, &s) // valid
	return s
}

// checkObject reports why line is no JSON object in UTF-8.
func checkObject(line []byte) *RowError {
	switch line = bytes.Trim(line, " \t\r\n"); {
	case !utf8.Valid(line):
		return wholeRow("is no UTF-8", "tell the encoding of the file")
	case !json.Valid(line):
		var v any
		err := json.Unmarshal(line, &v)
		return wholeRow("is no JSON: "+err.Error(), "expect one object")
	case line[0] != '{':
		return wholeRow("is no JSON object", `expect one such as {"domain": "example.com", …}`)
	}
	return nil
}

func wholeRow(reason, hint string) *RowError { return rowError(noColumn, "", reason, hint) }

// scalar takes a string, number or flag as the value of a column.
func (c *cells) scalar(col column, v jsonValue) *RowError {
	switch v.kind() {
	case 'n':
		return nil
	case '{', '[':
		return rowError(col, string(v), "is a list or object", "expect a string")
	}
	return c.set(col, v.text())
}

// set gives a column its value, unless it has another.
func (c *cells) set(col column, text string) *RowError {
	if strings.ContainsRune(text, utf8.RuneError) {
		return rowError(col, text, "holds characters that could not be decoded", "tell the encoding of the file")
	}
	if old := c.value[col]; old != "" && old != text {
		return rowError(col, text, "is given twice; first as \""+cutText(old, maxValue)+"\"", "give it once")
	}
	c.value[col] = text
	return nil
}

// list takes a list of strings, or one string, as the values of a column.
func (c *cells) list(col column, v jsonValue) *RowError {
	if v.kind() != '[' {
		return c.scalar(col, v)
	}
	var all []string
	err := eachElement(v, func(e jsonValue) *RowError {
		if e.kind() != '"' {
			return rowError(col, string(e), "is no string", "expect a list of strings")
		}
		all = append(all, e.text())
		return nil
	})
	if err != nil {
		return err
	}
	return c.set(col, strings.Join(all, " "))
}
