package gate_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/icpgate/icpgate/gate"
	"github.com/icpgate/icpgate/gate/sniff/initial"
)

// freeUDPPort is an address that nobody listens on by UDP.
func freeUDPPort(t testing.TB) string {
	t.Helper()
	return gate.FreeUDPPort(t)
}

// load3 asks over an open connection, and over new ones, until stop is called.
func load3(t testing.TB, addr string) (done func() int64, stop func() []string) {
	var (
		n     atomic.Int64
		tasks sync.WaitGroup
		mu    sync.Mutex
		errs  []string
	)
	end := make(chan struct{})
	for i := range 4 {
		client := newQUICClient(t, addr, "filed.example")
		kept, err := client.dial(t)
		if err != nil {
			t.Fatal(err)
		}
		tasks.Go(func() {
			defer kept.CloseWithError(0, "")
			h := h3(kept)
			for {
				select {
				case <-end:
					return
				default:
				}
				got, want := "", "filed.example filed.example"
				switch i {
				case 0:
					got = client.came(t)
				case 1:
					got, want = get3(t, h, "filed.example", "/?bulk=300000"), "300000 bytes"
				default:
					got = get3(t, h, "filed.example", "/")
				}
				if got != want {
					mu.Lock()
					errs = append(errs, fmt.Sprintf("load %d: %s", i, got))
					mu.Unlock()
					return
				}
				n.Add(1)
			}
		})
	}
	return n.Load, func() []string {
		close(end)
		tasks.Wait()
		return errs
	}
}

// TestQUICRestart: SIGUSR2 puts another process in place, and then another, and no
// connection is lost, neither those that are open nor those that begin. With two
// upstreams nothing goes on as of a client that has moved.
func TestQUICRestart(t *testing.T) {
	hasty(t, 2*time.Second, func(t testing.TB, idle time.Duration) {
		o, other := newQUICOrigin(t, quicOriginConfig{}), newQUICOrigin(t, quicOriginConfig{})
		addr := freeUDPPort(t)
		p := start(t, 1, fmt.Sprintf("quic://%s {\nICP\nupstream %s %s\ntimeouts idle %s drain 60s\n}\n", addr, o.addr, other.addr, idle), nil)
		client := newQUICClient(t, addr, "filed.example")
		client.tls.NextProtos = []string{"doq"}
		client.conf.KeepAlivePeriod = idle / 7
		kept, err := client.dial(t)
		if err != nil {
			t.Fatal(err)
		}
		done, stop := load3(t, addr)
		goesOn(t, done, 50)
		p.signal(t, sigHandOver)
		p.log.await(t, `msg=ending`)
		goesOn(t, done, 50)
		if got := echo3(t, kept); got != "echo" {
			t.Errorf("a connection that was open: got %s", got)
		}
		// What the process before has been told to end, it ends by itself.
		if got := newQUICClient(t, addr, "unfiled.example").came(t); got != "error 0x170" {
			t.Errorf("an unfiled name: got %s", got)
		}
		if errs := stop(); len(errs) > 0 {
			t.Errorf("connections were lost: %v", errs)
		}
		if got := echo3(t, kept); got != "echo" {
			t.Errorf("a connection that was open: got %s", got)
		}
		kept.CloseWithError(0, "")
		p.log.await(t, `msg=ended`)
		if err := p.cmd.Wait(); err != nil {
			t.Errorf("the process before: %v", err)
		}
		if got := newQUICClient(t, addr, "filed.example").came(t); got != "filed.example filed.example" {
			t.Errorf("with the new process alone: got %s", got)
		}
	})
}

// TestQUICRestartCut: the process before ends with flows of its own, and the new
// one takes them up: to their server, their client has moved.
func TestQUICRestartCut(t *testing.T) {
	o := newQUICOrigin(t, quicOriginConfig{})
	addr := freeUDPPort(t)
	p := start(t, 1, fmt.Sprintf("quic://%s {\nICP\nupstream %s\ntimeouts drain 50ms\n}\n", addr, o.addr), nil)
	client := newQUICClient(t, addr, "filed.example")
	client.tls.NextProtos = []string{"doq"}
	kept, err := client.dial(t)
	if err != nil {
		t.Fatal(err)
	}
	defer kept.CloseWithError(0, "")
	if got := echo3(t, kept); got != "echo" {
		t.Fatalf("got %s", got)
	}
	p.signal(t, sigHandOver)
	_ = p.cmd.Wait()
	s, err := kept.OpenStream()
	if err != nil {
		t.Fatal(err)
	}
	// As much as must be sent from an address that nobody knows.
	_, _ = s.Write(make([]byte, 5000))
	s.Close()
	if got := echo3(t, kept); got != "echo" {
		t.Errorf("got %s", got)
	}
}

// TestQUICRestartIDs: an id of a connection of the process before begins none in the
// new one, neither while that is open nor when it has ended and its server may wait for
// more.
func TestQUICRestartIDs(t *testing.T) {
	q := newQUICRawAt(t, freeUDPPort(t), "timeouts drain 60s")
	late := []byte("that has ended")
	end := initial.Packet{DCID: late, Payload: []byte{0x1c, 0, 0, 0}, Number: 1} // RFC 9000 §19.19
	if got := q.sent(quicInitial("filed.example", rawID), quicInitial("filed.example", late), end.Seal()); got != "passed 3" {
		t.Fatalf("two hellos and an end: %s", got)
	}
	q.p.signal(t, sigHandOver)
	q.p.log.await(t, `msg=ending`)
	for _, id := range [][]byte{rawID, late} {
		if got := q.from("127.0.0.1").sent(quicInitial("www.filed.example", id)); got != "nothing" {
			t.Errorf("another hello with the id %q: %s; want nothing", id, got)
		}
	}
	if got := q.sent(quicInitial("filed.example", []byte("its own id"))); got != "passed 1" {
		t.Errorf("another client: %s", got)
	}
}

// TestQUICDrain: flows go on until the time is over.
func TestQUICDrain(t *testing.T) {
	o := newQUICOrigin(t, quicOriginConfig{})
	p := startQUIC(t, "timeouts drain 1m", o)
	client := newQUICClient(t, p.addr(t, "quic:"), "filed.example")
	client.tls.NextProtos = []string{"doq"}
	c, err := client.dial(t)
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseWithError(0, "")
	p.signal(t, syscall.SIGTERM)
	p.log.await(t, `msg=ending`)
	if got := echo3(t, c); got != "echo" {
		t.Errorf("an open connection: got %s", got)
	}
	other := newQUICClient(t, p.addr(t, "quic:"), "filed.example")
	other.conf.HandshakeIdleTimeout = 300 * time.Millisecond
	if _, err := other.dial(t); err == nil || quicError(err) != "silence" {
		t.Errorf("a new connection: got %v; want silence", err)
	}
	p.signal(t, syscall.SIGTERM) // at once, the second time
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("the program: %v", err)
	}
}
