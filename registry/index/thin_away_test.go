package index_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/index"
)

// TestThinStale: while the source fails, answers serve on beyond their TTL for as
// long as they may, and the source is not hammered; then it is found again.
func TestThinStale(t *testing.T) {
	for _, test := range []struct {
		stale time.Duration
		want  []string // a second after the TTL, before the end of stale, after it
	}{
		{0, []string{"filed", "filed", "filed"}},
		{time.Hour, []string{"filed", "filed", "undecided"}},
		{-1, []string{"undecided", "undecided", "undecided"}},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRemote(t)
			thin := newThin(t, index.ThinConfig{Source: r.source, TTL: time.Minute, Stale: test.stale})
			defer thin.Close()
			thin.Cover(background, name("a.example"))
			r.set(errors.New("no route"), nil)
			for i, after := range []time.Duration{time.Minute + time.Second, time.Hour - 2*time.Second, 2 * time.Second} {
				time.Sleep(after)
				if got := state(thin.Cover(background, name("www.a.example"))); got != test.want[i] {
					t.Errorf("stale %s, step %d: got %s; want %s", test.stale, i, got, test.want[i])
				}
				synctest.Wait()
			}
			if err := thin.Err(); err == nil || !strings.Contains(err.Error(), "no route") || !strings.Contains(err.Error(), `"www.a.example"`) {
				t.Errorf("got error %v; want the source's, with the name", err)
			}
			if s := thin.Stats(); s.Errors == 0 || s.Stale+s.Unanswered != 3 {
				t.Errorf("got %+v; want errors, and 3 answers that were stale or none", s)
			}
			r.set(nil, nil)
			time.Sleep(10 * time.Second)
			thin.Cover(background, name("a.example")) // who has an answer does not wait
			synctest.Wait()
			if got := state(thin.Cover(background, name("a.example"))); got != "filed" || thin.Err() != nil {
				t.Errorf("got %s, %v; want filed again and no error", got, thin.Err())
			}
		})
	}
}

// TestThinBackOff: a dead source is asked seldom, however often a name is.
func TestThinBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRemote(t)
		r.set(errors.New("refused"), nil)
		thin := newThin(t, index.ThinConfig{Source: r.source})
		defer thin.Close()
		for range 100_000 {
			thin.Cover(background, name("a.example"))
			time.Sleep(10 * time.Millisecond)
		}
		// A thousand seconds, and 5 between calls on average.
		if n := len(r.asked()); n < 100 || n > 400 {
			t.Errorf("got %d calls in 1000 s; want about 200", n)
		}
		r.set(nil, nil)
		time.Sleep(10 * time.Second)
		if got := state(thin.Cover(background, name("a.example"))); got != "filed" {
			t.Errorf("got %s; want filed, as the longest pause is over", got)
		}
	})
}

// TestThinTimeout: nobody waits for longer than Timeout or its own context; the
// call goes on, and fills the cache.
func TestThinTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, hold := newRemote(t), make(chan struct{})
		r.set(nil, hold)
		thin := newThin(t, index.ThinConfig{Source: r.source, Timeout: time.Second, CallTimeout: time.Hour, TTL: time.Minute})
		defer thin.Close()
		start := time.Now()
		cover := func(ctx context.Context, text, want string, waited time.Duration) {
			t.Helper()
			got := state(thin.Cover(ctx, name("%s", text)))
			if w := time.Since(start); got != want || w != waited {
				t.Errorf("%q: got %s after %s; want %s after %s", text, got, w, want, waited)
			}
			start = time.Now()
		}
		short, cancel := context.WithTimeout(background, time.Millisecond)
		defer cancel()
		cover(short, "a.example", "undecided", time.Millisecond)
		cover(background, "a.example", "undecided", time.Second)
		cover(short, "b.example", "undecided", 0)
		close(hold)
		synctest.Wait()
		cover(background, "a.example", "filed", 0)
		cover(short, "b.example", "filed", 0)

		// With a stale answer, one waits for a source that hangs, the others do not.
		hold = make(chan struct{})
		r.set(nil, hold)
		time.Sleep(time.Minute)
		start = time.Now()
		cover(background, "a.example", "filed", time.Second)
		cover(background, "a.example", "filed", 0)
		cover(background, "b.example", "filed", 0)
		cover(background, "c.example", "undecided", time.Second)
		close(hold)
		synctest.Wait()
		if s := thin.Stats(); s.Timeouts != 5 || s.Stale != 3 || s.Unanswered != 4 || s.Errors != 0 || s.Asked != 5 {
			t.Errorf("got %+v; want 5 timeouts, 3 stale, 4 unanswered, no errors, 5 names asked", s)
		}
	})
}

