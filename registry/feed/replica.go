package feed

import (
	"bytes"
	"context"
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
	heard time.Time // until when the registry is known to be at Revision
	brake brake

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
	// many filings; nil is MassLimit.
	MassChange func(filings int) int
	// Kept is how many snapshots stay beside the newest; 0 is 2.
	Kept int
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
	r.base, r.lists, r.log, r.sums, r.heard = *b, lists, log, b.Sums, b.Time
	tell(r.o.Changed, everyList())
	if log.Last().Rev < b.Revision.Rev {
		// Frames before the snapshot were dropped with their segment half written.
		return warnings, r.restartLog(b.Revision)
	}
	if err := r.replay(); err != nil {
		warnings = append(warnings, err.Error())
		// What follows has to come again.
		return warnings, r.restartLog(r.live.View().Revision())
	}
	return warnings, nil
}

// replay applies the frames of the log that are newer than the snapshot.
func (r *Replica) replay() error {
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
		if err := r.take(f); err != nil {
			return err
		}
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

// Snapshot tells the revision of the newest snapshot, and when the registry was known
// to be there.
func (r *Replica) Snapshot() (registry.Revision, time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.base.Revision, r.base.Time
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

// Apply takes in a frame: its bytes, which are kept as they are, and what
// ParseFrame made of them. It is in force when Apply returns, also where it then
// could not be written (ErrUnwritten; Flush tries again) and
// where the digests differ (ErrDiverged; Repair, or install a snapshot). Other
// errors leave everything as it was. A heartbeat only tells that the registry is
// alive.
func (r *Replica) Apply(f *Frame, b []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	at := r.live.View().Revision()
	if r.log == nil {
		return ErrEmpty
	}
	if f.Type == FrameHeartbeat {
		return r.hear(f, at)
	}
	if err := next(f.Revision, at); err != nil {
		return err
	}
	if err := r.brake.check(f, r.live.View(), f.Time); err != nil {
		return err
	}
	if err := r.take(f); err != nil {
		return err
	}
	if err := r.write(b); err != nil {
		return fmt.Errorf("revision %s: %w: %w", f.Revision, ErrUnwritten, err)
	}
	if f.Sums != r.sums {
		return fmt.Errorf("revision %s: digests are %x; the registry has %x: %w", f.Revision, r.sums, f.Sums, ErrDiverged)
	}
	return nil
}

// Publish makes the next revision of what f says and returns its frame, signed and
// on disk: f's revision, type and digests are set. It is how a registry of record
// publishes; what may be published is the caller's to say. On ErrUnwritten the
// frame is in force and returned, and must not be sent before Flush succeeds; other
// errors leave everything as it was.
func (r *Replica) Publish(f *Frame, s *Signer) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.log == nil {
		return nil, ErrEmpty
	}
	f.Type, f.Revision = FrameRevision, r.live.View().Revision()
	f.Revision.Rev++
	for i := range f.Changes {
		f.Changes[i].Revision = f.Revision
	}
	if _, err := f.Append(nil, s); err != nil { // what no frame can hold is not put in force
		return nil, err
	}
	if f.Notice != nil {
		r.brake.announce(f.Notice.Import, f.Notice.Flips)
	}
	if err := r.take(f); err != nil {
		return nil, err
	}
	f.Sums = r.sums
	b, err := f.Append(nil, s)
	if err != nil {
		return nil, err
	}
	if err := r.write(b); err != nil {
		return b, fmt.Errorf("revision %s: %w: %w", f.Revision, ErrUnwritten, err)
	}
	return b, nil
}

// Heartbeat makes the frame that says that nothing has changed, and takes it in.
func (r *Replica) Heartbeat(now time.Time, s *Signer) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.log == nil {
		return nil, ErrEmpty
	}
	f := Frame{Type: FrameHeartbeat, Revision: r.live.View().Revision(), Time: now, Sums: r.sums}
	b, err := f.Append(nil, s)
	if err == nil && now.After(r.heard) {
		r.heard = now
	}
	return b, err
}

