package feed_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/disk"
	"github.com/icpgate/icpgate/registry/disk/powercut"
	"github.com/icpgate/icpgate/registry/feed"
)

// powerWorld is a service, an edge's directory of which all is recorded that goes
// to the disk, and what the edge may say at each revision.
type powerWorld struct {
	*service
	dir   string
	rec   *powercut.Recorder
	r     *feed.Replica
	acked []acknowledged
	said  map[registry.Revision][]content
}

// acknowledged is a revision that stands since so many things were done to the
// disk.
type acknowledged struct {
	point int
	rev   registry.Revision
}

// content is what an edge decides by.
type content struct {
	filings   map[registry.Domain]registry.Filing
	blacklist map[registry.Domain]bool
	networks  string
}

func (w *powerWorld) content() content {
	return content{maps.Clone(w.filings), maps.Clone(w.blacklist), string(w.lists.File(registry.ListNetworks))}
}

// ack notes that the edge is at the service's revision, for good.
func (w *powerWorld) ack() {
	w.acked = append(w.acked, acknowledged{w.rec.Points(), w.rev})
	w.said[w.rev] = append(w.said[w.rev], w.content())
}

// revision publishes a revision, of which the edge hears all, or not all.
func (w *powerWorld) revision(changes int, whole bool) {
	w.t.Helper()
	before := w.content()
	f, b := w.center.publish(changes)
	if err := w.hub.Publish(&feed.Frame{Time: f.Time, Changes: f.Changes, Entries: f.Entries}); err != nil {
		w.t.Fatal(err)
	}
	if !whole {
		wrong := *f
		wrong.Changes, wrong.Entries = nil, nil
		if err := w.r.Apply(&wrong, w.bytes(&wrong)); !errors.Is(err, feed.ErrDiverged) && len(f.Changes)+len(f.Entries) > 0 {
			w.t.Fatal(err)
		}
		w.said[w.rev] = append(w.said[w.rev], before)
	} else if err := w.r.Apply(w.parse(b), b); err != nil {
		w.t.Fatal(err)
	}
	w.ack()
}

func (w *powerWorld) install() {
	w.t.Helper()
	if err := w.r.Install(w.snapshot(w.r), false); err != nil {
		w.t.Fatal(err)
	}
	w.ack()
}

// repair mends the edge by the buckets that differ.
func (w *powerWorld) repair() {
	w.t.Helper()
	mine, _, _ := w.r.Digest()
	theirs, rev, _ := w.live.Digest()
	buckets := mine.Differ(theirs)
	f := &feed.Frame{Type: feed.FrameRepair, Revision: rev, Sums: w.sums()}
	for c := range w.live.View().In(buckets) {
		f.Changes = append(f.Changes, c)
	}
	if err := w.r.Repair(context.Background(), buckets, []*feed.Frame{f}, w.sums()); err != nil {
		w.t.Fatal(err)
	}
	w.ack()
}

// promote begins another epoch, as after a restore.
func (w *powerWorld) promote() {
	w.t.Helper()
	w.rev.Epoch.Made++
	w.rev.Rev += 100
	w.live.Swap(nil)
	w.live.Swap(w.index())
	if err := w.live.KeepDigest(nil, w.rev); err != nil {
		w.t.Fatal(err)
	}
	if err := w.hub.Replica().Install(w.snapshot(w.hub.Replica()), false); err != nil {
		w.t.Fatal(err)
	}
	w.hub.Restart()
}

func (w *powerWorld) open() {
	w.t.Helper()
	r, warnings, err := feed.OpenReplica(filepath.Join(w.dir, "state", "feed"), feed.ReplicaOptions{})
	if err != nil && !errors.Is(err, feed.ErrEmpty) || len(warnings) > 0 {
		w.t.Fatal(warnings, err)
	}
	w.r = r
	if log := r.Log(); log != nil {
		log.LimitSegments(2000)
	}
}

// newPowerWorld lives through all that an edge writes.
func newPowerWorld(t *testing.T) *powerWorld {
	w := &powerWorld{service: newService(t, 80), dir: t.TempDir(), said: map[registry.Revision][]content{}}
	w.rec = powercut.Record(w.dir)
	defer w.rec.Stop()
	w.open()
	w.install()
	w.r.Log().LimitSegments(2000)
	for step := range 48 {
		w.revision(w.IntN(5), step%16 != 11)
		switch step % 16 {
		case 3, 7:
			if err := w.r.Compact(context.Background()); err != nil {
				t.Fatal(err)
			}
		case 9:
			w.r.Close()
			w.open()
		case 11:
			w.repair()
		case 14:
			if step > 16 {
				w.promote()
			}
			w.install()
			w.r.Log().LimitSegments(2000)
		}
	}
	w.r.Close()
	return w
}

