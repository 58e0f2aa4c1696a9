package feed_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/feed"
	"github.com/icpgate/icpgate/registry/index"
)

// center is a registry of record in memory, which publishes frames.
type center struct {
	*rand.Rand
	t         testing.TB
	signer    *feed.Signer
	rev       registry.Revision
	filings   map[registry.Domain]registry.Filing
	blacklist map[registry.Domain]bool
	lists     *feed.Lists
	live      index.Live
	key       [16]byte
	names     int
	clock     *clock
}

// clock is a clock that tests put on, and that what serves looks at meanwhile.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) putOn(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func newCenter(t testing.TB, names int) *center {
	c := &center{
		Rand: rand.New(rand.NewPCG(7, uint64(names))), t: t, signer: signer(t), rev: testRevision, names: names, key: [16]byte{4, 5, 6},
		filings: map[registry.Domain]registry.Filing{}, blacklist: map[registry.Domain]bool{}, clock: &clock{at: time.UnixMilli(1_790_000_000_000).UTC()},
	}
	c.lists = feed.NewLists(c.key)
	for range names / 2 {
		c.change()
	}
	c.live.Swap(c.index())
	if err := c.live.KeepDigest(nil, c.rev); err != nil {
		t.Fatal(err)
	}
	return c
}

// change files, refiles, cancels or lists a name at random.
func (c *center) change() registry.Change {
	d := registry.MustParseDomain(fmt.Sprintf("n%d.test", c.IntN(c.names)))
	change := registry.Change{Kind: registry.ChangeFilings, Name: d}
	switch c.IntN(8) {
	case 0:
		delete(c.filings, d)
	case 1:
		change.Kind = registry.ChangeListed
		c.blacklist[d] = true
		if c.IntN(2) == 0 {
			change.Kind = registry.ChangeUnlisted
			delete(c.blacklist, d)
		}
	default:
		f := registry.Filing{
			Site:   registry.Site{Name: fmt.Sprint("Site ", c.IntN(100)), Domains: []registry.Domain{d}},
			Entity: registry.Entity{Name: "Example", Nature: registry.Enterprise},
			Status: registry.Status(c.IntN(5)),
		}
		c.filings[d] = f
		change.Filings = []registry.Filing{f}
	}
	return change
}

func (c *center) index() *index.Index {
	c.t.Helper()
	b := index.NewBuilder(index.Options{Key: c.key, Revision: c.rev})
	for _, f := range c.filings {
		if err := b.Add(f); err != nil {
			c.t.Fatal(err)
		}
	}
	for d := range c.blacklist {
		b.Blacklist(d)
	}
	x, err := b.Build()
	if err != nil {
		c.t.Fatal(err)
	}
	return x
}

func (c *center) sums() feed.Sums {
	d, _, ok := c.live.Digest()
	if !ok {
		c.t.Fatal("no digest is kept")
	}
	return feed.Sums{Filings: d.Sum(), Lists: c.lists.Digest()}
}

// publish makes the next revision of so many changes, and its frame.
func (c *center) publish(changes int) (*feed.Frame, []byte) {
	c.t.Helper()
	c.rev.Rev++
	c.clock.putOn(time.Second)
	f := &feed.Frame{Type: feed.FrameRevision, Revision: c.rev, Time: c.clock.now()}
	for range changes {
		if c.IntN(5) == 0 {
			e := registry.Entry{List: registry.ListNetworks, Key: fmt.Sprintf("192.0.2.%d/32", c.IntN(20)), Gone: c.IntN(3) == 0}
			if !e.Gone {
				e.Value = "aliyun ecs cn-beijing"
			}
			f.Entries = append(f.Entries, e)
			continue
		}
		change := c.change()
		change.Revision = c.rev
		f.Changes = append(f.Changes, change)
	}
	return f, c.finish(f)
}

func (c *center) finish(f *feed.Frame) []byte {
	c.t.Helper()
	changes := f.Changes
	if len(changes) == 0 {
		changes = []registry.Change{{Revision: c.rev}}
	}
	if err := c.live.Apply(changes...); err != nil {
		c.t.Fatal(err)
	}
	for _, e := range f.Entries {
		if err := c.lists.Apply(e); err != nil {
			c.t.Fatal(err)
		}
	}
	f.Sums = c.sums()
	return c.bytes(f)
}

