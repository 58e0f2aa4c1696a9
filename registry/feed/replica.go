package feed

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/disk"
	"github.com/icpgate/icpgate/registry/index"
)

// Replica is a registry that this host keeps in a directory: a snapshot, the
// frames since, and both in force in an index.Live. Edges, relays and the nodes of
// a registry service hold one each. It does no more than its caller says: it
// fetches nothing and starts no goroutine. It is safe for concurrent use; View
// waits for nobody. The directory must be its own.
type Replica struct {
	dir  string
	keys *Keys
	o    ReplicaOptions
	live *index.Live

	mu    sync.Mutex
	base  base
	lists *Lists
	log   *Log
	sums  Sums      // of what is in force
	heard time.Time // until when the registry is known to be at Revision; not later than now
	left  time.Time // until when base was the registry, where later revisions followed since the start; else zero
	brake brake

	heardFile *disk.File // where the last heartbeat is kept; nil before the first

	unwritten [][]byte // frames in force that the log does not have
	waiting   int      // bytes of them

	compacting sync.Mutex
}

// ReplicaOptions say how a replica is kept. The zero value trusts nobody.
type ReplicaOptions struct {
	// Keys are those of which one must have signed frames.
	Keys *Keys
	// Live is where the registry is put in force; nil: one of its own.
	Live *index.Live
	// Changed, if not nil, is called after lists have changed, with the replica's
	// lock held: it must not call back.
	Changed func(lists []registry.List)
	// Served: the checksums of snapshots are computed, so that they can be served.
	Served bool
	// MassChange is how many flips within ten minutes are taken unannounced, of so
	// many filings; nil is MassLimit. It may say otherwise at every call; less than 0
	// is any number, of which none counts later.
	MassChange func(filings int) int
	// Kept is how many snapshots stay beside the newest; 0 is 2.
	Kept int
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// The kinds of errors of a replica. What they are wrapped in says more.
var (
	// ErrEmpty: the directory holds no whole snapshot; fetch one.
	ErrEmpty = errors.New("there is no snapshot")
	// ErrNext: a frame that is not of the next revision.
	ErrNext = errors.New("not the next revision")
	// ErrDiverged: after a frame the registry is not what the sender's is.
	ErrDiverged = errors.New("this copy differs from the registry's own")
	// ErrOlder: an epoch or a revision that is older than what was there already.
	ErrOlder = errors.New("older than what is in force")
	// ErrUnwritten: the registry is in force, but not on disk.
	ErrUnwritten = errors.New("in force, but could not be written to disk")
)

// logDir is the directory of an epoch's log.
func logDir(dir string, e registry.Epoch) string {
	return filepath.Join(dir, fmt.Sprintf("%016x-%016x.log", e.Made, e.Random))
}

// OpenReplica opens what a directory holds: the newest snapshot that is whole,
// with the frames since that are. With none it returns a replica and ErrEmpty;
// Install gives it one. Warnings tell what was passed over.
func OpenReplica(dir string, o ReplicaOptions) (r *Replica, warnings []string, err error) {
	if err := disk.MkdirAll(dir, 0o750); err != nil {
		return nil, nil, err
	}
	r = &Replica{dir: dir, keys: o.Keys, o: o, live: o.Live, brake: newBrake(o.MassChange)}
	if r.live == nil {
		r.live = new(index.Live)
	}
	if r.o.Now == nil {
		r.o.Now = time.Now
	}
	removeTemps(dir)
	bases, err := basesIn(dir)
	if err != nil {
		return nil, nil, err
	}
	for i := range bases {
		more, err := r.start(&bases[i])
		warnings = append(warnings, more...)
		if err == nil {
			return r, warnings, nil
		}
		warnings = append(warnings, err.Error())
	}
	return r, warnings, ErrEmpty
}

// removeTemps removes what a crash left half written.
func removeTemps(dir string) {
	files, _ := os.ReadDir(dir) // what stays is in nobody's way
	for _, f := range files {
		if strings.HasSuffix(f.Name(), tempSuffix) || strings.HasPrefix(f.Name(), ".") {
			_ = disk.Remove(filepath.Join(dir, f.Name()))
		}
	}
}

// start puts a snapshot in force, with what its log says beyond.
func (r *Replica) start(b *base) (warnings []string, err error) {
	x, d, lists, err := b.open()
	if err != nil {
		return nil, err
	}
	log, cut, err := OpenLog(logDir(r.dir, b.Revision.Epoch), b.Revision.Epoch, b.Revision.Rev)
	if err != nil {
		return nil, err
	}
	if cut > 0 {
		warnings = append(warnings, fmt.Sprintf("log of %s: %d bytes at its end were not whole and are cut off", logDir(r.dir, b.Revision.Epoch), cut))
	}
	r.live.Swap(x)
	if err := r.live.KeepDigest(d, b.Revision); err != nil {
		log.Close()
		return nil, err
	}
	r.base, r.lists, r.log, r.sums = *b, lists, log, b.Sums
	r.brake.counted, r.brake.uncounted = b.Brake.upTo(b.Brake.Rev), 0
	if h, ok := heardIn(r.dir, b.Revision.Epoch); ok {
		r.brake.uncounted = h.uncounted
	}
	tell(r.o.Changed, everyList())
	var newest time.Time // of the frames
	if log.Last().Rev < b.Revision.Rev {
		// Frames before the snapshot were dropped with their segment half written.
		err = r.restartLog(b.Revision)
	} else if bad := r.replay(&newest); bad != nil {
		warnings = append(warnings, bad.Error())
		// What follows has to come again.
		err = r.restartLog(r.live.View().Revision())
	}
	// What the log has lost comes again, and counts.
	r.brake.uncounted = min(r.brake.uncounted, r.live.View().Revision().Rev)
	now, late := r.o.Now(), time.Time{}
	if r.heard, _, late = recall(r.dir, r.live.View().Revision(), b.Time, newest, now); !late.IsZero() {
		warnings = append(warnings, lateWarning(late, now))
	}
	return warnings, err
}

// replay applies the frames of the log that are newer than the snapshot. newest is
// set to the time of the last one.
func (r *Replica) replay(newest *time.Time) error {
	reader := ReadLog(r.log.dir, r.base.Revision)
	defer reader.Close()
	last := r.log.Last()
	for r.live.View().Revision().Rev < last.Rev {
		b, err := reader.Next()
		if err != nil {
			return fmt.Errorf("log after %s: %w", r.live.View().Revision(), err)
		}
		f, err := parseFrame(b)
		if err != nil {
			return err
		}
		r.brake.notAfter(later(f.Time, r.o.Now()))
		r.brake.again(f, r.live.View())
		if err := r.take(f); err != nil {
			return err
		}
		*newest = f.Time
	}
	return nil
}

// restartLog begins a log anew after a revision.
func (r *Replica) restartLog(after registry.Revision) error {
	if r.log != nil {
		r.log.Close()
	}
	dir := logDir(r.dir, after.Epoch)
	segs, err := segmentsIn(dir)
	if err != nil {
		return err
	}
	for _, s := range segs {
		if err := disk.Remove(segmentPath(dir, s.first)); err != nil {
			return err
		}
	}
	r.log, _, err = OpenLog(dir, after.Epoch, after.Rev)
	return err
}

// Close ends the replica. What is in force stays.
func (r *Replica) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.heardFile != nil {
		_ = r.heardFile.Close() // it was not synced either
		r.heardFile = nil
	}
	if r.log == nil {
		return nil
	}
	return r.log.Close()
}

// Live is where the registry is in force.
func (r *Replica) Live() *index.Live { return r.live }

// Revision is that in force; zero where none is.
func (r *Replica) Revision() registry.Revision { return r.live.View().Revision() }

// State tells the revision in force, its digests, and until when the registry is
// known to be there.
func (r *Replica) State() (registry.Revision, Sums, time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.live.View().Revision(), r.sums, r.heard
}

// ListsState is another number after a list has changed.
func (r *Replica) ListsState() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sums.Lists
}

// File returns one list as the data file that an operator would write.
func (r *Replica) File(list registry.List) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.lists == nil {
		return nil
	}
	return r.lists.File(list)
}

// Log is where the frames are kept; nil without a snapshot.
func (r *Replica) Log() *Log {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log
}
