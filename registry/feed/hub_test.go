package feed_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/feed"
)

// service is a registry of record behind HTTP.
type service struct {
	*center
	hub     *feed.Hub
	url     string
	history map[uint64]feed.Sums // by revision
	server  *httptest.Server
}

func newService(t testing.TB, names int) *service {
	t.Helper()
	s := &service{center: newCenter(t, names), history: map[uint64]feed.Sums{}}
	r, _, err := feed.OpenReplica(t.TempDir(), feed.ReplicaOptions{Served: true, Keys: feed.Trust(s.signer)})
	if !errors.Is(err, feed.ErrEmpty) {
		t.Fatal(err)
	}
	if err := r.Install(s.snapshot(r), false); err != nil {
		t.Fatal(err)
	}
	s.hub = feed.NewHub(r, feed.HubOptions{Signer: s.signer, Now: s.clock.now})
	s.history[s.rev.Rev] = s.sums()
	s.server = httptest.NewServer(s.hub.Handler(nil))
	s.url = s.server.URL
	t.Cleanup(func() {
		s.hub.Close()
		s.server.Close()
		r.Close()
	})
	return s
}

// publish makes a revision of so many changes, here and at the hub.
func (s *service) publish(changes int) {
	s.t.Helper()
	f, _ := s.center.publish(changes)
	if err := s.hub.Publish(&feed.Frame{Time: f.Time, Changes: f.Changes, Entries: f.Entries, Notice: f.Notice, Import: f.Import}); err != nil {
		s.t.Fatal(err)
	}
	if rev, sums, _ := s.hub.Replica().State(); rev != s.rev || sums != f.Sums {
		s.t.Fatalf("the hub is at %s with %x; want %s with %x", rev, sums, s.rev, f.Sums)
	}
	s.history[s.rev.Rev] = f.Sums
}

// edge is a follower of a service.
type edge struct {
	t      testing.TB
	dir    string
	r      *feed.Replica
	f      *feed.Follower
	told   chan struct{} // the status changed
	cancel context.CancelFunc
	done   chan struct{}
}

func (s *service) follow(t testing.TB, dir, url string, o feed.FollowOptions) *edge {
	t.Helper()
	e := &edge{t: t, dir: dir, told: make(chan struct{}, 1), done: make(chan struct{})}
	if o.Hub != nil {
		e.r = o.Hub.Replica()
	} else {
		e.r = openReplica(t, dir)
	}
	c, err := feed.NewClient(url, func() (string, error) { return "token", nil })
	if err != nil {
		t.Fatal(err)
	}
	if o.Silence == 0 { // no hub of these tests beats by itself
		o.Silence = 10 * time.Minute
	}
	o.Keys, o.BackOff, o.BackOffMost, o.Jitter, o.Report = feed.Trust(s.signer), time.Millisecond, 20*time.Millisecond, -1, -1
	o.Changed = func(feed.FollowStatus) {
		select {
		case e.told <- struct{}{}:
		default:
		}
	}
	e.f = feed.NewFollower(e.r, c, o)
	ctx, cancel := context.WithCancel(context.Background())
	e.cancel = cancel
	go func() { defer close(e.done); e.f.Run(ctx); c.Close() }()
	t.Cleanup(e.stop)
	return e
}

func (e *edge) stop() {
	e.cancel()
	<-e.done
	e.r.Close()
}

// await waits until the status is as wanted.
func (e *edge) await(what string, ok func(feed.FollowStatus) bool) {
	e.t.Helper()
	limit := time.NewTimer(2 * time.Minute)
	defer limit.Stop()
	for !ok(e.f.Status()) {
		select {
		case <-e.told:
		case <-limit.C:
			e.t.Fatalf("%s: the edge is at %s with %+v", what, e.r.Revision(), e.f.Status())
		}
	}
}

func (e *edge) awaitRevision(rev registry.Revision) {
	e.t.Helper()
	e.await("revision "+rev.String(), func(feed.FollowStatus) bool { return e.r.Revision() == rev })
}

