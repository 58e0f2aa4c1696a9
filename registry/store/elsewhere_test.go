package store_test

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/icpgate/icpgate/registry/store"
)

// nodes opens a database of PostgreSQL twice.
func nodes(t *testing.T) (w *world, two *store.Store) {
	t.Helper()
	w = &world{T: t, dsn: postgresDSN(t), now: day(2026, 3, 1), key: store.NewKey()}
	w.open()
	t.Cleanup(func() { w.s.Close() })
	return w, w.another()
}

func (w *world) another() *store.Store {
	w.Helper()
	s, err := store.Open(background, w.dsn, store.Options{Now: w.clock, Key: w.key, What: "another node"})
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { s.Close() })
	return s
}

// TestOneNodePublishes: while one node publishes an import, another one that is to go on
// with it waits, and has nothing to do then.
func TestOneNodePublishes(t *testing.T) {
	w, two := nodes(t)
	w.put(many(5000, 1)...) // no load: the registry is in use
	i := w.stage(store.ImportOptions{}, of(many(0, 3000)...))
	begun, looked := make(chan struct{}), make(chan struct{})
	var begin, look sync.Once
	var work sync.WaitGroup
	work.Go(func() {
		<-begun
		done, err := two.Publish(background, i.ID, func(store.ImportProgress) { look.Do(func() { close(looked) }) })
		look.Do(func() { close(looked); t.Error("the other node did not wait") })
		if err != nil || done.State != store.ImportDone {
			t.Errorf("the other node: %+v, %v", done, err)
		}
	})
	published := 0
	done, err := w.s.Publish(background, i.ID, func(store.ImportProgress) {
		published++
		begin.Do(func() { close(begun) })
		<-looked
	})
	work.Wait()
	if err != nil || published != i.Chunks || done.Last-done.First+1 != uint64(i.Chunks) {
		t.Errorf("it published %d parts of %d, %+v, %v", published, i.Chunks, done, err)
	}
}

// TestOtherNodeTakesOver: of a node that died while it published, here by a load that
// has dropped indexes, another one goes on when the lease has ended, and not before. Of
// two that wait for that one does.
func TestOtherNodeTakesOver(t *testing.T) {
	for _, c := range []struct {
		name string
		n    int
		rest int // parts that are left at most when it dies
	}{{"no load", 3000, 1 << 20}, {"load", loaded, 1 << 20}, {"end of a load", loaded, 1}} {
		t.Run(c.name, func(t *testing.T) {
			n := c.n
			store.SetLimits(t, 10_000, loaded)
			w, two := nodes(t)
			m := &replica{world: w, at: map[string]string{}}
			m.rev, _ = w.s.Revision(background)
			w.put(many(100_000, 1)...)
			i := w.stage(store.ImportOptions{}, of(append(many(0, n), named(many(100_000, 1), "another name")...)...))
			ctx, stop := context.WithCancel(background)
			dropped := 0
			i, err := w.s.Publish(ctx, i.ID, func(p store.ImportProgress) {
				if dropped == 0 && n == loaded {
					w.another() // which does not make the indexes again
					if dropped = len(w.missingIndexes()); dropped == 0 {
						t.Error("no index is dropped in the midst of the load")
					}
				}
				if p.Of-p.Done <= c.rest {
					stop()
				}
			})
			if !errors.Is(err, context.Canceled) || i.Done == 0 || i.Done == i.Chunks {
				t.Fatalf("got %+v, %v; want it to be stopped", i, err)
			}
			// What a node that was killed leaves.
			run := w.raw()
			run("INSERT INTO node (id, what, until) VALUES ('dead', 'a dead node', ?)", w.clock().Add(20*time.Second).UnixMilli())
			run("UPDATE import SET node = 'dead' WHERE id = ?", i.ID)
			if n == loaded {
				run("UPDATE meta SET loading = ?", i.ID)
				w.dropIndex("domain_name")
			}
			three := w.another()
			looked := make(chan int, 1000)
			var work sync.WaitGroup
			for _, s := range []*store.Store{two, three} {
				work.Go(func() {
					done, err := s.Publish(background, i.ID, func(p store.ImportProgress) { looked <- p.Done })
					if err != nil || done.State != store.ImportDone || done.Last-done.First+1 != uint64(done.Chunks) || done.Counts.Skipped > 0 {
						t.Errorf("a node: %+v, %v", done, err)
					}
				})
			}
			for range 4 {
				if n := <-looked; n != i.Done {
					t.Errorf("%d parts are published while the lease runs; want %d", n, i.Done)
				}
			}
			run("UPDATE node SET until = ? WHERE id = 'dead'", w.clock().Add(-time.Millisecond).UnixMilli())
			work.Wait()
			if missing := w.missingIndexes(); len(missing) > 0 {
				t.Errorf("indexes %q are missing", missing)
			}
			if wrong, err := w.s.Check(background); err != nil || len(wrong) > 0 {
				t.Errorf("the registry does not agree with itself: %q, %v", wrong, err)
			}
			m.follow()
		})
	}
}

// TestIndexesOfADeadNode: a node is killed when it has dropped the indexes for a load and
// before anything of it is in force, and is there again before its lease has ended.
// Nobody publishes the import again: the indexes are made as soon as the lease ends.
func TestIndexesOfADeadNode(t *testing.T) {
	store.SetLimits(t, 10_000, 500)
	w, _ := nodes(t)
	i := w.stage(store.ImportOptions{}, of(many(0, 600)...))
	run := w.raw()
	run("INSERT INTO node (id, what, until) VALUES ('dead', 'a dead node', ?)", w.clock().Add(20*time.Second).UnixMilli())
	run("UPDATE import SET node = 'dead' WHERE id = ?", i.ID)
	run("UPDATE meta SET loading = ?", i.ID)
	w.dropIndex("domain_name")
	w.reopen()
	if missing := w.missingIndexes(); len(missing) != 1 {
		t.Fatalf("indexes %q are missing while the lease runs; want one", missing)
	}
	run("UPDATE node SET until = ? WHERE id = 'dead'", w.clock().Add(-time.Millisecond).UnixMilli())
	tick, late := time.NewTicker(20*time.Millisecond), time.After(time.Minute)
	defer tick.Stop()
	for len(w.missingIndexes()) > 0 {
		select {
		case <-tick.C:
		case <-late:
			t.Fatal("they are not made")
		}
	}
	w.publish(i.ID)
	if missing := w.missingIndexes(); len(missing) > 0 {
		t.Errorf("indexes %q are missing after the load", missing)
	}
}

// dropIndex drops an index of PostgreSQL.
func (w *world) dropIndex(name string) {
	w.Helper()
	db, err := sql.Open("pgx", w.dsn)
	if err != nil {
		w.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("DROP INDEX " + name); err != nil {
		w.Fatal(err)
	}
}
