package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/feed"
	"github.com/icpgate/icpgate/registry/index"
	"github.com/icpgate/icpgate/registry/store"
)

// Limits of what is published at a time and kept between snapshots.
const (
	// publishOperations is about how many operations are read from the store at once.
	publishOperations = 10_000
	// compactBytes is how large the log may grow, or a fiftieth of the snapshot where
	// that is more, before a new snapshot is made.
	compactBytes = 16 << 20
)

// DefaultSnapshots is how often a snapshot is made at least, if anything changes: an
// edge that is new, or was away, has no more to read than that.
const DefaultSnapshots = 24 * time.Hour

// Publisher brings the revisions of a store to the streams of a hub. Make one with
// OpenPublisher, Run it once, and Close it.
type Publisher struct {
	s    *store.Store
	r    *feed.Replica
	hub  *feed.Hub
	keep int64 // bytes of the log after the last snapshot
	tell func(error)
	now  func() time.Time
	// every is how old a snapshot may be when something has changed since.
	every time.Duration
	tried time.Time // when the last one was begun

	released time.Time // what was in memory of the snapshot
	looked   int       // operations since, each of which brings some of it in

	failing atomic.Bool // revisions do not reach the hub
}

// PublisherOptions say how a publisher works. Signer must be given.
type PublisherOptions struct {
	Signer *feed.Signer
	Hub    feed.HubOptions // its Signer is set
	// Snapshots is how often a new snapshot is made where the log alone asks for none;
	// 0 is DefaultSnapshots.
	Snapshots time.Duration
	// Failed, if not nil, is told what keeps revisions from edges: once when it
	// begins, and nil when it is over. It must return soon.
	Failed func(error)
}

// OpenPublisher brings a directory, in which the service keeps what it serves, to
// the newest revision of a store: by the changes that it lacks or, where they are
// not kept or the directory is new, by a snapshot of the whole store.
func OpenPublisher(ctx context.Context, s *store.Store, dir string, o PublisherOptions) (p *Publisher, warnings []string, err error) {
	r, warnings, err := feed.OpenReplica(dir, feed.ReplicaOptions{
		Keys: feed.Trust(o.Signer), Served: true, Now: o.Hub.Now, MassChange: func(filings int) int { return max(filings, 1<<30) },
	})
	if err != nil && !errors.Is(err, feed.ErrEmpty) {
		return nil, warnings, fmt.Errorf("what is served cannot be kept in %s: %w", dir, err)
	}
	o.Hub.Signer = o.Signer
	p = &Publisher{s: s, r: r, tell: o.Failed, now: o.Hub.Now, every: cmp.Or(o.Snapshots, DefaultSnapshots)}
	if p.now == nil {
		p.now = time.Now
	}
	if p.tell == nil {
		p.tell = func(error) {}
	}
	if err := p.begin(ctx); err != nil {
		r.Close()
		return nil, warnings, err
	}
	p.hub = feed.NewHub(r, o.Hub)
	if err := p.catchUp(ctx); err != nil {
		r.Close()
		return nil, warnings, err
	}
	if !r.SignedBy(feed.Trust(o.Signer)) {
		// The key has changed: who begins with the new one alone cannot read what the
		// old one has signed since the snapshot.
		if err := r.Compact(ctx); err != nil {
			warnings = append(warnings, fmt.Sprintf("the key that signs is another one than before, and a new snapshot could not be made, so that edges that begin need both: %v", err))
		}
	}
	debug.FreeOSMemory() // what opening took; the service goes on for months
	p.release()
	return p, warnings, nil
}

// begin sees to it that the replica can be brought to the store's revision by
// changes alone.
func (p *Publisher) begin(ctx context.Context) error {
	now, err := p.s.Revision(ctx)
	if err != nil {
		return err
	}
	at := p.r.Revision()
	if p.r.Log() != nil && at.Epoch == now.Epoch && at.Rev <= now.Rev {
		_, err := p.s.Changes(ctx, at, 1)
		if !errors.Is(err, store.ErrGone) {
			return err
		}
	}
	return p.snapshot(ctx)
}

// snapshot makes a snapshot of the whole store and puts it in force.
func (p *Publisher) snapshot(ctx context.Context) error {
	f := feed.Fetched{Index: p.r.FetchPath("index"), Lists: p.r.FetchPath("lists")}
	defer os.Remove(f.Index)
	defer os.Remove(f.Lists)
	defer thrifty()()
	err := p.s.ViewShared(ctx, func(v *store.View) error {
		m, err := write(v, f.Index, f.Lists, p.now())
		f.Manifest = m
		return err
	})
	if err != nil {
		return fmt.Errorf("snapshot of the registry: %w", err)
	}
	if err := p.r.Install(f, true); err != nil {
		return fmt.Errorf("snapshot of the registry: %w", err)
	}
	p.release()
	if p.hub != nil {
		p.hub.Restart()
	}
	return nil
}

// write writes the files of a snapshot of what a view shows, and returns its
// manifest.
func write(v *store.View, indexPath, listsPath string, now time.Time) (*feed.Manifest, error) {
	lists := feed.NewLists(v.Key)
	if err := v.Entries(lists.Apply); err != nil {
		return nil, err
	}
	info, err := writeIndex(v, indexPath)
	if err != nil {
		return nil, err
	}
	if info.Filings >= manyFilings {
		debug.FreeOSMemory() // what it was made of, before the file is mapped beside it
	}
	if err := os.WriteFile(listsPath, lists.Append(nil), 0o640); err != nil {
		return nil, err
	}
	x, err := index.Map(indexPath)
	if err != nil {
		return nil, err
	}
	d, err := x.Digest()
	if err != nil {
		return nil, err
	}
	m := &feed.Manifest{
		Formats: [2]int{feed.LowestFormat, feed.HighestFormat}, Revision: v.Revision, Time: now, Filed: info.Filings,
	}
	m.SetSums(feed.Sums{Filings: d.Sum(), Lists: lists.Digest()})
	return m, nil
}

