package feed_test

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/icpgate/icpgate/registry/feed"
)

// TestHeard: where nothing changes, the next start and those who read along know
// from the last heartbeat how old the registry is, and from no other.
func TestHeard(t *testing.T) {
	c, dir := newCenter(t, 20), t.TempDir()
	r := openReplica(t, dir)
	if err := r.Install(c.snapshot(r), false); err != nil {
		t.Fatal(err)
	}
	_, b := c.publish(2)
	if err := r.Apply(c.parse(b), b); err != nil {
		t.Fatal(err)
	}
	tail := feed.NewTail(dir, feed.ReplicaOptions{})
	defer tail.Close()
	know := func(what string, want time.Time) {
		t.Helper()
		if _, err := tail.Next(); err != nil {
			t.Fatal(err)
		}
		if got := tail.Heard(); !got.Equal(want) {
			t.Errorf("%s: who reads along knows until %v; want %v", what, got, want)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		r = openReplica(t, dir)
		if _, _, got := r.State(); !got.Equal(want) {
			t.Errorf("%s: after a start it is known until %v; want %v", what, got, want)
		}
	}
	know("by a revision", c.clock.now())
	last := c.clock.now()
	for i := 1; i <= 3; i++ {
		last = c.clock.now().Add(time.Duration(i) * time.Hour)
		b := c.bytes(&feed.Frame{Type: feed.FrameHeartbeat, Revision: c.rev, Sums: c.sums(), Time: last})
		if err := r.Apply(c.parse(b), b); err != nil {
			t.Fatal(err)
		}
	}
	know("by heartbeats", last)

	// What this copy does not hold, or not in this form, tells nothing.
	file := filepath.Join(dir, "heard")
	good := readFile(t, file)
	other, epoch, torn := c.rev, c.rev, bytes.Clone(good)
	other.Rev++
	epoch.Epoch.Made++
	torn[33]++
	for what, text := range map[string][]byte{
		"of a revision to come": feed.HeardFile(other, last.Add(time.Hour)),
		"of another epoch":      feed.HeardFile(epoch, last.Add(time.Hour)),
		"torn":                  torn,
		"cut off":               good[:len(good)-1],
		"empty":                 {},
	} {
		writeFile(t, file, text)
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		r = openReplica(t, dir)
		if _, _, got := r.State(); !got.Equal(c.clock.now()) {
			t.Errorf("after a start with a file %s it is known until %v; want %v", what, got, c.clock.now())
		}
	}
}

// TestHeardAhead: a registry with a clock that is ahead was heard of when its word came,
// and not later: not by who follows, nor by who reads along, nor after a start.
func TestHeardAhead(t *testing.T) {
	c, dir := newCenter(t, 20), t.TempDir()
	own := &clock{at: c.clock.now().Add(-24 * time.Hour)} // the registry is a day ahead
	o := feed.ReplicaOptions{Now: own.now}
	r, _, err := feed.OpenReplica(dir, o)
	if !errors.Is(err, feed.ErrEmpty) {
		t.Fatal(err)
	}
	defer func() { r.Close() }()
	tail := feed.NewTail(dir, o)
	defer tail.Close()
	know := func(what string, want time.Time) {
		t.Helper()
		if _, _, got := r.State(); !got.Equal(want) {
			t.Errorf("%s: it is known until %v; want %v", what, got, want)
		}
		if _, err := tail.Next(); err != nil {
			t.Fatal(err)
		}
		if got := tail.Heard(); !got.Equal(want) {
			t.Errorf("%s: who reads along knows until %v; want %v", what, got, want)
		}
	}
	start := func() (warnings []string) {
		t.Helper()
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		tail.Close()
		if r, warnings, err = feed.OpenReplica(dir, o); err != nil {
			t.Fatal(err)
		}
		tail = feed.NewTail(dir, o)
		return warnings
	}
	if err := r.Install(c.snapshot(r), false); err != nil {
		t.Fatal(err)
	}
	know("by a snapshot", own.now())
	own.putOn(time.Minute)
	_, b := c.publish(2)
	if err := r.Apply(c.parse(b), b); err != nil {
		t.Fatal(err)
	}
	know("by a revision", own.now())
	own.putOn(time.Minute)
	b = c.bytes(&feed.Frame{Type: feed.FrameHeartbeat, Revision: c.rev, Sums: c.sums(), Time: c.clock.now()})
	if err := r.Apply(c.parse(b), b); err != nil {
		t.Fatal(err)
	}
	last := own.now()
	know("by a heartbeat", last)
	own.putOn(26 * time.Hour) // cut off: what the registry's clock said is past now
	know("cut off for a day", last)
	if w := start(); len(w) > 0 {
		t.Errorf("a start warns of %q", w)
	}
	know("after a start", last)

	// The edge's clock was ahead too, and is set back.
	own.putOn(-30 * time.Hour)
	w := start()
	if len(w) != 1 || !strings.Contains(w[0], last.Format(time.RFC3339)) || !strings.Contains(w[0], "clock") {
		t.Errorf("of a kept time that is later than now it says %q", w)
	}
	know("after a start before all that is kept", time.Unix(0, 0))
	b = c.bytes(&feed.Frame{Type: feed.FrameHeartbeat, Revision: c.rev, Sums: c.sums(), Time: c.clock.now()})
	if err := r.Apply(c.parse(b), b); err != nil {
		t.Fatal(err)
	}
	know("when it is heard of again", own.now())

	// It is also heard of where the clock was set back under way.
	own.putOn(-time.Hour)
	if err := r.Apply(c.parse(b), b); err != nil {
		t.Fatal(err)
	}
	if _, _, got := r.State(); !got.Equal(own.now()) {
		t.Errorf("after the clock was set back it is known until %v; want %v", got, own.now())
	}
}

// TestHeardByManifests: who lets manifests through and no frames, however young they are,
// keeps no edge fresh: its age counts from when the snapshot was the registry.
func TestHeardByManifests(t *testing.T) {
	s := newService(t, 50)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == feed.FeedPath {
			http.Error(w, "gone", http.StatusGone)
			return
		}
		s.hub.Handler(nil).ServeHTTP(w, r)
	}))
	t.Cleanup(func() { front.CloseClientConnections(); front.Close() })
	dir := t.TempDir()
	e := s.follow(t, dir, front.URL, feed.FollowOptions{})
	heard := func(what string, want time.Time) {
		t.Helper()
		// The second from here is of a manifest that was asked for from here on.
		from := e.f.Status().Snapshots
		e.await(what, func(f feed.FollowStatus) bool { return f.Snapshots >= from+2 })
		if rev, _, got := e.r.State(); !got.Equal(want) {
			t.Errorf("%s: the copy is at %s, the registry at %s; it is known until %v; want %v", what, rev, s.rev, got, want)
		}
	}
	heard("what the registry is", s.clock.now())
	s.clock.putOn(time.Hour)
	s.hub.Beat()
	heard("what it still is", s.clock.now())
	was := s.clock.now() // and no snapshot is made of what follows
	s.publish(1)
	s.clock.putOn(20 * time.Hour)
	s.hub.Beat()
	heard("what it was", was)
	e.stop()
	e = s.follow(t, dir, front.URL, feed.FollowOptions{})
	heard("what it was, after a start", was)
	e.stop()

	// With frames it is what the registry is again.
	e = s.follow(t, dir, s.url, feed.FollowOptions{})
	e.awaitRevision(s.rev)
	s.hub.Beat()
	e.await("a heartbeat", func(f feed.FollowStatus) bool { return f.Heard.Equal(s.clock.now()) })
}
