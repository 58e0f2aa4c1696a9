package edge

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/feed"
)

// Held returns how many pieces of data the process holds.
func Held() int {
	pool.mu.Lock()
	defer pool.mu.Unlock()
	return len(pool.byKey)
}

// StateOf is where the copy of a source lies below a state directory.
func StateOf(e *Edge) string {
	s := e.registry.get().state
	if s == nil {
		return ""
	}
	return s.snapshot()
}

// Leads reports whether e holds the lock of its state.
func Leads(e *Edge) bool { return e.registry.get().state.held }

// Best returns the exemption of x for d at now.
func Best(x *Exemptions, d registry.Domain, now int64) registry.Exemption {
	return x.best(registry.Exemption{}, d, now)
}

// OnFollow has f told how following does from the next Open on.
func OnFollow(f func(feed.FollowStatus)) { followChanged = f }

// HandOver hands over what the process has seen, at once.
func (e *Edge) HandOver(ctx context.Context) error {
	s := e.service.get()
	dir := filepath.Join(s.state.dir, "sightings")
	return errors.Join(s.spool(dir), s.send(ctx, dir))
}

// SightBucket returns how many rows a bucket of the index takes.
func SightBucket(h uint64) int {
	x, n := new(sightIndex), 0
	for ; !x.full(h) && n < 100; n++ {
		x.add(h, n)
	}
	return n
}

// ReadOn has e take in what the process that follows has written; false where e
// follows itself.
func (e *Edge) ReadOn() bool {
	s := e.service.get()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tail == nil {
		return false
	}
	s.readOn()
	return true
}

// Behind is what a status says of how far a copy is behind.
func (f *FeedStatus) Behind() string { return f.behind() }
