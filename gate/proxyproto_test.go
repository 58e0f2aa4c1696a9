package gate

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	proxyproto "github.com/pires/go-proxyproto"
)

// tcpPair is a connection over loopback, both ends of it.
func tcpPair(t testing.TB) (client, server *net.TCPConn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); s.Close() })
	return c.(*net.TCPConn), s.(*net.TCPConn)
}

// v2 is a header of version 2 with a command, a family and what comes behind.
func v2(command, family byte, body ...byte) []byte {
	b := append([]byte{}, proxyproto.SIGV2...)
	b = append(b, command, family)
	b = binary.BigEndian.AppendUint16(b, uint16(len(body)))
	return append(b, body...)
}

// v4body is 198.51.100.7:4660 to 203.0.113.9:443.
var v4body = []byte{198, 51, 100, 7, 203, 0, 113, 9, 0x12, 0x34, 0x01, 0xbb}

var v6body = append(append(append([]byte{}, netip.MustParseAddr("2001:db8::1").AsSlice()...),
	netip.MustParseAddr("2001:db8::2").AsSlice()...), 0x12, 0x34, 0x01, 0xbb)

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func apv(s string) netip.AddrPort {
	if s == "" {
		return netip.AddrPort{}
	}
	return netip.MustParseAddrPort(s)
}

var proxyHeads = []struct {
	name        string
	head        []byte
	client, dst string
	fails       string // a part of the error
}{
	{"v1 TCP4", []byte("PROXY TCP4 198.51.100.7 203.0.113.9 4660 443\r\n"), "198.51.100.7:4660", "203.0.113.9:443", ""},
	{"v1 TCP6", []byte("PROXY TCP6 2001:db8::1 2001:db8::2 4660 443\r\n"), "[2001:db8::1]:4660", "[2001:db8::2]:443", ""},
	{"v1 mapped", []byte("PROXY TCP6 ::ffff:198.51.100.7 2001:db8::2 1 2\r\n"), "198.51.100.7:1", "[2001:db8::2]:2", ""},
	{"v1 UNKNOWN", []byte("PROXY UNKNOWN\r\n"), "", "", ""},
	{"v1 UNKNOWN with more", []byte("PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n"), "", "", ""},
	{"v1 LF", []byte("PROXY TCP4 198.51.100.7 203.0.113.9 4660 443\n"), "", "", "\\r\\n"},
	{"v1 too long", []byte("PROXY UNKNOWN " + strings.Repeat("x", 107) + "\r\n"), "", "", "107"},
	{"v1 port", []byte("PROXY TCP4 198.51.100.7 203.0.113.9 4660 65536\r\n"), "", "", "port"},
	{"v1 leading zero", []byte("PROXY TCP4 198.51.100.7 203.0.113.9 4660 0443\r\n"), "", "", "port"},
	{"v1 two spaces", []byte("PROXY TCP4  198.51.100.7 203.0.113.9 4660 443\r\n"), "", "", "PROXY header"},
	{"v1 family", []byte("PROXY TCP4 2001:db8::1 203.0.113.9 4660 443\r\n"), "", "", "address"},
	{"v1 zone", []byte("PROXY TCP6 fe80::1%1 2001:db8::2 1 2\r\n"), "", "", "address"},
	{"v1 word", []byte("PROXYTCP4 198.51.100.7 203.0.113.9 4660 443\r\n"), "", "", "PROXY header"},
	{"v2 TCP4", v2(0x21, 0x11, v4body...), "198.51.100.7:4660", "203.0.113.9:443", ""},
	{"v2 TCP6", v2(0x21, 0x21, v6body...), "[2001:db8::1]:4660", "[2001:db8::2]:443", ""},
	// P02: the authority is no name that is judged; it is skipped like any TLV.
	{"v2 AUTHORITY", v2(0x21, 0x11, join(v4body, []byte{2, 0, 11}, []byte("example.com"))...), "198.51.100.7:4660", "203.0.113.9:443", ""},
	{"v2 broken TLV", v2(0x21, 0x11, join(v4body, []byte{2, 0, 12}, []byte("example.com"))...), "", "", "TLV"},
	// P04: a proxy's own connection.
	{"v2 LOCAL", v2(0x20, 0x00), "", "", ""},
	{"v2 LOCAL with addresses", v2(0x20, 0x11, v4body...), "", "", ""},
	{"v2 LOCAL with less", v2(0x20, 0x11, 1, 2, 3), "", "", ""},
	{"v2 UDP", v2(0x21, 0x12, v4body...), "", "", "TCP"},
	{"v2 unix", v2(0x21, 0x31, make([]byte, 216)...), "", "", "TCP"},
	{"v2 unspecified", v2(0x21, 0x00), "", "", "PROXY header"},
	{"v2 short", v2(0x21, 0x11, v4body[:11]...), "", "", "length"},
	{"v2 version 3", v2(0x31, 0x11, v4body...), "", "", "version"},
	{"v2 command", v2(0x22, 0x11, v4body...), "", "", "command"},
	{"v2 too long", v2(0x21, 0x11, make([]byte, 5000)...), "", "", "4112"},
	{"none", []byte("GET / HTTP/1.1\r\n\r\n"), "", "", errProxyMissing.Error()},
	{"a hello", []byte{22, 3, 1, 2, 0, 1}, "", "", errProxyMissing.Error()},
}

