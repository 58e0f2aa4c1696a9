package bulk

import (
	"bytes"
	"errors"
	"io"
)

// maxRecord bounds a row, or an element of a JSON list, in bytes of UTF-8. The
// longest honest rows are old sites with many domains, some kilobytes.
const maxRecord = 1 << 20

var errTooLong = errors.New("is longer than 1 MiB")

// lines reads a text line by line in a buffer of its own, so that a record may
// span lines and be taken back. Lines end at "\n". Not for concurrent use.
type lines struct {
	r          io.Reader
	buf        []byte
	start, end int    // what is unread of buf
	err        error  // of r, kept until the buffer is used up
	number     int    // of the line at start, from 1
	all        string // what buf holds, where all of it is there and stays
}

// The buffer begins small and grows to what a record needs; at most to twice
// maxRecord, so that moving what is unread is rare.
const (
	firstBuffer = 2 * encodingSample
	lastBuffer  = 2 * maxRecord
)

func newLines(r io.Reader) *lines {
	return &lines{r: r, buf: make([]byte, firstBuffer), number: 1}
}

// peek returns up to n bytes without taking them.
func (l *lines) peek(n int) ([]byte, error) {
	for l.end-l.start < n && l.fill() {
	}
	if l.err != nil && l.err != io.EOF {
		return nil, l.err
	}
	return cutBytes(l.buf[l.start:l.end], n), nil
}

// fill reads more and reports whether there was any.
func (l *lines) fill() bool {
	if l.err != nil {
		return false
	}
	if l.end == len(l.buf) {
		to := l.buf
		if 2*(l.end-l.start) > len(l.buf) && len(l.buf) < lastBuffer {
			to = make([]byte, 2*len(l.buf))
		}
		copy(to, l.buf[l.start:l.end])
		l.buf, l.start, l.end = to, 0, l.end-l.start
	}
	for range 100 { // as bufio does with readers that give nothing
		n, err := l.r.Read(l.buf[l.end:])
		l.end += n
		if err != nil {
			l.err = err
		}
		if n > 0 {
			return true
		}
		if err != nil {
			return false
		}
	}
	l.err = io.ErrNoProgress
	return false
}

// line finds the end of the line that begins from bytes into the unread text,
// its "\n" included. At the end of the text the error is io.EOF; a record of
// more than maxRecord bytes is errTooLong.
func (l *lines) line(from int) (int, error) {
	scanned := from
	for {
		if i := bytes.IndexByte(l.buf[l.start+scanned:l.end], '\n'); i >= 0 {
			if scanned += i + 1; scanned > maxRecord {
				return 0, errTooLong
			}
			return scanned, nil
		}
		if scanned = l.end - l.start; scanned > maxRecord {
			return 0, errTooLong
		}
		if l.fill() {
			continue
		}
		if l.err != io.EOF {
			return 0, l.err
		}
		if scanned == from {
			return 0, io.EOF
		}
		return scanned, nil
	}
}

// text returns the first n unread bytes, valid until the next call of line.
func (l *lines) text(n int) []byte { return l.buf[l.start : l.start+n] }

// str is text as a string that is valid for ever.
func (l *lines) str(n int) string {
	if l.all != "" {
		return l.all[l.start : l.start+n]
	}
	return string(l.text(n))
}

// whole returns how many bytes, at most, are whole lines at the front of the
// unread text, each with an even number of quotes. A record of a table that
// begins on such a line ends on it: a quote that is open at the end of a line
// makes their number odd, and any other mistake costs that line alone. It is 0
// if the first line is another one, or too long.
func (l *lines) whole(most int) int {
	if l.end-l.start < most {
		l.fill()
	}
	text := cutBytes(l.buf[l.start:l.end], most)
	text = text[:bytes.LastIndexByte(text, '\n')+1]
	if bytes.IndexByte(text, '"') < 0 {
		return len(text)
	}
	n := 0
	for n < len(text) {
		line := n + bytes.IndexByte(text[n:], '\n') + 1
		if bytes.Count(text[n:line], []byte{'"'})%2 != 0 {
			break
		}
		n = line
	}
	return n
}

// take marks n bytes as read.
func (l *lines) take(n int) {
	l.number += bytes.Count(l.text(n), []byte("\n"))
	l.start += n
}

// skip takes the rest of a line that is too long.
func (l *lines) skip() error {
	for {
		if i := bytes.IndexByte(l.buf[l.start:l.end], '\n'); i >= 0 {
			l.take(i + 1)
			return nil
		}
		l.start = l.end
		if !l.fill() {
			if l.err == io.EOF {
				return nil
			}
			return l.err
		}
	}
}

// Read implements io.Reader over what is unread, for readers that know no lines.
func (l *lines) Read(p []byte) (int, error) {
	if l.start == l.end && !l.fill() {
		return 0, l.err
	}
	n := copy(p, l.buf[l.start:l.end])
	l.start += n
	return n, nil
}
