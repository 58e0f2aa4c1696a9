package api_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/api"
	"github.com/icpgate/icpgate/registry/edge"
	"github.com/icpgate/icpgate/registry/feed"
	"github.com/icpgate/icpgate/registry/store"
)

// moving is a clock that a test moves.
type moving struct{ seconds atomic.Int64 }

func (m *moving) now() time.Time { return time.Unix(1_790_000_000+m.seconds.Load(), 0) }

// secrets are tokens of the store: one for each scope by its name, "all" for all,
// and two that are no good any more.
func secrets(t *testing.T, s *store.Store, clock *moving) map[string]string {
	t.Helper()
	k := map[string]string{"unknown": "icp_0123456789abcdef_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}
	make := func(name string, until time.Time, scopes ...string) string {
		made, secret, err := s.NewToken(context.Background(), by, store.Token{Owner: "ann", Note: name, Scopes: scopes, Until: until})
		if err != nil {
			t.Fatal(err)
		}
		k[name] = secret
		return made.ID
	}
	for _, scope := range store.Scopes() {
		make(scope, time.Time{}, scope)
	}
	make("all", time.Time{}, store.Scopes()...)
	make("expired", clock.now().Add(time.Minute), store.Scopes()...)
	if err := s.RevokeToken(context.Background(), by, make("revoked", time.Time{}, store.Scopes()...)); err != nil {
		t.Fatal(err)
	}
	clock.seconds.Add(3600)
	return k
}

// world is a service on a real listener.
type world struct {
	*api.Service
	store  *store.Store
	hub    *feed.Hub
	secret map[string]string
	url    string
	signer *feed.Signer
	clock  *moving

	metrics *prometheus.Registry
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return newWorldOn(t, filepath.Join(t.TempDir(), "registry.db"))
}

// newWorldOn is newWorld with a database.
func newWorldOn(t *testing.T, dsn string) *world {
	t.Helper()
	signer, err := feed.GenerateSigner()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	clock := &moving{}
	s, err := store.Open(context.Background(), dsn, store.Options{Now: clock.now, Key: store.NewKey(), CheckEntry: edge.CheckEntry})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	k := secrets(t, s, clock)
	file(t, s, "a.test", registry.StatusNormal)
	p, _, end := publisher(t, s, filepath.Join(dir, "served"), signer)
	t.Cleanup(end)
	r := p.Hub().Replica()
	judge, err := edge.Open(edge.Config{Live: r.Live(), Lists: r, Provider: registry.Aliyun, Now: clock.now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(judge.Close)
	metrics := prometheus.NewRegistry()
	service := api.New(api.Config{
		Hub: p.Hub(), Tokens: api.Tokens{Store: s}, Store: s, Edge: judge, Version: "test", Metrics: metrics, Connected: p.Connected, Now: clock.now, Dir: filepath.Join(dir, "imports"),
		Failed: func(err error) { t.Errorf("the service failed: %v", err) },
	})
	t.Cleanup(service.Close)
	server := httptest.NewUnstartedServer(nil)
	server.Config = service.Server()
	server.Start()
	t.Cleanup(func() { p.Hub().Close(); server.CloseClientConnections(); server.Close() })
	return &world{service, s, p.Hub(), k, server.URL, signer, clock, metrics}
}

// list has the registry list a network, and returns when it is published.
func (w *world) list(t *testing.T, prefix, whose string) {
	t.Helper()
	from := w.hub.Replica().Revision()
	rev, err := w.store.Edit(context.Background(), by, func(e *store.Edit) error {
		return e.Set(registry.Entry{List: registry.ListNetworks, Key: prefix, Value: whose})
	})
	if err != nil {
		t.Fatal(err)
	}
	c, err := feed.NewClient(w.url, func() (string, error) { return w.secret["feed"], nil })
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	frames, err := c.Feed(ctx, from)
	if err != nil {
		t.Fatal(err)
	}
	defer frames.Close()
	for {
		b, err := feed.ReadFrame(frames, nil)
		if err != nil {
			t.Fatal(err)
		}
		if h, err := feed.ParseHead(b); err != nil || h.Revision == rev {
			return
		}
	}
}

// ask asks and returns status, type and body.
func (w *world) ask(t *testing.T, method, path string, header http.Header, body string) (int, string, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, w.url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.URL.Opaque = "//" + req.URL.Host + path // as it stands
	for k, v := range header {
		req.Header[k] = v
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	var text []byte
	if resp.Header.Get("Content-Type") == "application/vnd.icpgate.frames" {
		return resp.StatusCode, "application/vnd.icpgate.frames", ""
	}
	if text, err = io.ReadAll(resp.Body); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header.Get("Content-Type"), string(text)
}

// bearer shows the token of a name, or the text itself.
func (w *world) bearer(token string) http.Header {
	if secret, ok := w.secret[token]; ok {
		token = secret
	}
	return http.Header{"Authorization": {"Bearer " + token}}
}

// described reads the routes out of the service's own description.
func (w *world) described(t *testing.T) map[string]string {
	t.Helper()
	status, kind, text := w.ask(t, "GET", "/openapi.json", w.bearer("read"), "")
	if status != http.StatusOK || kind != "application/openapi+json" {
		t.Fatalf("the description: %d %s %s", status, kind, text)
	}
	var doc struct {
		OpenAPI string `json:"openapi"`
		Paths   map[string]map[string]struct {
			Scope    string           `json:"x-scope"`
			Security []map[string]any `json:"security"`
		} `json:"paths"`
	}
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(doc.OpenAPI, "3.1") {
		t.Errorf("the description is of OpenAPI %q; want 3.1", doc.OpenAPI)
	}
	routes := map[string]string{}
	for path, methods := range doc.Paths {
		for method, op := range methods {
			if op.Scope == "" && path != "/healthz" && path != "/readyz" {
				t.Errorf("%s %s has no scope", method, path)
			}
			if op.Scope != "" && len(op.Security) == 0 {
				t.Errorf("%s %s has no security", method, path)
			}
			routes[strings.ToUpper(method)+" "+path] = op.Scope
		}
	}
	if len(routes) < 10 {
		t.Fatalf("the description has %d routes", len(routes))
	}
	return routes
}
