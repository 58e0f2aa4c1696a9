package feed

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/icpgate/icpgate/registry"
)

// Defaults of a follower.
const (
	// DefaultSilence is how long nothing may come, not even a heartbeat, before a
	// stream is given up.
	DefaultSilence = 10 * time.Second
	// DefaultBackOff is the first wait after a failure, DefaultBackOffMost the
	// longest; each is drawn from nothing up to that (full jitter).
	DefaultBackOff     = 200 * time.Millisecond
	DefaultBackOffMost = 30 * time.Second
	// DefaultJitter is the longest wait before a snapshot is fetched by an edge that
	// holds one already.
	DefaultJitter = time.Minute
	// DefaultReport is how often an edge tells the service how it is.
	DefaultReport = 10 * time.Second
)

// FollowOptions say how a replica follows a service. The zero value has the
// defaults.
type FollowOptions struct {
	Keys *Keys // those of which one must have signed; nil trusts nobody
	// Hub, if not nil, serves the replica: a relay. It takes every frame.
	Hub *Hub
	// Silence, BackOff, BackOffMost, Jitter, Report and Adopt are the defaults where
	// zero; a negative Jitter is none, a negative Report sends none.
	Silence     time.Duration
	BackOff     time.Duration
	BackOffMost time.Duration
	Jitter      time.Duration
	Report      time.Duration
	Adopt       time.Duration // of a relay
	// Behind tells of the edges behind a relay; each report takes them along.
	// Optional.
	Behind func() []EdgeBehind
	// AcceptEpoch is an epoch that an operator accepts though it is older than the
	// one in force.
	AcceptEpoch registry.Epoch
	// Program is what the service is told that asks.
	Program string
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// Changed, if not nil, is called after each change of the status; it must
	// return soon.
	Changed func(FollowStatus)
}

// FollowStatus is how a follower does. The zero value has not begun.
type FollowStatus struct {
	Connected bool              // a stream is open and frames come
	Current   bool              // this copy has been where the service was said to be, at least once
	Upstream  registry.Revision // the newest that the service said to be at; for people, since not all that it says is signed
	Lost      bool              // the service keeps no frames after this copy: it is behind, by how much is not known
	Heard     time.Time         // until when this copy is known to be the registry
	Failing   error             // why it does not follow; nil if it does
	Stopped   bool              // and will not until somebody does something
	Snapshots int               // how many it fetched
	Repairs   int               // how many times it repaired itself
	Adopted   int               // of a relay: how many newer snapshots it took from upstream
	Adopting  error             // and why it could not take the last one
}

// Follower keeps a replica at what a service says. Make one with NewFollower; Run
// it once.
type Follower struct {
	r *Replica
	c *Client
	o FollowOptions

	aim registry.Revision // what the service said to be at when the stream began; of the goroutine of Run

	mu     sync.Mutex
	status FollowStatus
}

