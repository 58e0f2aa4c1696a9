package sniff_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/icpgate/icpgate/gate/internal/hello"
	"github.com/icpgate/icpgate/gate/sniff"
)

func read(b []byte) sniff.Hello { return sniff.ClientHello(b, nil) }

func TestClientHelloNames(t *testing.T) {
	long := strings.Repeat("a", 63)
	for _, tt := range []struct {
		name string
		kind sniff.Kind
	}{
		{"example.com", sniff.Name},
		{"WWW.Example.COM", sniff.Name},
		{"example.com.", sniff.Name},
		{"a_b.example.com", sniff.Name},
		{"_dmarc.example.com", sniff.Name},
		{"r3---sn-abc.example.com", sniff.Name},
		{"-a-.example.com", sniff.Name},
		{"xn--fiqs8s", sniff.Name},
		{"localhost", sniff.Name},
		{"1.example.com", sniff.Name},
		{"0x7f.example.com", sniff.Name},
		{long + ".example", sniff.Name},
		{strings.Repeat("a.", 126) + "a", sniff.Name},
		{"127.0.0.1", sniff.Literal},
		{"127.0.0.1.", sniff.Literal},
		{"::1", sniff.Literal},
		{"2001:db8::1", sniff.Literal},
		{"::ffff:192.0.2.1", sniff.Literal},
		{"", sniff.Malformed},
		{".", sniff.Malformed},
		{"..", sniff.Malformed},
		{"example.com..", sniff.Malformed},
		{".example.com", sniff.Malformed},
		{"a..example.com", sniff.Malformed},
		{long + "a.example", sniff.Malformed},
		{strings.Repeat("a.", 127) + "a", sniff.Malformed},
		{"example.com\x00.example.net", sniff.Malformed},
		{"example.com:443", sniff.Malformed},
		{"example.com@example.net", sniff.Malformed},
		{"example.com/a", sniff.Malformed},
		{"exa mple.com", sniff.Malformed},
		{"*.example.com", sniff.Malformed},
		{"www%2eexample.com", sniff.Malformed},
		{"例子.example", sniff.Malformed},
		{"[::1]", sniff.Malformed},
		{"fe80::1%eth0", sniff.Malformed},
		{"127.1", sniff.Malformed},
		{"2130706433", sniff.Malformed},
		{"0x7f.1", sniff.Malformed},
		{"a.0x7f", sniff.Malformed},
		{"a.0X", sniff.Malformed},
		{"256.0.0.1", sniff.Malformed},
	} {
		h := read(hello.For(tt.name))
		if h.Kind != tt.kind {
			t.Errorf("%q: got %s (%s); want %s", tt.name, h.Kind, h.Cause, tt.kind)
		}
		if want := tt.name; (h.Kind == sniff.Name || h.Kind == sniff.Literal) && string(h.Name) != want {
			t.Errorf("got name %q; want %q", h.Name, want)
		}
	}
}

