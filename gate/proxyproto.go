package gate

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	proxyproto "github.com/pires/go-proxyproto"
)

// Sizes of a PROXY header.
const (
	proxyV2Fixed = 16 // signature, command, family, length
	maxProxyV1   = 107
	// maxProxyHeader takes addresses and the TLVs that real senders add, a client
	// certificate among them; go-proxyproto reads no more either.
	maxProxyHeader = proxyV2Fixed + 4096
)

// errProxyMissing is why a connection is refused before its head is read.
var errProxyMissing = errors.New("a peer that must send a PROXY header sent none")

// proxied is what a PROXY header says. The zero value says nothing: the
// addresses of the socket count.
type proxied struct {
	Client, Dst netip.AddrPort
}

// readProxyHeader reads the PROXY header that a listed peer begins with, until
// deadline, which it leaves set. It reads into buf and returns what came behind
// the header, a part of buf: the connection itself goes on as it is, so that the
// kernel can splice it. Names in a header (PP2_TYPE_AUTHORITY) are not looked at:
// the client's own words decide.
func readProxyHeader(c net.Conn, deadline time.Time, buf []byte) (h proxied, rest []byte, err error) {
	if err := c.SetReadDeadline(deadline); err != nil {
		return h, nil, err
	}
	for n, want := 0, 0; ; {
		if want, err = proxyHeaderLen(buf[:n]); err != nil {
			return h, nil, err
		}
		if want > len(buf) {
			return h, nil, fmt.Errorf("PROXY header of %d bytes; at most %d are read", want, len(buf))
		}
		if n >= want {
			h, err = parseProxyHeader(buf[:want])
			return h, buf[want:n], err
		}
		m, err := c.Read(buf[n:])
		if n += m; m == 0 && err != nil {
			return h, nil, proxyReadError(n, err)
		}
	}
}

// proxyReadError tells a peer that sent no header from one that broke off.
func proxyReadError(n int, err error) error {
	if errors.Is(err, io.EOF) && n == 0 {
		return errProxyMissing
	}
	return fmt.Errorf("PROXY header, %d bytes read: %w", n, err)
}

// proxyHeaderLen returns how long the header is that b begins with, or some
// length beyond b as long as that cannot be told.
func proxyHeaderLen(b []byte) (int, error) {
	switch {
	case begins(b, proxyproto.SIGV2):
		if len(b) < proxyV2Fixed {
			return proxyV2Fixed, nil
		}
		n := proxyV2Fixed + int(binary.BigEndian.Uint16(b[14:]))
		if n > maxProxyHeader {
			return 0, fmt.Errorf("PROXY header of %d bytes; at most %d are read", n, maxProxyHeader)
		}
		return n, nil
	case begins(b, proxyproto.SIGV1):
		if i := bytes.IndexByte(b, '\n'); i >= 0 && i < maxProxyV1 {
			return i + 1, nil
		}
		if len(b) >= maxProxyV1 {
			return 0, fmt.Errorf("PROXY header of version 1 without an end in %d bytes", maxProxyV1)
		}
		return len(b) + 1, nil
	}
	return 0, errProxyMissing
}

// begins reports whether b and the signature agree as far as both go.
func begins(b, signature []byte) bool {
	n := min(len(b), len(signature))
	return bytes.Equal(b[:n], signature[:n])
}

// beginsProxy reports whether b, the first bytes from a peer that is not listed,
// are a PROXY header: at least the signature's first five bytes. No hello and no
// request begins so.
func beginsProxy(b []byte) bool {
	return len(b) >= len(proxyproto.SIGV1) && (begins(b, proxyproto.SIGV1) || begins(b, proxyproto.SIGV2))
}

// parseProxyHeader reads one whole header. LOCAL (a proxy's own health check) and
// UNKNOWN say nothing. Addresses of other families than IP over TCP are refused.
func parseProxyHeader(b []byte) (h proxied, err error) {
	// bufio raises smaller sizes to 16; the reader must hold the whole header,
	// since version 1 may not come in two reads.
	in := bytes.NewReader(b)
	head, err := proxyproto.Read(bufio.NewReaderSize(in, len(b)))
	if err != nil {
		return h, fmt.Errorf("PROXY header: %w", err)
	}
	if head.Command.IsLocal() {
		return h, nil
	}
	src, dst, ok := head.TCPAddrs()
	if !ok {
		return h, fmt.Errorf("PROXY header for %v; expect TCP over IPv4 or IPv6", head.TransportProtocol)
	}
	if _, err := head.TLVs(); err != nil {
		return h, fmt.Errorf("PROXY header: %w", err)
	}
	return proxied{unmapped(src), unmapped(dst)}, nil
}

func unmapped(a *net.TCPAddr) netip.AddrPort {
	ap := a.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

// proxyHeader writes the header that an upstream is sent: where the client came
// from and where it went. Without addresses it says LOCAL (UNKNOWN in version 1).
func proxyHeader(version uint8, client, dst netip.AddrPort) ([]byte, error) {
	h := proxyproto.HeaderProxyFromAddrs(version, nil, nil)
	if client.IsValid() && dst.IsValid() {
		h = proxyproto.HeaderProxyFromAddrs(version, net.TCPAddrFromAddrPort(client), net.TCPAddrFromAddrPort(dst))
	}
	return h.Format()
}
