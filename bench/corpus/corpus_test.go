package corpus

import (
	"testing"

	"github.com/icpgate/icpgate/registry"
)

func TestNamesAreFileableAndDiffer(t *testing.T) {
	seen := map[string]bool{}
	gov := 0
	for i := range 20_000 {
		f := Filing(i)
		if err := f.Check(); err != nil {
			t.Fatalf("filing %d: %v", i, err)
		}
		for _, name := range []string{Name(i), Unfiled(i)} {
			if seen[name] {
				t.Fatalf("name %q comes twice", name)
			}
			seen[name] = true
		}
		if f.Site.Domains[0].IsGov() {
			gov++
		}
	}
	if gov == 0 {
		t.Error("no name under a government suffix among 20,000")
	}
}

func TestSubIsCovered(t *testing.T) {
	for i := range 5_000 {
		f := Filing(i)
		sub := registry.MustParseDomain(Sub(i, uint64(i)*3))
		if got := f.Scope(f.Site.Domains[0], sub); got != registry.ScopeCovers {
			t.Fatalf("filing %s reaches %s with scope %d; want it covered", f.Site.Domains[0], sub, got)
		}
	}
}

func TestQueriesMix(t *testing.T) {
	q, again := NewQueries(1000, 7), NewQueries(1000, 7)
	kinds := map[byte]int{}
	for range 10_000 {
		name := q.Next()
		if other := again.Next(); name != other {
			t.Fatalf("the same seed gave %q and %q", name, other)
		}
		d := registry.MustParseDomain(name)
		reg, _ := d.Registrable()
		switch {
		case d != reg:
			kinds['s']++
		default:
			kinds[name[0]]++
		}
	}
	for kind, want := range map[byte]int{'s': 5000, 'f': 3000, 'u': 2000} {
		if got := kinds[kind]; got < want*9/10 || got > want*11/10 {
			t.Errorf("%c: %d of 10,000; want about %d", kind, got, want)
		}
	}
}
