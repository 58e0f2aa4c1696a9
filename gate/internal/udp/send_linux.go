//go:build linux && !portable

package udp

import (
	"encoding/binary"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Limits of what is sent at once.
const (
	sendMessages = 64
	sendPieces   = 256
	// maxCut is how many datagrams the kernel cuts one message into, UDP_MAX_SEGMENTS
	// of linux/udp.h (64 until Linux 6.9, then 128).
	maxCut = 64
	// maxCutBytes is what such a message holds, with the headers of IPv6 and UDP.
	maxCutBytes = 65535 - 40 - 8
)

// Sender collects datagrams and sends them, those of one size to one peer as one
// message that the kernel cuts. The zero value is ready; it is for one goroutine.
// What is added must not change until Flush.
type Sender struct {
	msgs   [sendMessages]mmsghdr
	iovs   [sendPieces]unix.Iovec
	names  [sendMessages]unix.RawSockaddrInet6
	ctl    [sendMessages][control]byte
	groups [sendMessages]group
	n, m   int // messages and pieces
	to     *Socket

	// Dropped counts datagrams that the system did not take, for whatever reason:
	// QUIC sends them again. The owner may set it to zero.
	Dropped uint64
}

// group is what one message sends.
type group struct {
	peer   Endpoint
	local  [16]byte
	size   int // of a datagram
	bytes  int
	first  int // of its pieces
	closed bool
}

// Add adds data, which is a datagram or several of size bytes each, the last
// perhaps shorter, to be sent by s: to peer, if s listens, from the address local
// if that is not zero. It sends what was added before if that is another socket's.
func (w *Sender) Add(s *Socket, peer Endpoint, local [16]byte, data []byte, size int) {
	if s != w.to || w.m == sendPieces {
		w.Flush()
		w.to = s
	}
	if len(data) == 0 {
		return
	}
	if w.n > 0 && w.join(peer, local, data, size) {
		return
	}
	if w.n == sendMessages {
		w.Flush()
		w.to = s
	}
	if len(data) > size && (s.uncut.Load() || len(data) > maxCutBytes || len(data) > maxCut*size) {
		w.addEach(s, peer, local, data, size)
		return
	}
	w.groups[w.n] = group{peer: peer, local: local, size: size, first: w.m}
	w.n++
	w.piece(data, size)
}

// addEach adds datagrams that the kernel does not cut.
func (w *Sender) addEach(s *Socket, peer Endpoint, local [16]byte, data []byte, size int) {
	for len(data) > 0 {
		n := min(size, len(data))
		w.Add(s, peer, local, data[:n], n)
		data = data[n:]
	}
}

// join adds data to the last message, if it fits there.
func (w *Sender) join(peer Endpoint, local [16]byte, data []byte, size int) bool {
	g := &w.groups[w.n-1]
	if g.closed || w.to.uncut.Load() || g.size < size || len(data) > size && size != g.size ||
		g.bytes+len(data) > min(maxCutBytes, maxCut*g.size) || g.peer != peer || g.local != local {
		return false
	}
	w.piece(data, g.size)
	return true
}

// piece adds data to the last message.
func (w *Sender) piece(data []byte, size int) {
	g := &w.groups[w.n-1]
	w.iovs[w.m].Base = &data[0]
	w.iovs[w.m].SetLen(len(data))
	w.m++
	g.bytes += len(data)
	g.closed = len(data)%size != 0
}

// Flush sends all.
func (w *Sender) Flush() {
	if w.n == 0 {
		return
	}
	if w.m == 1 && w.single() {
		w.n, w.m, w.to = 0, 0, nil
		return
	}
	for i := range w.n {
		w.prepare(i)
	}
	for i := 0; i < w.n; {
		n, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, uintptr(w.to.fd), uintptr(unsafe.Pointer(&w.msgs[i])), uintptr(w.n-i), unix.MSG_DONTWAIT, 0, 0)
		switch {
		case errno == 0:
			i += int(n)
		case errno == unix.EINTR:
		case errno == unix.ECONNREFUSED && !w.to.refused.Load():
			w.to.refused.Store(true) // of one before; this one was not sent
		default:
			w.failed(i, errno)
			i++
		}
	}
	w.n, w.m, w.to = 0, 0, nil
}

// single sends what is one datagram of a dialled socket, as where each flow has one,
// by a call that costs less, and reports whether the system took it.
func (w *Sender) single() bool {
	g := &w.groups[0]
	if w.to.addr.IsValid() || g.bytes > g.size || g.local != [16]byte{} {
		return false
	}
	_, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(w.to.fd), uintptr(unsafe.Pointer(w.iovs[0].Base)), uintptr(g.bytes), unix.MSG_DONTWAIT, 0, 0)
	if errno == unix.ECONNREFUSED {
		w.to.refused.Store(true)
	}
	return errno == 0
}

