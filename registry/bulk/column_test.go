package bulk_test

import (
	"strings"
	"testing"
	"unicode"

	"github.com/icpgate/icpgate/registry/bulk"
)

// TestTrim tries every character at both ends.
func TestTrim(t *testing.T) {
	cut := func(r rune) bool {
		return unicode.IsSpace(r) || r == '\u200b' || r == '\ufeff' || r == '\u2060'
	}
	for r := range rune(unicode.MaxRune + 1) {
		for _, s := range []string{string(r), string(r) + "号", "号" + string(r), string(r) + " a" + string(r)} {
			if got, want := bulk.Trim(s), strings.TrimFunc(s, cut); got != want {
				t.Fatalf("%q: got %q; want %q", s, got, want)
			}
		}
	}
	for _, s := range []string{"", "\xff", "\xe3\x80", "a\xe3", "\x80 a \x80"} {
		if got, want := bulk.Trim(s), strings.TrimFunc(s, cut); got != want {
			t.Errorf("%q: got %q; want %q", s, got, want)
		}
	}
}
