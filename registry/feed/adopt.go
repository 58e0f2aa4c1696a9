package feed

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"time"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/disk"
	"github.com/icpgate/icpgate/registry/index"
)

// DefaultAdopt is how often a relay asks upstream for a newer snapshot.
const DefaultAdopt = time.Minute

// Adopt makes a snapshot of upstream the newest of this replica, which has been at
// its revision already: a relay's log need not reach back beyond it then. What is in
// force stays as it is. Like Install it takes the files over or removes them. A
// snapshot that is the newest here lends its manifest only: it is younger, and may
// be signed by another key.
func (r *Replica) Adopt(f Fetched) (err error) {
	r.compacting.Lock()
	defer r.compacting.Unlock()
	defer func() { err = errors.Join(err, f.clear()) }()
	m := f.Manifest
	r.mu.Lock()
	now, log := r.base, r.log
	at := r.live.View().Revision()
	flipped := r.brake.upTo(at.Rev)
	r.mu.Unlock()
	switch {
	case log == nil:
		return ErrEmpty
	case m.Revision == now.Revision && m.Index == now.Index && m.Lists == now.Lists:
		return disk.WriteFile(now.path(manifestSuffix), f.Signed, fileMode)
	case m.Revision.Epoch != at.Epoch || m.Revision.Rev > at.Rev:
		return fmt.Errorf("snapshot of revision %s: this copy is at %s: %w", m.Revision, at, ErrNext)
	case m.Revision.Rev <= now.Revision.Rev:
		return fmt.Errorf("snapshot of revision %s: there is one of %s: %w", m.Revision, now.Revision, ErrOlder)
	}
	_, d, lists, err := checkFetched(&f)
	if err != nil {
		return err
	}
	b := base{Revision: m.Revision, Time: m.known(r.o.Now()), Sums: Sums{d.Sum(), lists.Digest()}, Filed: m.Filed, Index: m.Index, Brake: flipped, dir: r.dir}
	if err := disk.Rename(f.Index, b.path(indexSuffix)); err != nil {
		return err
	}
	if err := disk.WriteFile(b.path(manifestSuffix), f.Signed, fileMode); err != nil {
		return err
	}
	if err := b.finish(d, lists.Append(nil), r.o.Served); err != nil {
		return err
	}
	x, err := index.Map(b.path(indexSuffix))
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if at := r.live.View().Revision(); at.Epoch != b.Revision.Epoch || at.Rev < b.Revision.Rev {
		return fmt.Errorf("snapshot of revision %s: this copy is at %s meanwhile: %w", b.Revision, at, ErrNext)
	}
	r.live.Swap(x)
	r.base, r.left = b, time.Time{}
	return r.tidy()
}

// clear removes the files that nobody has taken over.
func (f *Fetched) clear() (err error) {
	for _, path := range []string{f.Index, f.Lists} {
		if e := disk.Remove(path); e != nil && !errors.Is(e, os.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	return err
}

// adopt keeps the snapshot of a relay at upstream's newest until ctx ends. What goes
// wrong goes wrong again in a minute, and the log grows meanwhile.
func (f *Follower) adopt(ctx context.Context) {
	for sleep(ctx, f.o.Adopt/2+time.Duration(rand.Int64N(int64(f.o.Adopt)))) {
		err := f.adoptNewest(ctx)
		f.update(func(s *FollowStatus) { s.Adopting = err })
	}
}

// adoptNewest takes upstream's newest snapshot, if it is one for Adopt.
func (f *Follower) adoptNewest(ctx context.Context) error {
	at := f.r.Revision()
	if at == (registry.Revision{}) {
		return nil
	}
	m, signed, err := f.c.Manifest(ctx, f.o.Keys)
	if err != nil {
		return err
	}
	had := f.r.newest()
	switch {
	case m.Revision.Epoch != at.Epoch || m.Revision.Rev > at.Rev || m.Revision.Rev < had.Revision.Rev:
		return nil // the stream tells what to do
	case m.Revision == had.Revision:
		return f.r.Adopt(Fetched{Manifest: m, Signed: signed})
	}
	got, err := f.fetch(ctx, m, signed)
	if err != nil {
		return err
	}
	err = f.r.Adopt(got)
	if err == nil {
		f.update(func(s *FollowStatus) { s.Adopted++ })
	}
	return err
}

// newest is the newest snapshot.
func (r *Replica) newest() base {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.base
}

// fetch fetches the files of a snapshot.
func (f *Follower) fetch(ctx context.Context, m *Manifest, signed []byte) (got Fetched, err error) {
	got = Fetched{Manifest: m, Index: f.r.FetchPath(m.Index.SHA256), Lists: f.r.FetchPath(m.Lists.SHA256)}
	if f.o.Hub != nil {
		got.Signed = signed
	}
	for _, file := range []struct {
		File
		path string
	}{{m.Index, got.Index}, {m.Lists, got.Lists}} {
		if err := f.c.Fetch(ctx, file.File, file.path); err != nil {
			return got, err
		}
	}
	return got, nil
}
