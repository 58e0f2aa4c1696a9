package feed

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/icpgate/icpgate/registry"
)

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
	r.brake.notAfter(later(f.Time, r.o.Now()))
	if err := r.brake.check(f, r.live.View(), f.Time); err != nil {
		return err
	}
	if err := r.take(f); err != nil {
		return err
	}
	r.hearUntil(f.Time)
	if err := r.write(b); err != nil {
		return fmt.Errorf("revision %s: %w: %w", f.Revision, ErrUnwritten, err)
	}
	r.keepHeard()
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
	r.hearUntil(f.Time)
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
	if err == nil {
		r.hearUntil(now)
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
	r.hearUntil(f.Time)
	r.keepHeard()
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
	at := r.live.View().Revision()
	if err := r.live.Apply(changes...); err != nil {
		return err
	}
	if at == r.base.Revision {
		r.left = r.heard
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
	tell(r.o.Changed, changed)
	return nil
}
