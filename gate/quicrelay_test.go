package gate_test

import (
	"net"
	"sync"
	"testing"
)

// quicRelay stands between clients and a gate, and loses, turns around and
// renames what goes through it.
type quicRelay struct {
	addr string
	in   *net.UDPConn
	to   *net.UDPAddr

	mu   sync.Mutex
	outs map[string]*net.UDPConn // to the gate, by client
	// lose decides on the n-th datagram, counted from 0 each way; up is to the gate.
	lose func(n int, up bool, b []byte) bool
	// late has the n-th datagram go behind the next one.
	late func(n int, up bool) bool
	held [2][]func()
	n    [2]int
}

// newQUICRelay begins one; r has what it does with datagrams, if anything.
func newQUICRelay(t testing.TB, to string, r *quicRelay) *quicRelay {
	t.Helper()
	in, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	addr, err := net.ResolveUDPAddr("udp", to)
	if err != nil {
		t.Fatal(err)
	}
	r.addr, r.in, r.to, r.outs = in.LocalAddr().String(), in, addr, map[string]*net.UDPConn{}
	t.Cleanup(func() { in.Close(); r.rename() })
	go func() {
		b := make([]byte, 65536)
		for {
			n, from, err := in.ReadFromUDP(b)
			if err != nil {
				return
			}
			r.pass(true, append([]byte(nil), b[:n]...), func(b []byte) {
				if out := r.out(from); out != nil {
					_, _ = out.Write(b)
				}
			})
		}
	}()
	return r
}

// out is the socket that stands for a client.
func (r *quicRelay) out(from *net.UDPAddr) *net.UDPConn {
	if out := r.outs[from.String()]; out != nil {
		return out
	}
	out, err := net.DialUDP("udp", nil, r.to)
	if err != nil {
		return nil
	}
	r.outs[from.String()] = out
	go func() {
		b := make([]byte, 65536)
		for {
			n, err := out.Read(b)
			if err != nil {
				return
			}
			r.pass(false, append([]byte(nil), b[:n]...), func(b []byte) { _, _ = r.in.WriteToUDP(b, from) })
		}
	}()
	return out
}

// pass sends a datagram on, or does with it what is to be done.
func (r *quicRelay) pass(up bool, b []byte, send func([]byte)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	way := 0
	if up {
		way = 1
	}
	n := r.n[way]
	r.n[way]++
	if r.lose != nil && r.lose(n, up, b) {
		return
	}
	if r.late != nil && r.late(n, up) {
		r.held[way] = append(r.held[way], func() { send(b) })
		return
	}
	send(b)
	for _, f := range r.held[way] {
		f()
	}
	r.held[way] = nil
}

// rename has all clients come from other ports, as a translator of addresses does
// that has forgotten them.
func (r *quicRelay) rename() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for from, out := range r.outs {
		out.Close()
		delete(r.outs, from)
	}
}
