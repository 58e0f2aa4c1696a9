//go:build !linux || portable

package udp

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
)

// Socket is a UDP socket, listening or dialled. Its methods but Close may be used
// concurrently.
type Socket struct {
	conn     *net.UDPConn
	addr     netip.AddrPort // local, of a listening one
	wildcard bool
	refused  atomic.Bool

	mu      sync.Mutex
	came    []Packet // read and not yet taken
	room    sync.Cond
	closed  bool
	reading bool    // a goroutine does
	poller  *Poller // that is told; nil is nobody
	token   uint64
	told    bool // and has not looked since
}

// Listen opens one socket on an address, however many are wanted: how clients
// would be spread over several is the system's secret here. The unspecified
// address of IPv6 takes IPv4 as well.
func Listen(addr netip.AddrPort, n int) ([]*Socket, error) {
	network := "udp4"
	switch {
	case addr.Addr() == netip.IPv6Unspecified():
		network = "udp"
	case addr.Addr().Is6() && !addr.Addr().Is4In6():
		network = "udp6"
	}
	c, err := new(net.ListenConfig).ListenPacket(context.Background(), network, addr.String())
	if err != nil {
		return nil, err
	}
	return []*Socket{adopt(c.(*net.UDPConn))}, nil
}

func adopt(c *net.UDPConn) *Socket {
	s := &Socket{conn: c, addr: c.LocalAddr().(*net.UDPAddr).AddrPort()}
	s.room.L = &s.mu
	_ = c.SetReadBuffer(8 << 20)
	return s
}

// Dial opens a socket whose peer is to, and to which nobody else's datagrams come.
func Dial(to netip.AddrPort) (*Socket, error) {
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
	if err != nil {
		return nil, err
	}
	s := adopt(c)
	s.addr = netip.AddrPort{}
	return s, nil
}

// FromFile makes a listening socket of one that the process was handed. The file
// may be closed afterwards.
func FromFile(f *os.File) (*Socket, error) {
	c, err := net.FilePacketConn(f)
	if err != nil {
		return nil, err
	}
	u, ok := c.(*net.UDPConn)
	if !ok {
		c.Close()
		return nil, errors.New("it is no socket of UDP")
	}
	return adopt(u), nil
}

// File is the socket, to be handed to another process.
func (s *Socket) File() (*os.File, error) { return s.conn.File() }

// Addr is the local address of a listening socket.
func (s *Socket) Addr() netip.AddrPort { return s.addr }

// Wildcard reports whether packets tell their local address: never here, so that
// the system chooses the address that is answered from.
func (s *Socket) Wildcard() bool { return false }

// Refused reports whether the peer of a dialled socket has refused a datagram,
// and forgets it.
func (s *Socket) Refused() bool { return s.refused.Load() && s.refused.Swap(false) }

// Behind reports whether much is waiting to be read, which nobody tells here.
func (s *Socket) Behind() bool { return false }

// Close closes it. Nobody may use it any more.
func (s *Socket) Close() {
	s.mu.Lock()
	s.closed = true
	s.room.Broadcast()
	s.mu.Unlock()
	s.conn.Close()
}

// queue is how many datagrams wait in a Socket: what is beyond waits in the
// system.
const queue = 64

// read reads until the socket is closed.
func (s *Socket) read() {
	b := make([]byte, MaxDatagram)
	for {
		n, from, err := s.conn.ReadFromUDPAddrPort(b)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		s.mu.Lock()
		for len(s.came) == queue && !s.closed {
			s.room.Wait()
		}
		if err == nil {
			p := Packet{Data: append([]byte(nil), b[:n]...), Size: n}
			if s.addr.IsValid() {
				p.From = EndpointOf(from)
			}
			s.came = append(s.came, p)
		} else if errors.Is(err, syscall.ECONNREFUSED) {
			s.refused.Store(true)
		}
		poller := s.tell()
		s.mu.Unlock()
		if poller != nil {
			poller.ready(s)
		}
	}
}

// tell returns who must be told that something has come, nil if nobody. The
// caller holds the lock.
func (s *Socket) tell() *Poller {
	if s.told || s.poller == nil {
		return nil
	}
	s.told = true
	return s.poller
}

// take moves what has come into list.
func (s *Socket) take(list []Packet) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := copy(list, s.came)
	s.came = append(s.came[:0], s.came[n:]...)
	s.room.Signal()
	return n
}

// Reader holds what is received. Make one with NewReader; it is for one goroutine.
type Reader struct {
	packets [Batch]Packet
	used    int
}

// NewReader makes a Reader.
func NewReader() *Reader { return new(Reader) }

// Free is how many packets Read can take before the next Reset.
func (r *Reader) Free() int { return Batch - r.used }

// Reset forgets all packets.
func (r *Reader) Reset() { r.used = 0 }

// Read takes what has come to a socket that a Poller watches, as far as there is
// room, and returns nothing if nothing has. The packets are valid until Reset. An
// error of the network's is the socket's (Refused), not Read's.
func (r *Reader) Read(s *Socket) []Packet {
	first := r.used
	r.used += s.take(r.packets[first:])
	return r.packets[first:r.used]
}

// Sender sends datagrams. The zero value is ready; it is for one goroutine.
type Sender struct {
	// Dropped counts datagrams that the system did not take, for whatever reason:
	// QUIC sends them again. The owner may set it to zero.
	Dropped uint64
}

// Add sends data, which is a datagram or several of size bytes each, the last
// perhaps shorter, by s: to peer, if s listens. The address local is the system's
// to choose.
func (w *Sender) Add(s *Socket, peer Endpoint, local [16]byte, data []byte, size int) {
	for len(data) > 0 {
		n := min(size, len(data))
		var err error
		if s.addr.IsValid() {
			_, err = s.conn.WriteToUDPAddrPort(data[:n], peer.AddrPort())
		} else {
			_, err = s.conn.Write(data[:n])
		}
		if err != nil {
			w.Dropped++
			if errors.Is(err, syscall.ECONNREFUSED) {
				s.refused.Store(true)
			}
		}
		data = data[n:]
	}
}

// Flush sends what was added: nothing, since Add has done so.
func (w *Sender) Flush() {}