func (c *center) bytes(f *feed.Frame) []byte {
	c.t.Helper()
	b, err := f.Append(nil, c.signer)
	if err != nil {
		c.t.Fatal(err)
	}
	return b
}

// snapshot writes the files of a snapshot for a replica to install.
func (c *center) snapshot(r *feed.Replica) feed.Fetched {
	c.t.Helper()
	f := feed.Fetched{Index: r.FetchPath("index"), Lists: r.FetchPath("lists")}
	lists := c.lists.Append(nil)
	if err := c.live.View().WriteFile(context.Background(), f.Index); err != nil {
		c.t.Fatal(err)
	}
	if err := os.WriteFile(f.Lists, lists, 0o640); err != nil {
		c.t.Fatal(err)
	}
	image, err := os.ReadFile(f.Index)
	if err != nil {
		c.t.Fatal(err)
	}
	f.Manifest = &feed.Manifest{
		Formats: [2]int{1, 1}, Revision: c.rev, Time: c.clock.now(), Filed: len(c.filings),
		Index: feed.File{SHA256: sum(image), Bytes: int64(len(image))}, Lists: feed.File{SHA256: sum(lists), Bytes: int64(len(lists))},
	}
	f.Manifest.SetSums(c.sums())
	return f
}

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

// parse reads a frame as an edge does.
func (c *center) parse(b []byte) *feed.Frame {
	c.t.Helper()
	f, err := feed.ParseFrame(b, feed.Trust(c.signer))
	if err != nil {
		c.t.Fatal(err)
	}
	return f
}

// same fails unless a replica holds what the center does.
func (c *center) same(r *feed.Replica) {
	c.t.Helper()
	rev, sums, _ := r.State()
	if rev != c.rev || sums != c.sums() {
		c.t.Fatalf("the replica is at %s with %x; want %s with %x", rev, sums, c.rev, c.sums())
	}
	got := slices.Collect(maps.Keys(c.filings))
	for i, d := range got {
		if i == 50 {
			break
		}
		if a, b := r.Live().View().Cover(d), c.live.View().Cover(d); len(a.Filings) != len(b.Filings) || a.Blacklisted != b.Blacklisted {
			c.t.Fatalf("%s: the replica has %+v; want %+v", d, a, b)
		}
	}
	if a, b := r.File(registry.ListNetworks), c.lists.File(registry.ListNetworks); !bytes.Equal(a, b) {
		c.t.Fatalf("networks are %q; want %q", a, b)
	}
}