// TestThinCallTimeout: a source that hangs has failed after a while.
func TestThinCallTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRemote(t)
		r.set(nil, make(chan struct{}))
		thin := newThin(t, index.ThinConfig{Source: r.source, Timeout: time.Hour, CallTimeout: time.Minute})
		defer thin.Close()
		start := time.Now()
		got := state(thin.Cover(background, name("a.example")))
		if w := time.Since(start); got != "undecided" || w != time.Minute || !errors.Is(thin.Err(), context.DeadlineExceeded) {
			t.Errorf("got %s after %s, %v; want undecided after a minute, deadline exceeded", got, w, thin.Err())
		}
	})
}

// TestThinWrongAnswers: what is no answer is not remembered.
func TestThinWrongAnswers(t *testing.T) {
	for _, test := range []struct {
		name, want string
		source     index.Source
	}{
		{"too few", "0 came", func(context.Context, []registry.Domain) ([]registry.Coverage, error) { return nil, nil }},
		{"too many", "2 came", func(context.Context, []registry.Domain) ([]registry.Coverage, error) {
			return []registry.Coverage{{Loaded: true}, {Loaded: true}}, nil
		}},
		{"not loaded", "nothing loaded", func(_ context.Context, names []registry.Domain) ([]registry.Coverage, error) {
			return make([]registry.Coverage, len(names)), nil
		}},
	} {
		thin := newThin(t, index.ThinConfig{Source: test.source, Timeout: time.Minute})
		c := thin.Cover(background, name("a.example"))
		if err := thin.Err(); c.Loaded || err == nil || !strings.Contains(err.Error(), test.want) || thin.Stats().Entries != 0 {
			t.Errorf("%s: got %+v, %v; want no coverage, an error with %q, no entry", test.name, c, err, test.want)
		}
		thin.Close()
	}
}

// TestThinPartly: of a call, the answers that are loaded count.
func TestThinPartly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, hold := newRemote(t), make(chan struct{})
		cover := r.cover
		r.cover = func(d registry.Domain) registry.Coverage {
			if d == name("b.example") {
				return registry.Coverage{}
			}
			return cover(d)
		}
		r.set(nil, hold)
		thin := newThin(t, index.ThinConfig{Source: r.source})
		defer thin.Close()
		var all sync.WaitGroup
		for _, q := range []struct{ name, want string }{{"first.example", "unfiled"}, {"a.example", "filed"}, {"b.example", "undecided"}} {
			all.Go(func() {
				if got := state(thin.Cover(background, name("%s", q.name))); got != q.want {
					t.Errorf("%q: got %s; want %s", q.name, got, q.want)
				}
			})
			synctest.Wait()
		}
		close(hold)
		all.Wait()
		if err := thin.Err(); err != nil || len(r.asked()) != 2 {
			t.Errorf("got %v after calls of %v names; want no error after 2 calls", err, r.asked())
		}
	})
}

// TestThinUntold: a registry that answers, and tells nothing of one name alone, is
// not away: the next one is asked for at once.
func TestThinUntold(t *testing.T) {
	rev := registry.Revision{Epoch: registry.Epoch{Made: 1, Random: 2}, Rev: 3}
	r := newRemote(t)
	cover := r.cover
	r.cover = func(d registry.Domain) registry.Coverage {
		if d == name("b.example") {
			return registry.Coverage{Revision: rev}
		}
		return cover(d)
	}
	thin := newThin(t, index.ThinConfig{Source: r.source, Timeout: time.Minute})
	defer thin.Close()
	for _, q := range []struct{ name, want string }{{"b.example", "undecided"}, {"a.example", "filed"}, {"b.example", "undecided"}} {
		if got := state(thin.Cover(background, name("%s", q.name))); got != q.want || thin.Err() != nil {
			t.Errorf("%q: got %s, %v; want %s and no error", q.name, got, thin.Err(), q.want)
		}
	}
	if n := len(r.asked()); n != 3 {
		t.Errorf("got %d calls; want 3", n)
	}
}

// TestThinNoCut: an answer without a cut is for its name alone.
func TestThinNoCut(t *testing.T) {
	r := &remote{cover: func(registry.Domain) registry.Coverage { return registry.Coverage{Loaded: true} }}
	thin := newThin(t, index.ThinConfig{Source: r.source, Timeout: time.Minute})
	defer thin.Close()
	for _, text := range []string{"a.example", "x.a.example", "a.example", "y.x.a.example", "y.x.a.example", "example"} {
		thin.Cover(background, name("%s", text))
	}
	if n := total(r.asked()); n != 4 {
		t.Errorf("got %d names asked for; want the 4 different ones", n)
	}
}
