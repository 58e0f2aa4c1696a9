package gate_test

import (
	"bytes"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/icpgate/icpgate/gate/internal/hello"
)

// The evasions here are odd forms beside those that are listed: what one reader takes
// for a filed name and another for something else. Each says what is to come of it,
// and none may reach the upstream under another name than was judged.

// reached reports whether the upstream was asked for a host that is not filed. It
// forgets what it was asked for.
func (s *seen) reached() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := strings.ToLower(strings.Join(s.list, " "))
	s.list = nil
	return strings.Contains(all, " unfiled.example")
}

// odd are forms with the same end; want holds what may come of them.
type odd struct {
	what  string
	want  []string
	forms []string
}

func (o odd) check(t *testing.T, s *seen, form, got string) {
	t.Helper()
	if !slices.Contains(o.want, got) {
		t.Errorf("%s: %.80q: got %s; want %s", o.what, form, got, strings.Join(o.want, " or "))
	}
	if s.reached() {
		t.Errorf("%s: %.80q: the upstream was asked for unfiled.example", o.what, form)
	}
}

// longName is a name below filed.example of n bytes.
func longName(n int) string {
	const filed = ".filed.example"
	n -= len(filed)
	var labels []string
	for n > 63 {
		labels, n = append(labels, strings.Repeat("a", 31)), n-32
	}
	return strings.Join(append(labels, strings.Repeat("a", n)), ".") + filed
}

// TestOddServerNames: the name in a hello.
func TestOddServerNames(t *testing.T) {
	w := newEvaded(t)
	for _, o := range []odd{
		{"names", []string{"passed"}, []string{
			"filed.example.", "FILED.EXAMPLE", "_a._b.filed.example", "-a-.filed.example", "xn--fiqs8s.filed.example", "xn--a-.filed.example",
			strings.Repeat("a", 63) + ".filed.example", longName(253), longName(253) + ".", "1.filed.example", "0x1.filed.example", "127.0.0.1.",
		}},
		{"names that are not filed", []string{"alert 112"}, []string{
			"unfiled.example.", "UNFILED.EXAMPLE", "xfiled.example", "filed.example.unfiled.example", "elsewhere.example",
			"xn--fiqs8s.xn--fiqs8s", "_.unfiled.example",
		}},
		{"addresses in other spellings, and what is no name", []string{"alert 50"}, []string{
			"127.1", "0x7f000001", "0x7f.1", "2130706433", "017700000001", "01.02.03.04", "1.2.3", "256.1.1.1", "1.2.3.4.5", "1.2.3.4:443",
			"[::1]", "fe80::1%eth0", "::ffff:1.2.3.4%1", "filed.example.1", "filed.example.0x1",
			"", ".", "..", ".filed.example", "a..filed.example", "filed.example..", strings.Repeat("a", 64) + ".filed.example", longName(254), longName(254) + ".",
			"filed.example\x00", "\x00filed.example", "filed.example\n", "filed.example\r", " filed.example", "\tfiled.example", "filed.example\x7f",
			"filed.example,unfiled.example", "filed.example unfiled.example", "filed.example;unfiled.example", "filed.example@unfiled.example", "u:p@filed.example",
			"filed.example/", "filed.example#", "filed.example?", "filed.example\\", "filed.example%00.unfiled.example", "%66iled.example", "filed.example%2e",
			"*.filed.example", "*", "filed.example'", "f\xc3\xbcr.filed.example", "a.filed\xe3\x80\x82example", "\xef\xbd\x86iled.example", "fi\xc2\xadled.example", "filed.example\xc2\xa0",
		}},
	} {
		for _, name := range o.forms {
			got := named(name)(t, w)
			if name == "" && got == "alert 47" {
				continue // it is the list that is wrong
			}
			o.check(t, w.seen, name, got)
		}
	}
}

