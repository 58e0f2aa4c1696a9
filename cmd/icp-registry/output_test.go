package main

import "testing"

func TestNoFormula(t *testing.T) {
	for _, s := range []string{"=1", "+1", "-1", "@x", "＝1", "＋1", "－1", "＠x", "\tx", "\rx", "\nx", " =1", "\u3000＝1", "\ufeff=1", "-"} {
		if got := noFormula(s); got != "'"+s {
			t.Errorf("%q: got %q; want an apostrophe before it", s, got)
		}
	}
	for _, s := range []string{"", "a=1", "例 ＝", "203.0.113.8", "'x"} {
		if got := noFormula(s); got != s {
			t.Errorf("%q: got %q; want it as it is", s, got)
		}
	}
}
