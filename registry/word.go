package registry

import (
	"fmt"
	"strings"
)

// words are the names of an enumeration's values, in the order of the values.
// They are what stands in JSON, CSV columns, metric labels and the Corefile.
type words []string

// of returns the word of value i, or a form that can be recognised as a
// programming error in a log.
func (w words) of(i uint8) string {
	if int(i) < len(w) {
		return w[i]
	}
	return fmt.Sprintf("invalid(%d)", i)
}

// parse finds the value of a word; what names the enumeration in the error.
func (w words) parse(what, s string) (uint8, error) {
	for i, word := range w {
		if word == s {
			return uint8(i), nil
		}
	}
	return 0, fmt.Errorf("unknown %s %q; expect %s", what, s, AnyOf(w))
}

// AnyOf names words as a sentence does: a, b or c. There is one at least.
func AnyOf(words []string) string {
	last := len(words) - 1
	if last == 0 {
		return words[0]
	}
	return strings.Join(words[:last], ", ") + " or " + words[last]
}
