package gate

import (
	"net"
	"os"
	"runtime"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// TestSilentInterrupted: a connection on which nothing has come is silent also where a
// signal interrupts the look.
func TestSilentInterrupted(t *testing.T) {
	addr := LocalTCP(t, func(c net.Conn) { _, _ = c.Read(make([]byte, 1)) })
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	tid, over, ended := make(chan int, 1), new(atomic.Bool), make(chan struct{})
	go func() {
		defer close(ended)
		// What the runtime sends itself, and takes for nothing where it has not.
		for id := <-tid; !over.Load(); {
			_ = unix.Tgkill(os.Getpid(), id, unix.SIGURG)
		}
	}()
	const looks = 3_000_000 // of which a signal meets some 20
	wrong := 0
	runtime.LockOSThread()
	tid <- unix.Gettid()
	if err := raw.Control(func(fd uintptr) {
		for range looks {
			if !sysSilent(fd) {
				wrong++
			}
		}
	}); err != nil {
		t.Error(err)
	}
	over.Store(true)
	<-ended
	runtime.UnlockOSThread()
	if wrong > 0 {
		t.Errorf("%d looks took silence for something to read", wrong)
	}
}
