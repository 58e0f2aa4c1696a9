package gate_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/icpgate/icpgate/gate"
)

// descriptors are those that a program has open, and how many of them are pipes.
func (p *program) descriptors(t *testing.T) (open map[string]bool, pipes int) {
	t.Helper()
	dir := fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid)
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	open = map[string]bool{}
	for _, e := range list {
		open[e.Name()] = true
		if to, err := os.Readlink(dir + "/" + e.Name()); err == nil && strings.HasPrefix(to, "pipe:") {
			pipes++
		}
	}
	return open, pipes
}

// limitDescriptors lets a program open no more than it has, until the function
// that it returns is called.
func (p *program) limitDescriptors(t *testing.T) (lift func()) {
	t.Helper()
	var before unix.Rlimit
	set := func(to, old *unix.Rlimit) {
		if err := unix.Prlimit(p.cmd.Process.Pid, unix.RLIMIT_NOFILE, to, old); err != nil {
			t.Fatal(err)
		}
	}
	set(nil, &before)
	open, _ := p.descriptors(t)
	lowest := uint64(0)
	for open[fmt.Sprint(lowest)] {
		lowest++
	}
	set(&unix.Rlimit{Cur: lowest, Max: before.Max}, nil)
	return func() { set(&before, nil) }
}

// TestNoDescriptorForPipes: bytes that come in bulk arrive also where the process
// may open no pipe for them; once it may, it does.
func TestNoDescriptorForPipes(t *testing.T) {
	const n = 8 << 20
	begin := make(chan struct{})
	sends := func(c net.Conn) {
		<-begin
		_, _ = io.Copy(c, random(1, n))
	}
	web := newRawOrigin(t, func(c net.Conn, r *bufio.Reader) {
		if _, err := http.ReadRequest(r); err == nil {
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", n)
			sends(c)
		}
	})
	stream := newRawOrigin(t, func(c net.Conn, r *bufio.Reader) {
		if _, err := r.ReadByte(); err == nil {
			fmt.Fprint(c, "!")
			sends(c)
		}
	})
	p := start(t, 2, fmt.Sprintf("http://127.0.0.1:0 {\nICP\nupstream %s\n}\ntls://127.0.0.1:0 {\nICP\nupstream %s\n}", web, stream), nil)
	want := sum(t, random(1, n))
	hello := string(helloFor(t, "filed.example"))
	// both begins a response and a stream through the gate.
	both := func() (list []*bufio.Reader) {
		for _, x := range []struct{ listener, say, until string }{
			{"http:", "GET / HTTP/1.1\r\nHost: filed.example\r\n\r\n", "\r\n\r\n"}, {"tls:", hello, "!"},
		} {
			c := dialTCP(t, p.addr(t, x.listener))
			fmt.Fprint(c, x.say)
			r := bufio.NewReader(c)
			for got := ""; !strings.HasSuffix(got, x.until); {
				b, err := r.ReadByte()
				if err != nil {
					t.Fatalf("after %q: %v", got, err)
				}
				got += string(b)
			}
			list = append(list, r)
		}
		return list
	}
	arrives := func(r *bufio.Reader) {
		t.Helper()
		if got := sum(t, io.LimitReader(r, n)); got != want {
			t.Errorf("the bytes have sum %s; want %s", got, want)
		}
	}
	starved := both()
	_, before := p.descriptors(t)
	lift := p.limitDescriptors(t)
	close(begin)
	for _, r := range starved {
		arrives(r)
	}
	if _, pipes := p.descriptors(t); pipes != before {
		t.Errorf("%d pipes were opened; this shows nothing", pipes-before)
	}
	lift()
	for _, r := range both() {
		arrives(r)
	}
	if _, pipes := p.descriptors(t); pipes == before {
		t.Error("no pipe was opened when it might be")
	}
}

// TestQUICDescriptorsUsedUp: with no descriptor left what is open goes on, and
// what begins does not, until there are some again.
func TestQUICDescriptorsUsedUp(t *testing.T) {
	p := startQUIC(t, "", newQUICOrigin(t, quicOriginConfig{}))
	addr := p.addr(t, "quic:")
	kept, err := newQUICClient(t, addr, "filed.example").dial(t)
	if err != nil {
		t.Fatal(err)
	}
	defer kept.CloseWithError(0, "")
	h := h3(kept)
	if got := get3(t, h, "filed.example", "/"); got != "filed.example filed.example" { // one that has not shown where it is would make room
		t.Fatalf("got %s", got)
	}
	lift := p.limitDescriptors(t)
	c := newQUICClient(t, addr, "filed.example")
	c.conf.HandshakeIdleTimeout = 300 * time.Millisecond
	if got := c.came(t); got != "silence" {
		t.Errorf("what begins: got %s", got)
	}
	if got := get3(t, h, "filed.example", "/"); got != "filed.example filed.example" {
		t.Errorf("what was open: got %s", got)
	}
	lift()
	if got := newQUICClient(t, addr, "filed.example").came(t); got != "filed.example filed.example" {
		t.Errorf("what begins then: got %s", got)
	}
}

// TestQUICEndedListens: a listener of QUIC that has ended does nothing to what has
// its descriptors by now, when it is to listen again: the process before this one
// may end at any time.
func TestQUICEndedListens(t *testing.T) {
	_, g, _ := startQUICLive(t, "", filedLive(t), newQUICOrigin(t, quicOriginConfig{}))
	listen := gate.EndQUIC(g)
	var fds []unix.PollFd
	for range 32 {
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, fd := range pair {
			defer unix.Close(fd)
			fds = append(fds, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
		}
	}
	listen()
	if n, err := unix.Poll(fds, 0); n != 0 || err != nil {
		t.Errorf("%d of the sockets that were opened meanwhile have got something; want none (%v)", n, err)
	}
}
