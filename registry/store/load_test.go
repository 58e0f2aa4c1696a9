package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/store"
)

// loaded is how many filings a load of a test has: some transactions' worth.
const loaded = 36_000

// TestLoadAmongOthers changes something after each transaction of a load: what has
// nothing to do with it, and then filings that are still to be loaded.
func TestLoadAmongOthers(t *testing.T) {
	store.SetLimits(t, 10_000, loaded)
	onEach(t, func(t *testing.T, w *world) {
		m := &replica{world: w, at: map[string]string{}}
		m.rev, _ = w.s.Revision(background)
		list := many(0, loaded)
		person := filing("沪ICP备00000001号-1", "p.example.org")
		person.Entity.Nature, person.Entity.Name = registry.Individual, "某某"
		list = append(list, person)
		last, number := list[loaded-1], "浙ICP备00000001号-1"
		earlier := last
		earlier.Site.Name, earlier.UpdatedAt = "Another name", day(2021, 6, 1)
		steps := 0
		i := w.stage(store.ImportOptions{}, of(list...))
		i, err := w.s.Publish(background, i.ID, func(store.ImportProgress) {
			switch steps++; steps {
			case 1:
				w.put(filing(number, "other.example.org"))
			case 2:
				w.put(earlier, filing("浙ICP备00000002号-1", list[loaded-2].Site.Domains[0].String()))
			}
		})
		if err != nil || i.State != store.ImportDone || steps < 3 {
			t.Fatalf("got %s in %d steps, %v; want done in some", i.State, steps, err)
		}
		m.follow()
		for _, want := range []registry.Filing{list[0], list[loaded/2], last, person, filing(number, "other.example.org")} {
			if got, err := w.s.Filing(background, store.KeyOf(&want)); err != nil || !same(got.Filing, want) {
				t.Errorf("got %+v, %v; want %+v", store.ViewOf(&got.Filing), err, store.ViewOf(&want))
			}
		}
		if got, err := w.s.Filings(background, list[loaded-2].Site.Domains[0]); err != nil || len(got) != 2 {
			t.Errorf("got %d filings of a name that two are filed under, %v", len(got), err)
		}
		if wrong, err := w.s.Check(background); err != nil || len(wrong) > 0 {
			t.Errorf("%q, %v", wrong, err)
		}
		if missing := w.missingIndexes(); len(missing) > 0 {
			t.Errorf("indexes %q are missing", missing)
		}
		w.holdsNot("某某")
	})
}

// TestLoadOfListed loads filings of an entity that is on the blacklist, and of one
// whose personal data is not kept any more.
func TestLoadOfListed(t *testing.T) {
	const n = 5000
	store.SetLimits(t, 10_000, n)
	onEach(t, func(t *testing.T, w *world) {
		person := filing("沪ICP备00000001号-1", "p.example.org")
		person.Entity.Nature, person.Entity.Name = registry.Individual, "某某"
		bad := filing("沪ICP备00000002号-1", "bad.example.org")
		w.put(person, bad)
		w.edit(func(e *store.Edit) error {
			return errors.Join(e.Erase(person.Entity.Number), e.BlacklistEntity(bad.Entity.Number, "listed"))
		})
		more, worse := person, bad
		more.Site.Number, more.Site.Domains = registry.MustParseNumber("沪ICP备00000001号-2"), []registry.Domain{registry.MustParseDomain("q.example.org")}
		worse.Site.Number, worse.Site.Domains = registry.MustParseNumber("沪ICP备00000002号-2"), []registry.Domain{registry.MustParseDomain("worse.example.org")}
		w.load(store.ImportOptions{}, append(many(0, n), more, worse)...)
		got, err := w.s.Filing(background, store.KeyOf(&more))
		if err != nil || got.Filing.Entity.Name != "" {
			t.Errorf("got the name %q of an erased entity, %v", got.Filing.Entity.Name, err)
		}
		if _, listed, _ := w.all(); !slices.Equal(listed, []string{"bad.example.org", "worse.example.org"}) {
			t.Errorf("got %q on the blacklist", listed)
		}
	})
}

// TestKillLoad kills a program that loads, and resumes.
func TestKillLoad(t *testing.T) {
	rounds := 1
	if os.Getenv("ICP_SOAK") != "" {
		rounds = 20
	}
	store.SetLimits(t, 10_000, loaded)
	midway := 0
	// The signal may come when all is done, and then another one has to be killed.
	for round := 0; round < rounds || midway == 0 && !t.Failed(); round++ {
		onEach(t, func(t *testing.T, w *world) {
			m := &replica{world: w, at: map[string]string{}}
			m.rev, _ = w.s.Revision(background)
			w.s.Close()
			t.Setenv("ICP_STORE_LOADS", "1")
			m.round(round, 2) // staged, and one step
			m.round(round, 1)
			w.open()
			if wrong, err := w.s.Check(background); err != nil || len(wrong) > 0 {
				t.Fatalf("%q, %v", wrong, err)
			}
			if missing := w.missingIndexes(); len(missing) > 0 {
				t.Errorf("indexes %q are missing", missing)
			}
			m.follow()
			i, err := w.s.Unfinished(background)
			switch {
			case errors.Is(err, store.ErrNotFound): // all was done
			case err != nil || i.Done == 0 && len(m.at) < loaded: // a step of the first load was told of
				t.Fatalf("got %d of %d chunks, %v; want some", i.Done, i.Chunks, err)
			default:
				if i.Done < i.Chunks {
					midway++
				}
				w.publish(i.ID)
				m.follow()
			}
			if len(m.at) != loaded {
				t.Errorf("got %d names; want %d", len(m.at), loaded)
			}
		})
	}
}

// childLoads is what the child does there: it stages a load, or resumes it.
func childLoads(s *store.Store) {
	store.SetFresh(loaded)
	i, err := s.Unfinished(background)
	if errors.Is(err, store.ErrNotFound) {
		i, err = s.Stage(background, staff, complete, of(many(0, loaded)...))
		fmt.Println("staged", i.ID)
	}
	if err == nil {
		_, err = s.Publish(background, i.ID, func(p store.ImportProgress) { fmt.Printf("published %d of %d\n", p.Done, p.Of) })
	}
	if err != nil {
		fmt.Println("failed", err)
	}
}

// TestLoadBesideWriter loads while somebody else changes something all the time:
// what was made ready is always of an older revision, and the load goes on.
func TestLoadBesideWriter(t *testing.T) {
	store.SetLimits(t, 10_000, loaded)
	const most = 100_000 // edits, by which the load is done even where it is kept from running
	onEach(t, func(t *testing.T, w *world) {
		i := w.stage(store.ImportOptions{}, of(many(0, loaded)...))
		ctx, stop := context.WithCancel(background)
		var writer sync.WaitGroup
		edits := 0
		writer.Go(func() {
			for n := 0; ctx.Err() == nil && n < most; n++ {
				f := filing("浙ICP备00000001号-1", "other.example.org")
				f.Site.Name = fmt.Sprint("version ", n)
				if _, err := w.s.Edit(background, staff, func(e *store.Edit) error { return e.PutFiling(f) }); err != nil {
					t.Error(err)
					return
				}
				edits++
			}
		})
		i, err := w.s.Publish(background, i.ID, nil)
		stop()
		writer.Wait()
		if err != nil || i.State != store.ImportDone || edits == most {
			t.Errorf("got %s beside %d edits, %v; want done before their end", i.State, edits, err)
		}
	})
}
