package gate

import (
	"context"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// option is one of a socket.
type option struct {
	name             string
	level, opt, want int
}

// wantOptions reads the options of a connection's socket back.
func wantOptions(t *testing.T, c net.Conn, list ...option) {
	t.Helper()
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) {
		for _, o := range list {
			if got, err := unix.GetsockoptInt(int(fd), o.level, o.opt); err != nil || got != o.want {
				t.Errorf("%s is %d, %v; want %d", o.name, got, err, o.want)
			}
		}
	}); err != nil {
		t.Fatal(err)
	}
}

// TestUpstreamSocket: an upstream has at least as long to take what it is sent as
// the limit for idleness says.
func TestUpstreamSocket(t *testing.T) {
	addr, _ := webServer(t, "tcp", "127.0.0.1:0")
	for idle, unacked := range map[time.Duration]time.Duration{time.Second: unackedTimeout, time.Hour: time.Hour} {
		u := newUpstreams(tcp(addr), time.Minute, idle, nil, nil)
		defer u.close()
		c, err := u.dial(context.Background(), origin{})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		wantOptions(t, c,
			option{"TCP_USER_TIMEOUT", unix.SOL_TCP, unix.TCP_USER_TIMEOUT, int(unacked.Milliseconds())},
			option{"TCP_NODELAY", unix.SOL_TCP, unix.TCP_NODELAY, 1},
			option{"SO_KEEPALIVE", unix.SOL_SOCKET, unix.SO_KEEPALIVE, 0})
	}
}

// TestClientSocket: the system ends no client's connection because that takes
// nothing for a while. With a TCP_USER_TIMEOUT of half a minute it did (2026-11):
// also those that took what came steadily, but slower than it came.
func TestClientSocket(t *testing.T) {
	config := net.ListenConfig{KeepAlive: -1, Control: controlListen}
	ln, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	c, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	wantOptions(t, c,
		option{"TCP_USER_TIMEOUT", unix.SOL_TCP, unix.TCP_USER_TIMEOUT, 0},
		option{"SO_KEEPALIVE", unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
		option{"TCP_KEEPIDLE", unix.SOL_TCP, unix.TCP_KEEPIDLE, int(keepAliveIdle.Seconds())})
}
