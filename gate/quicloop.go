package gate

import (
	"runtime/debug"
	"sync"
	"time"

	"github.com/icpgate/icpgate/gate/internal/udp"
	"github.com/icpgate/icpgate/gate/sniff"
)

// quicLoop serves what comes to one socket of a listener, and the flows that began
// there, in one goroutine. The kernel gives a client always the same socket, so
// that loops meet in quicIDs only.
type quicLoop struct {
	l     *quicListener
	index int // among the listener's loops
	sock  *udp.Socket
	poll  *udp.Poller
	done  chan struct{}

	// mu is held while the loop works, and by whoever looks in from outside. What
	// follows belongs to its holder.
	mu       sync.Mutex
	in       *udp.Reader
	up, down udp.Sender // to upstreams and to clients
	now      time.Duration
	flows    map[quicTuple]*quicFlow
	last     *quicFlow // the one that a datagram came for last
	slots    []quicSlot
	free     []uint32
	looked   int // the slot up to which tick has looked
	hand     int // and retire
	ticked   time.Duration
	pending  quicPendings
	refusals quicRefusals
	words    []byte // answers that may not be sent yet
	unproven quicUnproven
	work     sniff.QUICWork
	rate     *quicRate
	budget   quicBudget
	open     quicPause
	deaf     bool // it does not read its socket
	over     bool // it has closed its sockets
	back     bool // what it takes was given back by the process before
	counts   quicCounts
}

// quicSlot is where a flow is found by the token of its socket. The number tells
// it from those that had the slot before.
type quicSlot struct {
	flow   *quicFlow
	number uint32
}

// clientToken is the token of the clients' socket. Those of flows are below.
const clientToken = 1 << 31

// quicStart is when the clock of loops began.
var quicStart = time.Now()

func quicNow() time.Duration { return time.Since(quicStart) }

func newQUICLoop(l *quicListener, index int, sock *udp.Socket) (*quicLoop, error) {
	poll, err := udp.NewPoller()
	if err != nil {
		return nil, err
	}
	return &quicLoop{
		l: l, index: index, sock: sock, poll: poll, done: make(chan struct{}), deaf: true,
		in: udp.NewReader(), flows: map[quicTuple]*quicFlow{}, rate: newQUICRate(),
		words: make([]byte, 0, udp.Batch*closeSize),
	}, nil
}

// listen has the loop read its socket, or not; l.mu is held. When the loop is over,
// its descriptors may be somebody else's.
func (l *quicLoop) listen(on bool) {
	switch {
	case l.over:
		return
	case on && l.deaf:
		if err := l.poll.Add(l.sock, clientToken); err != nil {
			return
		}
	case !on && !l.deaf:
		l.poll.Remove(l.sock)
	}
	l.deaf = !on
	l.poll.Wake()
}

