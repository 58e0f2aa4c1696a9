package index

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"sync/atomic"
	"time"

	"github.com/icpgate/icpgate/registry"
)

// Source asks a registry elsewhere for the coverages of names, in their order. It
// must end when ctx does. One call is under way at a time. What it returns is not
// kept: the answers are copied. An answer that is not Loaded counts as none.
type Source func(ctx context.Context, names []registry.Domain) ([]registry.Coverage, error)

// ThinConfig says how a Thin holds what its source answers. The zero value of a
// field is its default; Source and Now have none. Negative values are refused,
// save that of Stale.
type ThinConfig struct {
	Source Source
	Now    func() time.Time // for example time.Now

	Size     int // entries, about; default 16,384
	MaxBytes int // of the entries together, as estimated (about 300 one); default 16 MiB

	TTL         time.Duration // of answers with a filing or a blacklisting; default 10 minutes
	NegativeTTL time.Duration // of the others; default 1 minute
	// Stale is how long an answer may serve after its TTL while the source is away;
	// 0 is for ever, below 0 is not at all.
	Stale time.Duration

	Timeout     time.Duration // longest wait of Cover; default 50 ms
	CallTimeout time.Duration // longest call of Source, then it has failed; default 5 s
	Batch       int           // most names of a call; default 256
}

// withDefaults fills in what was left out, or says what is wrong.
func (c ThinConfig) withDefaults() (ThinConfig, error) {
	switch {
	case c.Source == nil:
		return c, errors.New("thin registry without a Source")
	case c.Now == nil:
		return c, errors.New("thin registry without a clock; Now would be time.Now")
	}
	for _, n := range []struct {
		name         string
		value        *int
		defaultValue int
	}{{"Size", &c.Size, 16 << 10}, {"MaxBytes", &c.MaxBytes, 16 << 20}, {"Batch", &c.Batch, 256}} {
		if *n.value < 0 {
			return c, fmt.Errorf("thin registry: %s is %d; expect a number above 0, or 0 for %d", n.name, *n.value, n.defaultValue)
		}
		if *n.value == 0 {
			*n.value = n.defaultValue
		}
	}
	for _, d := range []struct {
		name                string
		value               *time.Duration
		defaultValue, least time.Duration
	}{
		{"TTL", &c.TTL, 10 * time.Minute, 0}, {"NegativeTTL", &c.NegativeTTL, time.Minute, 0},
		{"Timeout", &c.Timeout, 50 * time.Millisecond, 0}, {"CallTimeout", &c.CallTimeout, 5 * time.Second, 0},
	} {
		if *d.value < 0 {
			return c, fmt.Errorf("thin registry: %s is %s; expect a duration above 0, or 0 for %s", d.name, *d.value, d.defaultValue)
		}
		if *d.value == 0 {
			*d.value = d.defaultValue
		}
	}
	return c, nil
}

// Thin is the registry as a small edge holds it: the answers of a registry
// elsewhere that were asked for lately. Make one with NewThin and end it with
// Close; it is safe for concurrent use. The nil Thin is a registry that was never
// loaded.
//
// An entry is a name cut where nothing more is known (Coverage.Cut), so that a
// flood of random names below one domain is one entry. A name that no entry
// answers is asked for in full, once for all who wait for it; what is asked for
// during a call of the source goes into the next one.
//
// An answer older than its TTL is asked for anew, and serves on where the source
// fails, or does not answer in time. After an error the source is left alone for
// a while; nobody waits for it meanwhile.
//
// A hit costs one look-up in an LRU, one reading of the clock, and half of either
// (BenchmarkThin: 285 ns on a busy machine where these cost 127 and 110).
type Thin struct {
	config ThinConfig
	start  time.Time // by its monotonic clock answers age
	seed   maphash.Seed
	shards []thinShard
	// deepest is how many labels the longest key has that stands for more names
	// than itself: no level between it and the whole name need be looked at.
	deepest atomic.Int32
	stamps
	asking
	thinCounters
}

// thinCounters are those that are not counted by shard.
type thinCounters struct {
	misses, stale, unanswered, timeouts,
	requests, asked, errors atomic.Uint64
}