// TestOddHellos: the hello around a name, in records of any kind.
func TestOddHellos(t *testing.T) {
	w := newEvaded(t)
	filed, unfiled := hello.SNI("filed.example"), hello.SNI("unfiled.example")
	msg := hello.Spec{Extensions: [][]byte{filed}}.Message()
	record := func(kind byte, b ...byte) []byte {
		return append([]byte{kind, 3, 1, byte(len(b) >> 8), byte(len(b))}, b...)
	}
	with := func(b []byte, at int, x byte) []byte {
		b = slices.Clone(b)
		b[at] = x
		return b
	}
	whole := hello.Records(msg)
	psk := hello.Ext(41, slices.Concat(hello.Vec(2, slices.Concat(hello.Vec(2, []byte("abcd")), make([]byte, 4))), hello.Vec(2, hello.Vec(1, make([]byte, 32)))))
	var unknown [][]byte
	for i := range 65 {
		unknown = append(unknown, hello.Ext(uint16(0x5000+i), nil))
	}
	for _, tt := range []struct {
		what string
		b    []byte
		want string
	}{
		{"records that end within the head of the message", hello.Records(msg, 1, 1, 1, 1), "passed"},
		{"a pre_shared_key", withExtensions(filed, psk), "passed"},
		{"a pre_shared_key of another name's session", withExtensions(unfiled, psk), "alert 112"},
		{"a name that encrypted_client_hello would go with", withExtensions(hello.Ext(0xfe0d, []byte{1}), unfiled), "alert 112"},
		{"a legacy version of the future", hello.Records(hello.Spec{Version: 0x0304, Extensions: [][]byte{unfiled}}.Message()), "alert 112"},
		{"no null compression", hello.Records(hello.Spec{Methods: []byte{1, 0}, Extensions: [][]byte{unfiled}}.Message()), "alert 112"},
		{"an empty record between two", slices.Concat(hello.Records(msg[:10]), record(22), hello.Records(msg[10:])), "alert 50"},
		{"a warning between two", slices.Concat(hello.Records(msg[:10]), record(21, 1, 0), hello.Records(msg[10:])), "alert 10"},
		{"early data between two", slices.Concat(hello.Records(msg[:10]), record(23, 1), hello.Records(msg[10:])), "alert 10"},
		{"two hellos in one record", hello.Records(slices.Concat(msg, hello.Spec{Extensions: [][]byte{unfiled}}.Message())), "alert 10"},
		{"a HelloRequest first", slices.Concat(record(22, 0, 0, 0, 0), whole), "alert 10"},
		{"a ServerHello", hello.Records(with(msg, 0, 2)), "alert 10"},
		{"another record version in the second record", slices.Concat(hello.Records(msg[:9]), with(hello.Records(msg[9:]), 1, 2)), "alert 50"},
		{"a record of 16,385 bytes", append([]byte{22, 3, 1, 0x40, 1}, make([]byte, 16_385)...), "alert 50"},
		{"a version of SSL 2", hello.Records(hello.Spec{Version: 0x0200, Extensions: [][]byte{filed}}.Message()), "alert 50"},
		{"DTLS", with(with(whole, 1, 0xfe), 2, 0xfd), "alert 50"},
		{"a change of the cipher first", slices.Concat(record(20, 1), whole), "closed"},
		{"an alert first", slices.Concat(record(21, 2, 40), whole), "closed"},
		{"a heartbeat first", slices.Concat(record(24, 1, 0, 16), whole), "closed"},
		{"the name twice", withExtensions(filed, filed), "alert 47"},
		{"two names in two extensions", withExtensions(filed, hello.SupportedVersions, unfiled), "alert 47"},
		{"65 unknown extensions", withExtensions(append(unknown, filed)...), "alert 47"},
		{"an empty extension", withExtensions(hello.Ext(0, nil)), "alert 50"},
		{"an empty list", withExtensions(hello.SNIOf()), "alert 50"},
		{"another type alone", withExtensions(hello.SNIOf(hello.Entry(5, "filed.example"))), "alert 47"},
		{"another type behind the name", withExtensions(hello.SNIOf(hello.Entry(0, "filed.example"), hello.Entry(1, "unfiled.example"))), "alert 47"},
		{"bytes behind the list", withExtensions(hello.Ext(0, append(hello.Vec(2, hello.Entry(0, "filed.example")), 0))), "alert 50"},
		{"a list longer than its extension", withExtensions(hello.Ext(0, append([]byte{0, 30}, hello.Entry(0, "filed.example")...))), "alert 50"},
		{"a PROXY header of a stranger", append([]byte("PROXY TCP4 192.0.2.1 203.0.113.1 1 443\r\n"), whole...), "closed"},
		{"its second version", append([]byte("\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"), whole...), "closed"},
	} {
		odd{tt.what, []string{tt.want}, nil}.check(t, w.seen, string(tt.b), sent(tt.b)(t, w))
	}
	// Once it is told apart from plaintext, there is no way back.
	if got := raw(t, w.mixed, []byte("\x16\x03GET / HTTP/1.1\r\nHost: filed.example\r\n\r\n"), false); got != "alert 50" {
		t.Errorf("TLS and then HTTP: got %s; want alert 50", got)
	}
	if got := inPieces(t, w.mixed, hello.For("unfiled.example")); got != "alert 112" {
		t.Errorf("byte by byte: got %s; want alert 112", got)
	}
}

// inPieces is raw, byte by byte.
func inPieces(t *testing.T, addr string, b []byte) string {
	t.Helper()
	c := dialTCP(t, addr).(*net.TCPConn)
	_ = c.SetNoDelay(true)
	for i := range b {
		if _, err := c.Write(b[i : i+1]); err != nil {
			break // it is refused by now
		}
	}
	var got bytes.Buffer
	_ = c.SetDeadline(time.Now().Add(patience))
	_, _ = got.ReadFrom(c)
	if b := got.Bytes(); len(b) >= 7 && b[0] == 21 {
		return fmt.Sprintf("alert %d", b[6])
	}
	return got.String()
}
