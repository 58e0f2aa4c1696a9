package edge

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/feed"
	"github.com/icpgate/icpgate/registry/index"
)

// service is a registry that is followed: what a registry service says is held in
// the state directory, by the process that has its lock, and read along by the
// others of the host. It is in force from the files at once, and goes on for as
// long as the service is away. It is safe for concurrent use.
type service struct {
	url    string
	client *feed.Client
	keys   *feed.Keys
	accept registry.Epoch
	live   index.Live
	state  *state

	// beginning: the copy began with nothing and has not been yet where the registry
	// is. Until then it is not in force: what was filed since its snapshot would be
	// taken for unfiled.
	beginning atomic.Bool

	lists atomic.Uint64 // counts changes of lists
	tell  chan struct{} // lists have changed

	unsent atomic.Pointer[error] // why sightings are not handed over

	mu       sync.Mutex
	replica  *feed.Replica  // of the process that leads; nil: it reads along
	follower *feed.Follower // the same
	tail     *feed.Tail     // of the others
	failing  error          // why reading along does not work
	warnings []string       // of what the copy was opened with

	cancel context.CancelFunc
	work   sync.WaitGroup
}

// How often a process that reads along looks for more, and how often one that
// follows sees whether a snapshot of its own is worth its while.
const (
	readAlong    = 50 * time.Millisecond
	compactCheck = 10 * time.Second
	// compactLog is how large the log may grow before a snapshot is made, or a
	// hundredth of the snapshot where that is more.
	compactLog = 4 << 20
)

// newService takes what the state directory has in force and begins to follow.
func newService(cfg *Config) (s *service, err error) {
	s = &service{url: cfg.Service, accept: cfg.AcceptEpoch, tell: make(chan struct{}, 1)}
	if s.keys, err = feed.OpenKeys(cfg.Keys); err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	if s.client, err = cfg.Access.Open(cfg.Service); err != nil {
		return nil, err
	}
	dir := cfg.State
	if dir == "" {
		if dir, err = DefaultState(); err != nil {
			return nil, err
		}
	}
	if s.state, err = openState(dir, cfg.Service); err != nil {
		return nil, fmt.Errorf("%w (a registry that is followed is kept there; option \"state\" names another)", err)
	}
	if s.state.held {
		err = s.lead()
	} else {
		s.readAlong()
	}
	if err != nil {
		s.state.release()
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	s.work.Go(func() { s.run(ctx) })
	s.work.Go(func() { s.refresh(ctx) })
	s.work.Go(func() { s.handOver(ctx) })
	return s, nil
}

// dir is where the replica lies.
func (s *service) dir() string { return filepath.Join(s.state.dir, "feed") }

// changed is told of lists by what holds them, with its lock held.
func (s *service) changed([]registry.List) {
	s.lists.Add(1)
	select {
	case s.tell <- struct{}{}:
	default:
	}
}

// refresh has the open Edges read lists again that have changed.
func (s *service) refresh(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.tell:
		}
		for _, e := range openEdges() {
			if e.service != nil && e.service.get() == s {
				e.Refresh()
			}
		}
	}
}

// lead makes this process the one that follows.
func (s *service) lead() error {
	r, warnings, err := feed.OpenReplica(s.dir(), feed.ReplicaOptions{Keys: s.keys, Live: &s.live, Changed: s.changed, MassChange: s.massChange})
	if err != nil && !errors.Is(err, feed.ErrEmpty) {
		return err
	}
	s.begin(errors.Is(err, feed.ErrEmpty))
	hook := followChanged
	f := feed.NewFollower(r, s.client, feed.FollowOptions{Keys: s.keys, AcceptEpoch: s.accept, Program: programName(), Changed: func(st feed.FollowStatus) {
		if st.Current {
			s.begun()
		}
		if hook != nil {
			hook(st)
		}
	}})
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tail != nil {
		s.tail.Close()
		s.tail = nil
	}
	s.replica, s.follower, s.failing, s.warnings = r, f, nil, warnings
	return nil
}

// followChanged, if not nil, is told how following does; for tests to wait by.
var followChanged func(feed.FollowStatus)

// programName is what a registry service is told that asks.
func programName() string { return filepath.Base(os.Args[0]) }

// readAlong makes this process one that reads what another follows.
func (s *service) readAlong() {
	t := feed.NewTail(s.dir(), feed.ReplicaOptions{Live: &s.live, Changed: s.changed})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tail = t
	s.readOn()
}

// readOn takes in what the process that follows has written. The first snapshot
// that comes is looked at before it counts: the file is there before it. s.mu is
// held.
func (s *service) readOn() {
	if s.live.View() == nil {
		s.beginning.Store(true)
	}
	_, s.failing = s.tail.Next()
	if s.beginning.Load() && s.live.View() != nil && !s.marked() {
		s.beginning.Store(false)
	}
}

