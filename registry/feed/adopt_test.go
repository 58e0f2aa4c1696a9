package feed_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/feed"
)

// newRelay is a relay of a service in a directory.
func (s *service) newRelay(t *testing.T, dir string, o feed.FollowOptions) (*feed.Hub, *edge, string) {
	t.Helper()
	r, _, err := feed.OpenReplica(dir, feed.ReplicaOptions{Served: true, Keys: feed.Trust(s.signer)})
	if err != nil && !errors.Is(err, feed.ErrEmpty) {
		t.Fatal(err)
	}
	up, err := feed.NewClient(s.url, nil)
	if err != nil {
		t.Fatal(err)
	}
	hub := feed.NewHub(r, feed.HubOptions{Upstream: up})
	o.Hub = hub
	e := s.follow(t, "", s.url, o)
	server := httptest.NewServer(hub.Handler(nil))
	t.Cleanup(func() { hub.Close(); server.Close() })
	return hub, e, server.URL
}

func manifest(t *testing.T, s *service, url string) (*feed.Manifest, []byte) {
	t.Helper()
	c, err := feed.NewClient(url, nil)
	if err != nil {
		t.Fatal(err)
	}
	m, signed, err := c.Manifest(context.Background(), feed.Trust(s.signer))
	if err != nil {
		t.Fatal(err)
	}
	return m, signed
}

// TestRelayAdopts: a relay takes upstream's newer snapshots, drops the frames before
// them, and serves them byte for byte; who follows it notices nothing, and a new edge
// begins there. So it goes on after a restart.
func TestRelayAdopts(t *testing.T) {
	s, dir := newService(t, 150), t.TempDir()
	hub, upstream, url := s.newRelay(t, dir, feed.FollowOptions{Adopt: 20 * time.Millisecond})
	upstream.awaitRevision(s.rev)
	hub.Replica().Log().LimitSegments(1)
	behind := s.follow(t, t.TempDir(), url, feed.FollowOptions{})
	for round := range 4 {
		for range 10 {
			s.publish(1 + s.IntN(4))
		}
		if err := s.hub.Replica().Compact(context.Background()); err != nil {
			t.Fatal(err)
		}
		s.publish(1)
		upstream.await("an adopted snapshot", func(st feed.FollowStatus) bool { return st.Adopted == round+1 })
		behind.awaitRevision(s.rev)
		s.same(behind.r)
		s.same(hub.Replica())
	}
	if got := behind.f.Status(); got.Snapshots != 1 {
		t.Errorf("an edge behind the relay had to fetch %d snapshots", got.Snapshots)
	}
	theirs, _ := manifest(t, s, s.url)
	ours, _ := manifest(t, s, url)
	if ours.Revision != theirs.Revision || ours.Index != theirs.Index || ours.Lists != theirs.Lists {
		t.Errorf("the relay's manifest is %+v; upstream's %+v", ours, theirs)
	}
	if after := hub.Replica().Log().After(); after.Rev < s.rev.Rev-40 {
		t.Errorf("the relay's log goes back to %s at %s", after, s.rev)
	}
	late := s.follow(t, t.TempDir(), url, feed.FollowOptions{})
	late.awaitRevision(s.rev)
	s.same(late.r)
	upstream.stop()
	again, _, err := feed.OpenReplica(dir, feed.ReplicaOptions{Served: true, Keys: feed.Trust(s.signer)})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	s.same(again)
}

// TestAdoptRefuses: a snapshot of where the replica has not been, or older than its
// own, changes nothing.
func TestAdoptRefuses(t *testing.T) {
	s := newService(t, 50)
	r, _, err := feed.OpenReplica(t.TempDir(), feed.ReplicaOptions{Served: true, Keys: feed.Trust(s.signer)})
	if !errors.Is(err, feed.ErrEmpty) {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	if err := r.Adopt(s.snapshot(r)); !errors.Is(err, feed.ErrEmpty) {
		t.Errorf("without any snapshot: %v", err)
	}
	if err := r.Install(s.snapshot(r), false); err != nil {
		t.Fatal(err)
	}
	at := r.Revision()
	old := *s.snapshot(r).Manifest
	s.center.publish(3)
	f, b := s.center.publish(2)
	if err := r.Adopt(s.snapshot(r)); !errors.Is(err, feed.ErrNext) {
		t.Errorf("a snapshot ahead: %v", err)
	}
	if err := r.Apply(f, b); !errors.Is(err, feed.ErrNext) {
		t.Fatalf("a frame beyond the next: %v", err)
	}
	older := s.snapshot(r)
	older.Manifest = &old
	older.Manifest.Revision = registry.Revision{Epoch: old.Revision.Epoch, Rev: old.Revision.Rev - 1}
	if err := r.Adopt(older); !errors.Is(err, feed.ErrOlder) {
		t.Errorf("an older snapshot: %v", err)
	}
	if r.Revision() != at {
		t.Errorf("the replica is at %s; want %s still", r.Revision(), at)
	}
}
