package gate

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
)

// FreePort is an address of 127.0.0.1 at which a program of the test may listen by TCP,
// and nobody does. Where the system can, it is held for the test until that ends: no
// other process is given the port, neither for a listener nor for a connection that it
// makes. It stands here for the tests of both packages.
func FreePort(t testing.TB) string {
	t.Helper()
	addr, err := holdPort(t)
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

// FreeUDPPort is an address of 127.0.0.1 that nobody listens on by UDP: one below those
// that systems give to whoever asks for any.
func FreeUDPPort(t testing.TB) string {
	t.Helper()
	return belowGiven(t, func(addr string) error {
		c, err := net.ListenPacket("udp", addr)
		if err == nil {
			c.Close()
		}
		return err
	})
}

// belowGiven finds an address that can be had, of a port that systems give to nobody
// who does not ask for it (RFC 6335 §6 has those from 49152 on for that, Linux takes
// them from 32768).
func belowGiven(t testing.TB, take func(addr string) error) string {
	t.Helper()
	var errs []string
	for range 100 {
		addr := fmt.Sprintf("127.0.0.1:%d", 10_000+rand.IntN(22_000))
		err := take(addr)
		if err == nil {
			return addr
		}
		errs = append(errs, err.Error())
	}
	t.Fatalf("no port is free:\n%s", strings.Join(errs, "\n"))
	return ""
}

// TestFreePort: what is held for a test can be listened on, and is given to nobody.
func TestFreePort(t *testing.T) {
	held := map[string]bool{}
	for range 20 {
		held[FreePort(t)] = true
	}
	if len(held) < 20 {
		t.Errorf("%d addresses of 20 differ", len(held))
	}
	for addr := range held {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			t.Errorf("somebody listens on %s", addr)
		}
		ln, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		ln.Close()
	}
}
