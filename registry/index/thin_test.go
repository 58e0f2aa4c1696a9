package index_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/index"
)

// remote is a registry elsewhere.
type remote struct {
	sync.Mutex
	cover func(registry.Domain) registry.Coverage
	err   error
	hold  chan struct{} // where set, a call waits for it to be closed, or for its context
	calls [][]registry.Domain
}

func (r *remote) source(ctx context.Context, names []registry.Domain) (cs []registry.Coverage, err error) {
	r.Lock()
	r.calls = append(r.calls, names)
	hold, err := r.hold, r.err
	for _, d := range names {
		cs = append(cs, r.cover(d))
	}
	r.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return cs, err
}

// set changes how the registry behaves.
func (r *remote) set(err error, hold chan struct{}) {
	r.Lock()
	defer r.Unlock()
	r.err, r.hold = err, hold
}

func (r *remote) asked() (sizes []int) {
	r.Lock()
	defer r.Unlock()
	for _, names := range r.calls {
		sizes = append(sizes, len(names))
	}
	return sizes
}

// newRemote is a registry in which a.example and b.example are filed.
func newRemote(t testing.TB) *remote {
	return &remote{cover: build(t, testOptions, []registry.Filing{filingOf("a.example"), filingOf("b.example")}).Cover}
}

func newThin(t testing.TB, c index.ThinConfig) *index.Thin {
	t.Helper()
	if c.Now == nil {
		c.Now = time.Now
	}
	thin, err := index.NewThin(c)
	if err != nil {
		t.Fatal(err)
	}
	return thin
}

var background = context.Background()

func name(format string, args ...any) registry.Domain {
	return registry.MustParseDomain(fmt.Sprintf(format, args...))
}

// state says what came of a question: filed, unfiled or undecided.
func state(c registry.Coverage) string {
	switch {
	case !c.Loaded:
		return "undecided"
	case len(c.Filings) == 0:
		return "unfiled"
	}
	return "filed"
}

func TestThinConfig(t *testing.T) {
	ok := index.ThinConfig{Source: newRemote(t).source, Now: time.Now}
	for _, test := range []struct {
		want   string
		change func(*index.ThinConfig)
	}{
		{"Source", func(c *index.ThinConfig) { c.Source = nil }},
		{"clock", func(c *index.ThinConfig) { c.Now = nil }},
		{"Size is -1", func(c *index.ThinConfig) { c.Size = -1 }},
		{"MaxBytes is -1", func(c *index.ThinConfig) { c.MaxBytes = -1 }},
		{"Batch is -1", func(c *index.ThinConfig) { c.Batch = -1 }},
		{"TTL is -1s", func(c *index.ThinConfig) { c.TTL = -time.Second }},
		{"NegativeTTL is -1s", func(c *index.ThinConfig) { c.NegativeTTL = -time.Second }},
		{"Timeout is -1s", func(c *index.ThinConfig) { c.Timeout = -time.Second }},
		{"CallTimeout is -1s", func(c *index.ThinConfig) { c.CallTimeout = -time.Second }},
	} {
		c := ok
		test.change(&c)
		if _, err := index.NewThin(c); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("got error %v; want one that names %q", err, test.want)
		}
	}
}

func TestNoThin(t *testing.T) {
	var thin *index.Thin
	if got := thin.Cover(background, name("a.example")); got.Loaded {
		t.Errorf("got %+v; want the zero Coverage", got)
	}
	thin.Invalidate(name("a.example"))
	thin.InvalidateAll()
	thin.Close()
	if got := thin.Stats(); got != (index.ThinStats{}) || thin.Err() != nil {
		t.Errorf("got %+v; want zeros", got)
	}
}

// serve answers a JSON list of names with one of coverages.
func serve(t *testing.T, cover func(registry.Domain) registry.Coverage) (*httptest.Server, *atomic.Int64) {
	requests := new(atomic.Int64)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		var names []registry.Domain
		if err := json.NewDecoder(r.Body).Decode(&names); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		var cs []registry.Coverage
		for _, d := range names {
			cs = append(cs, cover(d))
		}
		json.NewEncoder(w).Encode(cs)
	}))
	t.Cleanup(s.Close)
	return s, requests
}

// ask is the Source that serve answers.
func ask(s *httptest.Server) index.Source {
	return func(ctx context.Context, names []registry.Domain) (cs []registry.Coverage, err error) {
		body, err := json.Marshal(names)
		if err != nil {
			return nil, err
		}
		q, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL, strings.NewReader(string(body)))
		if err != nil {
			return nil, err
		}
		r, err := s.Client().Do(q)
		if err != nil {
			return nil, err
		}
		defer r.Body.Close()
		if r.StatusCode != http.StatusOK {
			return nil, errors.New(r.Status)
		}
		return cs, json.NewDecoder(r.Body).Decode(&cs)
	}
}

