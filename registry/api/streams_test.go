package api_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/api"
	"github.com/icpgate/icpgate/registry/feed"
	"github.com/icpgate/icpgate/registry/store"
)

// openStream follows the feed with a token, and returns once the hub has the stream.
func (w *world) openStream(t *testing.T, secret string) io.ReadCloser {
	t.Helper()
	c, err := feed.NewClient(w.url, func() (string, error) { return secret, nil })
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(cancel)
	s, err := c.Feed(ctx, w.hub.Replica().Revision())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// edgeToken makes a token of an edge.
func (w *world) edgeToken(t *testing.T, until time.Time) (id, secret string) {
	t.Helper()
	k, secret, err := w.store.NewToken(t.Context(), by, store.Token{Owner: "edge-9", Scopes: api.EdgeScopes, Until: until})
	if err != nil {
		t.Fatal(err)
	}
	return k.ID, secret
}

// lastOf reads frames until the stream ends, and returns the newest revision that
// they tell of.
func lastOf(t *testing.T, s io.Reader) (last registry.Revision) {
	t.Helper()
	for {
		b, err := feed.ReadFrame(s, nil)
		if err != nil {
			if errors.Is(err, context.DeadlineExceeded) {
				t.Error("the stream goes on")
			}
			return last
		}
		h, err := feed.ParseHead(b)
		if err != nil {
			t.Fatal(err)
		}
		last = h.Revision
	}
}

// readTo reads frames up to that of a revision.
func readTo(t *testing.T, s io.Reader, rev registry.Revision) {
	t.Helper()
	for {
		b, err := feed.ReadFrame(s, nil)
		if err != nil {
			t.Fatalf("before revision %s: %v", rev, err)
		}
		if h, err := feed.ParseHead(b); err != nil || h.Revision == rev {
			return
		}
	}
}

// TestRevokedStream: a stream ends at once when its token is revoked through the
// service, and that of another token goes on.
func TestRevokedStream(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		id, secret := w.edgeToken(t, time.Time{})
		gone, stays := w.openStream(t, secret), w.openStream(t, w.secret["feed"])
		w.call(t, "admin", "DELETE", api.TokensPath+"/"+id, nil, nil, 204)
		rev := file(t, w.store, "b.test", registry.StatusNormal)
		if last := lastOf(t, gone); last == rev {
			t.Errorf("what was filed since is sent: %s", last)
		}
		readTo(t, stays, rev)
		if status, _, _ := w.ask(t, "GET", feed.FeedPath+"?from="+rev.String(), w.bearer(secret), ""); status != http.StatusUnauthorized {
			t.Errorf("the revoked token once more: %d", status)
		}
	})
}

// TestExpiredStream: nothing is sent on a stream from the moment on at which its
// token ends, by the service's clock.
func TestExpiredStream(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		_, secret := w.edgeToken(t, w.clock.now().Add(time.Hour))
		s := w.openStream(t, secret)
		w.clock.seconds.Add(3599)
		readTo(t, s, file(t, w.store, "b.test", registry.StatusNormal)) // a second before its end
		w.clock.seconds.Add(1)
		rev := file(t, w.store, "c.test", registry.StatusNormal)
		if last := lastOf(t, s); last == rev {
			t.Errorf("what was filed after its end is sent: %s", last)
		}
	})
}

// TestStreamEndsByItself: it ends at its time though there is nothing to send.
func TestStreamEndsByItself(t *testing.T) {
	w := newWorld(t)
	// The clock goes once the stream is there: until then the machine may stand still for
	// longer than the token is good.
	var going atomic.Bool
	begun := sync.OnceValue(time.Now)
	now := func() time.Time {
		if !going.Load() {
			return w.clock.now()
		}
		return w.clock.now().Add(time.Since(begun()))
	}
	quiet := feed.NewHub(w.hub.Replica(), feed.HubOptions{}) // no heartbeat comes that it could end with
	t.Cleanup(quiet.Close)
	url := w.again(t, api.Config{Hub: quiet, Now: now, Recheck: time.Hour})
	_, secret := w.edgeToken(t, now().Add(300*time.Millisecond))
	w.url = url
	s := w.openStream(t, secret)
	going.Store(true)
	lastOf(t, s)
}

