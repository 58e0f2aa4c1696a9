package gate_test

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/icpgate/icpgate/gate"
)

// TestWaitingServed: who has connected and is not accepted yet, since no descriptor
// was left, is served all the same when the listener goes: with the process, or by a
// reload.
func TestWaitingServed(t *testing.T) {
	for what, sig := range map[string]syscall.Signal{"the process ends": syscall.SIGTERM, "a reload takes the listener away": syscall.SIGHUP} {
		t.Run(what, func(t *testing.T) {
			admin, addr := freePort(t), freePort(t)
			stays := "http://127.0.0.1:0 {\n" + withAdmin(admin) + "\nupstream 127.0.0.1:1\n}\n"
			p := start(t, 2, stays+"http://"+addr+" {\nICP\nupstream "+newOrigin(t, new(seen))+"\n}\n", nil)
			scraped(t, admin, "up") // over a connection that is kept
			lift := p.limitDescriptors(t)
			var list []net.Conn
			for range 20 {
				c := dialTCP(t, addr)
				fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: filed.example\r\n\r\n")
				list = append(list, c)
			}
			eventually(t, "it pauses for long", func() bool {
				return toFloat(scraped(t, admin, `icp_gate_accept_failures_total\{listener="http://`+addr+`"\}`)) >= 9
			})
			lift()
			p.write(t, stays)
			p.signal(t, sig)
			for i, c := range list {
				status, err := bufio.NewReader(c).ReadString('\n')
				if !strings.HasPrefix(status, "HTTP/1.1 200 ") {
					t.Fatalf("client %d: got %q, %v", i, status, err)
				}
			}
			if sig == syscall.SIGTERM {
				p.log.await(t, "msg=ended")
			}
		})
	}
}

// lateListener is a listener to which a client comes when it is being closed, and
// which accepts nobody.
type lateListener struct {
	*net.TCPListener
	come   func()
	once   sync.Once
	closed chan struct{}
}

func (l *lateListener) Accept() (net.Conn, error) {
	<-l.closed
	return nil, net.ErrClosed
}

func (l *lateListener) Close() error {
	l.once.Do(func() {
		l.come()
		close(l.closed)
	})
	return l.TCPListener.Close()
}

// TestLateServed: who comes while a listener is being closed is served as well: the
// last look is behind all else.
func TestLateServed(t *testing.T) {
	var c net.Conn
	l := serve(t, gate.TestService{Upstream: newOrigin(t, new(seen)), Listen: func(ln net.Listener) net.Listener {
		return &lateListener{TCPListener: ln.(*net.TCPListener), closed: make(chan struct{}), come: func() { c = dialTCP(t, ln.Addr().String()) }}
	}})
	l.End()
	if c == nil {
		t.Fatal("nobody came; this shows nothing")
	}
	fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: filed.example\r\n\r\n")
	status, err := bufio.NewReader(c).ReadString('\n')
	if !strings.HasPrefix(status, "HTTP/1.1 200 ") {
		t.Errorf("got %q, %v; want an answer", status, err)
	}
	if late, err := net.Dial("tcp", l.Addr()); err == nil {
		late.Close()
		t.Error("somebody still listens")
	}
}
