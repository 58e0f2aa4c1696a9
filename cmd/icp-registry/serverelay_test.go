package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/api"
	"github.com/icpgate/icpgate/registry/feed"
	"github.com/icpgate/icpgate/registry/store"
)

// origin is a registry of record that a test changes as it likes.
type origin struct {
	t      *testing.T
	s      *store.Store
	url    string
	keys   string            // file
	tokens map[string]string // by owner
	end    func()
}

func newOrigin(t *testing.T) *origin {
	t.Helper()
	dir, ctx := t.TempDir(), context.Background()
	s, err := store.Open(ctx, filepath.Join(dir, "registry.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	signer, err := feed.GenerateSigner()
	if err != nil {
		t.Fatal(err)
	}
	o := &origin{t: t, s: s, keys: filepath.Join(dir, "keys.pem"), tokens: map[string]string{}}
	public, err := signer.PublicPEM()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(o.keys, public, 0o644); err != nil {
		t.Fatal(err)
	}
	for owner, scopes := range map[string][]string{"relay": edgeScopes, "staff": {store.ScopeRead}} {
		if _, o.tokens[owner], err = s.NewToken(ctx, store.By{Who: "ann", Why: "a test"}, store.Token{Owner: owner, Scopes: scopes}); err != nil {
			t.Fatal(err)
		}
	}
	p, _, err := api.OpenPublisher(ctx, s, filepath.Join(dir, "served"), api.PublisherOptions{Signer: signer})
	if err != nil {
		t.Fatal(err)
	}
	run, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() { defer close(done); p.Run(run) }()
	server := httptest.NewServer(api.New(api.Config{Hub: p.Hub(), Tokens: api.Tokens{Store: s}, Store: s, Version: "test"}).Handler())
	o.url = server.URL
	o.end = func() {
		cancel()
		<-done
		p.Close()
		server.CloseClientConnections()
		server.Close()
		s.Close()
	}
	return o
}

// file files a name and returns the revision.
func (o *origin) file(name string) registry.Revision {
	o.t.Helper()
	rev, err := o.s.Edit(context.Background(), store.By{Who: "ann", Why: "a test"}, func(e *store.Edit) error {
		return e.PutFiling(registry.Filing{
			Site:   registry.Site{Name: "Example", Domains: []registry.Domain{registry.MustParseDomain(name)}},
			Entity: registry.Entity{Name: "Example", Nature: registry.Enterprise},
		})
	})
	if err != nil {
		o.t.Fatal(err)
	}
	return rev
}

// get asks a service.
func get(t *testing.T, url, token string) (int, []byte) {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, body
}

// TestRelay: an edge behind a relay follows as at the registry of record, through
// restarts of the relay and an upstream that is away; what the edge says of itself
// and what it saw gets to the registry of record.
func TestRelay(t *testing.T) {
	o := newOrigin(t)
	before := o.file("a.test")
	dir := filepath.Join(t.TempDir(), "relay")
	edgeToken := strings.TrimSpace(runOut(t, "token", "create", "edge-1", "--scope", "edge", "--dir", dir))
	adminToken := filepath.Join(dir, "admin.token")
	if err := os.WriteFile(adminToken, []byte(runOut(t, "token", "create", "ann", "--scope", "admin", "--dir", dir)), 0o600); err != nil {
		t.Fatal(err)
	}
	upstreamToken := filepath.Join(dir, "upstream.token")
	if err := os.WriteFile(upstreamToken, []byte(o.tokens["relay"]+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"--dir", dir, "--listen", "127.0.0.1:0", "--upstream", o.url, "--upstream-key", o.keys, "--upstream-token", upstreamToken}
	cmd, url := startServe(t, args...)
	keys, err := feed.OpenKeys(o.keys)
	if err != nil {
		t.Fatal(err)
	}
	edgeDir := t.TempDir()
	r, e := followAt(t, url, edgeToken, edgeDir, keys)
	at := func(rev registry.Revision) func() bool { return func() bool { return r.Revision() == rev } }
	e.await("the first revision", at(before))
	e.await("the second revision", at(o.file("b.test")))
	_, theirs := get(t, o.url+feed.SnapshotPath, o.tokens["relay"])
	_, ours := get(t, url+feed.SnapshotPath, edgeToken)
	if a, b := manifestOf(t, theirs, keys), manifestOf(t, ours, keys); a.Revision != b.Revision || a.Index != b.Index {
		t.Errorf("the relay serves snapshot %+v; upstream %+v", b, a)
	}
	if status, _ := get(t, url+feed.SnapshotPath, o.tokens["relay"]); status != http.StatusUnauthorized {
		t.Errorf("a token of upstream's at the relay: %d; want its own only", status)
	}

	if status, text := get(t, url+api.DecidePath+"?host=www.b.test&provider=aliyun", edgeToken); status != http.StatusOK || !strings.Contains(string(text), `"not-accessed"`) {
		t.Errorf("a decision of the relay: %d %s", status, text)
	}

	// More tokens are made while it runs; what is the registry of record's is not there.
	second := strings.TrimSpace(runOut(t, "token", "create", "edge-2", "--scope", "edge", "--server", url, "--token-file", adminToken))
	if status, _ := get(t, url+feed.SnapshotPath, second); status != http.StatusOK {
		t.Errorf("a token that was made at the running relay: %d", status)
	}
	if status, _ := get(t, url+api.FilingsPath+"?of=a.test", second); status != http.StatusNotFound {
		t.Errorf("filings at a relay: %d; want none served", status)
	}

	// What the edge saw is upstream's when the relay says so.
	c := clientOf(t, url, edgeToken)
	seen := time.Unix(1_790_000_000, 0).UTC()
	batch, err := (&feed.SightingBatch{Boot: "b1", Seq: 1, Rows: []feed.Sighting{{
		Name: "z.test", Hosts: []string{"www.z.test"}, Addr: "192.0.2.1", Reason: "unfiled", Channel: "https", Mode: "enforce", First: seen, Last: seen, Hits: 7,
	}}}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // again, as after a lost answer: it counts once
		if err := c.Sightings(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
	}
	list, err := o.s.Sightings(t.Context(), store.SightingQuery{Limit: 10})
	if err != nil || len(list) != 1 || list[0].Hits != 7 || list[0].Name.String() != "z.test" {
		t.Errorf("upstream has sightings %+v, %v", list, err)
	}
	if err := c.Sightings(t.Context(), bytes.Replace(batch, []byte("unfiled"), []byte("because"), 1)); err == nil {
		t.Error("a batch that cannot be read was taken")
	}

	// The relay restarts, and what came meanwhile arrives.
	terminate(t, cmd)
	rev := o.file("c.test")
	_, url = startServe(t, args...)
	e.end()
	r, e = followAt(t, url, edgeToken, edgeDir, keys)
	e.await("what came meanwhile", at(rev))
	if e.Status().Snapshots != 0 {
		t.Error("the edge had to fetch a snapshot")
	}

	// Upstream hears of the relay and of the edge behind it.
	e.await("the reports", func() bool {
		_, text := get(t, o.url+"/v1/edges", o.tokens["staff"])
		var out struct{ Edges []api.Edge }
		if err := json.Unmarshal(text, &out); err != nil {
			t.Fatal(err)
		}
		for _, x := range out.Edges {
			if strings.Contains(x.Name, "/") && x.Owner == "relay" && x.Status.Revision == rev && x.Equal {
				return true
			}
		}
		return false
	})

	// Without upstream a new edge begins at what the relay has.
	o.end()
	r, e = followAt(t, url, edgeToken, t.TempDir(), keys)
	e.await("the newest revision without upstream", at(rev))
	if err := clientOf(t, url, edgeToken).Sightings(t.Context(), batch); err == nil {
		t.Error("the relay took sightings that upstream does not have")
	}
}

func clientOf(t *testing.T, url, token string) *feed.Client {
	t.Helper()
	c, err := feed.NewClient(url, func() (string, error) { return token, nil })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func manifestOf(t *testing.T, signed []byte, keys *feed.Keys) *feed.Manifest {
	t.Helper()
	m, err := feed.ParseManifest(signed, keys)
	if err != nil {
		t.Fatal(err)
	}
	return m
}