// TestReadProxyHeader: what is behind the header is handed over, and the
// connection goes on where it ends.
func TestReadProxyHeader(t *testing.T) {
	for _, tc := range proxyHeads {
		c, s := tcpPair(t)
		if _, err := c.Write(append(bytes.Clone(tc.head), "rest"...)); err != nil {
			t.Fatal(err)
		}
		h, rest, err := readProxyHeader(s, time.Now().Add(time.Minute), make([]byte, 8192))
		switch {
		case tc.fails != "":
			if err == nil || !strings.Contains(err.Error(), tc.fails) {
				t.Errorf("%s: got %v, %v; want an error with %q", tc.name, h, err, tc.fails)
			}
			continue
		case err != nil:
			t.Errorf("%s: %v", tc.name, err)
			continue
		case h.Client != apv(tc.client) || h.Dst != apv(tc.dst):
			t.Errorf("%s: got %v; want %s, %s", tc.name, h, tc.client, tc.dst)
		}
		c.CloseWrite()
		more, err := io.ReadAll(s)
		if got := string(rest) + string(more); err != nil || got != "rest" {
			t.Errorf("%s: behind the header %q, %v; want %q", tc.name, got, err, "rest")
		}
	}
}

// TestReadProxyHeaderInPieces: one byte at a time, nothing behind.
func TestReadProxyHeaderInPieces(t *testing.T) {
	for _, tc := range proxyHeads {
		if tc.fails != "" {
			continue
		}
		c, s := net.Pipe()
		go func() {
			defer c.Close()
			for i := range tc.head {
				if _, err := c.Write(tc.head[i : i+1]); err != nil {
					return
				}
			}
		}()
		h, rest, err := readProxyHeader(s, time.Now().Add(time.Minute), make([]byte, maxProxyHeader))
		if err != nil || h.Client != apv(tc.client) || len(rest) != 0 {
			t.Errorf("%s: got %v, %q, %v", tc.name, h, rest, err)
		}
		s.Close()
	}
}

