package gate

import (
	"encoding/binary"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/icpgate/icpgate/gate/internal/udp"
)

// While a process drains that was started anew, it and the one after it share the
// sockets of QUIC's listeners. The new one reads them, and hands what belongs to
// nothing of its own to the old one, which forwards it if it has a flow for it, and
// gives it back else. Both send on the same sockets.
//
// They speak over a pair of sockets that keep messages apart:
//
//	take     the new one asks for a listener: the old one reads it no more
//	go       the old one has stopped; the new one reads
//	yours    a datagram, or several, for the old one's flows
//	mine     the same, given back: the old one has none for it
//	blocked  a name is, that had connections: strays of either may go on with them
//
// Each begins with its kind and the address of the listener. When the old one ends,
// the pair does too. When the new one ends first, the old one reads again.

// handKind is the kind of a message.
type handKind uint8

const (
	handTake handKind = iota + 1
	handGo
	handYours
	handMine
	handBlocked
)

// quicLink is one end of such a pair. Its methods may be used concurrently.
type quicLink struct {
	conn  net.Conn
	raw   syscall.RawConn
	said  func(k handKind, listener string, rest []byte)
	ended func()
	done  chan struct{}
	once  sync.Once
}

// newQUICLink begins to read one end; said is told of every message, ended of the
// end. The file is closed.
func newQUICLink(f *os.File, said func(handKind, string, []byte), ended func()) (*quicLink, error) {
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		c.Close()
		return nil, err
	}
	k := &quicLink{conn: c, raw: raw, said: said, ended: ended, done: make(chan struct{})}
	go k.read()
	return k, nil
}

// handHead is the most that stands before the datagrams of a message.
const handHead = 1 + 1 + 64 + 1 + udp.EndpointSize + 16 + 2

func (k *quicLink) read() {
	defer close(k.done)
	defer k.ended()
	defer k.close()
	b := make([]byte, handHead+udp.MaxDatagram)
	for {
		n, err := k.conn.Read(b)
		if err != nil || n == 0 {
			return
		}
		if n < 2 || n < 2+int(b[1]) {
			continue
		}
		k.said(handKind(b[0]), string(b[2:2+b[1]]), b[2+int(b[1]):n])
	}
}

// close ends the pair. It does not wait for the reader.
func (k *quicLink) close() { k.once.Do(func() { k.conn.Close() }) }

// send sends a message, or drops it where there is no room: it never waits.
func (k *quicLink) send(b []byte) bool {
	sent := false
	_ = k.raw.Write(func(fd uintptr) bool {
		n, err := sysWrite(fd, b)
		sent = err == nil && n == len(b)
		return true
	})
	return sent
}

// message begins one about a listener.
func handMessage(k handKind, listener string) []byte {
	b := make([]byte, 0, handHead+2048)
	b = append(b, byte(k), byte(len(listener)))
	return append(b, listener...)
}

// sendData hands datagrams over that came to a loop.
func (k *quicLink) sendData(kind handKind, l *quicLoop, t *quicTuple, data []byte, size int) bool {
	b := append(handMessage(kind, l.l.addr.String()), byte(l.index))
	b = t.client.AppendTo(b)
	b = append(b, t.local[:]...)
	b = binary.BigEndian.AppendUint16(b, uint16(size))
	return k.send(append(b, data...))
}

// quicHands are the processes before and after this one, for a listener.
type quicHands struct {
	before, after atomic.Pointer[quicLink]
}

// handOver hands datagrams that belong to nothing here to another process: to the
// one before, unless they come from there; or to the one after, which has this
// one's listeners. It reports whether there is one.
func (l *quicLoop) handOver(t *quicTuple, data []byte, size int) bool {
	kind, to := handYours, l.l.hand.before.Load()
	if to == nil || l.back {
		kind, to = handMine, l.l.hand.after.Load()
	}
	if to == nil {
		return false
	}
	if !to.sendData(kind, l, t, data, size) {
		l.counts.drop(quicSystem)
	}
	return true
}

// handBlocked tells other processes that a name with connections here is blocked.
func (l *quicListener) handBlocked(to ...*quicLink) {
	for _, k := range to {
		if k != nil {
			k.send(handMessage(handBlocked, l.addr.String()))
		}
	}
}

// blockedThere has no stray go on, nor begin for a while, since it may be with one of
// the connections that another process has ended.
func (l *quicListener) blockedThere() {
	l.ended.Store(int64(quicNow()))
	if s := l.service.Load(); s != nil {
		l.cutStrays(s)
	}
}

