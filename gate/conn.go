package gate

import (
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/icpgate/icpgate/registry"
)

// conn is one client's connection, from accept to close. Fields without a remark
// are set before it is served and do not change.
type conn struct {
	s      *service
	all    *conns     // that it is one of
	shard  *connShard // of them, where it is kept
	by     *listener  // that took it; nil for none
	crew   *crew      // runs what runs beside
	client *side
	route
	begun time.Time
	head  []byte // what was read before it was served, as behind a PROXY header

	// Of the goroutine that serves it.
	introduced bool      // it counts as one of its client's
	stranger   bool      // it counts as one of a peer that may not ask
	resting    *httpConn // it rests, or is to; nil else

	// Of use to whom ends connections.
	mu     sync.Mutex
	asked  asked  // whom the client means at the moment
	hello  *asked // whom it meant in the hello of TLS that is ended here; nil is nobody
	tunnel bool   // bytes go both ways, unread
	ended  func() // closes what must be closed to end it
	told   func() // tells the client that it is to go; nil where that is not said
	over   bool   // it was ended from outside
	// leaving: it ends after the running response.
	leaving atomic.Bool
	// idle: it waits for a request, and may be ended at once.
	idle atomic.Bool
	// h2 is its HTTP/2; nil without.
	h2 atomic.Pointer[h2Conn]
	// swept: it was told to end since its name is blocked, and is counted.
	swept atomic.Bool
}

// note records whom the client means, for those who end connections whose name
// is blocked in the meantime.
func (c *conn) note(a asked, tunnel bool) {
	c.mu.Lock()
	c.asked, c.tunnel = a, tunnel
	c.mu.Unlock()
}

// meant returns whom the client means, and whether bytes go both ways unread.
func (c *conn) meant() (a asked, tunnel bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.asked, c.tunnel
}

// noteHello records the name in the hello of TLS that is ended here, which has to
// pass beside that of each request. A hello without a name says nothing.
func (c *conn) noteHello(a asked) {
	hello := &a
	if a.host.Kind() == registry.NoHost {
		hello = nil
	}
	c.mu.Lock()
	c.hello = hello
	c.mu.Unlock()
}

// helloName returns what noteHello recorded; nil is none.
func (c *conn) helloName() *asked {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.hello
}

// origin is what an upstream may be told of the client.
func (c *conn) origin() origin { return origin{Client: c.from, Dst: c.dest.addrPort()} }

// leave has it end after the running responses; one that waits for a request ends
// at once, or where that can be said to the client, when that has heard it. Tunnels
// do not end by this.
func (c *conn) leave() {
	first := !c.leaving.Swap(true)
	c.mu.Lock()
	tell := c.told
	c.mu.Unlock()
	switch {
	case tell != nil:
		if first {
			tell()
		}
	case c.idle.Load():
		c.end()
	}
}

// onLeave says how the client is told to go, which is done at once where the
// connection is to end already; nil is that there is nobody to be told any more.
func (c *conn) onLeave(tell func()) {
	c.mu.Lock()
	c.told = tell
	c.mu.Unlock()
	if tell != nil && c.leaving.Load() {
		tell()
	}
}

// onEnd says how to end the connection from outside. Where that has happened,
// what has been opened since is closed at once.
func (c *conn) onEnd(end func()) {
	c.mu.Lock()
	c.ended = end
	over := c.over
	c.mu.Unlock()
	if over {
		end()
	}
}

// end ends it from outside.
func (c *conn) end() {
	c.mu.Lock()
	end := c.ended
	c.over = true
	c.mu.Unlock()
	if end != nil {
		end()
	}
}

// inForce is the service by which is decided: a connection outlives the
// configuration it began with, but not what that decided by. All else it does as
// it began.
func (c *conn) inForce() *service {
	if c.by == nil {
		return c.s
	}
	return c.by.service.Load()
}

// replaced reports whether the service that it began with is not in force any
// more.
func (c *conn) replaced() bool {
	return c.by != nil && (c.by.closing.Load() || c.by.service.Load() != c.s)
}

// cutOff reports whether it was ended from outside.
func (c *conn) cutOff() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.over
}

// contain has a panic of a goroutine beside the connection's own end that
// connection, and nothing else. It is deferred.
func (c *conn) contain(then func()) {
	if p := recover(); p != nil {
		c.s.panicked(p, debug.Stack())
		then()
	}
}

// conns are the open connections. They are kept in shards, since every
// connection comes and goes through one. The zero value is ready.
type conns struct {
	shards [connShards]connShard
	open   atomic.Int64  // with those that are about to be served
	over   atomic.Bool   // all are cut off, and so is what is added
	heads  atomic.Uint64 // that were read, so that somebody can see whether it is quiet
}

const connShards = 16

type connShard struct {
	mu  sync.Mutex
	set map[*conn]struct{}
	_   [40]byte // shards of their own cache line
}

func (s *conns) add(c *conn) {
	sh := &s.shards[c.from.Port()%connShards]
	c.shard = sh // whom it is from, a PROXY header may yet say
	sh.mu.Lock()
	if sh.set == nil {
		sh.set = map[*conn]struct{}{}
	}
	sh.set[c] = struct{}{}
	sh.mu.Unlock()
}

func (s *conns) remove(c *conn) {
	c.shard.mu.Lock()
	delete(c.shard.set, c)
	c.shard.mu.Unlock()
}

// all returns the open ones.
func (s *conns) all() (list []*conn) {
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		for c := range sh.set {
			list = append(list, c)
		}
		sh.mu.Unlock()
	}
	return list
}
