package edge

import (
	"math/rand/v2"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/icpgate/icpgate/registry"
)

// Blocked is one verdict that blocks, or would in mode monitor, as the block log
// tells it.
type Blocked struct {
	Sighted
	Filed    registry.Domain // where a filing decided
	Effect   registry.Effect
	Provider registry.ProviderID // whose the address is; empty if unknown
	Product  registry.Product
	Place    registry.Place
	Client   netip.Addr // only its network is written
	Server   string     // that was asked
	Zone     string
}

// Blocked counts a verdict and writes it to the log, if the block has one. It
// never waits: what the log cannot take is dropped, and counted.
func (e *Edge) Blocked(b Blocked) {
	if e.Sighted(b.Sighted) {
		e.LogBlocked(b)
	}
}

// Sighted counts a verdict as Blocked does, and reports whether it is one for the
// log. Where blocks are many, the rest of a Blocked need not be found out without
// one.
func (e *Edge) Sighted(x Sighted) bool {
	processSightings.Add(x)
	return e.log != nil && (e.cfg.Log.Sample <= 1 || rand.IntN(e.cfg.Log.Sample) == 0)
}

// LogBlocked writes what Sighted reported true for to the log.
func (e *Edge) LogBlocked(b Blocked) {
	bits := e.cfg.Log.ClientV4
	if b.Client = b.Client.Unmap(); b.Client.Is6() {
		bits = e.cfg.Log.ClientV6
	}
	l := entry{Blocked: b, time: e.now(), revision: e.View().Revision(), lack: e.lackOf(b.Reason)}
	l.client, _ = b.Client.Prefix(bits)
	l.Client = netip.Addr{}
	e.log.add(l)
}

// entry is a line of the log to be.
type entry struct {
	Blocked
	time       time.Time
	client     netip.Prefix
	revision   registry.Revision
	lack       registry.Lack
	suppressed uint64
}

// Drops are why lines are not written.
type Drop uint8

// The drops.
const (
	DropRate  Drop = iota // more than the log takes a second; the next line says how many
	DropQueue             // the writer is behind
	DropWrite             // the file cannot be written
	drops
)

var dropWords = [drops]string{"rate", "queue", "write"}

// String returns the word of d.
func (d Drop) String() string { return dropWords[d] }

// Drops are all.
func Drops() []Drop { return []Drop{DropRate, DropQueue, DropWrite} }

var dropped [drops]atomic.Uint64

// Dropped returns how many lines of block logs the process has dropped.
func Dropped(d Drop) uint64 { return dropped[d].Load() }

const (
	// logRate and logBurst bound the lines of one log: 25 MB a minute at most, and
	// a person sees no more in a flood of them.
	logRate  = 1000
	logBurst = 2000
	// logQueue is how many lines wait for the writer.
	logQueue = 1024
)

// bucket is a token bucket in one word: the time at which it will be full again
// (the generic cell rate algorithm). The zero value is full. It is safe for
// concurrent use.
type bucket struct{ full atomic.Int64 }

// take takes a token; it reports false if there is none.
func (b *bucket) take(now int64) bool {
	const each = int64(time.Second) / logRate
	for {
		full := b.full.Load()
		next := max(full, now) + each
		if next-now > logBurst*each {
			return false
		}
		if b.full.CompareAndSwap(full, next) {
			return true
		}
	}
}

// add queues a line.
func (w *logWriter) add(l entry) {
	if !w.bucket.take(l.time.UnixNano()) {
		dropped[DropRate].Add(1)
		w.suppressed.Add(1)
		return
	}
	if w.suppressed.Load() > 0 {
		l.suppressed = w.suppressed.Swap(0)
	}
	select {
	case w.queue <- l:
	default:
		dropped[DropQueue].Add(1)
		w.suppressed.Add(l.suppressed + 1)
	}
}