// NewFollower returns a follower of the service of a client.
func NewFollower(r *Replica, c *Client, o FollowOptions) *Follower {
	for _, d := range []struct {
		at *time.Duration
		to time.Duration
	}{
		{&o.Silence, DefaultSilence}, {&o.BackOff, DefaultBackOff}, {&o.BackOffMost, DefaultBackOffMost},
		{&o.Jitter, DefaultJitter}, {&o.Report, DefaultReport}, {&o.Adopt, DefaultAdopt},
	} {
		if *d.at == 0 {
			*d.at = d.to
		}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Follower{r: r, c: c, o: o}
}

// Status tells how the follower does.
func (f *Follower) Status() FollowStatus {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, _, f.status.Heard = f.r.State()
	return f.status
}

func (f *Follower) update(change func(*FollowStatus)) {
	f.mu.Lock()
	change(&f.status)
	s := f.status
	f.mu.Unlock()
	if f.o.Changed != nil {
		_, _, s.Heard = f.r.State()
		f.o.Changed(s)
	}
}

// Run follows until ctx ends. It never gives up: what is in force stays in force
// for as long as the service is away.
func (f *Follower) Run(ctx context.Context) {
	var work sync.WaitGroup
	defer work.Wait()
	if f.o.Report > 0 {
		work.Go(func() { f.report(ctx) })
	}
	if f.o.Hub != nil {
		work.Go(func() { f.adopt(ctx) })
	}
	wait := f.o.BackOff
	for ctx.Err() == nil {
		before, _, _ := f.r.State()
		err := f.once(ctx)
		if ctx.Err() != nil {
			return
		}
		f.update(func(s *FollowStatus) {
			s.Connected, s.Failing = false, err
			s.Stopped = errors.Is(err, ErrMassChange) || errors.Is(err, ErrOperation)
		})
		if at, _, _ := f.r.State(); at != before {
			wait = f.o.BackOff
		}
		var busy *BusyError
		pause := time.Duration(rand.Int64N(int64(wait) + 1))
		if errors.As(err, &busy) {
			pause += busy.After
		}
		if !sleep(ctx, pause) {
			return
		}
		wait = min(2*wait, f.o.BackOffMost)
	}
}

// sleep waits, and reports whether ctx goes on.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// once follows until something goes wrong, and mends what can be mended.
func (f *Follower) once(ctx context.Context) error {
	if f.r.Log() == nil {
		return f.snapshot(ctx, 0)
	}
	err := f.stream(ctx)
	switch {
	case errors.Is(err, ErrDiverged):
		mended := f.mend(ctx)
		if mended == nil {
			return nil
		}
		if ctx.Err() != nil {
			return err
		}
		return f.snapshot(ctx, f.o.Jitter)
	case errors.Is(err, ErrMassChange):
		// A snapshot whose manifest announces the change goes past the brake.
		if f.snapshot(ctx, 0) == nil {
			return nil
		}
	case errors.Is(err, ErrGone), errors.Is(err, ErrNext):
		f.update(func(s *FollowStatus) { s.Connected, s.Lost = false, true })
		return f.snapshot(ctx, f.o.Jitter)
	}
	return err
}

// stream reads frames until one is missing, wrong or too late.
func (f *Follower) stream(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silent := time.AfterFunc(f.o.Silence, func() {
		cancel(fmt.Errorf("nothing came from %s for %v, not even a heartbeat", f.c.base, f.o.Silence))
	})
	defer silent.Stop()
	from := f.r.Revision()
	body, at, err := f.c.opened(ctx, feedAfter(from))
	if err != nil {
		return cause(ctx, err)
	}
	defer body.Close()
	if f.aim = at; at.Epoch == from.Epoch && at.Rev >= from.Rev {
		// With what is still to come it shows how far this copy is behind.
		f.update(func(s *FollowStatus) { s.Upstream, s.Lost, s.Current = at, false, s.Current || at == from })
	}
	r := bufio.NewReaderSize(body, 64<<10)
	var buf []byte
	for {
		b, err := ReadFrame(r, buf)
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = fmt.Errorf("the service at %s ended the stream", f.c.base)
			}
			return cause(ctx, err)
		}
		buf = b
		silent.Reset(f.o.Silence)
		frame, err := ParseFrame(b, f.o.Keys)
		if err != nil {
			return err
		}
		if err := f.take(frame, b); err != nil {
			return err
		}
	}
}

// cause is why ctx was ended, if it was, else err.
func cause(ctx context.Context, err error) error {
	if c := context.Cause(ctx); c != nil {
		return c
	}
	return err
}

// take takes a frame in.
func (f *Follower) take(frame *Frame, b []byte) (err error) {
	if f.o.Hub != nil {
		err = f.o.Hub.Take(frame, b)
	} else {
		err = f.r.Apply(frame, b)
	}
	if err != nil && !errors.Is(err, ErrUnwritten) {
		return err
	}
	// A heartbeat that was taken in is of the revision in force.
	current := frame.Type == FrameHeartbeat || frame.Revision.Epoch == f.aim.Epoch && frame.Revision.Rev >= f.aim.Rev
	f.update(func(s *FollowStatus) {
		s.Connected, s.Failing, s.Stopped, s.Lost, s.Current = true, err, false, false, s.Current || current
		if frame.Revision.Compare(s.Upstream) > 0 {
			s.Upstream = frame.Revision
		}
	})
	if frame.Type == FrameHeartbeat {
		_ = f.r.Flush() // the next heartbeat tries again
	}
	return nil
}