// run follows, or reads along until the lock is free.
func (s *service) run(ctx context.Context) {
	tick := time.NewTicker(readAlong)
	defer tick.Stop()
	for n := 0; !s.leads(); n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		s.mu.Lock()
		s.readOn()
		s.mu.Unlock()
		if n%20 != 0 {
			continue
		}
		if taken, err := s.state.hold(); err == nil && taken {
			if err := s.lead(); err != nil {
				s.mu.Lock()
				s.failing = err
				s.mu.Unlock()
				s.state.release()
				return
			}
		}
	}
	s.mu.Lock()
	f := s.follower
	s.mu.Unlock()
	s.work.Go(func() { s.compact(ctx) })
	f.Run(ctx)
}

func (s *service) leads() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.replica != nil
}

// compact makes a snapshot of its own from time to time, so that a start has
// little to read.
func (s *service) compact(ctx context.Context) {
	tick := time.NewTicker(compactCheck)
	defer tick.Stop()
	kept := int64(0)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		log := s.replica.Log()
		if log == nil || log.Size()-kept < max(compactLog, s.live.Load().Info().Bytes/100) {
			continue
		}
		_ = s.replica.Compact(ctx) // the log grows meanwhile, and the next tick tries again
		kept = log.Size()
	}
}

// release ends the following; what is in force stays.
func (s *service) release() {
	s.cancel()
	s.work.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.replica != nil {
		_ = s.replica.Close() // every frame was synced when it came
	}
	if s.tail != nil {
		s.tail.Close()
	}
	s.client.Close()
	s.state.release()
}

// ListsState implements Lister.
func (s *service) ListsState() uint64 { return s.lists.Load() }

// File implements Lister.
func (s *service) File(list registry.List) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.replica != nil {
		return s.replica.File(list)
	}
	return s.tail.File(list)
}

// since is until when the registry is known to be what is in force.
func (s *service) since() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.replica == nil {
		return s.tail.Heard()
	}
	_, _, heard := s.replica.State()
	return heard
}

// warned is what an operator is told of the copy that was opened.
func (s *service) warned() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.warnings
}

// FeedStatus is how it goes with a registry that is followed.
type FeedStatus struct {
	Connected bool              `json:"connected"` // frames come; of the process that follows
	Leads     bool              `json:"leads"`     // this process follows; others read along
	Upstream  registry.Revision `json:"upstream"`  // what the service was heard to be at
	Lag       uint64            `json:"lag"`       // revisions behind that, if of its epoch
	Lost      bool              `json:"lost"`      // behind by more than the service keeps changes of: by how much is not known
	HeardAt   *time.Time        `json:"heard_at,omitempty"`
	Beginning bool              `json:"beginning"` // it never was where the service is, and is not in force before
	Stopped   bool              `json:"stopped"`   // and will not go on until somebody does something
	Error     string            `json:"error,omitempty"`
	Snapshots int               `json:"snapshots"` // that were fetched
	Repairs   int               `json:"repairs"`
	Unsent    string            `json:"sightings_error,omitempty"` // why sightings wait
}

func (s *service) status() *FeedStatus {
	s.mu.Lock()
	failing := s.failing
	f := s.follower
	s.mu.Unlock()
	out := &FeedStatus{Leads: f != nil, Beginning: s.beginning.Load()}
	if f != nil {
		st := f.Status()
		out.Connected, out.Upstream, out.Stopped, out.Snapshots, out.Repairs, out.Lost = st.Connected, st.Upstream, st.Stopped, st.Snapshots, st.Repairs, st.Lost
		if st.Failing != nil {
			failing = st.Failing
		}
	} else {
		out.Connected = failing == nil
	}
	if at := s.live.View().Revision(); out.Upstream.Epoch == at.Epoch && out.Upstream.Rev > at.Rev {
		out.Lag = out.Upstream.Rev - at.Rev
	}
	if failing != nil {
		out.Error = failing.Error()
	}
	if err := s.unsent.Load(); err != nil {
		out.Unsent = (*err).Error()
	}
	if at := s.since().UTC(); at.Unix() > 0 {
		out.HeardAt = &at
	}
	return out
}

func (s *service) holding() Holding {
	st := s.status()
	return Holding{View: s.view(), Since: s.since(), Followed: true, Connected: st.Connected, Lag: st.Lag, Lost: st.Lost}
}

// holdService takes hold of a registry that is followed.
func (e *Edge) holdService() (err error) {
	c := &e.cfg
	extra := fmt.Sprintf("%q%q%q%v", c.Service, c.Access, c.State, c.AcceptEpoch)
	var s *service
	e.service, err = take(e, "registry", files(c.Keys), extra, func() (*service, error) {
		if s == nil {
			s, err = newService(c)
			return s, err
		}
		return s, s.rekey(c.Keys)
	})
	return err
}

// rekey follows with the keys of a file that has changed.
func (s *service) rekey(path string) error {
	keys, err := feed.OpenKeys(path)
	if err != nil {
		return err
	}
	s.keys.Replace(keys)
	return nil
}
