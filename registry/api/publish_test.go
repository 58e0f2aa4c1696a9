package api_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/api"
	"github.com/icpgate/icpgate/registry/feed"
	"github.com/icpgate/icpgate/registry/store"
)

var by = store.By{Who: "ann", Why: "a test"}

func openStore(t testing.TB, path string) *store.Store {
	t.Helper()
	s, err := store.Open(context.Background(), path, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// file files a name in the store and returns the revision.
func file(t testing.TB, s *store.Store, name string, status registry.Status) registry.Revision {
	t.Helper()
	rev, err := s.Edit(context.Background(), by, func(e *store.Edit) error {
		return e.PutFiling(registry.Filing{
			Site:   registry.Site{Name: "Example", Domains: []registry.Domain{registry.MustParseDomain(name)}},
			Entity: registry.Entity{Name: "Example", Nature: registry.Enterprise}, Status: status,
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return rev
}

// publisher runs a publisher and serves its hub.
func publisher(t testing.TB, s *store.Store, dir string, signer *feed.Signer) (*api.Publisher, string, func()) {
	t.Helper()
	p, warnings, err := api.OpenPublisher(context.Background(), s, dir, api.PublisherOptions{
		Signer: signer, Failed: func(err error) {
			if err != nil {
				t.Error(err)
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range warnings {
		t.Log(w)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); p.Run(ctx) }()
	server := httptest.NewServer(p.Hub().Handler(nil))
	return p, server.URL, func() {
		cancel()
		<-done
		p.Hub().Close()
		server.CloseClientConnections()
		server.Close()
		p.Close()
	}
}

// TestPublish: what is written to the store is in force at an edge, through
// restarts of the service, of the edge, and a new epoch.
func TestPublish(t *testing.T) {
	signer, err := feed.GenerateSigner()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	s := openStore(t, filepath.Join(dir, "registry.db"))
	file(t, s, "before.test", registry.StatusNormal)
	p, url, end := publisher(t, s, filepath.Join(dir, "served"), signer)

	r, _, _ := feed.OpenReplica(filepath.Join(dir, "edge"), feed.ReplicaOptions{Keys: feed.Trust(signer)})
	defer r.Close()
	told := make(chan struct{}, 1)
	follow := func(url string) (stop func()) {
		c, err := feed.NewClient(url, nil)
		if err != nil {
			t.Fatal(err)
		}
		f := feed.NewFollower(r, c, feed.FollowOptions{
			Keys: feed.Trust(signer), Jitter: -1, Report: -1, BackOff: time.Millisecond, BackOffMost: 20 * time.Millisecond,
			Changed: func(feed.FollowStatus) {
				select {
				case told <- struct{}{}:
				default:
				}
			},
		})
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() { defer close(done); f.Run(ctx) }()
		return func() { cancel(); <-done; c.Close() }
	}
	await := func(rev registry.Revision) {
		t.Helper()
		limit := time.NewTimer(5 * time.Minute)
		defer limit.Stop()
		for r.Revision() != rev {
			select {
			case <-told:
			case <-limit.C:
				t.Fatalf("the edge is at %s; want %s", r.Revision(), rev)
			}
		}
	}
	filed := func(name string, want bool) {
		t.Helper()
		if got := len(r.Live().View().Cover(registry.MustParseDomain(name)).Filings) > 0; got != want {
			t.Errorf("%s is filed at the edge: %t; want %t", name, got, want)
		}
	}
	stop := follow(url)
	for i := range 20 {
		await(file(t, s, fmt.Sprintf("n%d.test", i), registry.StatusNormal))
		filed(fmt.Sprintf("www.n%d.test", i), true)
	}
	filed("before.test", true)
	filed("other.test", false)
	_ = p
	// The service restarts, and what came meanwhile arrives.
	stop()
	end()
	rev := file(t, s, "meanwhile.test", registry.StatusNormal)
	_, url, end = publisher(t, s, filepath.Join(dir, "served"), signer)
	stop = follow(url)
	await(rev)
	filed("meanwhile.test", true)
	// A new epoch: the edge takes its snapshot.
	rev, err = s.NewEpoch(context.Background(), by)
	if err != nil {
		t.Fatal(err)
	}
	await(rev)
	await(file(t, s, "after.test", registry.StatusNormal))
	filed("after.test", true)
	filed("meanwhile.test", true)
	stop()
	end()
}

// TestSnapshots: a new snapshot is made when the last one is old and something has
// changed, while the feed goes on; what was served before stays for a while.
func TestSnapshots(t *testing.T) {
	signer, err := feed.GenerateSigner()
	if err != nil {
		t.Fatal(err)
	}
	dir, clock := t.TempDir(), &moving{}
	s := openStore(t, filepath.Join(dir, "registry.db"))
	p, _, err := api.OpenPublisher(context.Background(), s, filepath.Join(dir, "served"), api.PublisherOptions{
		Signer: signer, Hub: feed.HubOptions{Now: clock.now}, Snapshots: time.Hour,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); p.Run(ctx) }()
	defer func() { cancel(); <-done; p.Close() }()
	server := httptest.NewServer(p.Hub().Handler(nil))
	defer server.Close()
	defer p.Hub().Close()
	c, err := feed.NewClient(server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	manifest := func() *feed.Manifest {
		t.Helper()
		m, _, err := c.Manifest(ctx, feed.Trust(signer))
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	first := manifest()
	for i := range 5 { // within the hour
		file(t, s, fmt.Sprintf("n%d.test", i), registry.StatusNormal)
	}
	if got := manifest(); got.Revision != first.Revision {
		t.Errorf("a snapshot of %s within the hour", got.Revision)
	}
	clock.seconds.Add(2 * 3600)
	now := manifest()
	end := time.Now().Add(time.Minute)
	for i := 0; now.Revision == first.Revision && time.Now().Before(end); i++ {
		file(t, s, fmt.Sprintf("m%d.test", i), registry.StatusNormal) // what it waits for
		now = manifest()
	}
	if now.Revision.Compare(first.Revision) <= 0 || now.Index == first.Index {
		t.Fatalf("no new snapshot after hours: %s", now.Revision)
	}
	if err := c.Fetch(ctx, first.Index, filepath.Join(dir, "first")); err != nil {
		t.Errorf("the snapshot before is not served any more: %v", err)
	}
}

// TestChangedKey: with another key that signs comes a snapshot, so that an edge that
// begins with the new one alone needs nothing of the old one; with the same key none.
func TestChangedKey(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, filepath.Join(dir, "registry.db"))
	served := filepath.Join(dir, "served")
	snapshotBy := func(signer *feed.Signer) registry.Revision {
		t.Helper()
		_, url, stop := publisher(t, s, served, signer)
		defer stop()
		c, err := feed.NewClient(url, nil)
		if err != nil {
			t.Fatal(err)
		}
		m, _, err := c.Manifest(context.Background(), feed.Trust(signer))
		if err != nil {
			t.Fatal(err)
		}
		return m.Revision
	}
	var signers [2]*feed.Signer
	for i := range signers {
		var err error
		if signers[i], err = feed.GenerateSigner(); err != nil {
			t.Fatal(err)
		}
	}
	first := snapshotBy(signers[0])
	file(t, s, "a.test", registry.StatusNormal)
	last := file(t, s, "b.test", registry.StatusNormal)
	if got := snapshotBy(signers[0]); got != first {
		t.Errorf("with the same key the snapshot is of %s; want %s, as before", got, first)
	}
	if got := snapshotBy(signers[1]); got != last {
		t.Errorf("with another key the snapshot is of %s; want %s", got, last)
	}
	file(t, s, "c.test", registry.StatusNormal)
	for range 2 { // the frame of c.test comes with the first
		if got := snapshotBy(signers[1]); got != last {
			t.Errorf("with that key again the snapshot is of %s; want %s", got, last)
		}
	}
}
