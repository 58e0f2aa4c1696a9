package api

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/feed"
)

// Relay follows another service and serves what it says, byte for byte and under
// its signatures: whoever owns a relay can keep edges back, and tell them nothing
// that is not upstream's. Make one with OpenRelay, Run it once, and Close it.
type Relay struct {
	r      *feed.Replica
	hub    *feed.Hub
	o      RelayOptions
	follow *feed.Follower

	mu      sync.Mutex
	behind  func() []feed.EdgeBehind
	failing bool
	denied  bool // and told so
}

// RelayOptions say how a relay works. Upstream and Keys must be given.
type RelayOptions struct {
	Upstream *feed.Client
	Keys     *feed.Keys // of which one must have signed what upstream says
	Hub      feed.HubOptions
	// Follow says how upstream is followed; what a relay needs of it is set.
	Follow feed.FollowOptions
	// Failed, if not nil, is told why upstream is not followed, once when it begins,
	// once more when it turns out that the relay is not let in (feed.ErrDenied), and
	// nil when it is over. It must return soon.
	Failed func(error)
}

// OpenRelay opens what a relay has kept in a directory. It may be served at once;
// what upstream has had since comes with Run.
func OpenRelay(dir string, o RelayOptions) (y *Relay, warnings []string, err error) {
	r, warnings, err := feed.OpenReplica(dir, feed.ReplicaOptions{
		// Edges have brakes of their own; one here would keep announcements from them.
		Keys: o.Keys, Served: true, Now: o.Hub.Now, MassChange: func(filings int) int { return max(filings, 1<<30) },
	})
	if err != nil && !errors.Is(err, feed.ErrEmpty) {
		return nil, warnings, fmt.Errorf("what is served cannot be kept in %s: %w", dir, err)
	}
	o.Hub.Signer, o.Hub.Upstream = nil, o.Upstream
	y = &Relay{r: r, hub: feed.NewHub(r, o.Hub), o: o}
	f := o.Follow
	f.Keys, f.Hub, f.Changed, f.Behind = o.Keys, y.hub, y.changed, y.edges
	if f.Jitter == 0 {
		f.Jitter = -1 // there are few relays, and many edges wait for each
	}
	y.follow = feed.NewFollower(r, o.Upstream, f)
	return y, warnings, nil
}

// Hub is what streams are served from.
func (y *Relay) Hub() *feed.Hub { return y.hub }

// Status tells how upstream is followed.
func (y *Relay) Status() feed.FollowStatus { return y.follow.Status() }

// Connected tells whether revisions come from upstream.
func (y *Relay) Connected() bool { return y.follow.Status().Connected }

// SpeakFor has the relay tell upstream of the edges behind it.
func (y *Relay) SpeakFor(behind func() []feed.EdgeBehind) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.behind = behind
}

func (y *Relay) edges() []feed.EdgeBehind {
	y.mu.Lock()
	behind := y.behind
	y.mu.Unlock()
	if behind == nil {
		return nil
	}
	return behind()
}

// changed tells of the beginning and the end of what keeps it from following.
func (y *Relay) changed(s feed.FollowStatus) {
	if y.o.Failed == nil {
		return
	}
	y.mu.Lock()
	was, toldDenied := y.failing, y.denied
	switch {
	case s.Failing != nil:
		y.failing = true
		y.denied = y.denied || errors.Is(s.Failing, feed.ErrDenied)
	case s.Connected:
		y.failing, y.denied = false, false
	}
	now := y.failing
	worse := y.denied && !toldDenied
	y.mu.Unlock()
	switch {
	case now && !was, worse:
		y.o.Failed(s.Failing)
	case was && !now:
		y.o.Failed(nil)
	}
}

// Run follows until ctx ends.
func (y *Relay) Run(ctx context.Context) { y.follow.Run(ctx) }

// Close ends the streams and what is kept.
func (y *Relay) Close() error {
	y.hub.Close()
	return y.r.Close()
}

// Revision is where the relay is.
func (y *Relay) Revision() registry.Revision { return y.r.Revision() }
