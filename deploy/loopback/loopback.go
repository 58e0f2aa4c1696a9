// Package loopback gives tests addresses that are their process's own.
//
//	addr := loopback.Free(t)                                       // for a program that must be told a port
//	l, err := net.Listen("tcp", net.JoinHostPort(loopback.Host(), "0")) // a port that is left and taken again
//
// A port of 127.0.0.1 that is given up for a moment may be given to any connection or
// listener of the machine meanwhile. Where all of 127.0.0.0/8 is this machine, as on
// Linux, each process has a host there, and elsewhere 127.0.0.1 has to do. Whoever
// listens on all addresses is not kept away.
package loopback

import (
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
)

// Host is the address of this process. It is safe for concurrent use.
var Host = sync.OnceValue(func() string {
	pid := os.Getpid()
	host := netip.AddrFrom4([4]byte{127, byte(64 | pid>>16&63), byte(pid >> 8), byte(pid)}).String()
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return "127.0.0.1"
	}
	l.Close()
	return host
})

// tried is how many ports were tried.
var tried atomic.Int32

// first is before the first port that is tried, below those that systems give by
// themselves (ip_local_port_range of ip(7): from 32768 on).
const first = 20000

// Free is an address of Host that nobody listens on, by TCP or UDP, and that is given
// once. It is safe for concurrent use.
func Free(t testing.TB) string {
	t.Helper()
	for range 1000 {
		addr := net.JoinHostPort(Host(), strconv.Itoa(first+int(tried.Add(1))))
		l, err := net.Listen("tcp", addr)
		if err != nil {
			continue
		}
		l.Close()
		if u, err := net.ListenPacket("udp", addr); err == nil {
			u.Close()
			return addr
		}
	}
	t.Fatalf("no port of %s is free for TCP and UDP", Host())
	return ""
}