// TestThinHTTP: several goroutines ask through HTTP and get what the index behind
// it answers, to the last bit; then the service goes away.
func TestThinHTTP(t *testing.T) {
	g := newGenerator(21, 6)
	fs, blacklist := g.registry(300, 10)
	x := build(t, testOptions, fs, blacklist...)
	server, requests := serve(t, x.Cover)
	thin := newThin(t, index.ThinConfig{Source: ask(server), Timeout: time.Minute, CallTimeout: time.Minute, Batch: 16})
	defer thin.Close()
	names := make([]registry.Domain, 3000)
	for i := range names {
		names[i] = g.query(fs)
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for _, d := range names {
				if got, want := thin.Cover(background, d), x.Cover(d); !equal(got, want) {
					t.Errorf("%q: got %+v; want %+v", d, got, want)
					return
				}
			}
		})
	}
	all.Wait()
	s := thin.Stats()
	if int64(s.Requests) != requests.Load() || s.Asked > uint64(len(names)) || s.Hits+s.Misses != uint64(4*len(names)) {
		t.Errorf("got %+v after %d requests; want as many, at most %d names, all of 4 times %[3]d counted", s, requests.Load(), len(names))
	}
	server.Close()
	if got := thin.Cover(background, names[0]); !equal(got, x.Cover(names[0])) {
		t.Errorf("without the service: got %+v; want what was known", got)
	}
	if got := thin.Cover(background, name("never-asked.example")); got.Loaded || thin.Err() == nil {
		t.Errorf("without the service: got %+v, error %v; want no answer and an error", got, thin.Err())
	}
}

// TestThinSingleFlight: who asks for the same waits for the same; what is asked
// for during a call goes into the next, in full batches.
func TestThinSingleFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, hold := newRemote(t), make(chan struct{})
		r.set(nil, hold)
		thin := newThin(t, index.ThinConfig{Source: r.source, Batch: 20})
		defer thin.Close()
		var all sync.WaitGroup
		cover := func(d registry.Domain, want string) {
			all.Go(func() {
				if got := state(thin.Cover(background, d)); got != want {
					t.Errorf("%q: got %s; want %s", d, got, want)
				}
			})
		}
		for range 100 {
			cover(name("www.a.example"), "filed")
		}
		synctest.Wait()
		for i := range 50 {
			cover(name("x%d.a.example", i), "filed") // the first answer settles them
			cover(name("x%d.example", i), "unfiled")
			cover(name("x%d.example", i), "unfiled")
		}
		synctest.Wait()
		close(hold)
		all.Wait()
		if got := r.asked(); got[0] != 1 || slices.Max(got) > 20 || len(got) > 9 || total(got) != 51 {
			t.Errorf("got calls of %v names; want 1 and then batches, 51 in all", got)
		}
		if s := thin.Stats(); s.Misses != 250 || s.Asked != 51 || s.Entries != 51 {
			t.Errorf("got %+v; want 250 misses, 51 names asked for and kept", s)
		}
	})
}

func total(sizes []int) (n int) {
	for _, s := range sizes {
		n += s
	}
	return n
}

// TestThinOverflow: what waits for the source is bounded.
func TestThinOverflow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, hold := newRemote(t), make(chan struct{})
		r.set(nil, hold)
		thin := newThin(t, index.ThinConfig{Source: r.source, Batch: 2})
		defer thin.Close()
		done, cancel := context.WithCancel(background)
		cancel()
		for i := range 100 {
			thin.Cover(done, name("x%d.example", i))
			synctest.Wait()
		}
		close(hold)
		synctest.Wait()
		if n := total(r.asked()); n != 1+16*2 {
			t.Errorf("got %d names asked for; want one in the first call and 16 calls of 2", n)
		}
		if s := thin.Stats(); s.Unanswered != 100 || s.Entries != 33 {
			t.Errorf("got %+v; want 100 unanswered and 33 entries", s)
		}
	})
}

func TestThinTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRemote(t)
		thin := newThin(t, index.ThinConfig{Source: r.source, TTL: time.Hour, NegativeTTL: time.Minute})
		defer thin.Close()
		for _, step := range []struct {
			name  string
			after time.Duration
			calls int // of the source, so far
		}{
			{"a.example", 0, 1},
			{"x.example", 0, 2},
			{"www.a.example", time.Minute - 1, 2},
			{"x.example", 0, 2},
			{"x.example", 1, 3},
			{"y.x.example", 0, 3},
			{"y.a.example", time.Hour - time.Minute - 1, 3},
			{"z.a.example", 1, 4},
			{"a.example", 0, 4},
		} {
			time.Sleep(step.after)
			want := "unfiled"
			if strings.HasSuffix(step.name, "a.example") {
				want = "filed"
			}
			if got := state(thin.Cover(background, name("%s", step.name))); got != want || len(r.asked()) != step.calls {
				t.Errorf("%+v: got %s after %d calls; want %s", step, got, len(r.asked()), want)
			}
		}
	})
}

// TestThinAllocs: a hit costs no memory, also after changes elsewhere.
func TestThinAllocs(t *testing.T) {
	thin := newThin(t, index.ThinConfig{Source: newRemote(t).source, Timeout: time.Minute})
	defer thin.Close()
	for range 2 {
		for _, text := range []string{"a.example", "www.a.example", "x.y.z.b.example", "x.example", "example"} {
			d := name("%s", text)
			thin.Cover(background, d)
			if n := testing.AllocsPerRun(100, func() { sink = thin.Cover(background, d) }); n != 0 || !sink.Loaded {
				t.Errorf("%q: got %v allocations; want 0", d, n)
			}
		}
		thin.Invalidate(name("elsewhere.test"))
	}
}

// TestThinClose: what is known serves on, the call under way ends.
func TestThinClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRemote(t)
		thin := newThin(t, index.ThinConfig{Source: r.source})
		thin.Cover(background, name("a.example"))
		r.set(nil, make(chan struct{})) // never answers
		go thin.Cover(background, name("b.example"))
		synctest.Wait()
		thin.Close()
		thin.Close()
		for text, want := range map[string]string{"www.a.example": "filed", "c.example": "undecided", "b.example": "undecided"} {
			if got := state(thin.Cover(background, name("%s", text))); got != want {
				t.Errorf("%q: got %s; want %s", text, got, want)
			}
		}
	})
}
