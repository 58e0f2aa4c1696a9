package index

import (
	"hash/maphash"
	"strings"
	"sync/atomic"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/icpgate/icpgate/registry"
)

// Cache remembers answers by the name as it arrived, where making the name
// canonical costs more than remembering it. It is sharded, since one look-up in
// an LRU takes an exclusive lock. Make one with NewCache; it is safe for
// concurrent use.
//
// Only names that need a mapping by UTS-46 are remembered. BenchmarkCache: such a
// name costs 0.7 µs to read and cover, and 0.17 µs from the cache. A plain name costs
// 0.1 µs, for reading and for the table, about as much as one look-up in an LRU
// (BenchmarkReference). So plain names go straight to the table.
//
// An entry is a name cut where nothing more is known (Coverage.Cut), so that a
// flood of random names below one domain is one entry.
type Cache struct {
	shards                  [cacheShards]*lru.Cache[string, remembered]
	seed                    maphash.Seed
	base                    atomic.Uint64 // the snapshot beneath the entries
	hits, misses, evictions atomic.Uint64
}

// cacheShards: more than the cores that are likely to meet on one.
const cacheShards = 16

// coverer is what a Cache stands before: a View, or an Index. Nil pointers of
// both are known to know nothing.
type coverer interface {
	Cover(registry.Domain) registry.Coverage
	// ids tell the coverer, and the snapshot that it rests on, from all others of
	// the process; 0 is nil.
	ids() (own, snapshot uint64)
}

func (x *Index) ids() (own, snapshot uint64) {
	if x == nil {
		return 0, 0
	}
	return x.id, x.id
}

func (v *View) ids() (own, snapshot uint64) {
	if v == nil {
		return 0, 0
	}
	return v.id, v.base.id
}

// remembered is the answer for all names that end in an entry's key.
type remembered struct {
	coverer  uint64
	suffix   string // the key in canonical form
	coverage registry.Coverage
}

// CacheStats are the counters of a Cache since it was made.
type CacheStats struct {
	Hits, Misses, Evictions uint64 // plain names are not counted: that alone would cost more than they do
	Entries                 int
}

// NewCache makes a cache for about size entries, at least one a shard. A size of
// 0 or less makes one that remembers nothing.
func NewCache(size int) *Cache {
	c := &Cache{seed: maphash.MakeSeed()}
	if size <= 0 {
		return c
	}
	for i := range c.shards {
		// New fails for a size below 1 only.
		c.shards[i], _ = lru.New[string, remembered]((size + cacheShards - 1) / cacheShards)
	}
	return c
}

// Cover reads a name as registry.ParseDomain does and returns it with its
// coverage in x. Its errors are ParseDomain's. Nothing is answered from what
// another View said: entries of an older revision count no more, and when the
// snapshot is another one they are thrown out as well.
func (c *Cache) Cover(x coverer, name string) (registry.Domain, registry.Coverage, error) {
	return c.cover(x, name, registry.ParseDomain, worthwhile(name))
}

// CoverDNS is Cover for a name in the presentation form of DNS, which it reads as
// registry.ParseDNSName does.
func (c *Cache) CoverDNS(x coverer, name string) (registry.Domain, registry.Coverage, error) {
	// Bytes beyond ASCII stand as escapes there. The dot at the end is the root's,
	// if it is no label's.
	escaped := strings.IndexByte(name, '\\') >= 0
	if escaped && strings.HasSuffix(name, ".") && !strings.HasSuffix(name, `\.`) {
		name = name[:len(name)-1]
	}
	return c.cover(x, name, registry.ParseDNSName, escaped)
}

// cover reads a name with read. Keys of the two forms are never equal: no name in
// the one has bytes beyond ASCII, and none in the other a backslash.
func (c *Cache) cover(x coverer, name string, read func(string) (registry.Domain, error), worthwhile bool) (registry.Domain, registry.Coverage, error) {
	id, snapshot := x.ids()
	if id == 0 || c.shards[0] == nil || !worthwhile {
		d, err := read(name)
		if err != nil {
			return d, registry.Coverage{}, err
		}
		return d, x.Cover(d), nil
	}
	c.follow(snapshot)
	if d, coverage, ok := c.recall(id, name, read); ok {
		c.hits.Add(1)
		return d, coverage, nil
	}
	c.misses.Add(1)
	d, err := read(name)
	if err != nil {
		return d, registry.Coverage{}, err
	}
	coverage := x.Cover(d)
	c.remember(id, name, d, coverage)
	return d, coverage, nil
}

// worthwhile reports whether reading name costs more than the cache: it holds
// other than ASCII. With a port or a trailing dot its suffixes are no names.
func worthwhile(name string) bool {
	return !isASCII(name) && strings.IndexByte(name, ':') < 0 && name[len(name)-1] != '.'
}

// isASCII looks at eight bytes at a time.
func isASCII(name string) bool {
	all := uint64(0)
	for ; len(name) >= 8; name = name[8:] {
		all |= bigEndian(name)
	}
	for i := range len(name) {
		all |= uint64(name[i])
	}
	return all&0x8080808080808080 == 0
}

// follow empties the cache when the snapshot has changed. A revision does not
// empty it: there may be many a second, and stale entries make room like others.
func (c *Cache) follow(snapshot uint64) {
	if old := c.base.Load(); old != snapshot && c.base.CompareAndSwap(old, snapshot) {
		for _, s := range c.shards {
			s.Purge()
		}
	}
}

// recall looks for an entry above name. The labels before it are read anew, as
// they may be malformed; names are mapped label by label, so the ones behind are
// what they were.
func (c *Cache) recall(id uint64, name string, read func(string) (registry.Domain, error)) (registry.Domain, registry.Coverage, bool) {
	for at, level := lastLabel(name, len(name)), 1; at > 0; level++ {
		at = lastLabel(name, at-1)
		r, ok := c.shard(name[at:]).Get(name[at:])
		if !ok || r.coverer != id || int(r.coverage.Cut) > level+1 && at > 0 {
			continue
		}
		d, err := read(name[:at] + r.suffix)
		return d, r.coverage, err == nil
	}
	return registry.Domain{}, registry.Coverage{}, false
}

// lastLabel returns where the label that ends at end begins.
func lastLabel(name string, end int) int { return strings.LastIndexByte(name[:end], '.') + 1 }

func (c *Cache) remember(id uint64, name string, d registry.Domain, coverage registry.Coverage) {
	at := len(name)
	for range coverage.Cut {
		if at == 0 {
			break
		}
		at = lastLabel(name, max(at-1, 0))
	}
	// Keys outlive the request whose bytes they may be part of.
	key := strings.Clone(name[at:])
	r := remembered{id, strings.Clone(d.Last(int(coverage.Cut)).String()), coverage}
	if c.shard(key).Add(key, r) {
		c.evictions.Add(1)
	}
}

func (c *Cache) shard(key string) *lru.Cache[string, remembered] {
	return c.shards[maphash.String(c.seed, key)%cacheShards]
}

// Stats returns the counters.
func (c *Cache) Stats() CacheStats {
	s := CacheStats{Hits: c.hits.Load(), Misses: c.misses.Load(), Evictions: c.evictions.Load()}
	for _, shard := range c.shards {
		if shard != nil {
			s.Entries += shard.Len()
		}
	}
	return s
}