// manyFilings take about a hundred megabytes while an index is made of them.
const manyFilings = 1_000_000

// writeIndex writes the index of what a view shows.
func writeIndex(v *store.View, path string) (index.Info, error) {
	b := index.NewBuilder(index.Options{Key: v.Key, Revision: v.Revision})
	if err := v.FilingsShared(func() func(registry.Filing) error { return b.Adder().Add }); err != nil {
		return index.Info{}, err
	}
	if err := v.Blacklist(func(d registry.Domain) error { b.Blacklist(d); return nil }); err != nil {
		return index.Info{}, err
	}
	return b.WriteFile(path)
}

// Hub is what streams are served from.
func (p *Publisher) Hub() *feed.Hub { return p.hub }

// Connected tells whether the revisions of the store reach the hub.
func (p *Publisher) Connected() bool { return !p.failing.Load() }

// Close ends the streams and what is kept.
func (p *Publisher) Close() error {
	p.hub.Close()
	return p.r.Close()
}

// Run publishes until ctx ends. It does not give up: where the database is away or
// the disk is full it tries again, and streams and snapshots go on from what is
// there.
func (p *Publisher) Run(ctx context.Context) {
	p.s.Pace(p.pace)
	defer p.s.Pace(nil)
	beats := make(chan struct{})
	go func() { defer close(beats); p.hub.Run(ctx) }()
	defer func() { <-beats }()
	compacted := make(chan error, 1)
	compacting := false
	for ctx.Err() == nil {
		err := p.catchUp(ctx)
		if time.Since(p.released) > releaseEvery {
			p.release()
		}
		if err == nil {
			if p.failing.Swap(false) {
				p.tell(nil)
			}
			_, err = p.s.Wait(ctx, p.r.Revision())
		}
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			if !p.failing.Swap(true) {
				p.tell(err)
			}
			pause(ctx, time.Second)
			continue
		}
		select {
		case err := <-compacted:
			compacting = false
			if err != nil && ctx.Err() == nil {
				p.tell(fmt.Errorf("a new snapshot could not be made; the log grows meanwhile: %w", err))
			}
			p.keep = p.r.Log().Size()
		default:
		}
		if !compacting && p.grown() {
			compacting, p.tried = true, p.now()
			go func() {
				err := p.r.Compact(ctx)
				p.r.Live().Load().Release()
				compacted <- err
			}()
		}
	}
	if compacting {
		<-compacted
	}
}

// releaseEvery is how often what changes have read of the snapshot leaves memory:
// one that is looked for brings in what stands beside it, too.
const releaseEvery = 10 * time.Second

// releaseLooked is after how many operations it does so at once. The kernel maps 16
// pages around one that is asked for, and an operation asks for two or three: an import
// of 50,000 changes had all of a snapshot in memory within the 10 seconds.
const releaseLooked = 250

// release gives the pages of the snapshot in force back to the kernel. Edges decide,
// and not the service.
func (p *Publisher) release() {
	p.released, p.looked = time.Now(), 0
	p.r.Live().Load().Release()
}

// pacing is how long an import waits for edges after a revision at most.
const pacing = time.Second

// pace lets an import be one revision ahead of most edges.
func (p *Publisher) pace(ctx context.Context, rev registry.Revision) {
	ctx, cancel := context.WithTimeout(ctx, pacing)
	defer cancel()
	rev.Rev--
	p.hub.Settle(ctx, rev)
}

// grown reports whether a new snapshot is worth its while: by what has come since the
// last one, or by the time that has passed.
func (p *Publisher) grown() bool {
	limit := max(compactBytes, p.r.Live().Load().Info().Bytes/50)
	if p.r.Log().Size()-p.keep > limit {
		return true
	}
	rev, at := p.r.Snapshot()
	if at.Before(p.tried) {
		at = p.tried // in vain
	}
	return rev != p.r.Revision() && p.now().Sub(at) > p.every
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// catchUp publishes what the store has and the hub has not.
func (p *Publisher) catchUp(ctx context.Context) error {
	for {
		at := p.r.Revision()
		list, err := p.s.Changes(ctx, at, publishOperations)
		if errors.Is(err, store.ErrGone) {
			// Another epoch, or the log was trimmed while this node was away.
			if err := p.snapshot(ctx); err != nil {
				return err
			}
			continue
		}
		if err != nil || len(list) == 0 {
			return err
		}
		for i := range list {
			if err := p.publish(&list[i]); err != nil {
				return err
			}
		}
	}
}

// publish makes the frame of one revision.
func (p *Publisher) publish(r *store.Published) error {
	f := &feed.Frame{Time: r.At.Truncate(time.Millisecond), Import: r.Import, Changes: r.Changes, Entries: r.Entries}
	if r.Flips > 0 {
		f.Notice = &feed.MassChange{Import: r.Import, Flips: r.Flips}
	}
	if err := p.hub.Publish(f); err != nil {
		return fmt.Errorf("publish revision %s: %w", r.Revision, err)
	}
	if f.Revision != r.Revision {
		return fmt.Errorf("revision %s was published as %s", r.Revision, f.Revision)
	}
	if p.looked += len(r.Changes); p.looked > releaseLooked {
		p.release()
	}
	return nil
}
