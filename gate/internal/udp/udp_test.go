package udp_test

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/icpgate/icpgate/gate/internal/udp"
)

// rig is a listening socket and what reads and answers.
type rig struct {
	s *udp.Socket
	p *udp.Poller
	r *udp.Reader
	w udp.Sender
}

func newRig(t *testing.T, addr string) *rig {
	t.Helper()
	list, err := udp.Listen(netip.MustParseAddrPort(addr), 1)
	if err != nil {
		t.Fatal(err)
	}
	p, err := udp.NewPoller()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { list[0].Close(); p.Close() })
	if err := p.Add(list[0], 7); err != nil {
		t.Fatal(err)
	}
	return &rig{s: list[0], p: p, r: udp.NewReader()}
}

// read waits for datagrams and calls with each packet.
func (r *rig) read(t *testing.T, each func(p udp.Packet)) {
	t.Helper()
	for n := 0; n == 0; {
		tokens, err := r.p.Wait(-1)
		if err != nil {
			t.Fatal(err)
		}
		for _, token := range tokens {
			if token != 7 {
				t.Fatalf("token %d; want 7", token)
			}
			for _, p := range r.r.Read(r.s) {
				each(p)
				n++
			}
		}
		r.w.Flush()
		r.r.Reset()
	}
}

