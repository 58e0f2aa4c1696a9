//go:build linux

package main

import (
	"fmt"
	"time"

	"github.com/icpgate/icpgate/bench/rig"
)

// operation is something that is measured.
type operation struct {
	name, title string
	bar         string // "" is none
	// beside names the operation that the bar is a multiple of, a relay's.
	beside string
	relay  bool // it is a bare relay's
	cost   func(o options, w *world) (float64, error)
}

// ops are in the order in which they are measured, and of the table.
var ops = []operation{
	{name: "silent", title: "Initial of an unfiled name, decided and told nothing", bar: "8", cost: silent(false)},
	{name: "silent-two", title: "the same, a scrambled hello in two, each", bar: "8", cost: silent(true)},
	{name: "blocked", title: "Initial of an unfiled name, decided and answered", bar: "8", cost: blocked(false)},
	{name: "blocked-two", title: "the same, a scrambled hello in two, each", bar: "8", cost: blocked(true)},
	{name: "filed", title: "Initial of a filed name, decided and sent on, by a flow that is open", bar: "8", cost: filed(false)},
	{name: "filed-two", title: "the same, a scrambled hello in two, each", bar: "8", cost: filed(true)},
	{name: "flow", title: "Initial of a filed name, with the flow it opens, and its end", cost: opened},
	{name: "relay-up", relay: true, cost: relayed("plain", up)},
	{name: "up", title: "datagram to the server", bar: "1.3 ×", beside: "relay-up", cost: bulk(up)},
	{name: "relay-down", relay: true, cost: relayed("plain", down)},
	{name: "down", title: "datagram to the client", bar: "1.3 ×", beside: "relay-down", cost: bulk(down)},
	{name: "relay-both", relay: true, cost: relayed("plain", both)},
	{name: "both", title: "datagram, both ways at once", bar: "1.3 ×", beside: "relay-both", cost: bulk(both)},
	{name: "relay-joined-up", relay: true, cost: relayed("joined", joinedUp)},
	{name: "joined-up", title: "datagram to the server, joined (GRO, GSO)", beside: "relay-joined-up", cost: bulk(joinedUp)},
	{name: "relay-joined-down", relay: true, cost: relayed("joined", joinedDown)},
	{name: "joined-down", title: "datagram to the client, joined", beside: "relay-joined-down", cost: bulk(joinedDown)},
	{name: "flows-1000-up", title: "datagram to the server, 1,000 flows in turn", cost: many(1000, up)},
	{name: "flows-1000-down", title: "datagram to the client, 1,000 flows in turn", cost: many(1000, down)},
	{name: "flows-10000-up", title: "datagram to the server, 10,000 flows in turn", cost: many(10000, up)},
	{name: "flows-10000-down", title: "datagram to the client, 10,000 flows in turn", cost: many(10000, down)},
}

func opNames() (list []string) {
	for _, op := range ops {
		list = append(list, op.name)
	}
	return list
}

func opNamed(name string) (op operation) {
	for _, op := range ops {
		if op.name == name {
			return op
		}
	}
	return op
}

// way is how datagrams go. Both functions return how many there were.
type way struct {
	window int // how many are on their way at most
	to     *socket
	joined bool // what to receives
	send   func() (int, error)
	recv   func(wait time.Duration) (int, error)
}

// lostAfter is how long one is waited for.
const lostAfter = time.Second

// pump keeps datagrams on their way, for a while or until there are no more, and
// returns how many came. It fails if more than one in a hundred is lost.
func (x way) pump(run time.Duration) (float64, error) {
	if err := x.to.join(x.joined); err != nil {
		return 0, err
	}
	flying, got, lost := 0, 0, 0
	more := true
	for end := time.Now().Add(run); ; {
		for more = more && time.Now().Before(end); more && flying < x.window; {
			n, err := x.send()
			if err != nil {
				return 0, err
			}
			flying, more = flying+n, n > 0
		}
		if flying <= 0 {
			break
		}
		n, err := x.recv(lostAfter)
		switch {
		case err != nil:
			return 0, err
		case n == 0:
			lost, flying = lost+flying, 0
		}
		got, flying = got+n, flying-n
	}
	if lost*100 > got {
		return 0, fmt.Errorf("%d datagrams came and %d were lost", got, lost)
	}
	return float64(got), nil
}