// TestFollow: an edge begins with nothing, follows, is away, and comes back by the
// log or, beyond it, by a snapshot; a relay hands on the same bytes.
func TestFollow(t *testing.T) {
	s := newService(t, 150)
	relay, _, err := feed.OpenReplica(t.TempDir(), feed.ReplicaOptions{Served: true, Keys: feed.Trust(s.signer)})
	if !errors.Is(err, feed.ErrEmpty) {
		t.Fatal(err)
	}
	relayHub := feed.NewHub(relay, feed.HubOptions{})
	upstream := s.follow(t, "", s.url, feed.FollowOptions{Hub: relayHub})
	relayServer := httptest.NewServer(relayHub.Handler(nil))
	t.Cleanup(func() { relayHub.Close(); relayServer.Close() })
	upstream.awaitRevision(s.rev)

	dirs := []string{t.TempDir(), t.TempDir()}
	urls := []string{s.url, relayServer.URL}
	for round := range 4 {
		edges := []*edge{s.follow(t, dirs[0], urls[0], feed.FollowOptions{}), s.follow(t, dirs[1], urls[1], feed.FollowOptions{})}
		for range 10 {
			s.publish(s.IntN(5))
		}
		for _, e := range append(edges, upstream) {
			e.awaitRevision(s.rev)
			s.same(e.r)
		}
		s.clock.putOn(time.Minute)
		s.hub.Beat()
		for _, e := range edges {
			e.await("a heartbeat", func(f feed.FollowStatus) bool { return f.Heard.Equal(s.clock.now()) })
			if got := e.f.Status(); got.Upstream != s.rev || !got.Connected || got.Failing != nil || (got.Snapshots > 0) != (round == 0 || round == 3 && e == edges[0]) {
				t.Errorf("round %d: status is %+v", round, got)
			}
			e.stop()
		}
		for range 10 { // while they are away
			s.publish(s.IntN(5))
		}
		if round == 2 { // and more than the log keeps
			drop(t, s)
		}
	}
}

// TestFollowLost: an edge that was away for longer than frames are kept does not know
// how far it is behind, then by a manifest how far at least, and nothing of it is left
// when it has come to where the service is.
func TestFollowLost(t *testing.T) {
	s := newService(t, 50)
	dir := t.TempDir()
	e := s.follow(t, dir, s.url, feed.FollowOptions{})
	e.await("the registry", func(f feed.FollowStatus) bool { return f.Current && !f.Lost })
	e.stop()
	for range 10 {
		s.publish(1)
	}
	drop(t, s)
	held := map[string]chan struct{}{"manifest": make(chan struct{}), "files": make(chan struct{})}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == feed.SnapshotPath:
			<-held["manifest"]
		case strings.HasPrefix(r.URL.Path, feed.SnapshotPath):
			<-held["files"]
		}
		s.hub.Handler(nil).ServeHTTP(w, r)
	}))
	t.Cleanup(func() { front.CloseClientConnections(); front.Close() })
	e = s.follow(t, dir, front.URL, feed.FollowOptions{})
	e.await("that it is lost", func(f feed.FollowStatus) bool { return f.Lost && !f.Connected && f.Upstream == (registry.Revision{}) })
	close(held["manifest"])
	e.await("the manifest", func(f feed.FollowStatus) bool { return f.Lost && f.Upstream.Rev >= e.r.Revision().Rev+10 })
	close(held["files"])
	e.await("the snapshot", func(f feed.FollowStatus) bool { return !f.Lost && f.Current && e.r.Revision() == s.rev })
}

