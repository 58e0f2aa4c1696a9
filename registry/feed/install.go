package feed

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/disk"
	"github.com/icpgate/icpgate/registry/index"
)

// Fetched is a snapshot that lies in files of the replica's directory, which
// Install takes over or removes.
type Fetched struct {
	Manifest *Manifest
	Signed   []byte // the manifest as it came, for a relay to hand on; nil: it need not
	Index    string // path of the file of filings and blacklist
	Lists    string // path of the file of lists
}

// FetchPath is where the files of a snapshot may be put for Install: on the
// replica's own file system, and cleared away after a crash.
func (r *Replica) FetchPath(sha256 string) string {
	return fmt.Sprintf("%s/fetch-%s%s", r.dir, sha256, tempSuffix)
}

// Install puts a snapshot in force whose files have the checksums of its manifest,
// which the caller has seen to, and the manifest a good signature. It is refused,
// and everything stays as it was, if it is older than what is in force (unless
// back: an operator accepts it), if it flips more than is taken unannounced, or if
// its digests are not those of the manifest.
func (r *Replica) Install(f Fetched, back bool) (err error) {
	r.compacting.Lock()
	defer r.compacting.Unlock()
	defer func() { err = errors.Join(err, f.clear()) }()
	m := f.Manifest
	r.mu.Lock()
	at, old := r.live.View().Revision(), r.live.View()
	r.mu.Unlock()
	if !back && m.Revision.Compare(at) < 0 {
		return fmt.Errorf("snapshot of revision %s: the registry is at %s: %w", m.Revision, at, ErrOlder)
	}
	x, d, lists, err := checkFetched(&f)
	if err != nil {
		return err
	}
	flipped, err := r.braked(m, old, index.NewView(x), back)
	if err != nil {
		return err
	}
	b := base{Revision: m.Revision, Time: m.known(r.o.Now()), Sums: Sums{d.Sum(), lists.Digest()}, Filed: x.Info().Filings, Brake: flipped, dir: r.dir}
	if r.o.Served {
		b.Index = m.Index
	}
	if err := disk.Rename(f.Index, b.path(indexSuffix)); err != nil {
		return err
	}
	if f.Signed != nil {
		if err := disk.WriteFile(b.path(manifestSuffix), f.Signed, fileMode); err != nil {
			return err
		}
	}
	if err := b.finish(d, lists.Append(nil), r.o.Served); err != nil {
		return err
	}
	if x, err = index.Map(b.path(indexSuffix)); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.begin(&b, x, d, lists)
}

// checkFetched opens the files of a snapshot.
func checkFetched(f *Fetched) (*index.Index, *index.Digest, *Lists, error) {
	m := f.Manifest
	x, err := index.Map(f.Index)
	if err != nil {
		return nil, nil, nil, err
	}
	if got := x.Info().Revision; got != m.Revision {
		return nil, nil, nil, fmt.Errorf("snapshot of revision %s; its manifest says %s", got, m.Revision)
	}
	d, err := x.Digest()
	if err != nil {
		return nil, nil, nil, err
	}
	file, err := os.Open(f.Lists)
	if err != nil {
		return nil, nil, nil, err
	}
	defer file.Close()
	lists, skipped, err := ReadLists(file, x.Key())
	if err != nil {
		return nil, nil, nil, err
	}
	want, err := m.Sums()
	if err != nil {
		return nil, nil, nil, err
	}
	if d.Sum() != want.Filings || skipped == 0 && lists.Digest() != want.Lists {
		return nil, nil, nil, fmt.Errorf("snapshot of revision %s has digests %x and %x; its manifest says %x: %w", m.Revision, d.Sum(), lists.Digest(), want, ErrDiverged)
	}
	return x, d, lists, nil
}

// braked is what has flipped once a snapshot is in force that may come after old. One
// that flips too much is refused.
func (r *Replica) braked(m *Manifest, old, now *index.View, back bool) (counted, error) {
	r.mu.Lock()
	r.brake.notAfter(later(m.Time, r.o.Now())) // also where it is refused: the next is later
	b := brake{limit: r.brake.limit, counted: r.brake.upTo(m.Revision.Rev)}
	current := r.o.Now().Sub(r.heard) < flipWindow
	r.mu.Unlock()
	if old == nil || back {
		// Nobody decided by what is lost, or an operator takes it. How much of the import is
		// in the snapshot is not known: as if all of it were.
		b.announce(m.Import, m.Flips)
		if a := b.announced(m.Import); a != nil {
			a.Taken = a.Flips
		}
		return b.counted, nil
	}
	err := b.snapshot(m, flipsBetween(old, now), old.Info().Filings, current)
	return b.counted, err
}

