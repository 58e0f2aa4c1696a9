package gate

import (
	"net"
	"sync"
	"testing"
)

// Accepted has every connection to an address of the network served by a function
// of its own, which need not close it, until stop is called or the test ends: what
// is open then is closed, and it is waited until all has been served. It stands
// here for the tests of both packages.
func Accepted(t testing.TB, network, address string, serve func(net.Conn)) (addr string, stop func()) {
	t.Helper()
	ln, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	a := accepting{ln: ln, serve: serve, open: map[net.Conn]struct{}{}}
	a.tasks.Go(a.run)
	stop = sync.OnceFunc(a.stop)
	t.Cleanup(stop)
	return ln.Addr().String(), stop
}

// LocalTCP is Accepted at a port of 127.0.0.1 until the test ends.
func LocalTCP(t testing.TB, serve func(net.Conn)) (addr string) {
	t.Helper()
	addr, _ = Accepted(t, "tcp", "127.0.0.1:0", serve)
	return addr
}

type accepting struct {
	ln    net.Listener
	serve func(net.Conn)
	tasks sync.WaitGroup

	mu    sync.Mutex
	open  map[net.Conn]struct{}
	ended bool
}

func (a *accepting) run() {
	for {
		c, err := a.ln.Accept()
		if err != nil {
			return
		}
		a.mu.Lock()
		a.open[c] = struct{}{}
		over := a.ended
		a.mu.Unlock()
		if over {
			c.Close()
		}
		a.tasks.Go(func() { a.one(c) })
	}
}

func (a *accepting) one(c net.Conn) {
	defer func() {
		c.Close()
		a.mu.Lock()
		delete(a.open, c)
		a.mu.Unlock()
	}()
	a.serve(c)
}

func (a *accepting) stop() {
	a.ln.Close()
	a.mu.Lock()
	a.ended = true
	for c := range a.open {
		c.Close()
	}
	a.mu.Unlock()
	a.tasks.Wait()
}