// snapshot fetches the newest snapshot and puts it in force.
func (f *Follower) snapshot(ctx context.Context, jitter time.Duration) error {
	m, signed, err := f.c.Manifest(ctx, f.o.Keys)
	if err != nil {
		return err
	}
	at := f.r.Revision()
	if m.Revision.Compare(at) > 0 {
		f.update(func(s *FollowStatus) {
			if m.Revision.Compare(s.Upstream) > 0 {
				s.Upstream = m.Revision
			}
		})
	}
	back := m.Revision.Epoch == f.o.AcceptEpoch && f.o.AcceptEpoch != (registry.Epoch{}) && m.Revision.Epoch != at.Epoch
	if !back && m.Revision.Compare(at) < 0 {
		if m.Revision.Epoch != at.Epoch {
			return fmt.Errorf("the service at %s is of an older epoch, at %s; this copy is at %s: %w; after a restore that you know of, \"accept-epoch %s\" follows it", f.c.base, m.Revision, at, ErrOlder, m.Revision.Epoch)
		}
		return fmt.Errorf("the newest snapshot at %s is of revision %s; this copy is at %s: %w", f.c.base, m.Revision, at, ErrOlder)
	}
	// An operator who waits for his epoch is one; all edges at once are many.
	if jitter > 0 && !back && !sleep(ctx, time.Duration(rand.Int64N(int64(jitter)))) {
		return ctx.Err()
	}
	got, err := f.fetch(ctx, m, signed)
	if err != nil {
		return err
	}
	if err := f.r.Install(got, back); err != nil {
		return err
	}
	if f.o.Hub != nil {
		f.o.Hub.Restart()
	}
	f.update(func(s *FollowStatus) { s.Snapshots++ })
	return nil
}

// mend repairs the buckets that differ.
func (f *Follower) mend(ctx context.Context) error {
	beat, theirs, err := f.c.Digest(ctx, f.o.Keys)
	if err != nil {
		return err
	}
	mine, at, ok := f.r.Digest()
	if !ok || beat.Revision != at {
		return fmt.Errorf("the registry is at %s, this copy at %s: %w", beat.Revision, at, ErrNext)
	}
	buckets := mine.Differ(theirs)
	if len(buckets) == 0 || len(buckets) > maxRepair {
		return fmt.Errorf("%d buckets differ; %d can be repaired: %w", len(buckets), maxRepair, ErrDiverged)
	}
	frames, err := f.c.Repair(ctx, at, buckets, f.o.Keys)
	if err != nil {
		return err
	}
	if err := f.r.Repair(ctx, buckets, frames, beat.Sums); err != nil {
		return err
	}
	if f.o.Hub != nil {
		f.o.Hub.Restart()
	}
	f.update(func(s *FollowStatus) { s.Repairs++ })
	return nil
}

// report tells the service how this edge is, now and then.
func (f *Follower) report(ctx context.Context) {
	for sleep(ctx, f.o.Report/2+time.Duration(rand.Int64N(int64(f.o.Report)))) {
		rev, sums, heard := f.r.State()
		if rev == (registry.Revision{}) {
			continue
		}
		s := EdgeStatus{
			Revision: rev, Filings: formatSum(sums.Filings), Lists: formatSum(sums.Lists), Program: f.o.Program,
			Age: max(0, int64(f.o.Now().Sub(heard)/time.Second)),
		}
		if failing := f.Status().Failing; failing != nil {
			s.Error = failing.Error()
		}
		all := EdgeReport{EdgeStatus: s}
		if f.o.Behind != nil {
			all.Behind = f.o.Behind()
		}
		short, cancel := context.WithTimeout(ctx, f.o.Silence)
		_ = f.c.Report(short, all) // the next one says it again
		cancel()
	}
}