func dial(t *testing.T, to string) *net.UDPConn {
	t.Helper()
	c, err := net.Dial("udp", to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	return c.(*net.UDPConn)
}

// TestEcho: what comes goes back from the address that was asked, whatever was
// listened on.
func TestEcho(t *testing.T) {
	for _, tt := range []struct{ listen, host string }{
		{"127.0.0.1:0", "127.0.0.1"}, {"0.0.0.0:0", "127.0.0.9"}, {"[::]:0", "127.0.0.9"}, {"[::]:0", "[::1]"}, {"[::1]:0", "[::1]"},
	} {
		t.Run(tt.listen+" "+tt.host, func(t *testing.T) {
			r := newRig(t, tt.listen)
			if r.s.Addr().Addr().IsUnspecified() && !r.s.Wildcard() && tt.host == "127.0.0.9" {
				t.Skip("this system does not tell which address was asked")
			}
			c := dial(t, fmt.Sprintf("%s:%d", tt.host, r.s.Addr().Port())) // takes datagrams of that address only
			for i := range 3 {
				text := strings.Repeat("x", 100*i)
				if _, err := c.Write([]byte(text + "!")); err != nil {
					t.Fatal(err)
				}
				r.read(t, func(p udp.Packet) {
					if got, want := p.From.AddrPort().String(), c.LocalAddr().String(); got != want {
						t.Errorf("from %s; want %s", got, want)
					}
					if r.s.Wildcard() {
						if got := netip.AddrFrom16(p.Local).Unmap().String(); got != strings.Trim(tt.host, "[]") {
							t.Errorf("to %s; want %s", got, tt.host)
						}
					}
					r.w.Add(r.s, p.From, p.Local, p.Data, p.Size)
				})
				b := make([]byte, 1000)
				n, err := c.Read(b)
				if err != nil || string(b[:n]) != text+"!" {
					t.Fatalf("got %q, %v; want %q", b[:n], err, text+"!")
				}
			}
		})
	}
}

// TestJoinedAndCut: datagrams arrive as they were added, each one for itself and
// in order, whatever the system makes of them on the way.
func TestJoinedAndCut(t *testing.T) {
	r := newRig(t, "127.0.0.1:0")
	to, err := udp.Dial(r.s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	var sizes []int
	for i := range 40 {
		sizes = append(sizes, 1200)
		if i%7 == 6 {
			sizes = append(sizes, 300, 1300, 1)
		}
	}
	var w udp.Sender
	var want [][]byte
	for i, n := range sizes {
		want = append(want, bytes.Repeat([]byte{byte(i)}, n))
		w.Add(to, udp.Endpoint{}, [16]byte{}, want[i], n)
	}
	// Those that are joined already.
	joined := bytes.Repeat([]byte("0123456789"), 130) // 1,300
	w.Add(to, udp.Endpoint{}, [16]byte{}, joined, 500)
	want = append(want, joined[:500], joined[500:1000], joined[1000:])
	w.Flush()
	if w.Dropped > 0 {
		t.Fatalf("%d dropped", w.Dropped)
	}
	var got [][]byte
	for len(got) < len(want) {
		r.read(t, func(p udp.Packet) {
			for b := p.Data; len(b) > 0; b = b[min(p.Size, len(b)):] {
				got = append(got, bytes.Clone(b[:min(p.Size, len(b))]))
			}
		})
	}
	for i := range want {
		if !bytes.Equal(got[i], want[i]) {
			t.Fatalf("datagram %d: got %d bytes of %v; want %d of %v", i, len(got[i]), got[i][0], len(want[i]), want[i][0])
		}
	}
}

// TestInTurn: datagrams that are added for many sockets in turn go out by theirs, in
// order, also beside one whose peer is not there, and more than a Sender holds.
func TestInTurn(t *testing.T) {
	r := newRig(t, "127.0.0.1:0")
	gone := dial(t, r.s.Addr().String()).LocalAddr().(*net.UDPAddr).AddrPort()
	to := []netip.AddrPort{r.s.Addr(), r.s.Addr(), r.s.Addr(), gone} // which takes nothing but from r
	var socks []*udp.Socket
	for _, at := range to {
		s, err := udp.Dial(at)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		socks = append(socks, s)
	}
	const each = 50
	var w udp.Sender
	for i := range each {
		for k, s := range socks {
			data := bytes.Repeat([]byte{byte(k), byte(i)}, 10+i%3)
			for range 1 + i%4/3 { // now and then two, which are joined
				w.Add(s, udp.Endpoint{}, [16]byte{}, data, len(data))
			}
		}
	}
	w.Flush()
	if want := each + (each+1)/4; w.Dropped < 1 || w.Dropped > uint64(want) {
		t.Errorf("%d dropped; want those of the last socket, at most %d", w.Dropped, want)
	}
	ports := map[uint16]byte{}
	next := map[byte]int{}
	for total := 0; total < 3*(each+each/4); {
		r.read(t, func(p udp.Packet) {
			for b := p.Data; len(b) > 0; b = b[min(p.Size, len(b)):] {
				k := b[0]
				if have, ok := ports[p.From.Port]; ok && have != k {
					t.Fatalf("a datagram of socket %d came from that of %d", k, have)
				}
				ports[p.From.Port] = k
				if got := int(b[1]); got < next[k] {
					t.Fatalf("socket %d: datagram %d after %d", k, got, next[k])
				} else {
					next[k] = got
				}
				total++
			}
		})
	}
	if len(ports) != 3 {
		t.Errorf("by %d sockets; want 3", len(ports))
	}
}

// TestLargest: the largest datagram there is, and one that no way takes.
func TestLargest(t *testing.T) {
	r := newRig(t, "127.0.0.1:0")
	to, err := udp.Dial(r.s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	var w udp.Sender
	large := make([]byte, 65507)
	w.Add(to, udp.Endpoint{}, [16]byte{}, large, len(large))
	w.Flush()
	r.read(t, func(p udp.Packet) {
		if len(p.Data) != len(large) {
			t.Errorf("got %d bytes; want %d", len(p.Data), len(large))
		}
	})
	tooLarge := make([]byte, 65508)
	w.Add(to, udp.Endpoint{}, [16]byte{}, tooLarge, len(tooLarge))
	w.Flush()
	if w.Dropped != 1 {
		t.Errorf("%d dropped; want 1", w.Dropped)
	}
}

// TestRefused: a peer that is not there is told of.
func TestRefused(t *testing.T) {
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone := netip.MustParseAddrPort(c.LocalAddr().String())
	c.Close()
	s, err := udp.Dial(gone)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	p, err := udp.NewPoller()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := p.Add(s, 1); err != nil {
		t.Fatal(err)
	}
	var w udp.Sender
	w.Add(s, udp.Endpoint{}, [16]byte{}, []byte("hello"), 5)
	w.Flush()
	r := udp.NewReader()
	for !s.Refused() {
		if _, err := p.Wait(-1); err != nil {
			t.Fatal(err)
		}
		r.Read(s)
	}
}

// TestListenTaken: nobody shares a port by accident.
func TestListenTaken(t *testing.T) {
	list, err := udp.Listen(netip.MustParseAddrPort("127.0.0.1:0"), 2)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range list {
		defer s.Close()
	}
	again, err := udp.Listen(list[0].Addr(), 2)
	if err == nil {
		again[0].Close()
		t.Fatal("the port was taken twice")
	}
}

// TestHandedOver: a socket that was handed over gets what waited in it.
func TestHandedOver(t *testing.T) {
	list, err := udp.Listen(netip.MustParseAddrPort("127.0.0.1:0"), 1)
	if err != nil {
		t.Fatal(err)
	}
	c := dial(t, list[0].Addr().String())
	if _, err := c.Write([]byte("early")); err != nil {
		t.Fatal(err)
	}
	f, err := list[0].File()
	if err != nil {
		t.Fatal(err)
	}
	list[0].Close()
	s, err := udp.FromFile(f)
	f.Close()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	p, err := udp.NewPoller()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := p.Add(s, 7); err != nil {
		t.Fatal(err)
	}
	r := &rig{s: s, p: p, r: udp.NewReader()}
	r.read(t, func(p udp.Packet) {
		if string(p.Data) != "early" {
			t.Errorf("got %q", p.Data)
		}
	})
}

// TestWake: a Poller wakes up when it is told to, and when its time is over.
func TestWake(t *testing.T) {
	p, err := udp.NewPoller()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	p.Wake()
	for _, d := range []time.Duration{-1, time.Millisecond} {
		if tokens, err := p.Wait(d); err != nil || len(tokens) > 0 {
			t.Errorf("got %v, %v", tokens, err)
		}
	}
}

func TestEndpoint(t *testing.T) {
	for _, s := range []string{"192.0.2.1:443", "[2001:db8::1]:1"} {
		e := udp.EndpointOf(netip.MustParseAddrPort(s))
		if got := udp.ReadEndpoint(e.AppendTo(nil)).AddrPort().String(); got != s {
			t.Errorf("got %s; want %s", got, s)
		}
	}
	if e := udp.EndpointOf(netip.MustParseAddrPort("[fe80::1%3]:443")); e.Zone != 3 {
		t.Errorf("zone %d; want 3", e.Zone)
	}
}