// begin puts a snapshot in force and a new log after it; r.mu is held.
func (r *Replica) begin(b *base, x *index.Index, d *index.Digest, lists *Lists) error {
	if r.log != nil {
		r.log.Close()
		r.log = nil
	}
	r.unwritten, r.waiting = nil, 0
	heard := b.Time
	if r.live.View().Revision() == b.Revision { // what was heard of it since holds
		heard = later(heard, notAfter(r.heard, r.o.Now()).UTC())
	}
	r.live.Swap(nil)
	r.live.Swap(x)
	if err := r.live.KeepDigest(d, b.Revision); err != nil {
		return err
	}
	r.base, r.lists, r.sums, r.heard, r.left = *b, lists, b.Sums, heard, time.Time{}
	r.brake.counted, r.brake.uncounted = b.Brake.upTo(b.Revision.Rev), 0
	if err := r.restartLog(b.Revision); err != nil {
		return err
	}
	if heard.After(b.Time) {
		r.keepHeard() // the mark does not say it
	}
	tell(r.o.Changed, everyList())
	return r.tidy()
}

// Digest returns the digest in force and its revision; false without a registry.
func (r *Replica) Digest() (*index.Digest, registry.Revision, bool) { return r.live.Digest() }

// Repair makes the buckets in which this copy differs from the registry what they
// are there: the frames, of FrameRepair and at the revision in force, hold all
// that lies in them. The digests must then be sums, or everything stays as it was.
func (r *Replica) Repair(ctx context.Context, buckets []int, frames []*Frame, sums Sums) error {
	r.compacting.Lock()
	defer r.compacting.Unlock()
	r.mu.Lock()
	v, lists := r.live.View(), r.lists
	b := base{Revision: v.Revision(), Time: r.heard.UTC(), Sums: sums, Brake: r.brake.upTo(v.Revision().Rev), dir: r.dir}
	r.mu.Unlock()
	if v == nil || lists == nil {
		return ErrEmpty
	}
	for _, f := range frames {
		if f.Type != FrameRepair || f.Revision != b.Revision {
			return fmt.Errorf("repair with a frame of revision %s; the registry is at %s: %w", f.Revision, b.Revision, ErrNext)
		}
	}
	path := b.path(indexSuffix) + tempSuffix
	defer disk.Remove(path)
	if err := v.WriteFile(ctx, path); err != nil {
		return err
	}
	whole, err := index.Map(path)
	if err != nil {
		return err
	}
	mended := b.path(indexSuffix)
	if err := index.Merge(ctx, mended, whole, repairs(v, buckets, frames), index.Options{Key: v.Key(), Revision: b.Revision}); err != nil {
		return err
	}
	x, err := index.Map(mended)
	if err != nil {
		return err
	}
	d, err := x.Digest()
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if got := (Sums{d.Sum(), lists.Digest()}); got != sums || r.live.View() != v {
		return fmt.Errorf("repaired at %s the digests are %x; the registry has %x: %w", b.Revision, got, sums, ErrDiverged)
	}
	b.Filed = x.Info().Filings
	if err := b.finish(d, lists.Append(nil), r.o.Served); err != nil {
		return err
	}
	return r.begin(&b, x, d, lists)
}

// repairs are the changes that make some buckets what the frames say.
func repairs(v *index.View, buckets []int, frames []*Frame) index.Changes {
	c := index.Changes{Names: map[registry.Domain][]registry.Filing{}, Addrs: map[netip.Addr][]registry.Filing{}, Blacklist: map[registry.Domain]bool{}}
	for old := range v.In(buckets) {
		switch {
		case old.Kind == registry.ChangeListed:
			c.Blacklist[old.Name] = false
		case old.Addr.IsValid():
			c.Addrs[old.Addr] = nil
		default:
			c.Names[old.Name] = nil
		}
	}
	for _, f := range frames {
		for i := range f.Changes {
			switch now := &f.Changes[i]; {
			case now.Kind == registry.ChangeListed:
				c.Blacklist[now.Name] = true
			case now.Addr.IsValid():
				c.Addrs[now.Addr] = now.Filings
			default:
				c.Names[now.Name] = now.Filings
			}
		}
	}
	return c
}

// RepairFrames makes the frames that hold what lies in some buckets, in as many as
// are needed, each signed by s.
func (r *Replica) RepairFrames(buckets []int, s *Signer) (frames [][]byte, err error) {
	r.mu.Lock()
	v, sums, at := r.live.View(), r.sums, r.heard
	r.mu.Unlock()
	if v == nil {
		return nil, ErrEmpty
	}
	f := Frame{Type: FrameRepair, Revision: v.Revision(), Time: at, Sums: sums}
	end := func() error {
		b, err := f.Append(nil, s)
		frames = append(frames, b)
		f.Changes = nil
		return err
	}
	for c := range v.In(slices.Clone(buckets)) {
		f.Changes = append(f.Changes, c)
		if len(f.Changes) == 4000 {
			if err := end(); err != nil {
				return nil, err
			}
		}
	}
	return frames, end()
}