func TestClientHelloForms(t *testing.T) {
	proper := hello.Spec{Extensions: [][]byte{hello.SNI("example.com")}}
	with := func(extensions ...[]byte) []byte { return hello.Records(hello.Spec{Extensions: extensions}.Message()) }
	many := func(n int) (list [][]byte) {
		for i := range n {
			list = append(list, hello.Ext(uint16(0x4000+i), nil))
		}
		return append(list, hello.SNI("example.com"))
	}
	for _, tt := range []struct {
		name  string
		b     []byte
		kind  sniff.Kind
		cause sniff.Cause
		alert uint8
	}{
		{"no extensions", hello.Records(hello.Spec{NoExtensions: true}.Message()), sniff.NoName, 0, 0},
		{"empty extensions", with(), sniff.NoName, 0, 0},
		{"other extensions", with(hello.ALPN("h2")), sniff.NoName, 0, 0},
		{"two names", with(hello.SNIOf(hello.Entry(0, "a.example"), hello.Entry(0, "b.example"))), sniff.Malformed, sniff.BadServerName, 47},
		{"the same name twice", with(hello.SNIOf(hello.Entry(0, "a.example"), hello.Entry(0, "a.example"))), sniff.Malformed, sniff.BadServerName, 47},
		{"another type first", with(hello.SNIOf(hello.Entry(1, "b.example"), hello.Entry(0, "a.example"))), sniff.Malformed, sniff.BadServerName, 47},
		{"another type last", with(hello.SNIOf(hello.Entry(0, "a.example"), hello.Entry(1, "b.example"))), sniff.Malformed, sniff.BadServerName, 47},
		{"two extensions", with(hello.SNI("a.example"), hello.SNI("b.example")), sniff.Malformed, sniff.BadExtensions, 47},
		{"another twice", with(hello.SNI("a.example"), hello.Ext(0xfe0d, nil), hello.Ext(0xfe0d, nil)), sniff.Malformed, sniff.BadExtensions, 47},
		{"64 high ones", with(many(64)...), sniff.Name, 0, 0},
		{"65 high ones", with(many(65)...), sniff.Malformed, sniff.BadExtensions, 47},
		{"empty extension", with(hello.Ext(0, nil)), sniff.Malformed, sniff.BadServerName, 50},
		{"empty list", with(hello.Ext(0, hello.Vec(2, nil))), sniff.Malformed, sniff.BadServerName, 50},
		{"bytes behind the list", with(hello.Ext(0, append(hello.Vec(2, hello.Entry(0, "a.example")), 0))), sniff.Malformed, sniff.BadServerName, 50},
		{"list cut short", with(hello.Ext(0, []byte{0, 9, 0})), sniff.Malformed, sniff.BadServerName, 50},
		{"name longer than the list", with(hello.Ext(0, hello.Vec(2, []byte{0, 0, 9, 'a'}))), sniff.Malformed, sniff.BadServerName, 50},
		{"session of 33 bytes", hello.Records(hello.Spec{Session: make([]byte, 33), Extensions: proper.Extensions}.Message()), sniff.Malformed, sniff.BadHello, 50},
		{"odd cipher list", hello.Records(hello.Spec{Suites: []byte{1, 2, 3}, Extensions: proper.Extensions}.Message()), sniff.Malformed, sniff.BadHello, 50},
		{"no ciphers", hello.Records(hello.Spec{Suites: []byte{}, Extensions: proper.Extensions}.Message()), sniff.Malformed, sniff.BadHello, 50},
		{"no compression", hello.Records(hello.Spec{Methods: []byte{}, Extensions: proper.Extensions}.Message()), sniff.Malformed, sniff.BadHello, 50},
		{"bytes behind", hello.Records(hello.Spec{Trailing: []byte{0}, Extensions: proper.Extensions}.Message()), sniff.Malformed, sniff.BadHello, 50},
		{"version 2.0", hello.Records(hello.Spec{Version: 0x0200, Extensions: proper.Extensions}.Message()), sniff.Malformed, sniff.BadHello, 50},
		{"another message", hello.Records(append([]byte{2}, proper.Message()[1:]...)), sniff.Malformed, sniff.BadSequence, 10},
		{"a second message", hello.Records(append(proper.Message(), 1, 0, 0, 0)), sniff.Malformed, sniff.BadSequence, 10},
		{"length 0xffffff", []byte{22, 3, 1, 0, 4, 1, 0xff, 0xff, 0xff}, sniff.Malformed, sniff.TooLong, 50},
		{"length over the limit, alone in parts", []byte{22, 3, 1, 0, 1, 1, 22, 3, 1, 0, 3, 1, 0, 1}, sniff.Malformed, sniff.TooLong, 50},
		{"empty record first", append([]byte{22, 3, 1, 0, 0}, hello.Records(proper.Message())...), sniff.Malformed, sniff.BadRecord, 50},
		{"record of 16385 bytes", []byte{22, 3, 1, 0x40, 1}, sniff.Malformed, sniff.BadRecord, 50},
		{"record version 0x7f7f", []byte{22, 0x7f, 0x7f, 0, 9}, sniff.Malformed, sniff.BadRecord, 50},
		{"another type between", slices.Concat(hello.Records(proper.Message()[:9]), []byte{20, 3, 3, 0, 1, 1}), sniff.Malformed, sniff.BadSequence, 10},
		{"HTTP", []byte("GET / HTTP/1.1\r\n"), sniff.Other, sniff.HTTP, 0},
		{"SSL 2", []byte{0x80, 0x2e, 1, 3, 1}, sniff.Other, sniff.SSLv2, 0},
		{"an alert", []byte{21, 3, 3, 0, 2, 1, 0}, sniff.Other, sniff.Unknown, 0},
		{"a NUL", []byte{0}, sniff.Other, sniff.Unknown, 0},
		{"nothing", nil, sniff.More, 0, 0},
	} {
		h := read(tt.b)
		if h.Kind != tt.kind || h.Cause != tt.cause || h.Alert != tt.alert {
			t.Errorf("%s: got %s, cause %q, alert %d; want %s, %q, %d", tt.name, h.Kind, h.Cause, h.Alert, tt.kind, tt.cause, tt.alert)
		}
	}
}

// TestClientHelloRecordVersions: the version of a record says nothing.
func TestClientHelloRecordVersions(t *testing.T) {
	for minor := range 256 {
		b := hello.For("example.com")
		b[2] = byte(minor)
		if h := read(b); h.Kind != sniff.Name {
			t.Errorf("version 3.%d: got %s (%s); want a name", minor, h.Kind, h.Cause)
		}
	}
}

