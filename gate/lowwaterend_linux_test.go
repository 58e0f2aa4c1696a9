package gate

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// TestMarkEnds: when the last bytes of a body came in one piece that was longer than
// the mark, it is taken back at the end, or who reads next would not be woken.
func TestMarkEnds(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	src := newSide(c)
	var w lowWater
	w.begin(src, 4*lowMark)
	w.passed(2 * lowMark) // which came at once
	if err := src.raw.Control(func(fd uintptr) { w.before(int(fd)) }); err != nil {
		t.Fatal(err)
	}
	wantOptions(t, c, option{"SO_RCVLOWAT", unix.SOL_SOCKET, unix.SO_RCVLOWAT, lowMark})
	w.passed(2 * lowMark)
	w.end()
	wantOptions(t, c, option{"SO_RCVLOWAT", unix.SOL_SOCKET, unix.SO_RCVLOWAT, 1})
}