// ThinStats are the counters of a Thin since it was made. Every call of Cover is
// a hit or a miss; a miss waits for the source, serves a stale answer, or none.
type ThinStats struct {
	Hits, Misses uint64
	Stale        uint64 // answers older than their TTL that served
	Unanswered   uint64 // coverages that were not Loaded
	Timeouts     uint64 // waits that Timeout or the caller's context ended
	Evictions    uint64 // entries that others displaced
	Requests     uint64 // calls of the source
	Asked        uint64 // names in them
	Errors       uint64 // calls that failed
	Entries      int    // with those that are too old, or dropped but not yet looked up
	Bytes        int64  // of the entries, estimated
}

// NewThin makes a Thin. Its error says which field of c is wrong.
func NewThin(c ThinConfig) (*Thin, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	t := &Thin{config: c, start: c.Now(), seed: maphash.MakeSeed(), shards: newThinShards(c.Size, c.MaxBytes)}
	t.stamps.init(c.Size)
	t.asking.init()
	return t, nil
}

// Cover returns what the registry knows of a name. Where no answer is at hand it
// waits for one, until Timeout or the end of ctx; then the coverage is not
// Loaded, which Decide calls undecided, while the question goes on and fills the
// cache. A hit does not wait and does not allocate. The slices in the answer are
// shared.
func (t *Thin) Cover(ctx context.Context, d registry.Domain) registry.Coverage {
	if t == nil || d.IsZero() {
		return registry.Coverage{}
	}
	e, fresh := t.find(d.String(), t.clock())
	if fresh {
		t.shard(e.hash).hits.Add(1)
		return e.coverage
	}
	t.misses.Add(1)
	return t.wait(ctx, d, e)
}

// clock tells the time since t was made; a step of the wall clock does not
// change it.
func (t *Thin) clock() time.Duration { return t.config.Now().Sub(t.start) }

// find returns the entry that answers a name, from the shallowest key on, and
// whether it is within its TTL. Failing that, it is the last one asked for that
// may serve as stale, or nil.
func (t *Thin) find(name string, now time.Duration) (old *thinEntry, fresh bool) {
	deepest := int(t.deepest.Load())
	for at, level := len(name)+1, 1; at > 0; level++ {
		at = lastLabel(name, at-1)
		if at > 0 && (level < 2 || level > deepest) {
			continue
		}
		e := t.entry(name[at:], at == 0)
		switch {
		case e == nil:
		case now < e.until:
			return e, true
		case t.mayServe(e, now) && (old == nil || old.asked <= e.asked):
			old = e
		}
	}
	return old, false
}

// entry returns the entry of a key if it holds good for a name: whole tells that
// the key is all of it.
func (t *Thin) entry(key string, whole bool) *thinEntry {
	h := maphash.String(t.seed, key)
	s := t.shard(h)
	e := s.get(key)
	if e == nil || e.exact && !whole {
		return nil
	}
	if !t.current(e) {
		s.drop(e)
		return nil
	}
	return e
}

// mayServe reports whether e may serve after its TTL.
func (t *Thin) mayServe(e *thinEntry, now time.Duration) bool {
	return t.config.Stale == 0 || now-e.until < t.config.Stale
}

// remember makes an entry of what the source answered for d, and keeps it. asked
// and change are when the call began, by clock and by stamp.
func (t *Thin) remember(d registry.Domain, c registry.Coverage, asked time.Duration, change uint64) *thinEntry {
	e := &thinEntry{coverage: ownCopy(c), asked: asked, change: change}
	e.key, e.exact = thinKey(d, int(c.Cut))
	e.hash = maphash.String(t.seed, e.key)
	e.until = asked + t.config.NegativeTTL
	if len(c.Filings) > 0 || c.Blacklisted {
		e.until = asked + t.config.TTL
	}
	e.size = e.estimate()
	if level := int32(c.Cut); !e.exact && level > t.deepest.Load() {
		t.deepest.Store(level) // one call at a time: nobody else writes
	}
	t.shard(e.hash).put(e)
	return e
}

func (t *Thin) shard(hash uint64) *thinShard { return &t.shards[hash>>32&uint64(len(t.shards)-1)] }

// Stats returns the counters.
func (t *Thin) Stats() ThinStats {
	if t == nil {
		return ThinStats{}
	}
	s := ThinStats{
		Misses: t.misses.Load(), Stale: t.stale.Load(), Unanswered: t.unanswered.Load(), Timeouts: t.timeouts.Load(),
		Requests: t.requests.Load(), Asked: t.asked.Load(), Errors: t.errors.Load(),
	}
	for i := range t.shards {
		t.shards[i].count(&s)
	}
	return s
}
