package cases

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
)

// Read yields the cases of a file, one a line, as they are read; empty lines are
// skipped. name is what errors call the file. A line that holds no case is
// yielded as an error with file and line, and reading goes on behind it; an
// error of r ends it.
func Read(name string, r io.Reader) iter.Seq2[Case, error] {
	return func(yield func(Case, error) bool) {
		lines := bufio.NewReader(r)
		first := map[string]string{} // where an id stood first
		for n := 1; ; n++ {
			line, err := lines.ReadBytes('\n')
			if text := bytes.TrimSpace(bytes.TrimPrefix(line, []byte("\ufeff"))); len(text) > 0 {
				at := fmt.Sprintf("%s:%d", name, n)
				c, err := parse(text, at, first)
				if err != nil {
					err = fmt.Errorf("%s: %w", at, err)
				}
				if !yield(c, err) {
					return
				}
			}
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(Case{}, fmt.Errorf("%s:%d: %w", name, n, err))
				return
			}
		}
	}
}

// parse reads one case and checks what its types cannot.
func parse(text []byte, at string, first map[string]string) (Case, error) {
	c := Case{At: at}
	if err := strict(text, &c); err != nil {
		return Case{At: at}, errors.New(strings.TrimPrefix(err.Error(), "json: "))
	}
	if err := c.check(); err != nil {
		return Case{At: at}, fmt.Errorf("case %q: %w", c.ID, err)
	}
	if old, dup := first[c.ID]; dup {
		return Case{At: at}, fmt.Errorf("case %q: the id was given at %s already", c.ID, old)
	}
	first[c.ID] = at
	return c, nil
}

// check reports what makes c no case at all.
func (c *Case) check() error {
	switch q := &c.Query; {
	case c.ID == "":
		return errors.New("no id")
	case c.Expect.Verdict == "" || c.Expect.Reason == nil:
		return errors.New("expect needs verdict and reason")
	case q.Destination.mixed != (len(q.Answers) > 0):
		return errors.New("destination mixed and answers go together")
	}
	return nil
}