// begins is a way of datagrams that begin connections of names, from addresses
// that come one after the other; each address is another client. So many of them
// come back, or go on to the origin.
func (w *world) begins(c, to *socket, list [][]byte, clients, perAnswer int) way {
	next := 0
	return way{
		window: 4 * batch, to: to,
		send: func() (n int, err error) {
			for more := true; more && next < len(list); n++ {
				more = c.add(w.brief, uint32(1<<16+next/perAnswer%clients), list[next], len(list[next]))
				next++
			}
			return n, c.flush()
		},
		recv: func(wait time.Duration) (int, error) {
			_, n, err := to.read(wait, initialSize)
			if to == c {
				n *= perAnswer
			}
			return n, err
		},
	}
}

// connections are begun in a run: so many that it takes a tenth of a second or so.
const connections = 10_000

// sealed are the datagrams of as many connections.
func (w *world) sealed(names []string, long bool, n int) (list [][]byte) {
	hellos := hellos(names, long)
	for i := range n {
		list = append(list, datagrams(w.ids.next(), hellos[i%len(hellos)])...)
	}
	return list
}

// each is how many datagrams a connection begins with.
func each(long bool) int {
	if long {
		return 2
	}
	return 1
}

// refusals has clients begin connections of unfiled names, and returns what each
// datagram costs; begin sends them, and returns how many there were.
func refusals(long bool, begin func(w *world, c *socket, list [][]byte) (float64, error)) func(options, *world) (float64, error) {
	return func(o options, w *world) (float64, error) {
		c, err := listen("0.0.0.0:0")
		if err != nil {
			return 0, err
		}
		defer c.conn.Close()
		list := w.sealed(w.unfiled, long, connections)
		return rig.Cost(w.gate.pid(), func() (float64, error) { return begin(w, c, list) })
	}
}

// blocked has clients begin connections that are refused.
func blocked(long bool) func(options, *world) (float64, error) {
	return refusals(long, func(w *world, c *socket, list [][]byte) (float64, error) {
		return w.begins(c, c, list, connections, each(long)).pump(time.Minute)
	})
}

// flowConns is how many connections each flow gets that is open already: below
// what the gate lets one have.
const flowConns = 14

// filed has clients begin connections beside those that they have.
func filed(long bool) func(options, *world) (float64, error) {
	return func(o options, w *world) (float64, error) {
		c, err := listen("0.0.0.0:0")
		if err != nil {
			return 0, err
		}
		defer c.conn.Close()
		const clients = connections / flowConns
		before := w.sockets()
		first, list := w.sealed(w.filed, false, clients), w.sealed(w.filed, long, connections)
		if _, err := w.begins(c, w.origin, first, clients, 1).pump(time.Minute); err != nil {
			return 0, err
		}
		cost, err := rig.Cost(w.gate.pid(), func() (float64, error) {
			return w.begins(c, w.origin, list, clients, each(long)).pump(time.Minute)
		})
		if err != nil {
			return 0, err
		}
		return cost, w.settle(before)
	}
}

// opened has clients begin connections, and waits until the gate has ended the
// flows, of which it hears no more.
func opened(o options, w *world) (float64, error) {
	c, err := listen("0.0.0.0:0")
	if err != nil {
		return 0, err
	}
	defer c.conn.Close()
	before, list := w.sockets(), w.sealed(w.filed, false, connections)
	return rig.Cost(w.gate.pid(), func() (float64, error) {
		n, err := w.begins(c, w.origin, list, connections, 1).pump(time.Minute)
		if err != nil {
			return 0, err
		}
		return n, w.settle(before)
	})
}
