//go:build linux && !portable

package udp_test

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/icpgate/icpgate/gate/internal/udp"
)

// TestBehind: a socket that nobody reads is behind before the kernel drops what
// comes, and is not when all was read.
func TestBehind(t *testing.T) {
	list, err := udp.Listen(netip.MustParseAddrPort("127.0.0.1:0"), 1)
	if err != nil {
		t.Fatal(err)
	}
	s := list[0]
	defer s.Close()
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(s.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if s.Behind() {
		t.Error("nothing came, and it is behind")
	}
	sent := 0
	for ; !s.Behind() && sent < 1<<16; sent++ {
		if _, err := c.Write(make([]byte, 1200)); err != nil {
			t.Fatal(err)
		}
	}
	r, got := udp.NewReader(), 0
	// Under load the kernel brings the last ones a moment later.
	for end := time.Now().Add(time.Minute); got < sent && time.Now().Before(end); r.Reset() {
		for _, p := range r.Read(s) {
			got += len(p.Data) / 1200
		}
	}
	if sent == 1<<16 || got != sent {
		t.Errorf("%d of %d came when it was behind", got, sent)
	}
	if s.Behind() {
		t.Error("all was read, and it is behind")
	}
}
