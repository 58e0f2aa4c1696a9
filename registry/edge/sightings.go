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
	sightShards = 16
	shardRows   = registry.MaxSightings / sightShards
	// probes is how many rows a newcomer to a full shard is weighed against.
	probes = 8
	// shardNewcomers is how many newcomers a second are weighed against rows of a full
	// shard the first time that they are seen.
	shardNewcomers = 256
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
	Hosts       []registry.Domain // the first registry.MaxSightedHosts of them
	Addr        netip.Addr
	Reason      registry.Reason
	Channel     registry.Channel
	Mode        registry.Mode // at the last sight
	First, Last time.Time     // whole seconds
	Hits        uint64
}

// Sightings count what is blocked, in bounded memory: registry.MaxSightings rows of up to
// registry.MaxSightedHosts names each. What finds no room is counted as other.
//
// A newcomer to full rows takes the place of one that was seen once only, or not
// for a day. So a flood of random names displaces itself, and not what is asked for
// again and again. Where newcomers are many, one that is seen for the first time is
// but remembered: a row that each of them takes from the one before counts nothing.
//
// Make it with NewSightings; it is safe for concurrent use.
type Sightings struct {
	now    func() time.Time
	seeds  [2]maphash.Seed // of names, and of what else tells rows apart
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
	mu    sync.Mutex
	index *sightIndex // of rows, made with the first of them
	rows  []sightRow
	hand  int // where the next search for a row to give up begins

	// No row gives way before settled, in Unix seconds: all were looked at in turn,
	// and since then rows were but hit. The other two are of the turn under way: how
	// many rows did not give way, and the earliest of their last hits.
	settled int64
	stayed  int
	oldest  int64

	second int64 // in which newcomers were counted last, in Unix seconds
	came   int   // of them
}

// sightRow is a row as it is counted. What a hit touches comes first, and lies in
// two cache lines: most rows are far away when they are hit.
type sightRow struct {
	hash    uint64
	hits    uint64
	last    int64 // Unix seconds
	addr    netip.Addr
	reason  registry.Reason
	channel registry.Channel
	mode    registry.Mode
	tags    [registry.MaxSightedHosts]uint32 // of hosts: a part of the hash of each
	hosts   []registry.Domain

	name  registry.Domain
	first int64  // Unix seconds
	taken uint64 // of the hits: are in batches already
}

// NewSightings makes an empty count; now is the clock, nil for time.Now.
func NewSightings(now func() time.Time) *Sightings {
	if now == nil {
		now = time.Now
	}
	return &Sightings{now: now, seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}, boot: bootID(), since: now()}
}

// Add counts one sight. It does not allocate for a row and a host that are known.
func (s *Sightings) Add(x Sighted) {
	k := sightKey{x.Name, x.Addr, x.Reason, x.Channel}
	if k.name.IsZero() {
		k.name = x.registrable()
	}
	name := maphash.String(s.seeds[0], k.name.String())
	host := name
	if x.Host != k.name {
		host = maphash.String(s.seeds[0], x.Host.String())
	}
	h, now := name^s.hash(&k), s.now().Unix()
	sh := &s.shards[h%sightShards]
	sh.mu.Lock()
	i, lost := sh.row(&k, h, now)
	if i >= 0 {
		sh.rows[i].hit(&x, uint32(host>>32), now)
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

// hash is that of what a key has beside the name. Both have secret seeds: nobody
// can fill a shard on purpose, or make two keys that share one. There are two seeds,
// or a name whose bytes are those of its address would undo its own.
// maphash.Comparable would allocate.
func (s *Sightings) hash(k *sightKey) uint64 {
	var b [19]byte
	addr := k.addr.As16()
	copy(b[:], addr[:])
	b[16], b[17], b[18] = byte(k.addr.BitLen()), byte(k.reason), byte(k.channel)
	return maphash.Bytes(s.seeds[1], b[:])
}

// row finds the row of a key, or a new one: a fresh one while there is room, else
// that of a row which gives way. Without one it returns -1. lost is how many hits
// have no row now that no batch has told of.
func (sh *sightShard) row(k *sightKey, h uint64, now int64) (i int, lost uint64) {
	if sh.index == nil {
		sh.index = new(sightIndex)
	}
	if i := sh.find(h); i >= 0 {
		// That their names are the same is not looked at: with 64 bits of a keyed hash
		// they are, but for once in the life of the universe.
		if r := &sh.rows[i]; r.addr != k.addr || r.reason != k.reason || r.channel != k.channel { // two zones of one address
			return -1, 1
		}
		return i, 0
	}
	if i = len(sh.rows); sh.index.full(h) {
		return -1, 1
	} else if i < shardRows {
		sh.rows = append(sh.rows, sightRow{})
	} else if i = sh.giving(h, now); i < 0 {
		return -1, 1
	}
	r := &sh.rows[i]
	lost = r.hits - r.taken
	if r.hits > 0 {
		sh.index.remove(r.hash, i)
	}
	*r = sightRow{hash: h, name: k.name, addr: k.addr, reason: k.reason, channel: k.channel, first: now, hosts: r.hosts[:0]}
	sh.index.add(h, i)
	return i, lost
}

// find returns the row with a hash; -1 if there is none.
func (sh *sightShard) find(h uint64) int {
	for _, e := range sh.index.bucket(h) {
		if e == 0 {
			break
		}
		if (e^uint32(h>>32))&^rowMask == 0 {
			if i := int(e&rowMask) - 1; sh.rows[i].hash == h {
				return i
			}
		}
	}
	return -1
}

// giving returns a row that gives way to a newcomer, of the next few ones; -1 if
// none does.
func (sh *sightShard) giving(h uint64, now int64) int {
	if now < sh.settled || !sh.index.again(h) && !sh.few(now) {
		return -1
	}
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

// few counts a newcomer, and reports whether it is among the first of this second.
func (sh *sightShard) few(now int64) bool {
	if now != sh.second {
		sh.second, sh.came = now, 0
	}
	sh.came++
	return sh.came <= shardNewcomers
}

// hit counts one; tag is that of the host.
func (r *sightRow) hit(x *Sighted, tag uint32, now int64) {
	r.hits++
	r.last, r.mode = now, x.Mode
	if len(r.hosts) == registry.MaxSightedHosts || x.Host.IsZero() {
		return
	}
	for _, t := range r.tags[:len(r.hosts)] {
		if t == tag {
			return
		}
	}
	r.tags[len(r.hosts)] = tag
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
