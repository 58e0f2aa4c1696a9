package index_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/index"
)

// TestConcurrent: while names change together, and snapshots are compacted and
// swapped, every view has all of a revision or nothing of it.
func TestConcurrent(t *testing.T) {
	mapped := index.Mappings()
	var live index.Live
	live.Swap(at(t, 0, filingOf("a.example"), filingOf("always.example"), filingOf("a.u.gov.cn")))
	var stop atomic.Bool
	var readers, writers sync.WaitGroup
	for range 2 {
		readers.Go(func() { readFlips(t, &live, &stop) })
	}
	revisions := uint64(3000)
	if testing.Short() {
		revisions = 300
	}
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	compacted := make(chan struct{}) // closed once a compaction went through
	writers.Go(func() {
		var once sync.Once
		defer once.Do(func() { close(compacted) })
		for n := 0; ctx.Err() == nil; n++ {
			if err := live.Compact(ctx, filepath.Join(dir, fmt.Sprint(n%3))); err != nil && !errors.Is(err, context.Canceled) &&
				!strings.Contains(err.Error(), "came meanwhile") {
				t.Error(err)
				return
			} else if err == nil {
				once.Do(func() { close(compacted) })
			}
		}
	})
	defer func() {
		cancel()
		writers.Wait()
		stop.Store(true)
		readers.Wait()
		live.Swap(nil)
		awaitMappings(t, mapped)
	}()
	for rev := uint64(1); rev <= revisions; rev++ {
		apply(t, &live, flips(rev)...)
		if rev%50 == 0 {
			live.Swap(flipped(t, rev))
		}
	}
	<-compacted // nothing comes between any more, so one goes through at the latest now
}

// flips are what changes with every revision: in even ones a.example is filed, in
// odd ones b.example, and so on for all pairs.
func flips(rev uint64) []registry.Change {
	on, off, list, unlist := "a", "b", registry.ChangeUnlisted, registry.ChangeListed
	if rev%2 == 1 {
		on, off, list, unlist = off, on, unlist, list
	}
	return []registry.Change{
		refile(rev, on+".example", filingOf(on+".example")), refile(rev, off+".example"),
		refile(rev, on+".u.gov.cn", filingOf(on+".u.gov.cn")), refile(rev, off+".u.gov.cn"),
		relist(rev, list, "listed.example"), relist(rev, unlist, "x.listed.example"),
	}
}

// flipped is the snapshot of a revision.
func flipped(t *testing.T, rev uint64) *index.Index {
	o, on, bad := testOptions, "a", "x.listed.example"
	if o.Revision = after(rev); rev%2 == 1 {
		on, bad = "b", "listed.example"
	}
	return build(t, o, []registry.Filing{filingOf(on + ".example"), filingOf("always.example"), filingOf(on + ".u.gov.cn")}, registry.MustParseDomain(bad))
}

func readFlips(t *testing.T, live *index.Live, stop *atomic.Bool) {
	var last registry.Revision
	for !stop.Load() {
		v := live.View()
		rev := v.Revision()
		even := (rev.Rev-testRevision.Rev)%2 == 0
		cover := func(name string) registry.Coverage {
			c := v.Cover(registry.MustParseDomain(name))
			if c.Revision != rev || !c.Loaded {
				t.Errorf("%q: got revision %s in a view of %s", name, c.Revision, rev)
			}
			return c
		}
		a, b := cover("www.a.example"), cover("b.example")
		if (len(a.Filings) == 1) != even || (len(b.Filings) == 1) == even {
			t.Errorf("%s: got %d and %d filings; want one of the two names filed", rev, len(a.Filings), len(b.Filings))
		}
		if c := cover("q.always.example"); len(c.Filings) != 1 {
			t.Errorf("%s: got %+v; want always.example filed", rev, c)
		}
		if c := cover("other.u.gov.cn"); !c.GovFiled || len(cover("www.a.u.gov.cn").Filings) == 1 != even {
			t.Errorf("%s: got %+v; want one unit filed", rev, c)
		}
		if rev.Rev > testRevision.Rev && (cover("listed.example").Blacklisted == even || !cover("x.listed.example").Blacklisted) {
			t.Errorf("%s: got the wrong name on the blacklist", rev)
		}
		if rev.Compare(last) < 0 {
			t.Errorf("the revision went from %s back to %s", last, rev)
		}
		last = rev
	}
}
