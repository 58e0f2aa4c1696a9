package edge

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/icpgate/icpgate/registry"
)

const (
	// MaxSightings is how many rows are kept, and so how many a batch has at most.
	MaxSightings = 10_000
	// MaxSightedHosts is how many hosts a row names.
	MaxSightedHosts = 10

	sightShards = 16
	shardRows   = MaxSightings / sightShards
	// probes is how many rows a newcomer to a full shard is weighed against.
	probes = 8
	// sightIdle is after how many seconds without a hit a row gives way to a
	// newcomer, however often it was hit before.
	sightIdle = 24 * 3600
)

// Sighted is one verdict that blocks, or would in mode monitor.
type Sighted struct {
	Host    registry.Domain // as judged; zero where the host is an address or none
	Addr    netip.Addr      // that it points at
	Reason  registry.Reason
	Channel registry.Channel
	Mode    registry.Mode
}

// Sighting is how often a name was seen at an address, and when. Name is the
// registrable name of the hosts; a host that has none stands for itself.
type Sighting struct {
	Name        registry.Domain
	Hosts       []registry.Domain // the first MaxSightedHosts of them
	Addr        netip.Addr
	Reason      registry.Reason
	Channel     registry.Channel
	Mode        registry.Mode // at the last sight
	First, Last time.Time     // whole seconds
	Hits        uint64
}

// Sightings count what is blocked, in bounded memory: MaxSightings rows of up to
// MaxSightedHosts names each. What finds no room is counted as other.
//
// A newcomer to full rows takes the place of one that was seen once only, or not
// for a day. So a flood of random names displaces itself, and not what is asked
// for again and again.
//
// Make it with NewSightings; it is safe for concurrent use.
type Sightings struct {
	now    func() time.Time
	seed   maphash.Seed
	other  atomic.Uint64 // hits without a row, since the start
	shards [sightShards]sightShard

	taking sync.Mutex // held by Take
	boot   string
	batch  uint64 // the last one's number
	taken  uint64 // of other, up to the last batch
	since  time.Time
}

// sightKey tells rows apart.
type sightKey struct {
	name    registry.Domain
	addr    netip.Addr
	reason  registry.Reason
	channel registry.Channel
}

// sightShard is a part of the rows with a lock of its own.
type sightShard struct {
	mu   sync.Mutex
	at   map[sightKey]int // index into rows
	rows []sightRow
	hand int // where the next search for a row to give up begins
}

// sightRow is a row as it is counted.
type sightRow struct {
	key         sightKey
	hosts       []registry.Domain
	mode        registry.Mode
	first, last int64  // Unix seconds
	hits, taken uint64 // in all; of these in batches already
}

// NewSightings makes an empty count; now is the clock, nil for time.Now.
func NewSightings(now func() time.Time) *Sightings {
	if now == nil {
		now = time.Now
	}
	s := &Sightings{now: now, seed: maphash.MakeSeed(), boot: bootID(), since: now()}
	for i := range s.shards {
		s.shards[i].at = map[sightKey]int{}
	}
	return s
}

// Add counts one sight. It does not allocate for a row and a host that are known.
func (s *Sightings) Add(x Sighted) {
	name, ok := x.Host.Registrable()
	if !ok {
		name = x.Host
	}
	k := sightKey{name, x.Addr, x.Reason, x.Channel}
	now := s.now().Unix()
	sh := s.shard(k)
	sh.mu.Lock()
	i, known := sh.at[k]
	if !known {
		var lost uint64
		i, lost = sh.place(k, now)
		s.other.Add(lost)
	}
	if i >= 0 {
		sh.rows[i].hit(x, now)
	}
	sh.mu.Unlock()
}

// shard spreads by a secret seed, so that nobody can fill one on purpose.
// maphash.Comparable would do it too, and allocate.
func (s *Sightings) shard(k sightKey) *sightShard {
	addr := k.addr.As16()
	h := maphash.String(s.seed, k.name.String()) ^ maphash.Bytes(s.seed, addr[:])
	return &s.shards[h%sightShards]
}

// place finds a row for a new key: a fresh one while there is room, else that of
// a row which gives way. Without one it returns -1. lost is how many hits have no
// row now that no batch has told of.
func (sh *sightShard) place(k sightKey, now int64) (i int, lost uint64) {
	if len(sh.rows) < shardRows {
		sh.rows = append(sh.rows, sightRow{key: k, first: now})
		sh.at[k] = len(sh.rows) - 1
		return len(sh.rows) - 1, 0
	}
	for range probes {
		i = sh.hand
		sh.hand = (sh.hand + 1) % shardRows
		r := &sh.rows[i]
		if r.hits > 1 && now-r.last < sightIdle {
			continue
		}
		lost = r.hits - r.taken
		delete(sh.at, r.key)
		*r = sightRow{key: k, first: now, hosts: r.hosts[:0]}
		sh.at[k] = i
		return i, lost
	}
	return -1, 1
}

// hit counts one.
func (r *sightRow) hit(x Sighted, now int64) {
	r.hits++
	r.last, r.mode = now, x.Mode
	if len(r.hosts) == MaxSightedHosts || x.Host.IsZero() {
		return
	}
	for _, h := range r.hosts {
		if h == x.Host {
			return
		}
	}
	r.hosts = append(r.hosts, x.Host)
}

// Other returns how many hits have no row, since the start.
func (s *Sightings) Other() uint64 { return s.other.Load() }

// Size returns how many rows there are, and how many hits have none.
func (s *Sightings) Size() (rows int, other uint64) {
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		rows += len(sh.rows)
		sh.mu.Unlock()
	}
	return rows, s.Other()
}

// ProcessSightings returns what the process has seen blocked: all Edges count into
// one.
func ProcessSightings() *Sightings { return processSightings }

var processSightings = NewSightings(nil)
