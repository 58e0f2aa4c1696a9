package gate_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/icpgate/icpgate/gate"
	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/feed"
	"github.com/icpgate/icpgate/registry/index"
)

// TestEstablishedAsked: where the registry is asked name by name, a reload that has
// names blocked ends their tunnels too: once it is there to say so, and no other's.
func TestEstablishedAsked(t *testing.T) {
	live := new(index.Live)
	live.Swap(newIndex(t, 1, filing("filed.example", registry.Aliyun)))
	var away atomic.Bool
	var refused atomic.Int64
	answer := feed.CoverageHandler(live.View, nil)
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if away.Load() {
			refused.Add(1)
			http.Error(w, "away", http.StatusServiceUnavailable)
			return
		}
		answer.ServeHTTP(w, r)
	}))
	defer service.Close()
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	echo := newEcho(t)
	config := func(lines string) gate.Config {
		t.Helper()
		cfg, err := parseConf(confDir(t), "tls://127.0.0.1:0 {\nicp {\nregistry r.snap\nfail closed\n"+lines+"\n}\nserves mainland\nupstream "+echo+"\n}\n")
		if err != nil {
			t.Fatal(err)
		}
		c := &cfg.Servers[0].ICP
		c.Registry, c.Service, c.Access, c.Provider = "", service.URL, feed.Access{Token: token}, registry.Aliyun
		return cfg
	}
	g, err := gate.Start(config("mode monitor"), gate.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	var addr string
	for _, a := range g.Listeners() {
		addr = a.String()
	}
	filed, unfiled := newTunnel(t, addr, "filed.example"), newTunnel(t, addr, "unfiled.example")
	away.Store(true)
	if err := g.Reload(config("mode enforce\ncache 1000")); err != nil { // and knows no answer any more
		t.Fatal(err)
	}
	eventually(t, "it is asked in vain", func() bool { return refused.Load() >= 3 })
	for name, c := range map[string]tunnel{"filed": filed, "unfiled": unfiled} {
		if got := c.echo(t, "still here"); got != "still here" {
			t.Errorf("%s, of which nothing is decided: got %s", name, got)
		}
	}
	away.Store(false)
	if _, err := unfiled.Read(make([]byte, 1)); err == nil || !ended(err) {
		t.Errorf("the unfiled name's tunnel: got %v; want the end", err)
	}
	if got := filed.echo(t, "still here"); got != "still here" {
		t.Errorf("the filed name's tunnel: got %s", got)
	}
}
