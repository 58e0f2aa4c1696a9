// Package udp sends and receives datagrams in batches: many in one call of the
// system, and those of one sender as one where the kernel joins and cuts them
// (generic receive and segmentation offload).
//
//	sockets, err := udp.Listen(addr, 1)
//	…
//	for packets := range … {
//		packets, err := reader.Read(sockets[0])
//		for _, p := range packets {
//			sender.Add(sockets[0], p.From, p.Local, p.Data, p.Size) // an echo
//		}
//		sender.Flush()
//		reader.Reset()
//	}
//
// Nothing in it knows what the datagrams hold, and nothing waits but a Poller.
// Where the system is not Linux the same is done one datagram at a time.
package udp

import (
	"encoding/binary"
	"net/netip"
	"strconv"
)

// Limits of a batch.
const (
	// MaxDatagram is the most that one datagram, or several that the kernel has
	// joined, can have.
	MaxDatagram = 65535
	// Batch is how many datagrams, or joined ones, a Reader holds. Twice as many
	// made nothing cheaper.
	Batch = 32
)

// Endpoint is where a datagram comes from or goes to, as a value to compare and
// to look up. IPv4 addresses are as they are mapped into IPv6. The zero value is
// nowhere.
type Endpoint struct {
	Addr [16]byte
	Port uint16
	Zone uint32 // the interface of a link-local address, else 0
}

// EndpointOf is ap as an Endpoint. Of zones it knows the number of an interface
// only.
func EndpointOf(ap netip.AddrPort) Endpoint {
	e := Endpoint{Addr: ap.Addr().As16(), Port: ap.Port()}
	if n, err := strconv.ParseUint(ap.Addr().Zone(), 10, 32); err == nil {
		e.Zone = uint32(n)
	}
	return e
}

// AddrPort is e as package netip writes it, IPv4 unmapped and without a zone.
func (e Endpoint) AddrPort() netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16(e.Addr).Unmap(), e.Port)
}

// mapped is what IPv4 addresses begin with in IPv6, RFC 4291 §2.5.5.2.
var mapped = [12]byte{10: 0xff, 11: 0xff}

// AppendTo appends e in EndpointSize bytes, for ReadEndpoint.
func (e Endpoint) AppendTo(b []byte) []byte {
	b = append(b, e.Addr[:]...)
	b = binary.BigEndian.AppendUint16(b, e.Port)
	return binary.BigEndian.AppendUint32(b, e.Zone)
}

// EndpointSize is how many bytes AppendTo appends.
const EndpointSize = 16 + 2 + 4

// ReadEndpoint reads what AppendTo wrote from the beginning of b, which has
// EndpointSize bytes or more.
func ReadEndpoint(b []byte) Endpoint {
	return Endpoint{Addr: [16]byte(b), Port: binary.BigEndian.Uint16(b[16:]), Zone: binary.BigEndian.Uint32(b[18:])}
}

// Packet is what was received at once: a datagram, or several of one sender.
type Packet struct {
	// Data is one datagram behind the other. It is valid until the Reader is reset.
	Data []byte
	// Size is that of every datagram in Data but the last, which may be shorter.
	Size int
	// From is the sender; zero of a dialled socket.
	From Endpoint
	// Local is the address that it was sent to, where the socket listens on all of
	// them; else zero.
	Local [16]byte
}
