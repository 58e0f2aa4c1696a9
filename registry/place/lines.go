package place

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
)

const (
	// maxErrors is how many wrong lines of a file are reported at once: enough to
	// repair a file in one go, few enough to read.
	maxErrors = 20
	// maxLine is the longest line that is read; no form here needs a tenth of it.
	maxLine = 64 << 10
)

// readLines hands every line that says something to line, in fields. "#" begins
// a comment; a byte order mark and CRLF are tolerated. What is wrong comes back
// as one error of at most maxErrors lines, each naming file and line.
func readLines(name string, r io.Reader, line func(n int, fields []string) error) error {
	var errs []error
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	n := 0
	for lines.Scan() {
		n++
		text := lines.Text()
		if n == 1 {
			text = strings.TrimPrefix(text, "\ufeff")
		}
		text, _, _ = strings.Cut(text, "#")
		fields := strings.Fields(text)
		if len(fields) == 0 {
			continue
		}
		if err := line(n, fields); err != nil {
			errs = append(errs, fmt.Errorf("%s:%d: %w", name, n, err))
		}
		if len(errs) == maxErrors {
			return errors.Join(append(errs, fmt.Errorf("%s: %d lines are wrong; the rest was not read", name, maxErrors))...)
		}
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		errs = append(errs, fmt.Errorf("%s:%d: the line is longer than %d bytes; is this a text file?", name, n+1, maxLine))
	} else if err != nil {
		errs = append(errs, fmt.Errorf("read %s: %w", name, err))
	}
	return errors.Join(errs...)
}

// show cuts a value of a file where it is long enough to flood a message.
func show(s string) string {
	const most = 80
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
