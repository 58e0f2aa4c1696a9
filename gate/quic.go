package gate

import (
	"net/netip"
	"os"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/icpgate/icpgate/gate/internal/udp"
)

// quicListener is a listener of QUIC. Connections are judged by the hello in their
// first packets and forwarded unopened, datagram by datagram. Its methods may be
// used concurrently.
type quicListener struct {
	name    string
	addr    netip.AddrPort // as it is bound
	service atomic.Pointer[service]
	open    *conns // where its flows are counted beside connections
	loops   []*quicLoop
	ids     quicIDs
	strays  quicStrays
	flows   atomic.Int64
	guests  [2]atomic.Int64 // those by an id that was seen, and strays
	hand    quicHands
	// inherited: its sockets are those of a process before.
	inherited bool
	metrics   quicMetrics
	// What waits for the rest of its hello.
	pending, pendingBytes prometheus.Gauge
	// leaving: what is open goes on, and nothing new begins.
	leaving atomic.Bool
	closed  atomic.Bool
	// ended is when a flow was last ended since its name is blocked, as quicNow
	// tells it; 0 is never.
	ended atomic.Int64
	held  held
	until time.Time // it is of no configuration, and ends by then; of whoever holds the gate's lock
}

// maxQUICLoops bounds the loops of a listener: each forwards some 10 Gbit/s.
const maxQUICLoops = 8

// openQUIC opens a listener; inherited are its sockets, if it was handed any.
func openQUIC(name string, key Listener, inherited []*os.File, open *conns, m quicMetrics) (l *quicListener, err error) {
	var sockets []*udp.Socket
	defer func() {
		if err != nil {
			for _, s := range sockets {
				s.Close()
			}
		}
	}()
	for _, f := range inherited {
		s, err := udp.FromFile(f)
		if err != nil {
			return nil, err
		}
		sockets = append(sockets, s)
	}
	if len(sockets) == 0 {
		if sockets, err = udp.Listen(key.Addr, min(runtime.GOMAXPROCS(0), maxQUICLoops)); err != nil {
			return nil, err
		}
	}
	l = &quicListener{
		name: name, open: open, addr: sockets[0].Addr(), inherited: len(inherited) > 0,
		metrics: m, pending: m.pending.WithLabelValues(name), pendingBytes: m.pendingBytes.WithLabelValues(name),
	}
	for i, s := range sockets {
		loop, err := newQUICLoop(l, i, s)
		if err != nil {
			return nil, err
		}
		l.loops = append(l.loops, loop)
	}
	return l, nil
}

// close closes a listener that was not started.
func (l *quicListener) close() {
	for _, loop := range l.loops {
		loop.sock.Close()
		loop.poll.Close()
	}
}

// start begins to serve. What the process before reads is read when that has
// stopped.
func (l *quicListener) start(before *quicLink) {
	for _, loop := range l.loops {
		go loop.run()
	}
	if l.inherited && before != nil {
		l.hand.before.Store(before)
		if before.send(handMessage(handTake, l.addr.String())) {
			return
		}
		l.hand.before.Store(nil) // it has ended meanwhile
	}
	l.listen(true)
}

// listen has its sockets read, or not.
func (l *quicListener) listen(on bool) {
	for _, loop := range l.loops {
		loop.mu.Lock()
		loop.listen(on)
		loop.mu.Unlock()
	}
}

// leave begins nothing new, from when it returns.
func (l *quicListener) leave() {
	l.leaving.Store(true)
	for _, loop := range l.loops {
		loop.mu.Lock() // its turn, which may have begun before
		defer loop.mu.Unlock()
	}
}

// end ends all that is open, and closes the sockets. It waits for that.
func (l *quicListener) end() {
	if l.closed.Swap(true) {
		return
	}
	for _, loop := range l.loops {
		loop.poll.Wake()
	}
	for _, loop := range l.loops {
		<-loop.done
	}
}

// route is how somebody came by a tuple.
func (l *quicListener) route(t *quicTuple) route {
	r := route{from: t.client.AddrPort(), dest: destination{Local: l.addr}}
	if t.local != [16]byte{} {
		r.dest.Local = netip.AddrPortFrom(netip.AddrFrom16(t.local).Unmap(), l.addr.Port())
	}
	r.dest.Local = netip.AddrPortFrom(r.dest.Local.Addr().Unmap(), r.dest.Local.Port())
	return r
}

// closedUntil is until when no guest without an id is taken.
func (l *quicListener) closedUntil() time.Duration {
	if at := l.ended.Load(); at != 0 {
		return time.Duration(at) + closedFor
	}
	return 0
}

// quicMeant is a flow and whom its client means by it.
type quicMeant struct {
	loop  *quicLoop
	token uint64
	tuple quicTuple
	asked []asked
	stray bool
}

// sweep ends the flows with a name that is blocked now, and then those that may
// have one. A flow that ends meanwhile was looked at, or has left its names.
func (l *quicListener) sweep(w *sweeping) {
	blocks := func(t *quicTuple, a asked) bool {
		r := l.route(t)
		return !w.ends() && w.blocks(a, &r)
	}
	blocked := false
	for _, loop := range l.loops {
		for _, m := range loop.meant() {
			if slices.ContainsFunc(m.asked, func(a asked) bool { return blocks(&m.tuple, a) }) {
				blocked = true
				l.cut(w.s, &m)
			}
		}
	}
	if l.strays.blocked(quicNow(), blocks) {
		blocked = true
		l.ended.Store(int64(quicNow()))
	}
	if !blocked {
		return
	}
	l.cutStrays(w.s)
	l.handBlocked(l.hand.before.Load(), l.hand.after.Load())
}

// cutStrays ends the strays where none begins any more.
func (l *quicListener) cutStrays(s *service) {
	for _, loop := range l.loops {
		for _, m := range loop.meant() {
			if m.stray {
				l.cut(s, &m)
			}
		}
	}
}

// cut ends a flow whose name is blocked since.
func (l *quicListener) cut(s *service, m *quicMeant) {
	l.ended.Store(int64(quicNow()))
	s.metrics.ended.Inc()
	m.loop.endFlow(m.token)
}

// meant lists the flows of a loop.
func (l *quicLoop) meant() (list []quicMeant) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, slot := range l.slots {
		if f := slot.flow; f != nil {
			m := quicMeant{loop: l, token: uint64(slot.number)<<32 | uint64(i), tuple: f.tuple, stray: f.stray}
			m.asked = f.names()
			list = append(list, m)
		}
	}
	return list
}

// endFlow ends a flow from outside.
func (l *quicLoop) endFlow(token uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now = quicNow()
	if f := l.flowOf(token); f != nil {
		l.end(f)
	}
}