// run works until the listener is closed.
func (l *quicLoop) run() {
	defer close(l.done)
	for !l.l.closed.Load() {
		tokens, err := l.poll.Wait(l.nextTick())
		if err != nil {
			break // the system has no poll any more
		}
		l.turn(tokens)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range l.flows {
		l.end(f)
	}
	l.pending.clear(l)
	l.refusals = quicRefusals{}
	l.counts.flush(l)
	l.over = true
	l.sock.Close()
	l.poll.Close()
}

// turn takes what has come to sockets. A panic ends the flow that it was about,
// and nothing else.
func (l *quicLoop) turn(tokens []uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.contain()
	l.now = quicNow()
	clients := false
	for _, token := range tokens {
		switch token {
		case clientToken:
			clients = true
		default:
			l.fromUpstream(token)
		}
	}
	l.up.Flush() // of those that go on with another upstream
	l.down.Flush()
	l.in.Reset()
	if clients && !l.deaf {
		l.fromClients()
	}
	l.tick()
	l.counts.flush(l)
}

// contain has a panic end one flow. It is deferred.
func (l *quicLoop) contain() {
	p := recover()
	if p == nil {
		return
	}
	s := l.l.service.Load()
	s.panicked(p, debug.Stack())
	l.up, l.down = udp.Sender{}, udp.Sender{}
	l.in.Reset()
	if f := l.last; f != nil && !f.ended {
		l.end(f)
	}
	l.last = nil
}

// clientBatches is how many batches of clients a loop takes before it looks for
// what upstreams have sent.
const clientBatches = 4

// fromClients takes what clients have sent.
func (l *quicLoop) fromClients() {
	for range clientBatches {
		packets := l.in.Read(l.sock)
		l.budget.read(len(packets), l.sock)
		for i := range packets {
			l.fromClient(&packets[i])
		}
		l.up.Flush()
		l.down.Flush()
		l.in.Reset()
		if len(packets) < udp.Batch {
			return
		}
	}
}

// fromClient takes a packet. The first lines are the common case: one more of a
// flow whose connection is established.
func (l *quicLoop) fromClient(p *udp.Packet) {
	if len(p.Data) == 0 {
		return
	}
	t := quicTuple{p.From, p.Local}
	f := l.last
	if f == nil || f.tuple != t {
		f = l.flows[t]
		l.last = f
	}
	if f != nil && f.settled && allShort(p.Data, p.Size) {
		l.forward(f, p.Data, p.Size)
		return
	}
	if f == nil && allShort(p.Data, p.Size) && l.handUnknown(&t, p.Data, p.Size) {
		return
	}
	for b := p.Data; len(b) > 0; {
		n := min(p.Size, len(b))
		l.datagram(&t, f, b[:n])
		if b = b[n:]; len(b) > 0 {
			f = l.flows[t] // it may have begun, or ended
		}
	}
}

// allShort reports whether all datagrams of a packet have short headers.
func allShort(b []byte, size int) bool {
	for at := 0; at < len(b); at += size {
		if isLong(b[at]) {
			return false
		}
	}
	return true
}

// isLong reports whether a packet that begins so has a long header, RFC 8999 §5.1.
func isLong(first byte) bool { return first&0x80 != 0 }

// fromUpstream takes what the upstream of a flow has sent.
func (l *quicLoop) fromUpstream(token uint64) {
	f := l.flowOf(token)
	if f == nil {
		return // it has ended in this turn
	}
	l.last = f
	if l.in.Free() == 0 {
		l.down.Flush()
		l.in.Reset()
	}
	packets := l.in.Read(f.sock)
	for i := range packets {
		p := &packets[i]
		if !f.settled {
			l.answered(f, p)
		}
		l.down.Add(l.sock, f.tuple.client, f.tuple.local, p.Data, p.Size)
		l.counts.out(f.s, len(p.Data))
	}
	if len(packets) > 0 {
		f.last, f.said = l.now, l.now
	}
	if f.sock.Refused() {
		l.refused(f)
	}
}

func (l *quicLoop) flowOf(token uint64) *quicFlow {
	if slot := l.slots[uint32(token)]; slot.number == uint32(token>>32) {
		return slot.flow
	}
	return nil
}

// forward sends what a client has sent on to the upstream.
func (l *quicLoop) forward(f *quicFlow, data []byte, size int) {
	f.last = l.now
	l.up.Add(f.sock, udp.Endpoint{}, [16]byte{}, data, size)
	l.counts.in(f.s, len(data))
}

// nextTick is how long the loop may wait.
func (l *quicLoop) nextTick() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.quiet() {
		return -1
	}
	return max(0, l.ticked+l.tickEvery()-quicNow())
}

// quiet reports whether there is nothing that could take too long.
func (l *quicLoop) quiet() bool {
	return len(l.flows) == 0 && l.pending.oldest == nil && l.refusals.n == 0 && l.l.ids.idle()
}

// The slots are looked through in so many ticks, within a quarter of the shortest
// time that is to be kept.
const (
	ticksAround = 8
	minTick     = 5 * time.Millisecond
	maxTick     = 250 * time.Millisecond
)

func (l *quicLoop) tickEvery() time.Duration {
	s := l.l.service.Load()
	return min(max(min(s.idle, s.dial, s.head)/4/ticksAround, minTick), maxTick)
}

// tick ends what has taken too long: of flows it looks at some each time.
func (l *quicLoop) tick() {
	if l.now < l.ticked+l.tickEvery() {
		return
	}
	l.ticked = l.now
	l.pending.expire(l)
	l.refusals.expire(l.now - l.l.service.Load().head)
	l.l.ids.expire(l.now)
	for range (len(l.slots) + ticksAround - 1) / ticksAround {
		if l.looked++; l.looked >= len(l.slots) {
			l.looked = 0
		}
		if f := l.slots[l.looked].flow; f != nil {
			l.look(f)
		}
	}
	l.up.Flush()
}