// handUnknown is handOver for datagrams with short headers, unless the first bears the
// id of a connection here: it is to be found here, also where its client has moved.
func (l *quicLoop) handUnknown(t *quicTuple, data []byte, size int) bool {
	if l.l.hand.before.Load() == nil && l.l.hand.after.Load() == nil {
		return false
	}
	_, known := l.l.ids.find(data[:min(size, len(data))])
	return !known && l.handOver(t, data, size)
}

// handed takes datagrams that another process has handed over; back are those that
// it has given back.
func (l *quicLoop) handed(t *quicTuple, data []byte, size int, back bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.contain()
	if l.l.closed.Load() || l.over {
		return
	}
	quiet := l.quiet()
	l.now, l.back = quicNow(), back
	l.fromClient(&udp.Packet{From: t.client, Local: t.local, Data: data, Size: size})
	l.up.Flush()
	l.down.Flush()
	l.back = false
	l.counts.flush(l)
	if quiet {
		l.poll.Wake() // it waits without an end
	}
}

// handedData reads what follows the listener in a message with datagrams, and has
// its loop take them.
func (l *quicListener) handedData(b []byte, back bool) {
	if len(b) <= 1+udp.EndpointSize+16+2 {
		return
	}
	loop := l.loops[int(b[0])%len(l.loops)]
	b = b[1:]
	t := quicTuple{client: udp.ReadEndpoint(b), local: [16]byte(b[udp.EndpointSize:])}
	b = b[udp.EndpointSize+16:]
	if size := int(binary.BigEndian.Uint16(b)); size > 0 {
		loop.handed(&t, b[2:], size, back)
	}
}

// quicAt is the listener of QUIC that is bound to an address; nil if there is none.
func (g *Gate) quicAt(addr string) *quicListener {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, set := range []map[string]*quicListener{g.quic, g.goneQUIC} {
		for _, l := range set {
			if l.addr.String() == addr {
				return l
			}
		}
	}
	return nil
}

// handEnv names the descriptor by which a process reaches the one before it.
const handEnv = "ICP_GATE_QUIC_FD"

// linkBefore takes up the pair with the process before this one.
func (g *Gate) linkBefore(f *os.File) {
	said := func(kind handKind, listener string, rest []byte) {
		l := g.quicAt(listener)
		switch {
		case l == nil:
		case kind == handGo:
			l.listen(true)
		case kind == handMine:
			l.handedData(rest, true)
		case kind == handBlocked:
			l.blockedThere()
			l.handBlocked(l.hand.after.Load())
		}
	}
	ended := func() {
		g.mu.Lock()
		list := g.allQUIC()
		g.mu.Unlock()
		for _, l := range list {
			l.hand.before.Store(nil)
			l.listen(true)
		}
	}
	k, err := newQUICLink(f, said, ended)
	if err != nil {
		return // nothing is handed to a process that cannot be reached
	}
	g.before = k
}

// linkAfter makes a pair with a process that is about to start, and returns its
// end.
func (g *Gate) linkAfter() (*os.File, error) {
	ours, theirs, err := socketPair()
	if err != nil {
		return nil, err
	}
	var k *quicLink
	ready := make(chan struct{})
	said := func(kind handKind, listener string, rest []byte) {
		<-ready
		l := g.quicAt(listener)
		switch {
		case l == nil:
		case kind == handTake:
			l.hand.after.Store(k)
			l.listen(false)
			k.send(handMessage(handGo, listener))
		case kind == handYours:
			l.handedData(rest, false)
		case kind == handBlocked:
			l.blockedThere()
			l.handBlocked(l.hand.before.Load())
		}
	}
	ended := func() {
		<-ready
		g.mu.Lock()
		list := g.allQUIC()
		g.mu.Unlock()
		for _, l := range list {
			if l.hand.after.CompareAndSwap(k, nil) {
				l.listen(true)
			}
		}
	}
	if k, err = newQUICLink(ours, said, ended); err != nil {
		theirs.Close()
		return nil, err
	}
	close(ready)
	g.after = k
	return theirs, nil
}

// allQUIC lists the listeners of QUIC, those of no configuration too. g.mu is held.
func (g *Gate) allQUIC() (list []*quicListener) {
	for _, set := range []map[string]*quicListener{g.quic, g.goneQUIC} {
		for _, l := range set {
			list = append(list, l)
		}
	}
	return list
}

// unlink ends what there is with other processes.
func (g *Gate) unlink() {
	for _, k := range []*quicLink{g.before, g.after} {
		if k != nil {
			k.close()
		}
	}
	g.before, g.after = nil, nil
}
