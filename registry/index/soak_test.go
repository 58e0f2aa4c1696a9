package index_test

import (
	"context"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	filings "github.com/icpgate/icpgate/bench/corpus"
	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/index"
)

// TestManyQueries compares a large registry with the twin: after changes, over the
// old snapshot, and again once they are compacted. With ICP_SOAK=1 it has a million
// filings, 100,000 changes and ten million queries.
func TestManyQueries(t *testing.T) {
	n, changes, queries := 20_000, 2000, 100_000
	if os.Getenv("ICP_SOAK") != "" {
		n, changes, queries = 1_000_000, 100_000, 10_000_000
	}
	s := newSoak(n)
	var live index.Live
	live.Swap(build(t, testOptions, s.list()))
	const rounds = 2
	for round := range rounds {
		for done := 0; done < changes/rounds; {
			batch := s.change(t, min(1+s.IntN(200), changes/rounds-done))
			if err := live.Apply(batch...); err != nil {
				t.Fatal(err)
			}
			done += len(batch)
		}
		slow := newTwin(s.list(), slices.Collect(maps.Keys(s.blacklist)), after(s.rev))
		s.ask(t, live.View(), slow, queries/rounds/2)
		if err := live.Compact(context.Background(), filepath.Join(t.TempDir(), "registry.icpidx")); err != nil {
			t.Fatal(err)
		}
		if s.ask(t, live.View(), slow, queries/rounds/2); t.Failed() {
			t.Fatalf("round %d", round)
		}
	}
}

// soak is a registry of the corpus that changes at random.
type soak struct {
	*rand.Rand
	n         int
	filed     map[registry.Domain][]registry.Filing
	blacklist map[registry.Domain]bool
	touched   []registry.Domain
	rev       uint64
	queries   *filings.Queries
}

func newSoak(n int) *soak {
	s := &soak{
		Rand: rand.New(rand.NewPCG(11, 12)), n: n, queries: filings.NewQueries(n, 13),
		filed: map[registry.Domain][]registry.Filing{}, blacklist: map[registry.Domain]bool{},
	}
	for i := range n {
		f := s.filing(i)
		s.filed[f.Site.Domains[0]] = append(s.filed[f.Site.Domains[0]], f)
	}
	return s
}

// filing is one of the corpus; one in ten lies below another filed name.
func (s *soak) filing(i int) registry.Filing {
	f := filings.Filing(i)
	if s.IntN(10) == 0 {
		f.Site.Domains = []registry.Domain{registry.MustParseDomain(filings.Sub(s.IntN(s.n), s.Uint64()))}
		if f.Check() != nil { // an underscore
			return filings.Filing(i)
		}
	}
	return f
}

func (s *soak) list() (all []registry.Filing) {
	for _, fs := range s.filed {
		all = append(all, fs...)
	}
	return all
}

// change makes the next revision.
func (s *soak) change(t *testing.T, n int) (list []registry.Change) {
	s.rev++
	for range n {
		f := s.filing(s.IntN(2 * s.n))
		d := f.Site.Domains[0]
		c := registry.Change{Revision: after(s.rev), Kind: registry.ChangeFilings, Name: d}
		switch s.IntN(10) {
		case 0, 1, 2, 3:
			f.Status = registry.Status(s.IntN(3))
			f.Restricted = s.IntN(20) == 0
			c.Filings = []registry.Filing{f}
		case 4, 5:
			c.Filings = append(slices.Clone(s.filed[d]), f)
		case 6:
			c.Kind, s.blacklist[d] = registry.ChangeListed, true
		case 7:
			c.Kind = registry.ChangeUnlisted
			if len(s.touched) > 0 && s.IntN(2) == 0 { // likelier to be there
				c.Name = s.touched[s.IntN(len(s.touched))]
			}
			delete(s.blacklist, c.Name)
		}
		if c.Kind == registry.ChangeFilings {
			if s.filed[d] = c.Filings; len(c.Filings) == 0 {
				delete(s.filed, d)
			}
		}
		if err := c.Check(); err != nil {
			t.Fatal(err)
		}
		s.touched = append(s.touched, c.Name)
		list = append(list, c)
	}
	return list
}

// ask compares answers; a third of them are of names that changed or lie beside them.
func (s *soak) ask(t *testing.T, v *index.View, slow *twin, n int) {
	t.Helper()
	for range n {
		name := s.queries.Next()
		if s.IntN(3) == 0 {
			name = s.touched[s.IntN(len(s.touched))].String()
			switch s.IntN(4) {
			case 0:
				name = "www." + name
			case 1:
				name = "x.y." + name
			case 2:
				name = registry.MustParseDomain(name).Parent().String()
			}
		}
		d := registry.MustParseDomain(name)
		got, want := v.Cover(d), slow.cover(d)
		if got.Cut < want.Cut {
			t.Fatalf("Cover(%q): got cut %d; want %d at least", d, got.Cut, want.Cut)
		}
		got.Cut = want.Cut // over changes it may be deeper
		if err := same(got, want); err != nil {
			t.Fatalf("Cover(%q): %v", d, err)
		}
	}
}