// maxUnwritten is how many bytes of frames wait in memory for a disk that takes
// nothing.
const maxUnwritten = 64 << 20

// write appends a frame to the log, after those that could not be written before.
func (r *Replica) write(b []byte) error {
	if len(b) > 0 {
		r.unwritten = append(r.unwritten, bytes.Clone(b))
		r.waiting += len(b)
	}
	err := r.log.Append(r.unwritten...)
	if err == nil || r.waiting > maxUnwritten {
		// Beyond that the log has a gap, and the next start begins at the snapshot.
		if err != nil {
			err = errors.Join(err, r.restartLog(r.live.View().Revision()))
		}
		r.unwritten, r.waiting = nil, 0
	}
	return err
}

// Flush writes frames that are in force and could not be written when they came.
func (r *Replica) Flush() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.log == nil || len(r.unwritten) == 0 {
		return nil
	}
	return r.write(nil)
}

// next checks that a frame is the one after a revision.
func next(rev, at registry.Revision) error {
	switch {
	case rev.Epoch != at.Epoch && rev.Compare(at) < 0, rev.Epoch == at.Epoch && rev.Rev <= at.Rev:
		return fmt.Errorf("frame of revision %s: the registry is at %s: %w", rev, at, ErrOlder)
	case rev.Epoch != at.Epoch || rev.Rev != at.Rev+1:
		return fmt.Errorf("frame of revision %s: the registry is at %s: %w", rev, at, ErrNext)
	}
	return nil
}

// hear takes in a heartbeat.
func (r *Replica) hear(f *Frame, at registry.Revision) error {
	switch {
	case f.Revision.Epoch != at.Epoch || f.Revision.Rev < at.Rev:
		return fmt.Errorf("heartbeat at %s: this copy is at %s: %w", f.Revision, at, ErrOlder)
	case f.Revision != at:
		return fmt.Errorf("heartbeat at %s: this copy is at %s: %w", f.Revision, at, ErrNext)
	case f.Sums != r.sums:
		return fmt.Errorf("heartbeat at %s: digests are %x; the registry has %x: %w", f.Revision, r.sums, f.Sums, ErrDiverged)
	}
	if f.Time.After(r.heard) {
		r.heard = f.Time
	}
	return nil
}

// take puts the content of a frame in force.
func (r *Replica) take(f *Frame) error {
	for _, e := range f.Entries {
		if err := e.Check(); err != nil {
			return err
		}
	}
	changes := f.Changes
	if len(changes) == 0 {
		changes = []registry.Change{{Revision: f.Revision}}
	}
	if err := r.live.Apply(changes...); err != nil {
		return err
	}
	changed := map[registry.List]bool{}
	for _, e := range f.Entries {
		if err := r.lists.Apply(e); err != nil {
			return fmt.Errorf("revision %s: %w: %w", f.Revision, err, ErrDiverged)
		}
		changed[e.List] = true
	}
	d, _, _ := r.live.Digest()
	r.sums = Sums{d.Sum(), r.lists.Digest()}
	if f.Time.After(r.heard) {
		r.heard = f.Time
	}
	tell(r.o.Changed, changed)
	return nil
}

// fileBySum returns the path of a file of a snapshot that can be served.
func (r *Replica) fileBySum(sha256 string) (string, bool) {
	bases, err := basesIn(r.dir)
	if err != nil || sha256 == "" {
		return "", false
	}
	for i := range bases {
		switch sha256 {
		case bases[i].Index.SHA256:
			return bases[i].path(indexSuffix), true
		case bases[i].Lists.SHA256:
			return bases[i].path(listsSuffix), true
		}
	}
	return "", false
}

