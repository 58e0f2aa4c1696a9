package index

import (
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unique"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/icpgate/icpgate/registry"
)

// thinEntry is one answer of the source. It does not change once it is kept.
type thinEntry struct {
	key      string // Last(Cut) of the name that was asked for
	exact    bool   // the answer is that of key alone, not of the names below
	hash     uint64 // of key
	coverage registry.Coverage
	asked    time.Duration // when the source was asked
	until    time.Duration // the end of its TTL
	change   uint64        // the last change when the source was asked
	size     int           // estimated bytes
	born     uint64        // thinShard.born when it came; the shard's lock guards it
}

// thinKey returns the key under which the answer for d is kept, and whether it is
// d's alone. A source that tells no cut has answered for d alone. A cut of 1 is
// taken for 2: it holds there too, and top-level domains need no look-up.
func thinKey(d registry.Domain, cut int) (key string, exact bool) {
	if cut == 0 || max(cut, 2) > d.Labels() {
		return strings.Clone(d.String()), true
	}
	return strings.Clone(d.Last(max(cut, 2)).String()), false
}

// What an entry costs beside the bytes of its key, on a 64-bit machine: itself
// (144), its element in the list (80) and its share of a map that is two thirds
// full (40); TestThinBytes weighs them.
const (
	entrySize    = 144 + 80 + 40
	coveringSize = 32
	accessSize   = 32
)

// estimate tells how many bytes e costs.
func (e *thinEntry) estimate() int {
	n := entrySize + len(e.key) + coveringSize*len(e.coverage.Filings)
	for _, c := range e.coverage.Filings {
		n += accessSize * len(c.Accesses)
	}
	return n
}

// ownCopy copies the slices of c to the size they have. Providers are few, and
// interned: a string of the source's may be part of a whole message.
func ownCopy(c registry.Coverage) registry.Coverage {
	if len(c.Filings) == 0 {
		c.Filings = nil
		return c
	}
	filings := make([]registry.Covering, len(c.Filings))
	copy(filings, c.Filings)
	for i, f := range filings {
		if len(f.Accesses) == 0 {
			filings[i].Accesses = nil
			continue
		}
		accesses := make([]registry.Access, len(f.Accesses))
		for j, a := range f.Accesses {
			a.Provider = registry.ProviderID(unique.Make(string(a.Provider)).Value())
			accesses[j] = a
		}
		filings[i].Accesses = accesses
	}
	c.Filings = filings
	return c
}

// thinShard is a part of the entries with a lock of its own.
//
// It is a 2Q: entries come into recent, and those that are asked for again go to
// frequent, which others displace only while recent has shrunk to a quarter. So
// names that are asked for once do not displace those in use. But a resolver asks
// for A and AAAA of every name, a browser for HTTPS too: to be asked for again at
// once says nothing. An entry must therefore have seen a sixteenth of the shard
// come after it (the correlated reference period of 2Q) before it is frequent.
//
// Hits of 1,000 names in use (Zipf) in 2,000 entries, per cent, while for each
// question about one of them 10 or 100 others come, every one for a name of its
// own that is asked for once, or twice in a row:
//
//	                      10 once  10 twice  100 once  100 twice
//	lru.Cache                50        50        13         13
//	lru.TwoQueueCache        99        67        99         52
//	TinyLFU of 10 % window   83        66        36         19
//	this                     97        97        96         96
//
// Whoever asks twice, with a pause longer than that period, gets this down to the
// figures of lru.TwoQueueCache. Remembering evicted keys gained 3 more in a cache
// that was empty when the flood began (76 to 79), and was left out.
// TestThinFlood holds the first and the last column.
type thinShard struct {
	mu               sync.Mutex
	recent, frequent *simplelru.LRU[string, *thinEntry]
	most             int // entries
	mostBytes, bytes int
	born             uint64 // entries that came
	evictions        uint64
	hits             atomic.Uint64
	_                [48]byte // the next shard's lock is in another cache line
}

// maxThinShards: more than the cores that are likely to meet on one. Shards have
// at least 256 entries, or chance would fill some much sooner than others.
const (
	maxThinShards    = 16
	leastShardFilled = 256
)

func newThinShards(size, bytes int) []thinShard {
	n := 1
	for n < maxThinShards && size >= 2*n*leastShardFilled {
		n *= 2
	}
	shards := make([]thinShard, n)
	for i := range shards {
		shards[i].init((size+n-1)/n, (bytes+n-1)/n)
	}
	return shards
}

func (s *thinShard) init(most, mostBytes int) {
	s.most, s.mostBytes = most, mostBytes
	gone := func(_ string, e *thinEntry) { s.bytes -= e.size }
	// NewLRU fails for sizes below 1 only. The bounds are held by put, which knows
	// both queues, and bytes.
	s.recent, _ = simplelru.NewLRU(math.MaxInt, gone)
	s.frequent, _ = simplelru.NewLRU(math.MaxInt, gone)
}

// get returns the entry of a key, or nil.
func (s *thinShard) get(key string) *thinEntry {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := s.frequent.Get(key); ok {
		return e
	}
	e, ok := s.recent.Get(key)
	if ok && s.born-e.born >= uint64(s.most/16) {
		s.recent.Remove(key)
		s.add(s.frequent, e)
	}
	return e
}

// put keeps e, in the place of an older entry of its key, and evicts what is too
// much. An entry that would be too much alone is not kept.
func (s *thinShard) put(e *thinEntry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.born++
	e.born = s.born
	queue := s.recent
	if old, ok := s.recent.Peek(e.key); ok {
		e.born = old.born
		s.recent.Remove(e.key)
	} else if s.frequent.Remove(e.key) {
		queue = s.frequent
	}
	if e.size > s.mostBytes {
		s.evictions++
		return
	}
	s.add(queue, e)
	for s.recent.Len()+s.frequent.Len() > s.most || s.bytes > s.mostBytes {
		s.evict()
	}
}

func (s *thinShard) add(queue *simplelru.LRU[string, *thinEntry], e *thinEntry) {
	queue.Add(e.key, e)
	s.bytes += e.size
}

func (s *thinShard) evict() {
	s.evictions++
	if r, f := s.recent.Len(), s.frequent.Len(); f == 0 || 3*r > f {
		s.recent.RemoveOldest()
		return
	}
	s.frequent.RemoveOldest()
}

// drop removes e, unless another entry has its key by now.
func (s *thinShard) drop(e *thinEntry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, queue := range []*simplelru.LRU[string, *thinEntry]{s.recent, s.frequent} {
		if kept, ok := queue.Peek(e.key); ok && kept == e {
			queue.Remove(e.key)
		}
	}
}

func (s *thinShard) purge() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.recent.Purge()
	s.frequent.Purge()
}

// count adds the shard's share to the counters.
func (s *thinShard) count(t *ThinStats) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t.Hits += s.hits.Load()
	t.Evictions += s.evictions
	t.Entries += s.recent.Len() + s.frequent.Len()
	t.Bytes += int64(s.bytes)
}
