package edge_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/edge"
	"github.com/icpgate/icpgate/registry/explain"
	"github.com/icpgate/icpgate/registry/feed"
	"github.com/icpgate/icpgate/registry/index"
)

// service is a registry service that knows a.test, for who shows the token.
type service struct {
	*httptest.Server
	token atomic.Value  // string
	down  atomic.Bool   // answers 500
	seen  chan struct{} // gets one for each answer
}

func newService(t *testing.T, token string) *service {
	t.Helper()
	path := filepath.Join(t.TempDir(), "r.snap")
	snapshot(t, path, 7, "a.test")
	x, err := index.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	live := new(index.Live)
	live.Swap(x)
	s := &service{seen: make(chan struct{}, 1000)}
	s.token.Store(token)
	answer := feed.CoverageHandler(live.View, nil)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case s.down.Load():
			http.Error(w, "down", http.StatusInternalServerError)
		case r.Header.Get("Authorization") != "Bearer "+s.token.Load().(string):
			http.Error(w, "who?", http.StatusUnauthorized)
		default:
			answer.ServeHTTP(w, r)
		}
		s.seen <- struct{}{}
	}))
	t.Cleanup(s.Close)
	return s
}

// thinConfig waits for answers as long as the test may take.
func thinConfig(t *testing.T, s *service, secret string) edge.Config {
	t.Helper()
	path := filepath.Join(t.TempDir(), "token")
	write(t, path, secret+"\n")
	return edge.Config{Service: s.URL, Access: feed.Access{Token: path}, ThinTimeout: 2 * time.Minute, Poll: time.Hour,
		Policy: registry.Policy{Fail: registry.FailClosed}}
}

// until waits for what a goroutine brings about.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	again := time.NewTicker(time.Millisecond)
	defer again.Stop()
	for end := time.Now().Add(2 * time.Minute); !ok(); <-again.C {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// TestThin: a service is asked over HTTP, and is ready when it has answered once.
func TestThin(t *testing.T) {
	s := newService(t, "secret-1")
	e := open(t, thinConfig(t, s, "secret-1"))
	until(t, "the service's first answer", e.Ready)
	for range 3 {
		if c := e.Coverage(registry.MustParseDomain("www.a.test")); len(c.Filings) != 1 || c.Revision.Rev != 7 {
			t.Errorf("got %+v; want a filing at revision 7", c)
		}
	}
	if c := e.Coverage(registry.MustParseDomain("b.test")); !c.Loaded || len(c.Filings) != 0 {
		t.Errorf("got %+v; want none", c)
	}
	h := holding(t, s.URL)
	if !h.Thin || !h.Connected || h.Since.IsZero() || h.View != nil || h.Cache.Hits != 2 || h.Cache.Misses != 2 || h.Cache.Entries != 2 {
		t.Errorf("got %+v", h)
	}
	// Blocks with the same service share what it answered.
	cfg := e.Config()
	cfg.TTL = 30
	if other := open(t, cfg); !filed(other, "a.test") || holding(t, s.URL).Cache.Hits != 3 {
		t.Errorf("got %+v; want one cache", holding(t, s.URL))
	}
}

// TestThinStatus: /status tells how it goes with the service.
func TestThinStatus(t *testing.T) {
	s := newService(t, "secret-1")
	e := open(t, thinConfig(t, s, "secret-1"))
	until(t, "the service's first answer", e.Ready)
	a := registry.MustParseDomain("www.a.test")
	for range 2 {
		e.Coverage(a)
	}
	r := e.Status().Registry
	if r.Source != s.URL || *r.Cache != (edge.CacheStatus{Hits: 1, Misses: 1, Entries: 1}) ||
		!r.Thin.Connected || r.Thin.AnsweredAt == nil || r.Thin.Requests != 1 || r.Thin.Errors != 0 {
		t.Errorf("got source %s, cache %+v, thin %+v; want one call and one hit", r.Source, r.Cache, r.Thin)
	}
	s.down.Store(true)
	e.Coverage(registry.MustParseDomain("b.test"))
	if r := e.Status().Registry; r.Thin.Connected || r.Thin.Errors == 0 || r.Thin.Unanswered != 1 {
		t.Errorf("got thin %+v; want no connection, and one look-up without an answer", r.Thin)
	}
	text := request("GET", "/status").Body.String()
	for _, want := range []string{"registry     " + s.URL, "revision     thin", "cache        1 entries, 1 hits", "thin         connected false, answered 2", ", 1 unanswered"} {
		if !strings.Contains(text, want) {
			t.Errorf("got\n%s; want %q in it", text, want)
		}
	}
}

func holding(t *testing.T, source string) edge.Holding {
	t.Helper()
	for s, h := range edge.Registries() {
		if s == source {
			return h
		}
	}
	t.Fatalf("nothing of %s is held", source)
	return edge.Holding{}
}

// TestThinAway: without an answer nothing is known, and no error tells the token.
func TestThinAway(t *testing.T) {
	s := newService(t, "secret-1")
	e := open(t, thinConfig(t, s, "wrong"))
	<-s.seen
	if c := e.Coverage(registry.MustParseDomain("a.test")); c.Loaded || e.Ready() {
		t.Errorf("got %+v, ready %t; want nothing known", c, e.Ready())
	}
	if h := holding(t, s.URL); h.Connected || !h.Since.IsZero() {
		t.Errorf("got %+v; want no connection", h)
	}
}

func TestThinToken(t *testing.T) {
	s := newService(t, "x")
	for name, tt := range map[string]struct {
		text string
		mode os.FileMode
		want string
	}{
		"for all to read": {"secret-1", 0o604, "0600"},
		"empty":           {"", 0o600, "empty"},
		"two words":       {"secret 1", 0o600, "one line"},
		"long":            {strings.Repeat("s", 5000), 0o600, "4096"},
	} {
		cfg := thinConfig(t, s, tt.text)
		if err := os.Chmod(cfg.Access.Token, tt.mode); err != nil {
			t.Fatal(err)
		}
		if _, err := edge.Open(cfg); err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), cfg.Access.Token) ||
			tt.text != "" && strings.Contains(err.Error(), tt.text) {
			t.Errorf("%s: got %v; want an error with %q in it and the token not", name, err, tt.want)
		}
	}
	// A new token is shown once the file has changed.
	cfg := thinConfig(t, s, "old")
	e := open(t, cfg)
	<-s.seen
	replace(t, cfg.Access.Token, []byte("x"))
	until(t, "an answer to the new token", func() bool { return filed(e, "a.test") })
}