// again serves the same hub and store once more, and returns where.
func (w *world) again(t *testing.T, c api.Config) string {
	t.Helper()
	c.Store, c.Version = w.store, "test"
	if c.Hub == nil {
		c.Hub = w.hub
	}
	if c.Tokens == nil {
		c.Tokens = api.Tokens{Store: w.store}
	}
	s := api.New(c)
	server := httptest.NewServer(s.Handler())
	t.Cleanup(func() { server.CloseClientConnections(); server.Close(); s.Close() })
	return server.URL
}

// TestRevokedElsewhere: what another program has revoked ends here, too, and a
// database that does not answer ends nothing.
func TestRevokedElsewhere(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		k := &asked{Tokens: api.Tokens{Store: w.store}, told: make(chan struct{}, 1)}
		failures := make(chan error, 1)
		w.url = w.again(t, api.Config{Now: w.clock.now, Recheck: time.Millisecond, Tokens: k, Failed: func(err error) {
			select {
			case failures <- err:
			default:
			}
		}})
		id, secret := w.edgeToken(t, time.Time{})
		s := w.openStream(t, secret)
		k.away.Store(true)
		if err := <-failures; !errors.Is(err, errAway) {
			t.Fatal(err)
		}
		w.hub.Beat()
		if _, err := feed.ReadFrame(s, nil); err != nil {
			t.Fatalf("while the database is away: %v", err)
		}
		k.away.Store(false)
		<-k.told
		if err := w.store.RevokeToken(t.Context(), by, id); err != nil { // not through the service
			t.Fatal(err)
		}
		lastOf(t, s)
	})
}

var errAway = errors.New("the database is away")

// asked are tokens whose database may be away.
type asked struct {
	api.Tokens
	away atomic.Bool
	told chan struct{} // after each answer
}

func (a *asked) Ended(ctx context.Context, who []api.Identity) (map[string]bool, error) {
	if a.away.Load() {
		return nil, errAway
	}
	defer func() {
		select {
		case a.told <- struct{}{}:
		default:
		}
	}()
	return a.Tokens.Ended(ctx, who)
}

// TestRelayRevoked: a relay whose token is revoked hears it at once, serves what it
// has, and follows again with another token.
func TestRelayRevoked(t *testing.T) {
	w := newWorld(t)
	id, secret := w.edgeToken(t, time.Time{})
	var token atomic.Pointer[string]
	token.Store(&secret)
	up, err := feed.NewClient(w.url, func() (string, error) { return *token.Load(), nil })
	if err != nil {
		t.Fatal(err)
	}
	failed := make(chan error, 8)
	y, _, err := api.OpenRelay(filepath.Join(t.TempDir(), "relay"), api.RelayOptions{
		Upstream: up, Keys: feed.Trust(w.signer), Failed: func(err error) { failed <- err },
		Follow: feed.FollowOptions{BackOff: time.Millisecond, BackOffMost: 5 * time.Millisecond, Report: -1, Now: w.clock.now},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); y.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done; y.Close(); up.Close() })
	at := func(rev registry.Revision) {
		t.Helper()
		// The relay's own stream tells when it has a revision.
		settled, stop := context.WithTimeout(t.Context(), 5*time.Minute)
		defer stop()
		if y.Hub().Settle(settled, rev); settled.Err() != nil {
			t.Fatalf("the relay is at %s; want %s", y.Revision(), rev)
		}
	}
	first := file(t, w.store, "b.test", registry.StatusNormal)
	at(first)
	w.call(t, "admin", "DELETE", api.TokensPath+"/"+id, nil, nil, 204)
	for err := range failed { // the end of the stream, and then why
		if err == nil {
			t.Fatal("the relay follows")
		}
		if errors.Is(err, feed.ErrDenied) {
			break
		}
	}
	if y.Connected() || y.Revision() != first {
		t.Errorf("connected %v, at %s", y.Connected(), y.Revision())
	}
	_, another := w.edgeToken(t, time.Time{})
	second := file(t, w.store, "c.test", registry.StatusNormal)
	token.Store(&another)
	at(second)
	if err := <-failed; err != nil {
		t.Errorf("the relay hears %v; want that it is over", err)
	}
}

