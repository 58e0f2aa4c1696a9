package feed_test

import (
	"context"
	"errors"
	"testing"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/feed"
)

// TestTail: another process reads along, through compactions and snapshots.
func TestTail(t *testing.T) {
	c, dir := newCenter(t, 200), t.TempDir()
	told := 0
	tail := feed.NewTail(dir, feed.ReplicaOptions{Changed: func([]registry.List) { told++ }})
	defer tail.Close()
	if _, err := tail.Next(); !errors.Is(err, feed.ErrEmpty) {
		t.Errorf("without a snapshot: %v; want %v", err, feed.ErrEmpty)
	}
	r := openReplica(t, dir)
	if err := r.Install(c.snapshot(r), false); err != nil {
		t.Fatal(err)
	}
	same := func() {
		t.Helper()
		if _, err := tail.Next(); err != nil {
			t.Fatal(err)
		}
		got, err := tail.Live().View().Digest()
		want, _, _ := c.live.Digest()
		if err != nil || *got != *want || tail.Live().View().Revision() != c.rev {
			t.Fatalf("the tail is at %s with %x; want %s with %x (%v)", tail.Live().View().Revision(), got.Sum(), c.rev, want.Sum(), err)
		}
		if got, want := string(tail.File(registry.ListNetworks)), string(c.lists.File(registry.ListNetworks)); got != want {
			t.Fatalf("networks are %q; want %q", got, want)
		}
	}
	same()
	for step := range 40 {
		for range 1 + c.IntN(3) {
			_, b := c.publish(c.IntN(6))
			if err := r.Apply(c.parse(b), b); err != nil {
				t.Fatal(err)
			}
		}
		switch step % 10 {
		case 3:
			if err := r.Compact(context.Background()); err != nil {
				t.Fatal(err)
			}
		case 7: // a snapshot that no frames lead to
			for range 3 {
				c.publish(4)
			}
			if err := r.Install(c.snapshot(r), false); err != nil {
				t.Fatal(err)
			}
		}
		if step%3 == 0 {
			same()
		}
	}
	same()
	if news, err := tail.Next(); news || err != nil {
		t.Errorf("nothing was written, and the tail says %t, %v", news, err)
	}
	if told == 0 {
		t.Error("nobody was told of lists that changed")
	}
}