// drop makes the service forget all frames.
func drop(t *testing.T, s *service) {
	t.Helper()
	log := s.hub.Replica().Log()
	log.LimitSegments(1)
	for range 4 {
		s.publish(1)
		if err := s.hub.Replica().Compact(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if got := log.After(); got.Rev < s.rev.Rev-8 {
		t.Fatalf("the log still goes back to %s", got)
	}
}

// A copy that has gone wrong repairs itself by the buckets that differ.
func TestFollowRepairs(t *testing.T) {
	t.Run("at the registry", func(t *testing.T) {
		s := newService(t, 300)
		s.repairs(t, s.url)
	})
	t.Run("behind a relay", func(t *testing.T) {
		s := newService(t, 300)
		_, upstream, url := s.newRelay(t, t.TempDir(), feed.FollowOptions{})
		upstream.awaitRevision(s.rev)
		s.repairs(t, url)
	})
}

// repairs spoils a copy that follows at a URL.
func (s *service) repairs(t *testing.T, url string) {
	dir := t.TempDir()
	e := s.follow(t, dir, url, feed.FollowOptions{})
	e.awaitRevision(s.rev)
	e.stop()
	// A revision that says something else here than there.
	f, _ := s.center.publish(12)
	if err := s.hub.Publish(&feed.Frame{Time: f.Time, Changes: f.Changes, Entries: f.Entries}); err != nil {
		t.Fatal(err)
	}
	r := openReplica(t, dir)
	wrong := *f
	wrong.Changes = nil
	if err := r.Apply(&wrong, s.bytes(&wrong)); !errors.Is(err, feed.ErrDiverged) {
		t.Fatal(err)
	}
	r.Close()
	e = s.follow(t, dir, url, feed.FollowOptions{})
	s.hub.Beat()
	e.await("a repair", func(st feed.FollowStatus) bool { return st.Repairs == 1 || st.Snapshots > 0 })
	if got := e.f.Status(); got.Snapshots != 0 {
		t.Errorf("the whole snapshot was fetched: %+v", got)
	}
	s.same(e.r)
}

// What is asked wrongly is refused with a status that says so.
func TestHubRefuses(t *testing.T) {
	s := newService(t, 20)
	other := s.rev
	other.Epoch.Random++
	ahead := s.rev
	ahead.Rev += 5
	before := s.rev
	before.Rev--
	for path, want := range map[string]int{
		feed.FeedPath:             http.StatusBadRequest,
		feed.FeedPath + "?from=x": http.StatusBadRequest,
		feed.FeedPath + "?from=" + s.rev.String() + "&from=1": http.StatusBadRequest,
		feed.FeedPath + "?from=" + other.String():             http.StatusGone,
		feed.FeedPath + "?from=" + ahead.String():             http.StatusGone,
		feed.FeedPath + "?from=" + before.String():            http.StatusGone,
		feed.SnapshotPath + "/" + strings.Repeat("0", 64):     http.StatusNotFound,
		feed.SnapshotPath + "/..%2f..%2fetc%2fpasswd":         http.StatusNotFound,
		feed.RepairPath: http.StatusBadRequest,
		feed.RepairPath + "?at=" + s.rev.String():                   http.StatusBadRequest,
		feed.RepairPath + "?at=" + s.rev.String() + "&buckets=4096": http.StatusBadRequest,
		feed.RepairPath + "?at=" + ahead.String() + "&buckets=1":    http.StatusConflict,
		"/v1/other": http.StatusNotFound,
	} {
		resp, err := http.Get(s.url + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("GET %s: %s; want %d", path, resp.Status, want)
		}
	}
	resp, err := http.Post(s.url+feed.FeedPath, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: %s", resp.Status)
	}
}

// Snapshots go out with ranges and checksums, and only so many at a time.
func TestSnapshotFiles(t *testing.T) {
	s := newService(t, 50)
	c, err := feed.NewClient(s.url, nil)
	if err != nil {
		t.Fatal(err)
	}
	m, _, err := c.Manifest(context.Background(), feed.Trust(s.signer))
	if err != nil {
		t.Fatal(err)
	}
	req, _ := http.NewRequest(http.MethodGet, s.url+feed.SnapshotPath+"/"+m.Index.SHA256, nil)
	req.Header.Set("Range", "bytes=100-199")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	part, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || resp.StatusCode != http.StatusPartialContent || len(part) != 100 || resp.Header.Get("ETag") != `"`+m.Index.SHA256+`"` {
		t.Errorf("a range: %s, %d bytes, %v", resp.Status, len(part), resp.Header)
	}
	// A download that was cut off is gone on with, and a spoilt beginning is found.
	path := t.TempDir() + "/file"
	if err := c.Fetch(context.Background(), m.Index, path); err != nil {
		t.Fatal(err)
	}
	whole := readFile(t, path)
	for name, had := range map[string][]byte{"half": whole[:len(whole)/2], "all": whole, "more": append(bytes.Clone(whole), "more"...)} {
		writeFile(t, path, had)
		if err := c.Fetch(context.Background(), m.Index, path); err != nil || !bytes.Equal(readFile(t, path), whole) {
			t.Errorf("%s was there: %v", name, err)
		}
	}
	writeFile(t, path, []byte("not the beginning"))
	if err := c.Fetch(context.Background(), m.Index, path); err == nil || !strings.Contains(err.Error(), "SHA-256") {
		t.Errorf("another beginning was there: %v", err)
	}
}

// Who publishes much waits until most streams have what was published; one in ten
// that does not read holds up nobody.
func TestHubSettles(t *testing.T) {
	s := newService(t, 50)
	s.hub.Settle(context.Background(), s.rev) // nobody follows
	short, cancel := context.WithCancel(context.Background())
	cancel()
	ahead := s.rev
	ahead.Rev++
	s.hub.Settle(short, ahead) // ends with its context
	var edges []*edge
	for range 10 {
		edges = append(edges, s.follow(t, t.TempDir(), s.url, feed.FollowOptions{}))
	}
	for _, e := range edges {
		e.awaitRevision(s.rev)
	}
	stuck, err := http.Get(s.url + feed.FeedPath + "?from=" + s.rev.String()) // reads nothing
	if err != nil {
		t.Fatal(err)
	}
	defer stuck.Body.Close()
	for range 20 {
		s.publish(3)
		limit, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		s.hub.Settle(limit, s.rev)
		if limit.Err() != nil {
			t.Fatal("the streams did not settle")
		}
		cancel()
	}
	for _, e := range edges {
		e.awaitRevision(s.rev)
	}
}