func openReplica(t testing.TB, dir string) *feed.Replica {
	t.Helper()
	r, warnings, err := feed.OpenReplica(dir, feed.ReplicaOptions{})
	if err != nil && !errors.Is(err, feed.ErrEmpty) {
		t.Fatal(err)
	}
	for _, w := range warnings {
		t.Logf("warning: %s", w)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// TestReplica installs, follows, compacts and starts again, and is the center's
// equal after each step.
func TestReplica(t *testing.T) {
	c, dir := newCenter(t, 200), t.TempDir()
	r := openReplica(t, dir)
	f, b := c.publish(3)
	if err := r.Apply(f, b); !errors.Is(err, feed.ErrEmpty) {
		t.Errorf("a frame without a snapshot: %v; want %v", err, feed.ErrEmpty)
	}
	if err := r.Install(c.snapshot(r), false); err != nil {
		t.Fatal(err)
	}
	c.same(r)
	for step := range 60 {
		_, b := c.publish(c.IntN(6))
		if err := r.Apply(c.parse(b), b); err != nil {
			t.Fatal(err)
		}
		c.same(r)
		switch step % 12 {
		case 4:
			if err := r.Compact(context.Background()); err != nil {
				t.Fatal(err)
			}
			c.same(r)
		case 9:
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			r = openReplica(t, dir)
			c.same(r)
		}
	}
	marks, err := filepath.Glob(filepath.Join(dir, "*.mark"))
	if err != nil || len(marks) != 3 {
		t.Errorf("%d snapshots stay (%v); want 3", len(marks), err)
	}
}

func TestReplicaRefuses(t *testing.T) {
	c := newCenter(t, 60)
	r := openReplica(t, t.TempDir())
	old := c.snapshot(r)
	keep := [2][]byte{}
	keep[0], _ = os.ReadFile(old.Index)
	keep[1], _ = os.ReadFile(old.Lists)
	if err := r.Install(old, false); err != nil {
		t.Fatal(err)
	}
	first, b1 := c.publish(2)
	second, b2 := c.publish(2)
	if err := r.Apply(second, b2); !errors.Is(err, feed.ErrNext) {
		t.Errorf("a gap: %v; want %v", err, feed.ErrNext)
	}
	if err := errors.Join(r.Apply(first, b1), r.Apply(second, b2)); err != nil {
		t.Fatal(err)
	}
	if err := r.Apply(first, b1); !errors.Is(err, feed.ErrOlder) {
		t.Errorf("a frame again: %v; want %v", err, feed.ErrOlder)
	}
	stale := &feed.Frame{Type: feed.FrameHeartbeat, Revision: first.Revision, Sums: first.Sums, Time: c.clock.now()}
	if err := r.Apply(stale, c.bytes(stale)); !errors.Is(err, feed.ErrOlder) {
		t.Errorf("a heartbeat of an older revision: %v; want %v", err, feed.ErrOlder)
	}
	beat := &feed.Frame{Type: feed.FrameHeartbeat, Revision: c.rev, Sums: c.sums(), Time: c.clock.now().Add(time.Hour)}
	if err := r.Apply(beat, c.bytes(beat)); err != nil {
		t.Error(err)
	}
	if _, _, heard := r.State(); !heard.Equal(beat.Time) {
		t.Errorf("after a heartbeat the registry is known until %v; want %v", heard, beat.Time)
	}
	if err := errors.Join(os.WriteFile(old.Index, keep[0], 0o640), os.WriteFile(old.Lists, keep[1], 0o640)); err != nil {
		t.Fatal(err)
	}
	if err := r.Install(old, false); !errors.Is(err, feed.ErrOlder) {
		t.Errorf("an older snapshot: %v; want %v", err, feed.ErrOlder)
	}
	c.same(r)
	// What an operator accepts goes back.
	if err := errors.Join(os.WriteFile(old.Index, keep[0], 0o640), os.WriteFile(old.Lists, keep[1], 0o640)); err != nil {
		t.Fatal(err)
	}
	if err := r.Install(old, true); err != nil || r.Revision() != old.Manifest.Revision {
		t.Errorf("an older snapshot that is accepted: at %s, %v", r.Revision(), err)
	}
}

// A copy that differs says so, and repair makes it whole.
func TestReplicaRepair(t *testing.T) {
	c := newCenter(t, 300)
	r := openReplica(t, t.TempDir())
	if err := r.Install(c.snapshot(r), false); err != nil {
		t.Fatal(err)
	}
	// A frame of which a part was left out by an evil hand with the key.
	f, b := c.publish(20)
	forged := *f
	forged.Changes = forged.Changes[:len(forged.Changes)/2]
	if err := r.Apply(&forged, c.bytes(&forged)); !errors.Is(err, feed.ErrDiverged) {
		t.Fatalf("a frame with a part missing: %v; want %v", err, feed.ErrDiverged)
	}
	_ = b
	mine, _, _ := r.Digest()
	theirs, rev, _ := c.live.Digest()
	buckets := mine.Differ(theirs)
	if len(buckets) == 0 || len(buckets) > 40 {
		t.Fatalf("digests differ in %d buckets", len(buckets))
	}
	repair := &feed.Frame{Type: feed.FrameRepair, Revision: rev, Sums: c.sums()}
	for change := range c.live.View().In(buckets) {
		repair.Changes = append(repair.Changes, change)
	}
	if err := r.Repair(context.Background(), buckets[1:], []*feed.Frame{repair}, c.sums()); len(buckets) > 1 && err == nil {
		t.Log("a repair of too few buckets was enough")
	}
	if err := r.Repair(context.Background(), buckets, []*feed.Frame{c.parse(c.bytes(repair))}, c.sums()); err != nil {
		t.Fatal(err)
	}
	c.same(r)
	_, b = c.publish(3)
	if err := r.Apply(c.parse(b), b); err != nil {
		t.Fatal(err)
	}
	c.same(r)
}
