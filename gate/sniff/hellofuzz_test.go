package sniff_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/icpgate/icpgate/gate/internal/hello"
	"github.com/icpgate/icpgate/gate/sniff"
)

var errStop = errors.New("seen enough")

// readOnce is a connection of bytes that were written beforehand.
type readOnce struct {
	net.Conn
	r io.Reader
}

func (c readOnce) Read(p []byte) (int, error)         { return c.r.Read(p) }
func (c readOnce) Write(p []byte) (int, error)        { return len(p), nil }
func (c readOnce) Close() error                       { return nil }
func (c readOnce) SetDeadline(time.Time) error        { return nil }
func (c readOnce) SetReadDeadline(t time.Time) error  { return nil }
func (c readOnce) SetWriteDeadline(t time.Time) error { return nil }

// twinHello is what crypto/tls reads; ok if it takes the hello.
func twinHello(b []byte) (name string, ok bool) {
	config := &tls.Config{GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		name, ok = h.ServerName, true
		return nil, errStop
	}}
	_ = tls.Server(readOnce{r: bytes.NewReader(b)}, config).Handshake()
	return name, ok
}

// FuzzClientHello compares with crypto/tls: never two different names, and where
// only one of them takes a hello, it is for a reason that is listed here.
func FuzzClientHello(f *testing.F) {
	for _, b := range helloSeeds() {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h := sniff.ClientHello(b, nil)
		if h.Kind == sniff.Malformed && h.Alert == 0 || h.Length > len(b) || h.Length > sniff.MaxHeld {
			t.Fatalf("got %+v, of %d bytes", h, len(b))
		}
		if again := sniff.ClientHello(append([]byte(nil), b...), new([]byte)); again.Kind != h.Kind || !bytes.Equal(again.Name, h.Name) {
			t.Fatalf("got %+v, then %+v", h, again)
		}
		name, ok := twinHello(b)
		switch {
		case h.Kind == sniff.Name && ok && !strings.EqualFold(name, strings.TrimSuffix(string(h.Name), ".")) && name != string(h.Name):
			t.Errorf("got %q; crypto/tls reads %q", h.Name, name)
		case h.Kind == sniff.NoName && ok && name != "":
			t.Errorf("got no name; crypto/tls reads %q", name)
		case h.Kind == sniff.More && ok, h.Kind == sniff.Other && ok:
			t.Errorf("got %s; crypto/tls reads a hello with %q", h.Kind, name)
		case h.Kind == sniff.Name && !ok:
			// A trailing dot, or something in the other fields: the name alone it takes.
			bare := strings.TrimSuffix(string(h.Name), ".")
			if name, ok := twinHello(hello.For(bare)); !ok || name != bare {
				t.Errorf("got %q, which crypto/tls refuses as a name", h.Name)
			}
		}
	})
}

// helloSeeds are hellos with everything that the tests know of.
func helloSeeds() (seeds [][]byte) {
	for _, name := range []string{"example.com", "WWW.example.com.", "127.0.0.1", "::1", "a\x00.b", "", "x..y"} {
		seeds = append(seeds, hello.For(name))
	}
	msg := hello.For("www.example.com")[5:]
	for _, s := range []hello.Spec{
		{NoExtensions: true},
		{Extensions: [][]byte{hello.SNI("a.example"), hello.SNI("b.example")}},
		{Extensions: [][]byte{hello.SNIOf(hello.Entry(1, "b.example"), hello.Entry(0, "a.example"))}},
		{Extensions: [][]byte{hello.Ext(0xfe0d, make([]byte, 9)), hello.SNI("a.example"), hello.Ext(21, make([]byte, 99))}},
		{Session: make([]byte, 33)},
	} {
		seeds = append(seeds, hello.Records(s.Message()))
	}
	return append(seeds, hello.Records(msg, 1), hello.Records(msg, 4, 30), hello.Records(msg, 1, 1, 1, 1, 1, 1),
		append([]byte{22, 3, 1, 0, 0}, hello.Records(msg)...), []byte("GET / HTTP/1.1\r\n\r\n"), []byte{0x80, 0x2e, 1, 3, 1})
}
