package edge

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/icpgate/icpgate/registry"
)

// Number reads the decimal number of an option, within bounds; what names it in the
// error. Directives that stand beside the block read theirs so, too.
func Number(what, s string, low, high int) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < low || n > high {
		return 0, fmt.Errorf("%s %q; expect a whole number from %d to %d", what, s, low, high)
	}
	return n, nil
}

// Word finds the word of an option among the legal ones. An empty one of these
// stands for what cannot be written, and is not legal.
func Word(s string, legal []string) (int, error) {
	if i := slices.Index(legal, s); i >= 0 && s != "" {
		return i, nil
	}
	named := slices.DeleteFunc(slices.Clone(legal), func(w string) bool { return w == "" })
	return 0, fmt.Errorf("unknown value %q; expect %s", s, registry.AnyOf(named))
}