// TestStale: beyond its age the registry decides nothing, if the block says so.
func TestStale(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.snap")
	snapshot(t, path, 1, "a.test")
	made := time.Unix(1_700_000_000, 0)
	host := registry.Host{Name: registry.MustParseDomain("a.test")}
	for _, tt := range []struct {
		how  edge.OnStale
		fail registry.FailPolicy
	}{{edge.StaleKeep, registry.FailClosed}, {edge.StaleAllow, registry.FailOpen}, {edge.StaleBlock, registry.FailClosed}} {
		var now atomic.Int64
		now.Store(made.Add(time.Hour).Unix())
		aged := &agings{}
		log := filepath.Join(t.TempDir(), "log")
		e := open(t, edge.Config{Observer: aged, Log: edge.Log{On: true, File: log}, Registry: path, MaxStale: time.Hour, OnStale: tt.how, Poll: time.Hour,
			Policy: registry.Policy{Fail: registry.FailClosed}, Now: func() time.Time { return time.Unix(now.Load(), 0) }})
		if !filed(e, "a.test") {
			t.Errorf("%s: a registry of the allowed age does not decide", tt.how)
		}
		if w, x := e.Warnings(), edge.Explain(explain.English, e.Judge(edge.Question{Host: host})); len(w) > 0 || x.Lack != registry.LackNothing {
			t.Errorf("%s: a registry of the allowed age is warned of: %q, %s", tt.how, w, x.Lack)
		}
		now.Add(1)
		e.Refresh()
		if tt.how != edge.StaleKeep {
			saysStale(t, e, tt.how)
		}
		q, c := e.Query(host, registry.ChannelDNS), e.Coverage(host.Name)
		if c.Loaded != (tt.how == edge.StaleKeep) || q.Policy.Fail != tt.fail {
			t.Errorf("%s: got loaded %t, fail %s; want fail %s", tt.how, c.Loaded, q.Policy.Fail, tt.fail)
		}
		if _, c, err := e.Find("a.test"); err != nil || c.Loaded != (tt.how == edge.StaleKeep) {
			t.Errorf("%s: Find says otherwise: %+v, %v", tt.how, c, err)
		}
		now.Add(-1)
		e.Refresh()
		if want := []string{"max-stale 1h0m0s " + tt.how.String(), ""}; tt.how != edge.StaleKeep && (len(aged.said) != 2 || !strings.HasPrefix(aged.said[0], want[0]) || aged.said[1] != "") {
			t.Errorf("%s: the observer was told %q; want %q", tt.how, aged.said, want)
		}
		if !filed(e, "a.test") {
			t.Errorf("%s: it stays stale", tt.how)
		}
		e.Close()
		if lines := fileLines(t, log); tt.how != edge.StaleKeep && (len(lines) != 1 || lines[0]["reason"] != "undecided" || lines[0]["lack"] != "registry-stale") {
			t.Errorf("%s: got log %v; want one line that names the cause", tt.how, lines)
		}
	}
}

// saysStale checks that who asks e for its reasons is told that the registry is too
// old, and not that there is none.
func saysStale(t *testing.T, e *edge.Edge, how edge.OnStale) {
	t.Helper()
	host := registry.Host{Name: registry.MustParseDomain("a.test")}
	for l, want := range map[explain.Lang]string{explain.English: "too old", explain.Chinese: "已过期"} {
		x := edge.Explain(l, e.Judge(edge.Question{Host: host}))
		var b strings.Builder
		if err := x.WriteText(&b); err != nil {
			t.Fatal(err)
		}
		if x.Lack != registry.LackFreshness || x.Policy == nil || x.Policy.Word != "max-stale "+how.String() || strings.Count(b.String(), want) < 2 {
			t.Errorf("%s: got\n%s; want that the registry is %s", how, b.String(), want)
		}
	}
	if w := e.Warnings(); len(w) != 1 || !strings.Contains(w[0], "2023-11-14T22:13:20Z and too old") {
		t.Errorf("%s: got warnings %q; want since when it is too old", how, w)
	}
	b := blocked("a.test", "192.0.2.77")
	b.Reason = registry.Undecided
	e.Blocked(b)
}

// agings is an observer of ages.
type agings struct{ said []string }

func (a *agings) Reloaded(edge.Reload) {}
func (a *agings) Aged(w string)        { a.said = append(a.said, w) }
