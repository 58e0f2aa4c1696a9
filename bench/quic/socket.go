//go:build linux

package main

import (
	"encoding/binary"
	"errors"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
)

// batch is how many datagrams are sent and received at once.
const batch = 32

// socket sends and receives in batches. It is for one goroutine that sends and one
// that receives.
type socket struct {
	conn    *net.UDPConn
	pc      *ipv4.PacketConn
	in, out []ipv4.Message
	n       int // of out
	joined  bool
}

// buffer is that of a socket in the kernel.
const buffer = 8 << 20

// listen opens a socket.
func listen(addr string) (*socket, error) {
	at, err := net.ResolveUDPAddr("udp4", addr)
	if err != nil {
		return nil, err
	}
	c, err := net.ListenUDP("udp4", at)
	if err != nil {
		return nil, err
	}
	s := &socket{conn: c, pc: ipv4.NewPacketConn(c), in: make([]ipv4.Message, batch), out: make([]ipv4.Message, batch)}
	for i := range s.in {
		s.in[i].Buffers = [][]byte{make([]byte, 65536+1216)}
		s.in[i].OOB = make([]byte, 64)
		s.out[i].Buffers = make([][]byte, 1)
		s.out[i].OOB = make([]byte, 0, 64)
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	err = raw.Control(func(fd uintptr) {
		for _, o := range [][2]int{{unix.SO_RCVBUFFORCE, unix.SO_RCVBUF}, {unix.SO_SNDBUFFORCE, unix.SO_SNDBUF}} {
			if unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, o[0], buffer) != nil {
				_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, o[1], buffer)
			}
		}
	})
	return s, err
}

// join has the kernel join what comes, or not.
func (s *socket) join(on bool) error {
	if s.joined == on {
		return nil
	}
	raw, err := s.conn.SyscallConn()
	if err != nil {
		return err
	}
	value, set := 0, error(nil)
	if on {
		value = 1
	}
	err = raw.Control(func(fd uintptr) { set = unix.SetsockoptInt(int(fd), unix.SOL_UDP, unix.UDP_GRO, value) })
	s.joined = on
	return errors.Join(err, set)
}

func (s *socket) addr() *net.UDPAddr { return s.conn.LocalAddr().(*net.UDPAddr) }

// add has datagrams of size bytes each sent: to to, from an address of 127.0.0.0/8
// if from is not zero. Several are cut by the kernel. It reports whether there is
// room for more.
func (s *socket) add(to *net.UDPAddr, from uint32, data []byte, size int) bool {
	m := &s.out[s.n]
	m.Addr, m.Buffers[0], m.OOB = to, data, m.OOB[:0]
	if from != 0 {
		// struct in_pktinfo: the interface, the address to send from, and another.
		info := make([]byte, 12)
		binary.BigEndian.PutUint32(info[4:], 127<<24|from)
		m.OOB = control(m.OOB, unix.SOL_IP, unix.IP_PKTINFO, info)
	}
	if len(data) > size {
		m.OOB = control(m.OOB, unix.SOL_UDP, unix.UDP_SEGMENT, binary.NativeEndian.AppendUint16(nil, uint16(size)))
	}
	s.n++
	return s.n < batch
}

// control appends a control message.
func control(b []byte, level, kind int32, data []byte) []byte {
	b = binary.NativeEndian.AppendUint64(b, uint64(unix.CmsgLen(len(data))))
	b = binary.NativeEndian.AppendUint32(b, uint32(level))
	b = binary.NativeEndian.AppendUint32(b, uint32(kind))
	b = append(b, data...)
	return append(b, make([]byte, unix.CmsgSpace(len(data))-unix.CmsgLen(len(data)))...)
}

// flush sends what was added.
func (s *socket) flush() error {
	for list := s.out[:s.n]; len(list) > 0; {
		n, err := s.pc.WriteBatch(list, 0)
		if err != nil && !errors.Is(err, syscall.ECONNREFUSED) {
			return err
		}
		list = list[max(n, 0):]
	}
	s.n = 0
	return nil
}

// read waits for datagrams, and returns the messages that came and how many
// datagrams they are if each has size bytes; none when the time is over.
func (s *socket) read(wait time.Duration, size int) (list []ipv4.Message, n int, err error) {
	if err := s.conn.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return nil, 0, err
	}
	k, err := s.pc.ReadBatch(s.in, 0)
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	if !s.joined {
		return s.in[:k], k, nil
	}
	for _, m := range s.in[:k] {
		n += (m.N + size - 1) / size
	}
	return s.in[:k], n, nil
}