// prepare writes what the system wants to know of a message.
func (w *Sender) prepare(i int) {
	g, h := &w.groups[i], &w.msgs[i].hdr
	end := w.m
	if i+1 < w.n {
		end = w.groups[i+1].first
	}
	h.Iov = &w.iovs[g.first]
	h.SetIovlen(end - g.first)
	h.Name, h.Namelen = nil, 0
	if w.to.addr.IsValid() {
		h.Name = (*byte)(unsafe.Pointer(&w.names[i]))
		h.Namelen = w.to.name(&w.names[i], &g.peer)
	}
	n := 0
	if g.local != [16]byte{} {
		n += w.to.from(w.ctl[i][n:], &g.local, g.peer.Zone)
	}
	if g.bytes > g.size {
		n += cutAt(w.ctl[i][n:], g.size)
	}
	h.Control = nil
	if n > 0 {
		h.Control = &w.ctl[i][0]
	}
	h.SetControllen(n)
}

// name writes an address as the system wants it.
func (s *Socket) name(sa *unix.RawSockaddrInet6, e *Endpoint) uint32 {
	port := (*[2]byte)(unsafe.Pointer(&sa.Port))
	port[0], port[1] = byte(e.Port>>8), byte(e.Port)
	if !s.v6 {
		v4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(sa))
		v4.Family, v4.Addr = unix.AF_INET, [4]byte(e.Addr[12:])
		return unix.SizeofSockaddrInet4
	}
	sa.Family, sa.Addr, sa.Scope_id = unix.AF_INET6, e.Addr, e.Zone
	return unix.SizeofSockaddrInet6
}

// from writes the control message that says which address to send from.
func (s *Socket) from(b []byte, local *[16]byte, zone uint32) int {
	if !s.v6 {
		data := message(b, unix.SOL_IP, unix.IP_PKTINFO, unix.SizeofInet4Pktinfo)
		clear(data)
		copy(data[4:8], local[12:])
		return unix.CmsgSpace(unix.SizeofInet4Pktinfo)
	}
	data := message(b, unix.SOL_IPV6, unix.IPV6_PKTINFO, unix.SizeofInet6Pktinfo)
	copy(data, local[:])
	binary.NativeEndian.PutUint32(data[16:], zone)
	return unix.CmsgSpace(unix.SizeofInet6Pktinfo)
}

// cutAt writes the control message that has the kernel cut.
func cutAt(b []byte, size int) int {
	binary.NativeEndian.PutUint16(message(b, unix.SOL_UDP, unix.UDP_SEGMENT, 2), uint16(size))
	return unix.CmsgSpace(2)
}

// message writes the head of a control message, and returns its data.
func message(b []byte, level, kind int32, n int) []byte {
	h := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
	h.Level, h.Type = level, kind
	h.SetLen(unix.CmsgLen(n))
	return b[unix.CmsgLen(0):unix.CmsgLen(n)]
}

// failed deals with a message that the system refuses. One that it would have to
// cut goes again, datagram by datagram.
func (w *Sender) failed(i int, errno unix.Errno) {
	g := &w.groups[i]
	count := uint64((g.bytes + g.size - 1) / g.size)
	if count == 1 {
		w.Dropped++
		return
	}
	switch errno {
	case unix.EINVAL, unix.EMSGSIZE: // too large for the way to this one peer
	case unix.EIO, unix.EOPNOTSUPP: // the device cannot do what cutting takes
		w.to.uncut.Store(true)
	default:
		w.Dropped += count
		return
	}
	h := &w.msgs[i].hdr
	pieces := unsafe.Slice(h.Iov, h.Iovlen)
	for _, p := range pieces {
		for data := unsafe.Slice(p.Base, p.Len); len(data) > 0; {
			n := min(g.size, len(data))
			if !w.one(h, data[:n]) {
				w.Dropped++
			}
			data = data[n:]
		}
	}
}

// one sends a datagram to where a message goes.
func (w *Sender) one(like *unix.Msghdr, data []byte) bool {
	h := *like
	iov := unix.Iovec{Base: &data[0]}
	iov.SetLen(len(data))
	h.Iov = &iov
	h.SetIovlen(1)
	// What says where to cut stands last.
	h.SetControllen(int(h.Controllen) - unix.CmsgSpace(2))
	if h.Controllen == 0 {
		h.Control = nil
	}
	_, _, errno := unix.RawSyscall(unix.SYS_SENDMSG, uintptr(w.to.fd), uintptr(unsafe.Pointer(&h)), unix.MSG_DONTWAIT)
	return errno == 0
}
