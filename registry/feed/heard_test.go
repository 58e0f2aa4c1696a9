package feed_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/icpgate/icpgate/registry"
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
	other := c.rev
	other.Rev++
	file := filepath.Join(dir, "heard")
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for what, text := range map[string][]byte{
		"of a revision to come": c.bytes(&feed.Frame{Type: feed.FrameHeartbeat, Revision: other, Time: last.Add(time.Hour)}),
		"of another epoch":      c.bytes(&feed.Frame{Type: feed.FrameHeartbeat, Revision: registry.Revision{Epoch: registry.Epoch{Made: 1}}, Time: last.Add(time.Hour)}),
		"torn":                  good[:len(good)-1],
		"empty":                 {},
	} {
		if err := os.WriteFile(file, text, 0o640); err != nil {
			t.Fatal(err)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		r = openReplica(t, dir)
		if _, _, got := r.State(); !got.Equal(c.clock.now()) {
			t.Errorf("after a start with a heartbeat %s it is known until %v; want %v", what, got, c.clock.now())
		}
	}
}
