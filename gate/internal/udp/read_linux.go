//go:build linux && !portable

package udp

import (
	"encoding/binary"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mmsghdr is struct mmsghdr of the system.
type mmsghdr struct {
	hdr unix.Msghdr
	n   uint32
}

const (
	// stride keeps the beginnings of buffers from lying a multiple of a page apart,
	// where they would push each other out of the processor's cache: full
	// datagrams, one in each buffer, lie side by side in it.
	stride = MaxDatagram + 1 + 1216
	// control holds the local address and the size of joined datagrams.
	control = 128
)

// Reader holds what is received, in some 2 MB of which only the part is in memory
// that has been used. Make one with NewReader; it is for one goroutine.
type Reader struct {
	msgs    [Batch]mmsghdr
	iovs    [Batch]unix.Iovec
	names   [Batch]unix.RawSockaddrInet6
	ctl     [Batch][control]byte
	packets [Batch]Packet
	memory  []byte
	used    int
}

// NewReader makes a Reader.
func NewReader() *Reader {
	r := &Reader{memory: make([]byte, Batch*stride)}
	for i := range r.msgs {
		r.iovs[i].Base = &r.memory[i*stride]
		r.iovs[i].SetLen(MaxDatagram)
		r.msgs[i].hdr.Iov = &r.iovs[i]
		r.msgs[i].hdr.SetIovlen(1)
	}
	return r
}

// Free is how many packets Read can take before the next Reset.
func (r *Reader) Free() int { return Batch - r.used }

// Reset forgets all packets.
func (r *Reader) Reset() { r.used = 0 }

// Read takes what has come to a socket, as far as there is room, and returns
// nothing if nothing has. The packets are valid until Reset. An error of the
// network's is the socket's (Refused), not Read's.
func (r *Reader) Read(s *Socket) []Packet {
	first := r.used
	if first == Batch {
		return nil
	}
	listening := s.addr.IsValid()
	for i := first; i < Batch; i++ {
		h := &r.msgs[i].hdr
		h.Control = &r.ctl[i][0]
		h.SetControllen(control)
		h.Name, h.Namelen = nil, 0
		if listening {
			h.Name, h.Namelen = (*byte)(unsafe.Pointer(&r.names[i])), unix.SizeofSockaddrInet6
		}
	}
	n := r.receive(s, first)
	for i := first; i < first+n; i++ {
		r.fill(i, listening)
	}
	r.used += n
	return r.packets[first:r.used]
}

func (r *Reader) receive(s *Socket, first int) int {
	for range 8 { // each error is told once
		n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(s.fd), uintptr(unsafe.Pointer(&r.msgs[first])), uintptr(Batch-first), unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			return int(n)
		case unix.EAGAIN:
			return 0
		case unix.ECONNREFUSED, unix.EHOSTUNREACH, unix.ENETUNREACH: // an ICMP message about a datagram sent before
			s.refused.Store(true)
		}
	}
	return 0
}

// fill makes a Packet of a message.
func (r *Reader) fill(i int, listening bool) {
	m, p := &r.msgs[i], &r.packets[i]
	p.Data = r.memory[i*stride:][:m.n:m.n]
	p.Size = len(p.Data)
	if listening {
		p.From = endpoint(&r.names[i])
		p.Local = [16]byte{}
	}
	for c := r.ctl[i][:m.hdr.Controllen]; len(c) >= unix.SizeofCmsghdr; {
		h := (*unix.Cmsghdr)(unsafe.Pointer(&c[0]))
		if h.Len < unix.SizeofCmsghdr || int(h.Len) > len(c) {
			break
		}
		p.take(h, c[unix.CmsgLen(0):h.Len])
		c = c[min(len(c), unix.CmsgSpace(int(h.Len)-unix.CmsgLen(0))):]
	}
}

// take takes what a control message tells.
func (p *Packet) take(h *unix.Cmsghdr, data []byte) {
	switch {
	case h.Level == unix.SOL_UDP && h.Type == unix.UDP_GRO && len(data) >= 4:
		if n := int(binary.NativeEndian.Uint32(data)); n > 0 {
			p.Size = min(n, len(p.Data))
		}
	case h.Level == unix.SOL_IP && h.Type == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
		copy(p.Local[:12], mapped[:])
		copy(p.Local[12:], data[4:8])
	case h.Level == unix.SOL_IPV6 && h.Type == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
		copy(p.Local[:], data)
	}
}

// endpoint reads an address of the system.
func endpoint(sa *unix.RawSockaddrInet6) (e Endpoint) {
	port := (*[2]byte)(unsafe.Pointer(&sa.Port)) // in the order of the network
	e.Port = uint16(port[0])<<8 | uint16(port[1])
	if sa.Family == unix.AF_INET {
		v4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(sa))
		copy(e.Addr[:12], mapped[:])
		copy(e.Addr[12:], v4.Addr[:])
		return e
	}
	e.Addr, e.Zone = sa.Addr, sa.Scope_id
	return e
}