func TestReadProxyHeaderBrokenOff(t *testing.T) {
	head := v2(0x21, 0x11, v4body...)
	for n := range head {
		c, s := tcpPair(t)
		if _, err := c.Write(head[:n]); err != nil {
			t.Fatal(err)
		}
		c.CloseWrite()
		_, _, err := readProxyHeader(s, time.Now().Add(time.Minute), make([]byte, 512))
		if n == 0 && !errors.Is(err, errProxyMissing) || n > 0 && !errors.Is(err, io.EOF) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	_, s := tcpPair(t)
	if _, _, err := readProxyHeader(s, time.Unix(1, 0), make([]byte, 512)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("after the deadline: %v", err)
	}
	c, s := tcpPair(t)
	if _, err := c.Write(v2(0x21, 0x11, make([]byte, 600)...)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := readProxyHeader(s, time.Now().Add(time.Minute), make([]byte, 512)); err == nil || !strings.Contains(err.Error(), "512") {
		t.Errorf("longer than the buffer: %v", err)
	}
}

// TestProxyPeers: P01, who must and who may not.
func TestProxyPeers(t *testing.T) {
	p := newPeerSet([]netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32")})
	for addr, want := range map[string]bool{
		"192.0.2.1": true, "::ffff:192.0.2.1": true, "192.0.3.1": false, "2001:db8::1": true, "2001:db9::1": false,
	} {
		if got := p.lists(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %v; want %v", addr, got, want)
		}
	}
	if !p.lists(netip.Addr{}) {
		t.Error("the peer of a unix socket is not listed")
	}
	if none := newPeerSet(nil); none.lists(netip.MustParseAddr("192.0.2.1")) || none.lists(netip.Addr{}) {
		t.Error("listed where nobody is")
	}
	for text, want := range map[string]bool{
		"PROXY": true, "PROXY TCP4": true, "\r\n\r\n\x00": true, "PROX": false, "GET / ": false, "PROPFIND": false, "": false, "\r\n\r\nG": false,
	} {
		if got := beginsProxy([]byte(text)); got != want {
			t.Errorf("%q begins a PROXY header: %v; want %v", text, got, want)
		}
	}
}

func TestProxyHeaderOut(t *testing.T) {
	for _, tc := range []struct {
		version     uint8
		client, dst string
		want        []byte
	}{
		{1, "198.51.100.7:4660", "203.0.113.9:443", []byte("PROXY TCP4 198.51.100.7 203.0.113.9 4660 443\r\n")},
		{1, "[2001:db8::1]:4660", "[2001:db8::2]:443", []byte("PROXY TCP6 2001:db8::1 2001:db8::2 4660 443\r\n")},
		{1, "198.51.100.7:1", "[2001:db8::2]:2", []byte("PROXY TCP6 ::ffff:198.51.100.7 2001:db8::2 1 2\r\n")},
		{1, "", "", []byte("PROXY UNKNOWN\r\n")},
		{2, "198.51.100.7:4660", "203.0.113.9:443", v2(0x21, 0x11, v4body...)},
		{2, "[2001:db8::1]:4660", "[2001:db8::2]:443", v2(0x21, 0x21, v6body...)},
		{2, "198.51.100.7:4660", "", v2(0x20, 0)},
	} {
		got, err := proxyHeader(tc.version, apv(tc.client), apv(tc.dst))
		if err != nil || !bytes.Equal(got, tc.want) {
			t.Errorf("v%d %s %s: %q, %v; want %q", tc.version, tc.client, tc.dst, got, err, tc.want)
		}
		if h, err := parseProxyHeader(got); err != nil || tc.dst != "" && (h.Client != apv(tc.client) || h.Dst != apv(tc.dst)) {
			t.Errorf("v%d %s %s: read again %v, %v", tc.version, tc.client, tc.dst, h, err)
		}
	}
}

// slowProxy reads a PROXY header as the specification words it, without the
// library: its strict twin. n is the header's length; ok is false where it is no
// header, whole and valid.
func slowProxy(b []byte) (h proxied, n int, ok bool) {
	if bytes.HasPrefix(b, []byte("PROXY")) {
		return slowV1(b)
	}
	if len(b) < 16 || !bytes.HasPrefix(b, []byte("\r\n\r\n\x00\r\nQUIT\n")) {
		return h, 0, false
	}
	n = 16 + int(b[14])<<8 + int(b[15])
	if n > 16+4096 || n > len(b) || b[12]>>4 != 2 {
		return h, 0, false
	}
	body := b[16:n]
	switch b[13] {
	case 0x00, 0x11, 0x12, 0x21, 0x22, 0x31, 0x32:
	default:
		return h, 0, false
	}
	switch b[12] & 15 {
	case 0:
		return h, n, true
	case 1:
	default:
		return h, 0, false
	}
	size := map[byte]int{0x11: 4, 0x21: 16}[b[13]]
	if size == 0 || len(body) < 2*size+4 || !slowTLVs(body[2*size+4:]) {
		return h, 0, false
	}
	src, _ := netip.AddrFromSlice(body[:size])
	dst, _ := netip.AddrFromSlice(body[size : 2*size])
	ports := body[2*size:]
	return proxied{
		netip.AddrPortFrom(src.Unmap(), uint16(ports[0])<<8|uint16(ports[1])),
		netip.AddrPortFrom(dst.Unmap(), uint16(ports[2])<<8|uint16(ports[3])),
	}, n, true
}

func slowTLVs(b []byte) bool {
	for len(b) > 0 {
		if len(b) < 3 {
			return false
		}
		n := 3 + int(b[1])<<8 + int(b[2])
		if n > len(b) {
			return false
		}
		b = b[n:]
	}
	return true
}

func slowV1(b []byte) (h proxied, n int, ok bool) {
	line, _, found := bytes.Cut(b, []byte("\n"))
	if !found || len(line)+1 > 107 || !bytes.HasSuffix(line, []byte("\r")) {
		return h, 0, false
	}
	n = len(line) + 1
	f := strings.Split(string(line[:len(line)-1]), " ")
	if f[0] != "PROXY" || len(f) < 2 {
		return h, 0, false
	}
	if f[1] == "UNKNOWN" {
		return h, n, true
	}
	if len(f) != 6 || f[1] != "TCP4" && f[1] != "TCP6" {
		return h, 0, false
	}
	var a [2]netip.AddrPort
	for i := range a {
		addr, err := netip.ParseAddr(f[2+i])
		port, perr := strconv.Atoi(f[4+i])
		if err != nil || perr != nil || addr.Zone() != "" || addr.Is4() != (f[1] == "TCP4") ||
			port < 0 || port > 65535 || strconv.Itoa(port) != f[4+i] {
			return h, 0, false
		}
		a[i] = netip.AddrPortFrom(addr.Unmap(), uint16(port))
	}
	return proxied{a[0], a[1]}, n, true
}

// bytesConn is a connection that gives bytes, then EOF.
type bytesConn struct {
	net.Conn
	in *bytes.Reader
}

func (c bytesConn) Read(b []byte) (int, error)      { return c.in.Read(b) }
func (c bytesConn) SetReadDeadline(time.Time) error { return nil }

// FuzzProxyHeader: the reader and its twin agree on what is a header, what it
// says and where it ends.
func FuzzProxyHeader(f *testing.F) {
	for _, tc := range proxyHeads {
		f.Add(tc.head)
		f.Add(append(bytes.Clone(tc.head), "GET / HTTP/1.1\r\n"...))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, rest, err := readProxyHeader(bytesConn{in: bytes.NewReader(b)}, time.Time{}, make([]byte, max(maxProxyHeader, len(b))))
		want, n, ok := slowProxy(b)
		if ok != (err == nil) {
			t.Fatalf("%q: got error %v; the twin takes it: %v", b, err, ok)
		}
		if !ok {
			return
		}
		if got := fmt.Sprint(h); got != fmt.Sprint(want) {
			t.Errorf("%q: got %s; want %v", b, got, want)
		}
		if !bytes.Equal(rest, b[n:]) {
			t.Errorf("%q: rest %q; want %q", b, rest, b[n:])
		}
	})
}
