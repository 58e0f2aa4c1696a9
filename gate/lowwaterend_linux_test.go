package gate

import (
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestMarkShort: there is no mark beyond what is to come of a body, or its last bytes
// would be held back.
func TestMarkShort(t *testing.T) {
	c, src := markedSide(t)
	var w lowWater
	w.begin(src, 4*lowMark)
	w.since = time.Now().Add(time.Hour) // what comes came at once, also where the machine stands still
	w.passed(3*lowMark + 1)
	if err := src.raw.Control(func(fd uintptr) { w.before(int(fd)) }); err != nil {
		t.Fatal(err)
	}
	if !w.fast {
		t.Error("it did not come fast; this shows nothing")
	}
	wantOptions(t, c, option{"SO_RCVLOWAT", unix.SOL_SOCKET, unix.SO_RCVLOWAT, 1})
}

// markedSide is a connection whose mark is looked at.
func markedSide(t *testing.T) (net.Conn, *side) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c, newSide(c)
}

// TestMarkEnds: when the last bytes of a body came in one piece that was longer than
// the mark, it is taken back at the end, or who reads next would not be woken.
func TestMarkEnds(t *testing.T) {
	c, src := markedSide(t)
	var w lowWater
	w.begin(src, 4*lowMark)
	w.since = time.Now().Add(time.Hour) // what comes came at once, also where the machine stands still
	w.passed(2 * lowMark)
	if err := src.raw.Control(func(fd uintptr) { w.before(int(fd)) }); err != nil {
		t.Fatal(err)
	}
	wantOptions(t, c, option{"SO_RCVLOWAT", unix.SOL_SOCKET, unix.SO_RCVLOWAT, lowMark})
	w.passed(2 * lowMark)
	w.end()
	wantOptions(t, c, option{"SO_RCVLOWAT", unix.SOL_SOCKET, unix.SO_RCVLOWAT, 1})
}