// upstreamManifest is the signed manifest that came with the snapshot; nil where
// there is none.
func (r *Replica) upstreamManifest() []byte {
	r.mu.Lock()
	b := r.base
	r.mu.Unlock()
	text, err := os.ReadFile(b.path(manifestSuffix))
	if err != nil {
		return nil
	}
	return text
}

// Compact makes a snapshot of what is in force and drops the frames before the
// oldest snapshot that stays. It takes as long as index.Merge and holds up nobody.
func (r *Replica) Compact(ctx context.Context) error {
	r.compacting.Lock()
	defer r.compacting.Unlock()
	r.mu.Lock()
	v := r.live.View()
	if v == nil || r.log == nil {
		r.mu.Unlock()
		return ErrEmpty
	}
	d, _, _ := r.live.Digest()
	b := base{Revision: v.Revision(), Time: r.heard, Sums: r.sums, Filed: v.Info().Filings, dir: r.dir}
	lists := r.lists.Append(nil)
	same := b.Revision == r.base.Revision
	r.mu.Unlock()
	if same {
		return nil
	}
	if err := v.WriteFile(ctx, b.path(indexSuffix)); err != nil {
		return err
	}
	if err := b.finish(d, lists, r.o.Served); err != nil {
		return err
	}
	x, err := index.Map(b.path(indexSuffix))
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.live.View().Revision().Epoch != b.Revision.Epoch || r.base.Revision.Compare(b.Revision) > 0 {
		return fmt.Errorf("snapshot %s is written but not in force: another one came meanwhile, at %s", b.Revision, r.base.Revision)
	}
	r.live.Swap(x)
	r.base = b
	return r.tidy()
}

// Manifest returns the manifest of the newest snapshot, to be signed, with the
// files that it names; false where there is none that can be served. now is the
// time of its making.
func (r *Replica) Manifest(now time.Time) (m Manifest, index, lists string, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.log == nil || r.base.Index.SHA256 == "" {
		return m, "", "", false
	}
	m = Manifest{
		Formats: [2]int{LowestFormat, HighestFormat}, Revision: r.base.Revision, Time: now.UTC().Truncate(time.Second),
		Index: r.base.Index, Lists: r.base.Lists, Filed: r.base.Filed, Import: r.brake.newest, Flips: r.brake.flips[r.brake.newest],
	}
	m.SetSums(r.base.Sums)
	return m, r.base.path(indexSuffix), r.base.path(listsSuffix), true
}

// tidy removes snapshots beyond those that stay, and frames that only they need.
// Newer ones than that in force are of an epoch that an operator has left, or could
// not be opened: the next start must not begin there.
func (r *Replica) tidy() error {
	bases, err := basesIn(r.dir)
	if err != nil {
		return err
	}
	keep := r.o.Kept
	if keep == 0 {
		keep = 2
	}
	oldest := r.base.Revision
	for i := range bases {
		if bases[i].Revision == r.base.Revision {
			continue
		}
		if keep > 0 && bases[i].Revision.Compare(r.base.Revision) < 0 {
			keep--
			if bases[i].Revision.Epoch == oldest.Epoch {
				oldest = bases[i].Revision
			}
			continue
		}
		err = errors.Join(err, bases[i].remove())
		if bases[i].Revision.Compare(r.base.Revision) > 0 {
			err = errors.Join(err, disk.SyncDir(r.dir)) // so that it does not come back
		}
	}
	return errors.Join(err, r.log.Drop(oldest.Rev), r.dropLogs())
}

// dropLogs removes the logs of other epochs.
func (r *Replica) dropLogs() error {
	files, err := os.ReadDir(r.dir)
	now := filepath.Base(logDir(r.dir, r.base.Revision.Epoch))
	for _, f := range files {
		if f.IsDir() && strings.HasSuffix(f.Name(), ".log") && f.Name() != now {
			err = errors.Join(err, disk.RemoveAll(filepath.Join(r.dir, f.Name())))
		}
	}
	return err
}