// TestClientHelloFragments: wherever the message is cut into hello.Records, and
// however much of it has arrived, it is read as if it were whole.
func TestClientHelloFragments(t *testing.T) {
	msg := hello.Spec{Extensions: [][]byte{hello.ALPN("h2"), hello.SNI("www.example.com"), hello.Ext(0xfe0d, make([]byte, 100)), hello.Ext(21, make([]byte, 300))}}.Message()
	var join []byte
	for cut := 1; cut < len(msg); cut++ {
		b := append(hello.Records(msg, cut), "early data"...)
		want := len(b) - len("early data")
		h := sniff.ClientHello(b, &join)
		if h.Kind != sniff.Name || string(h.Name) != "www.example.com" || h.Length != want || !h.ECH || string(h.ALPN) != "\x02h2" {
			t.Fatalf("cut at %d: got %+v; want the name and length %d", cut, h, want)
		}
	}
	whole := hello.Records(msg, 1, 1, 1, 1, 7)
	for n := range whole {
		if h := sniff.ClientHello(whole[:n], &join); h.Kind != sniff.More {
			t.Fatalf("%d of %d bytes: got %s (%s); want more", n, len(whole), h.Kind, h.Cause)
		}
	}
}

// TestClientHelloSizes: hellos are read up to MaxHello in up to MaxRecords
// hello.Records, and none takes more than MaxHeld bytes.
func TestClientHelloSizes(t *testing.T) {
	padded := func(n int) []byte {
		s := hello.Spec{Extensions: [][]byte{nil, nil, hello.SNI("example.com")}}
		for have := len(s.Message()); have < n; have = len(s.Message()) {
			i := 0
			if n-have > 40_000 {
				i = 1
			}
			s.Extensions[i] = hello.Ext(uint16(21+i), make([]byte, min(40_000, n-have-4)))
		}
		return s.Message()
	}
	ones := func(n int) []int { return slices.Repeat([]int{1}, n) }
	for _, tt := range []struct {
		name  string
		b     []byte
		kind  sniff.Kind
		cause sniff.Cause
	}{
		{"30 KB in two hello.Records", hello.Records(padded(30_000)), sniff.Name, 0},
		{"the longest", hello.Records(padded(4 + 65_535)), sniff.Name, 0},
		{"in 256 hello.Records", hello.Records(padded(600), ones(255)...), sniff.Name, 0},
		{"in 257 hello.Records", hello.Records(padded(600), ones(256)...), sniff.Malformed, sniff.TooManyParts},
	} {
		h := read(tt.b)
		if h.Kind != tt.kind || h.Cause != tt.cause {
			t.Errorf("%s: got %s (%s); want %s (%s)", tt.name, h.Kind, h.Cause, tt.kind, tt.cause)
		}
		if len(tt.b) > sniff.MaxHeld {
			t.Errorf("%s takes %d bytes; want at most %d", tt.name, len(tt.b), sniff.MaxHeld)
		}
	}
}

func TestClientHelloDoesNotAllocate(t *testing.T) {
	one := hello.For("www.example.com")
	parts := hello.Records(one[5:], 1, 100)
	join := make([]byte, 0, len(one))
	for name, b := range map[string][]byte{"one record": one, "three hello.Records": parts, "half": one[:len(one)/2]} {
		if n := testing.AllocsPerRun(100, func() { sniff.ClientHello(b, &join) }); n != 0 {
			t.Errorf("%s: got %v allocations; want none", name, n)
		}
	}
}

func BenchmarkClientHello(b *testing.B) {
	small := hello.For("www.example.com")
	large := hello.Records(hello.Spec{Extensions: [][]byte{
		hello.Ext(51, make([]byte, 1220)), hello.ALPN("h2", "http/1.1"), hello.SupportedVersions, hello.Groups, hello.SigAlgs, hello.Ext(0xfe0d, make([]byte, 240)),
		hello.Ext(0x0a0a, nil), hello.Ext(0x1a1a, []byte{0}), hello.Ext(17613, nil), hello.Ext(65281, []byte{0}), hello.Ext(27, nil), hello.Ext(35, nil), hello.SNI("www.example.com"),
	}}.Message())
	var join []byte
	for _, c := range []struct {
		name string
		b    []byte
	}{{"small", small}, {"browser", large}, {"browser in two hello.Records", hello.Records(large[5:], 700)}, {"half", large[:900]}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				sniff.ClientHello(c.b, &join)
			}
		})
	}
}

func ExampleClientHello() {
	b := hello.For("www.example.com")
	for _, n := range []int{100, len(b)} {
		h := sniff.ClientHello(b[:n], nil)
		fmt.Printf("%s %q\n", h.Kind, bytes.ToLower(h.Name))
	}
	// Output:
	// more ""
	// name "www.example.com"
}
