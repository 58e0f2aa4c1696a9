//go:build linux

package main

import (
	"errors"
	"net"
	"sync"
	"time"

	"github.com/icpgate/icpgate/bench/rig"
)

// flow is what goes between a client and the origin.
type flow struct {
	from uint32       // the client's address, in 127.0.0.0/8
	at   *net.UDPAddr // where the origin sends to
	data []byte       // what its client sends
}

// begin has a client begin a connection of a filed name with a listener, and
// finish its handshake. There is no flow if an answer does not come.
func (w *world) begin(c *socket, at *net.UDPAddr, from uint32) (*flow, error) {
	id := w.ids.next()
	c.add(at, from, datagrams(id, hello(w.filed[int(from)%hosts], false))[0], initialSize)
	return w.finish(c, at, from)
}

// finish sends what was added of a client, answers it, and sends the first datagram
// behind the handshake.
func (w *world) finish(c *socket, at *net.UDPAddr, from uint32) (*flow, error) {
	if err := c.flush(); err != nil {
		return nil, err
	}
	list, _, err := w.origin.read(lostAfter, initialSize)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	f := &flow{from: from, at: list[0].Addr.(*net.UDPAddr)}
	id := w.ids.next()
	w.origin.add(f.at, 0, serverFlight(id), initialSize)
	if err := w.origin.flush(); err != nil {
		return nil, err
	}
	if list, _, err = c.read(lostAfter, initialSize); err != nil || len(list) == 0 {
		return nil, err
	}
	f.data = short(id, 40)
	c.add(at, from, f.data, len(f.data))
	if err := c.flush(); err != nil {
		return nil, err
	}
	_, n, err := w.origin.read(lostAfter, initialSize)
	if err != nil || n == 0 {
		return nil, err
	}
	return f, nil
}

// line is what datagrams go over: from a client by the gate, or by a relay, to the
// origin, and back.
type line struct {
	client, origin *socket
	at             *net.UDPAddr // of the gate or the relay
	flows          []*flow
	size, cut      int // of what is sent at once, and of a datagram
}

// up is from the clients to the origin, one flow after the other.
func up(l *line) []way {
	next := 0
	return []way{l.way(l.origin, l.client, func(data []byte) bool {
		f := l.flows[next%len(l.flows)]
		next++
		return l.client.add(l.at, f.from, data, l.cut)
	})}
}

// down is from the origin to the clients.
func down(l *line) []way {
	next := 0
	return []way{l.way(l.client, l.origin, func(data []byte) bool {
		f := l.flows[next%len(l.flows)]
		next++
		return l.origin.add(f.at, 0, data, l.cut)
	})}
}

func both(l *line) []way { return append(up(l), down(l)...) }

// joinedUp and joinedDown are of senders and receivers that have the kernel cut
// and join datagrams.
func joinedUp(l *line) []way   { return up(l.joined()) }
func joinedDown(l *line) []way { return down(l.joined()) }

// joined has as many datagrams be sent as one as fit into it.
func (l *line) joined() *line {
	l.size = 50_000 / l.cut * l.cut
	return l
}

// way sends over the line, a batch at a time, or two of what is joined.
func (l *line) way(to, from *socket, add func([]byte) bool) way {
	data := short(make([]byte, 8), l.size)
	for at := 0; at < len(data); at += l.cut {
		data[at] = 0x40
	}
	n := batch
	if l.size > l.cut {
		n = 2
	}
	return way{
		window: 4 * n * l.size / l.cut, to: to, joined: l.size > l.cut,
		send: func() (int, error) {
			for range n {
				add(data)
			}
			return n * l.size / l.cut, from.flush()
		},
		recv: func(wait time.Duration) (int, error) {
			_, n, err := to.read(wait, l.cut)
			return n, err
		},
	}
}

// pumpAll has datagrams go all ways at once, and returns how many came.
func pumpAll(ways []way, run time.Duration) (sum float64, err error) {
	var (
		wait sync.WaitGroup
		mu   sync.Mutex
	)
	for _, x := range ways {
		wait.Go(func() {
			n, e := x.pump(run)
			mu.Lock()
			defer mu.Unlock()
			sum, err = sum+n, errors.Join(err, e)
		})
	}
	wait.Wait()
	return sum, err
}

// bulk is what one flow through the gate costs.
func bulk(ways func(*line) []way) func(options, *world) (float64, error) {
	return many(1, ways)
}

// many is what so many flows cost, of which one after the other has a datagram.
func many(n int, ways func(*line) []way) func(options, *world) (float64, error) {
	return func(o options, w *world) (float64, error) {
		l, err := w.open(n, o.size)
		if err != nil {
			return 0, err
		}
		return rig.Cost(w.gate.pid(), func() (float64, error) { return pumpAll(ways(l), o.run) })
	}
}

// open is a line of so many flows by the gate; they are opened once.
func (w *world) open(n, size int) (*line, error) {
	if w.line == nil {
		c, err := listen("0.0.0.0:0")
		if err != nil {
			return nil, err
		}
		w.line = &line{client: c, origin: w.origin, at: w.bulk}
	}
	l := *w.line
	for len(w.line.flows) < n {
		f, err := w.begin(l.client, l.at, uint32(1<<20+len(w.line.flows)))
		if err == nil && f == nil {
			err = errors.New("a flow cannot be opened")
		}
		if err != nil {
			return nil, err
		}
		w.line.flows = append(w.line.flows, f)
	}
	l.flows, l.size, l.cut = w.line.flows[:n], size, size
	return &l, nil
}
