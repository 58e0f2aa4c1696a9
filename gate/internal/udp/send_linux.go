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
// What is added must not change until Flush, and its sockets stay open.
type Sender struct {
	msgs   [sendMessages]mmsghdr
	iovs   [sendPieces]unix.Iovec
	names  [sendMessages]unix.RawSockaddrInet6
	ctl    [sendMessages][control]byte
	groups [sendMessages]group
	n, m   int // messages and pieces

	// Dropped counts datagrams that the system did not take, for whatever reason:
	// QUIC sends them again. The owner may set it to zero.
	Dropped uint64
}

// group is what one message sends.
type group struct {
	by     *Socket
	peer   Endpoint
	local  [16]byte
	size   int // of a datagram
	bytes  int
	first  int // of its pieces
	closed bool
}

// Add adds data, which is a datagram or several of size bytes each, the last
// perhaps shorter, to be sent by s: to peer, if s listens, from the address local
// if that is not zero. It sends what was added before if there is no more room.
func (w *Sender) Add(s *Socket, peer Endpoint, local [16]byte, data []byte, size int) {
	if w.m == sendPieces {
		w.Flush()
	}
	if len(data) == 0 {
		return
	}
	if w.n > 0 && w.join(s, peer, local, data, size) {
		return
	}
	if w.n == sendMessages {
		w.Flush()
	}
	if len(data) > size && (s.uncut.Load() || len(data) > maxCutBytes || len(data) > maxCut*size) {
		w.addEach(s, peer, local, data, size)
		return
	}
	w.groups[w.n] = group{by: s, peer: peer, local: local, size: size, first: w.m}
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
func (w *Sender) join(s *Socket, peer Endpoint, local [16]byte, data []byte, size int) bool {
	g := &w.groups[w.n-1]
	if g.by != s || g.closed || s.uncut.Load() || g.size < size || len(data) > size && size != g.size ||
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

// Flush sends all: what came in turn for many sockets, as where each flow has its
// own, in one go, so that whoever waits for it is not woken for each.
func (w *Sender) Flush() {
	for i := 0; i < w.n; {
		end := i + 1
		for end < w.n && w.groups[end].by == w.groups[i].by {
			end++
		}
		if end > i+1 || !w.single(i) {
			w.run(i, end)
		}
		i = end
	}
	w.n, w.m = 0, 0
}

// run sends messages of one socket.
func (w *Sender) run(i, end int) {
	s := w.groups[i].by
	for k := i; k < end; k++ {
		w.prepare(k)
	}
	for i < end {
		n, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, uintptr(s.fd), uintptr(unsafe.Pointer(&w.msgs[i])), uintptr(end-i), unix.MSG_DONTWAIT, 0, 0)
		switch {
		case errno == 0:
			i += int(n)
		case errno == unix.EINTR:
		case errno == unix.ECONNREFUSED && !s.refused.Load():
			s.refused.Store(true) // of one before; this one was not sent
		default:
			w.failed(i, errno)
			i++
		}
	}
}

// single sends a message that is one datagram of a dialled socket, as where each
// flow has one, by a call that costs less, and reports whether the system took it.
func (w *Sender) single(i int) bool {
	g := &w.groups[i]
	if g.by.addr.IsValid() || g.bytes > g.size || g.local != [16]byte{} || w.pieces(i) != 1 {
		return false
	}
	_, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(g.by.fd), uintptr(unsafe.Pointer(w.iovs[g.first].Base)), uintptr(g.bytes), unix.MSG_DONTWAIT, 0, 0)
	if errno == unix.ECONNREFUSED {
		g.by.refused.Store(true)
	}
	return errno == 0
}

// pieces is how many a message has.
func (w *Sender) pieces(i int) int {
	if i+1 < w.n {
		return w.groups[i+1].first - w.groups[i].first
	}
	return w.m - w.groups[i].first
}

// prepare writes what the system wants to know of a message.
func (w *Sender) prepare(i int) {
	g, h := &w.groups[i], &w.msgs[i].hdr
	h.Iov = &w.iovs[g.first]
	h.SetIovlen(w.pieces(i))
	h.Name, h.Namelen = nil, 0
	if g.by.addr.IsValid() {
		h.Name = (*byte)(unsafe.Pointer(&w.names[i]))
		h.Namelen = g.by.name(&w.names[i], &g.peer)
	}
	n := 0
	if g.local != [16]byte{} {
		n += g.by.from(w.ctl[i][n:], &g.local, g.peer.Zone)
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
		g.by.uncut.Store(true)
	default:
		w.Dropped += count
		return
	}
	h := &w.msgs[i].hdr
	pieces := unsafe.Slice(h.Iov, h.Iovlen)
	for _, p := range pieces {
		for data := unsafe.Slice(p.Base, p.Len); len(data) > 0; {
			n := min(g.size, len(data))
			if !g.by.one(h, data[:n]) {
				w.Dropped++
			}
			data = data[n:]
		}
	}
}

// one sends a datagram to where a message goes.
func (s *Socket) one(like *unix.Msghdr, data []byte) bool {
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
	_, _, errno := unix.RawSyscall(unix.SYS_SENDMSG, uintptr(s.fd), uintptr(unsafe.Pointer(&h)), unix.MSG_DONTWAIT)
	return errno == 0
}
