package loopback_test

import (
	"errors"
	"net"
	"net/netip"
	"testing"

	"github.com/icpgate/icpgate/deploy/loopback"
)

// TestFree: every address is another one, of loopback, and can be listened on by TCP
// and UDP; one that is taken is passed over.
func TestFree(t *testing.T) {
	given := map[string]bool{}
	for range 20 {
		addr := loopback.Free(t)
		ap, err := netip.ParseAddrPort(addr)
		if err != nil || !ap.Addr().IsLoopback() || ap.Addr().String() != loopback.Host() || given[addr] {
			t.Fatalf("got %q, %v; want another one of %s", addr, err, loopback.Host())
		}
		given[addr] = true
		l, err1 := net.Listen("tcp", addr)
		u, err2 := net.ListenPacket("udp", addr)
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		defer u.Close()
		// The next one is taken.
		next := netip.AddrPortFrom(ap.Addr(), ap.Port()+1)
		if l, err = net.Listen("tcp", next.String()); err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		given[next.String()] = true
	}
}
