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
	Name    registry.Domain // the registrable one of Host if it is known; zero: Add finds it
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
	seeds  [2]maphash.Seed // of the name, and of what else tells rows apart
	other  atomic.Uint64   // hits without a row, since the start
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
	at   map[uint64]int // index into rows, by the hash of the key
	rows []sightRow
	hand int // where the next search for a row to give up begins

	// No row gives way before settled, in Unix seconds: all were looked at in turn,
	// and since then rows were but hit. The other two are of the turn under way: how
	// many rows did not give way, and the earliest of their last hits.
	settled int64
	stayed  int
	oldest  int64
}

// sightRow is a row as it is counted.
type sightRow struct {
	key         sightKey
	hash        uint64
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
	s := &Sightings{now: now, seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}, boot: bootID(), since: now()}
	for i := range s.shards {
		s.shards[i].at = map[uint64]int{}
	}
	return s
}

// Add counts one sight. It does not allocate for a row and a host that are known.
func (s *Sightings) Add(x Sighted) {
	k := sightKey{x.Name, x.Addr, x.Reason, x.Channel}
	if k.name.IsZero() {
		k.name = x.registrable()
	}
	h, now := s.hash(&k), s.now().Unix()
	sh := &s.shards[h%sightShards]
	sh.mu.Lock()
	i, lost := sh.row(&k, h, now)
	if i >= 0 {
		sh.rows[i].hit(&x, now)
	}
	sh.mu.Unlock()
	if lost > 0 {
		s.other.Add(lost)
	}
}

// registrable is the name of x's row.
func (x *Sighted) registrable() registry.Domain {
	if name, ok := x.Host.Registrable(); ok {
		return name
	}
	return x.Host
}

// hash is that of a key, with secret seeds: nobody can fill a shard on purpose, or
// make two keys that share one. There are two seeds, or a name whose bytes are
// those of its address would undo its own. maphash.Comparable would allocate.
func (s *Sightings) hash(k *sightKey) uint64 {
	var b [19]byte
	addr := k.addr.As16()
	copy(b[:], addr[:])
	b[16], b[17], b[18] = byte(k.addr.BitLen()), byte(k.reason), byte(k.channel)
	return maphash.String(s.seeds[0], k.name.String()) ^ maphash.Bytes(s.seeds[1], b[:])
}

// row finds the row of a key, or a new one: a fresh one while there is room, else
// that of a row which gives way. Without one it returns -1. lost is how many hits
// have no row now that no batch has told of.
func (sh *sightShard) row(k *sightKey, h uint64, now int64) (i int, lost uint64) {
	if i, ok := sh.at[h]; ok {
		if sh.rows[i].key != *k { // two zones of one address, or once in the life of the universe
			return -1, 1
		}
		return i, 0
	}
	if len(sh.rows) < shardRows {
		sh.rows = append(sh.rows, sightRow{key: *k, hash: h, first: now})
		sh.at[h] = len(sh.rows) - 1
		return len(sh.rows) - 1, 0
	}
	if now < sh.settled {
		return -1, 1
	}
	i = sh.giving(now)
	if i < 0 {
		return -1, 1
	}
	r := &sh.rows[i]
	lost = r.hits - r.taken
	delete(sh.at, r.hash)
	*r = sightRow{key: *k, hash: h, first: now, hosts: r.hosts[:0]}
	sh.at[h] = i
	return i, lost
}

// giving returns a row that gives way, of the next few ones; -1 if none does.
func (sh *sightShard) giving(now int64) int {
	for range probes {
		i := sh.hand
		sh.hand = (sh.hand + 1) % shardRows
		r := &sh.rows[i]
		if r.hits <= 1 || now-r.last >= sightIdle {
			sh.stayed = 0
			return i
		}
		if sh.stayed == 0 || r.last < sh.oldest {
			sh.oldest = r.last
		}
		if sh.stayed++; sh.stayed == shardRows {
			sh.settled, sh.stayed = sh.oldest+sightIdle, 0
			return -1
		}
	}
	return -1
}

// hit counts one.
func (r *sightRow) hit(x *Sighted, now int64) {
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