// TestRelayBehind: a relay tells how far it is behind what upstream says, from the
// moment on at which it hears of it.
func TestRelayBehind(t *testing.T) {
	w := newWorld(t)
	held := make(chan struct{})
	release := sync.OnceFunc(func() { close(held) })
	t.Cleanup(release)
	forward := &httputil.ReverseProxy{FlushInterval: -1, Rewrite: func(r *httputil.ProxyRequest) {
		to, _ := url.Parse(w.url)
		r.SetURL(to)
	}, ModifyResponse: func(r *http.Response) error {
		if r.Request.URL.Path == feed.FeedPath {
			r.Body = &heldBody{r.Body, held}
		}
		return nil
	}}
	server := httptest.NewServer(forward)
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	up, err := feed.NewClient(server.URL, func() (string, error) { return w.secret["all"], nil })
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "relay")
	if err := w.hub.Replica().Compact(t.Context()); err != nil { // it begins here
		t.Fatal(err)
	}
	for _, name := range []string{"b.test", "c.test", "d.test"} {
		file(t, w.store, name, registry.StatusNormal)
	}
	last, err := w.store.Revision(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	settled, stop := context.WithTimeout(t.Context(), 5*time.Minute)
	defer stop()
	w.hub.Settle(settled, last)
	heard := make(chan feed.FollowStatus, 1000)
	r, _, err := feed.OpenReplica(dir, feed.ReplicaOptions{Keys: feed.Trust(w.signer), Served: true})
	if err != nil && !errors.Is(err, feed.ErrEmpty) {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	f := feed.NewFollower(r, up, feed.FollowOptions{Keys: feed.Trust(w.signer), Jitter: -1, Report: -1, Changed: func(s feed.FollowStatus) { heard <- s }})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); f.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done; up.Close() })
	hub := feed.NewHub(r, feed.HubOptions{})
	t.Cleanup(hub.Close)
	metrics := prometheus.NewRegistry()
	service := api.New(api.Config{Hub: hub, Tokens: api.Tokens{Store: w.store}, Store: w.store, Upstream: up, Follows: f.Status, Metrics: metrics, Version: "test"})
	t.Cleanup(service.Close)
	is := func(lag float64, ready int) {
		t.Helper()
		answer := httptest.NewRecorder()
		if service.Handler().ServeHTTP(answer, httptest.NewRequest("GET", "/readyz", nil)); answer.Code != ready {
			t.Errorf("%v revisions behind: /readyz says %d; want %d", lag, answer.Code, ready)
		}
		families, err := metrics.Gather()
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]float64{}
		for _, m := range families {
			if len(m.Metric) == 1 && m.Metric[0].Gauge != nil {
				got[m.GetName()] = m.Metric[0].Gauge.GetValue()
			}
		}
		if got["icp_registry_feed_lag_revisions"] != lag || got["icp_registry_upstream_revision"] != float64(last.Rev) {
			t.Errorf("%v revisions behind %v; want %v behind %d", got["icp_registry_feed_lag_revisions"], got["icp_registry_upstream_revision"], lag, last.Rev)
		}
	}
	for s := range heard {
		if s.Upstream == last {
			break
		}
	}
	is(3, http.StatusServiceUnavailable)
	release()
	for s := range heard {
		if s.Current {
			break
		}
	}
	is(0, http.StatusOK)
	// Upstream that goes away is no reason to send anybody away.
	server.CloseClientConnections()
	server.Close()
	for s := range heard {
		if s.Failing != nil {
			break
		}
	}
	is(0, http.StatusOK)
}

// heldBody gives nothing before it is let.
type heldBody struct {
	io.ReadCloser
	held <-chan struct{}
}

func (h *heldBody) Read(b []byte) (int, error) { <-h.held; return h.ReadCloser.Read(b) }
