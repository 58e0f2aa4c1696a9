package api

import (
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"sync"
	"time"
)

// known remembers whose tokens were good, so that edges are served from what is on
// disk while the database is away: as streams that are open then, they go on. It is
// safe for concurrent use.
type known struct {
	Authenticator
	now func() time.Time

	mu        sync.Mutex
	by        map[[sha256.Size]byte]Identity
	forgotten uint64 // counts calls of forget
}

// maxKnown bounds what is remembered; beyond it some are forgotten.
const maxKnown = 10_000

// patience is how long an edge waits for a database that does not say that it is away.
// Only tests change it.
var patience = 5 * time.Second

// Authenticate implements Authenticator. Where it cannot be told whether a token is
// good that was, its identity has the scopes of an edge at most, and is unsure.
func (k *known) Authenticate(ctx context.Context, token string) (Identity, error) {
	sum := sha256.Sum256([]byte(token))
	k.mu.Lock()
	was, ok := k.by[sum]
	forgotten := k.forgotten
	k.mu.Unlock()
	if ok && was.isEdge() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, patience)
		defer cancel()
	}
	who, err := k.Authenticator.Authenticate(ctx, token)
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case err == nil:
		if k.forgotten == forgotten { // else it may have been revoked meanwhile
			k.keep(sum, who)
		}
	case errors.Is(err, ErrToken):
		delete(k.by, sum)
	default:
		was, ok := k.by[sum]
		if !ok || was.over(k.now()) {
			return who, err
		}
		was.unsure = true
		was.Scopes = slices.DeleteFunc(slices.Clone(was.Scopes), func(s string) bool { return !slices.Contains(EdgeScopes, s) })
		return was, nil
	}
	return who, err
}

func (k *known) keep(sum [sha256.Size]byte, who Identity) {
	if k.by == nil {
		k.by = map[[sha256.Size]byte]Identity{}
	}
	if _, ok := k.by[sum]; !ok && len(k.by) >= maxKnown {
		for some := range k.by {
			delete(k.by, some)
			break
		}
	}
	k.by[sum] = who
}

// isEdge reports whether who asks may no more than an edge.
func (i Identity) isEdge() bool {
	return !slices.ContainsFunc(i.Scopes, func(s string) bool { return !slices.Contains(EdgeScopes, s) })
}

// forget forgets a token that was revoked.
func (k *known) forget(id string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.forgotten++
	for sum, who := range k.by {
		if who.ID == id {
			delete(k.by, sum)
		}
	}
}
