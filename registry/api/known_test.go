package api_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/icpgate/icpgate/registry/api"
	"github.com/icpgate/icpgate/registry/feed"
)

// leaving are tokens that cannot be looked up while away.
type leaving struct {
	api.Tokens
	away atomic.Bool
}

func (l *leaving) Authenticate(ctx context.Context, token string) (api.Identity, error) {
	if l.away.Load() {
		return api.Identity{}, errors.New("the database is away")
	}
	return l.Tokens.Authenticate(ctx, token)
}

// TestKnownTokens: while the database is away, edges that were let in before are
// served from what is on disk; others are not, nor those who were not only edges for
// anything else, nor who was revoked or has expired.
func TestKnownTokens(t *testing.T) {
	w := newWorld(t)
	tokens := &leaving{Tokens: api.Tokens{Store: w.store}}
	service := api.New(api.Config{Hub: w.hub, Tokens: tokens, Store: w.store, Now: w.clock.now, Dir: t.TempDir()})
	t.Cleanup(service.Close)
	server := httptest.NewServer(service.Handler())
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	ask := func(method, path, secret, body string) int {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+secret)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	_, edge := w.edgeToken(t, w.clock.now().AddDate(0, 0, 1))
	_, never := w.edgeToken(t, w.clock.now().AddDate(0, 0, 1))
	id, revoked := w.edgeToken(t, w.clock.now().AddDate(0, 0, 1))
	admin := w.secret["admin"]
	for _, secret := range []string{edge, revoked} {
		if got := ask("GET", "/v1/snapshot", secret, ""); got != 200 {
			t.Fatalf("before: %d", got)
		}
	}
	if got := ask("GET", "/v1/tokens", admin, ""); got != 200 {
		t.Fatalf("tokens before: %d", got)
	}
	if got := ask("DELETE", "/v1/tokens/"+id, admin, ""); got != 204 {
		t.Fatalf("revoking: %d", got)
	}
	tokens.away.Store(true)
	for _, c := range []struct {
		what, method, path, secret string
		want                       int
	}{
		{"an edge", "GET", "/v1/snapshot", edge, 200},
		{"an edge, beyond its scopes", "GET", "/v1/tokens", edge, 503},
		{"an edge that never came before", "GET", "/v1/snapshot", never, 503},
		{"an edge that was revoked", "GET", "/v1/snapshot", revoked, 503},
		{"an admin", "GET", "/v1/tokens", admin, 503},
		{"somebody else", "GET", "/v1/snapshot", edge + "x", 503},
	} {
		if got := ask(c.method, c.path, c.secret, ""); got != c.want {
			t.Errorf("%s asks for %s while the database is away: got %d; want %d", c.what, c.path, got, c.want)
		}
	}
	w.clock.seconds.Add(2 * 86400)
	if got := ask("GET", "/v1/snapshot", edge, ""); got != 503 {
		t.Errorf("an edge whose token has expired since: %d; want 503", got)
	}
	tokens.away.Store(false)
	if got := ask("GET", "/v1/snapshot", edge, ""); got != 401 {
		t.Errorf("and when the database is there again: %d; want 401", got)
	}
}

// tricky are tokens that are looked up as a test has it.
type tricky struct {
	api.Tokens
	lookUp atomic.Pointer[func(context.Context, string) (api.Identity, error)] // nil: as usual
	ended  atomic.Pointer[error]                                               // of Ended; nil: as usual
}

func (k *tricky) Authenticate(ctx context.Context, token string) (api.Identity, error) {
	if do := k.lookUp.Load(); do != nil {
		return (*do)(ctx, token)
	}
	return k.Tokens.Authenticate(ctx, token)
}

func (k *tricky) Ended(ctx context.Context, who []api.Identity) (map[string]bool, error) {
	if err := k.ended.Load(); err != nil {
		<-ctx.Done()
		return nil, *err
	}
	return k.Tokens.Ended(ctx, who)
}

// TestKnownTokensLost: an edge whose token was revoked while it was looked up, or
// elsewhere while its stream was open, is not known any more; and one that is known
// does not wait for a database that says nothing.
func TestKnownTokensLost(t *testing.T) {
	api.SetPatience(t, time.Millisecond)
	w := newWorld(t)
	tokens := &tricky{Tokens: api.Tokens{Store: w.store}}
	w.url = w.again(t, api.Config{Now: w.clock.now, Recheck: time.Millisecond, Tokens: tokens})
	away := func(ctx context.Context, token string) (api.Identity, error) {
		<-ctx.Done() // nothing comes back
		return api.Identity{}, ctx.Err()
	}
	refuses := func(context.Context, string) (api.Identity, error) {
		return api.Identity{}, errors.New("the database is away")
	}
	ask := func(path, secret string) int {
		t.Helper()
		status, _, _ := w.ask(t, "GET", path, http.Header{"Authorization": {"Bearer " + secret}}, "")
		return status
	}
	_, edge := w.edgeToken(t, time.Time{})
	id, racing := w.edgeToken(t, time.Time{})
	other, elsewhere := w.edgeToken(t, time.Time{})
	if got := ask("/v1/snapshot", edge); got != 200 {
		t.Fatalf("before: %d", got)
	}
	stream := w.openStream(t, elsewhere)
	if err := w.store.RevokeToken(t.Context(), by, other); err != nil { // not through the service
		t.Fatal(err)
	}
	lastOf(t, stream)
	during := func(ctx context.Context, token string) (api.Identity, error) {
		who, err := tokens.Tokens.Authenticate(ctx, token)
		if err == nil && who.ID == id {
			if status, _, text := w.ask(t, "DELETE", "/v1/tokens/"+id, w.bearer("admin"), ""); status != 204 {
				t.Errorf("revoking: %d %s", status, text)
			}
		}
		return who, err
	}
	tokens.lookUp.Store(&during)
	if got := ask("/v1/snapshot", racing); got != 200 {
		t.Errorf("an edge whose token is revoked while it is looked up: %d; want 200", got)
	}
	tokens.lookUp.Store(&refuses)
	for what, secret := range map[string]string{"while it was looked up": racing, "elsewhere": elsewhere} {
		if got := ask("/v1/snapshot", secret); got != 503 {
			t.Errorf("an edge that was revoked %s: %d; want 503", what, got)
		}
	}
	tokens.lookUp.Store(&away)
	ended := errors.New("the database is away")
	tokens.ended.Store(&ended)
	if got := ask("/v1/snapshot", edge); got != 200 {
		t.Errorf("an edge, where nothing comes back: %d; want 200", got)
	}
	begun := w.openStream(t, edge)
	w.hub.Beat()
	if _, err := feed.ReadFrame(begun, nil); err != nil {
		t.Errorf("its stream: %v", err)
	}
}