// powerPoints is how many times the power is cut.
func powerPoints() int {
	if os.Getenv("ICP_SOAK") != "" {
		return 1000
	}
	return 100
}

// TestPowerCut: whenever the power is cut, an edge starts with what it has
// acknowledged or newer, whole, and comes to what the registry is.
func TestPowerCut(t *testing.T) {
	if _, err := os.Stat("/dev/shm"); err == nil {
		t.Setenv("TMPDIR", "/dev/shm") // no power is cut: a sync need not cost anything
	}
	w := newPowerWorld(t)
	random := rand.New(rand.NewPCG(11, 12))
	for range powerPoints() {
		if err := w.cut(t, random, true); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d points, %d revisions", w.rec.Points(), len(w.said))
	// The same on disks that say that they have synced and have not.
	for name, lie := range map[string]disk.Kind{"files": disk.Synced, "names": disk.DirSynced} {
		w.rec.Lie(lie)
		failed := 0
		for range 60 {
			if w.cut(t, random, false) != nil {
				failed++
			}
		}
		if failed == 0 {
			t.Errorf("with a disk that does not sync %s nothing is lost: this test sees nothing", name)
		}
	}
}

// cut cuts the power at a random point and starts an edge from what was left; it
// follows if it is to.
func (w *powerWorld) cut(t *testing.T, random *rand.Rand, follow bool) error {
	t.Helper()
	point := random.IntN(w.rec.Points() + 1)
	dir, err := os.MkdirTemp(t.TempDir(), "cut")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := w.rec.Cut(point, random, dir); err != nil {
		t.Fatal(err)
	}
	dir = filepath.Join(dir, "state", "feed")
	if err := w.starts(point, dir); err != nil {
		return fmt.Errorf("cut at point %d: %w", point, err)
	}
	if follow {
		w.converges(t, dir)
	}
	return nil
}

// starts starts an edge from what was left.
func (w *powerWorld) starts(point int, dir string) error {
	var least registry.Revision
	for _, a := range w.acked {
		if a.point <= point {
			least = a.rev
		}
	}
	r, warnings, err := feed.OpenReplica(dir, feed.ReplicaOptions{})
	if err != nil && !errors.Is(err, feed.ErrEmpty) {
		return fmt.Errorf("%w; %q", err, warnings)
	}
	defer r.Close()
	at := r.Revision()
	if at.Compare(least) < 0 {
		return fmt.Errorf("the edge starts at %s, and had acknowledged %s; %q", at, least, warnings)
	}
	if at != (registry.Revision{}) && !w.saysAt(r, at) {
		return fmt.Errorf("at %s the edge says what the registry did not; %q", at, warnings)
	}
	left, err := filepath.Glob(filepath.Join(dir, ".*"))
	if err != nil || len(left) > 0 {
		return fmt.Errorf("half written files stay: %q, %w", left, err)
	}
	return nil
}

// converges follows until the edge is what the registry is.
func (w *powerWorld) converges(t *testing.T, dir string) {
	t.Helper()
	e := w.follow(t, dir, w.url, feed.FollowOptions{})
	defer e.stop()
	e.awaitRevision(w.rev)
	if _, sums, _ := e.r.State(); sums != w.sums() {
		w.hub.Beat()
		e.await("a repair", func(feed.FollowStatus) bool { _, sums, _ := e.r.State(); return sums == w.sums() })
	}
	w.same(e.r)
}

// saysAt reports whether a replica says what it may at a revision.
func (w *powerWorld) saysAt(r *feed.Replica, at registry.Revision) bool {
	for _, c := range w.said[at] {
		if c.saidBy(r) {
			return true
		}
	}
	return false
}

func (c content) saidBy(r *feed.Replica) bool {
	view := r.Live().View()
	if string(r.File(registry.ListNetworks)) != c.networks || view.Info().Filings != len(c.filings) {
		return false
	}
	for d, f := range c.filings {
		got := view.Cover(d)
		if len(got.Filings) != 1 || got.Filings[0].Status != f.Status || got.Blacklisted != c.blacklist[d] {
			return false
		}
	}
	for d := range c.blacklist {
		if !view.Cover(d).Blacklisted {
			return false
		}
	}
	return true
}
