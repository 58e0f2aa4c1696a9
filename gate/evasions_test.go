//lint:file-ignore SA1019 net/http makes no client of one connection that a test has dialled.

package gate_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/icpgate/icpgate/gate"
	"github.com/icpgate/icpgate/gate/internal/hello"
)

// evasion is one way in which gates are got around or broken, and what is safe.
type evasion struct {
	id, what string
	run      func(t *testing.T, w *evaded) string
	want     string
}

// evaded is the program that evasions are tried on, and what stands behind it.
type evaded struct {
	*program
	seen *seen
	// The listeners: HTTP, HTTP with h2c, TLS passed on to whoever only counts,
	// TLS passed on to a web server, TLS ended here, HTTP behind a proxy, both on
	// one port.
	http, h2c, tls, web, ended, proxied, mixed string
}

// newEvaded starts the program in front of web servers.
func newEvaded(t *testing.T) *evaded {
	s := new(seen)
	web, sink, secure := newOrigin(t, s), newSink(t), newTLSOrigin(t)
	cert := newCertificate(t, "filed.example", "*.filed.example")
	p := start(t, 7, fmt.Sprintf(`
http://127.0.0.1:0 {
	ICP
	upstream %[1]s
}
http://127.0.0.2:0 {
	ICP
	upstream %[1]s
	h2c on
}
tls://127.0.0.3:0 {
	ICP
	upstream %[2]s
}
tls://127.0.0.4:0 {
	ICP
	upstream %[3]s
}
tls://127.0.0.5:0 {
	ICP
	upstream %[1]s
	tls %[4]s %[5]s
}
http://127.0.0.6:0 {
	ICP
	upstream %[1]s
	proxy-protocol require 127.0.0.0/8
}
mixed://127.0.0.7:0 {
	ICP
	upstream %[1]s
}
`, web, sink, secure, cert.Cert, cert.Key), nil)
	at := func(ip string) string { return p.addr(t, ip) }
	return &evaded{
		program: p, seen: s, http: at("http://127.0.0.1:"), h2c: at("http://127.0.0.2:"), tls: at("tls://127.0.0.3:"), web: at("tls://127.0.0.4:"),
		ended: at("tls://127.0.0.5:"), proxied: at("http://127.0.0.6:"), mixed: at("mixed://127.0.0.7:"),
	}
}

// newSink answers whatever comes with the number of bytes that came until the
// client's end.
func newSink(t testing.TB) string {
	t.Helper()
	return gate.LocalTCP(t, func(c net.Conn) {
		n, _ := io.Copy(io.Discard, c)
		fmt.Fprintf(c, "passed %d", n)
	})
}

// raw is a client that writes what nobody else would. It ends its side unless
// open is set, and tells what came back: an alert, a status for each response,
// what the sink says, or how it was closed.
func raw(t testing.TB, addr string, b []byte, open bool) string {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := c.Write(b); err != nil && !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
		t.Fatal(err)
	}
	if !open {
		_ = c.(*net.TCPConn).CloseWrite()
	}
	got, err := io.ReadAll(c)
	switch {
	case errors.Is(err, syscall.ECONNRESET) && len(got) == 0:
		return "reset"
	case err != nil && !errors.Is(err, syscall.ECONNRESET):
		t.Fatalf("after %q: %v", got, err)
	case len(got) == 0:
		return "closed"
	case len(got) >= 7 && got[0] == 21:
		return fmt.Sprintf("alert %d", got[6])
	case got[0] == 22:
		return "handshake"
	case strings.HasPrefix(string(got), "HTTP/"):
		return strings.Join(statuses(t, string(got)), " ")
	}
	return string(got)
}

// sent is a raw TLS client.
func sent(b []byte) func(*testing.T, *evaded) string {
	return func(t *testing.T, w *evaded) string {
		got := raw(t, w.tls, b, false)
		if got == fmt.Sprintf("passed %d", len(b)) {
			return "passed"
		}
		return got
	}
}

// named is sent for a small hello with a name.
func named(name string) func(*testing.T, *evaded) string { return sent(hello.For(name)) }

func withExtensions(list ...[]byte) []byte {
	return hello.Records(hello.Spec{Extensions: list}.Message())
}

// said is a raw HTTP client.
func said(text string) func(*testing.T, *evaded) string {
	return func(t *testing.T, w *evaded) string { return raw(t, w.http, []byte(text), false) }
}

func getHost(lines string) func(*testing.T, *evaded) string {
	return said("GET / HTTP/1.1\r\n" + lines + "\r\n\r\n")
}

func post(lines, body string) func(*testing.T, *evaded) string {
	return said("POST / HTTP/1.1\r\nHost: filed.example\r\n" + lines + "\r\n\r\n" + body)
}

// tool runs a program of the system that must be there.
func tool(t *testing.T, name string, args ...string) string {
	t.Helper()
	return toolIn(t, "", name, args...)
}

func toolIn(t *testing.T, stdin, name string, args ...string) string {
	t.Helper()
	cmd := command(t, name, args...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s: %v", name, err)
	}
	return string(out)
}

// command makes a command of a program of the system; without it the test is
// skipped by its name, or fails where peers are required.
func command(t testing.TB, name string, args ...string) *exec.Cmd {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("REQUIRE_PEERS") != "" {
			t.Fatalf("%s is not installed; it is required", name)
		}
		t.Skipf("%s is not installed", name)
	}
	return exec.Command(path, args...)
}

// curl returns the status and what matters of curl's words.
func curl(t *testing.T, args ...string) string {
	t.Helper()
	out := tool(t, "curl", append([]string{"-sS", "-o", os.DevNull, "-w", "%{http_code} ", "--max-time", "30"}, args...)...)
	switch {
	case strings.Contains(out, "unrecognized name"):
		return "alert 112"
	case strings.Contains(out, "reset by peer"):
		return "reset"
	}
	return strings.Join(strings.Fields(strings.ReplaceAll(out, "000", "")), " ")
}

// toHTTP has curl connect to the HTTP listener whatever the URL.
func (w *evaded) toHTTP(args ...string) []string {
	return append([]string{"--connect-to", "::" + w.http}, args...)
}

// curlHosts is curl, once for each Host; it tells the statuses.
func curlHosts(hosts ...string) func(*testing.T, *evaded) string {
	return func(t *testing.T, w *evaded) string {
		var got []string
		for _, host := range hosts {
			got = append(got, curl(t, "-H", "Host: "+host, "http://"+w.http+"/"))
		}
		return strings.Join(got, " ")
	}
}

// openssl is openssl s_client to a listener; it tells what came of the handshake.
func openssl(t *testing.T, addr string, args ...string) string {
	t.Helper()
	out := toolIn(t, "", "openssl", append([]string{"s_client", "-connect", addr}, args...)...)
	switch {
	case strings.Contains(out, "unrecognized name"), strings.Contains(out, "SSL alert number 112"):
		return "alert 112"
	case strings.Contains(out, "Cipher is TLS") || strings.Contains(out, "Cipher is ECDHE"):
		return "handshake"
	}
	return "failed"
}

func TestEvasions(t *testing.T) {
	w := newEvaded(t)
	for _, e := range slices.Concat(tlsEvasions(), httpEvasions(), otherEvasions()) {
		t.Run(e.id, func(t *testing.T) {
			got := e.run(t, w)
			if got != e.want {
				t.Errorf("%s: got %s; want %s", e.what, got, e.want)
			}
			t.Logf("%-4s %-60s %s", e.id, e.what, got)
		})
	}
	if got := w.seen.String(); strings.Contains(got, "unfiled") || strings.Contains(got, "elsewhere") {
		t.Errorf("the web server saw a name that is blocked: %s", got)
	}
}

func tlsEvasions() []evasion {
	filed := hello.For("filed.example")
	msg := hello.Spec{Extensions: [][]byte{hello.SNI("filed.example")}}.Message()
	long := hello.Spec{Extensions: [][]byte{hello.Ext(21, make([]byte, 30_000)), hello.SNI("filed.example")}}.Message()
	return []evasion{
		{"T01", "a filed name, as openssl sends it", func(t *testing.T, w *evaded) string { return openssl(t, w.web, "-servername", "filed.example") }, "handshake"},
		{"T02", "an unfiled name, as openssl sends it", func(t *testing.T, w *evaded) string { return openssl(t, w.web, "-servername", "unfiled.example") }, "alert 112"},
		{"T04", "the first record carries one byte", sent(hello.Records(msg, 1)), "passed"},
		{"T05", "one byte a record", sent(hello.Records(msg, slices.Repeat([]int{1}, len(msg)-1)...)), "passed"},
		{"T05b", "one byte a record, 300 records", sent(hello.Records(long, slices.Repeat([]int{1}, 300)...)), "alert 50"},
		{"T07", "Chromium, whose hello comes in two segments", shuffled, "loads, ERR_SSL_UNRECOGNIZED_NAME_ALERT"},
		{"T08", "one byte now and then", func(t *testing.T, w *evaded) string { return dribble(t, "tls", newSink(t), filed, "closed") }, "closed"},
		{"T10", "half a hello and the end", sent(filed[:40]), "closed"},
		{"T11", "mixed case", named("WWW.Filed.Example"), "passed"},
		{"T13", "two trailing dots", named("filed.example.."), "alert 50"},
		{"T14", "two host names", sent(withExtensions(hello.SNIOf(hello.Entry(0, "filed.example"), hello.Entry(0, "unfiled.example")))), "alert 47"},
		{"T16", "another type before the host name", sent(withExtensions(hello.SNIOf(hello.Entry(1, "unfiled.example"), hello.Entry(0, "filed.example")))), "alert 47"},
		{"T17", "a NUL in the name", named("filed.example\x00.unfiled.example"), "alert 50"},
		{"T19", "no name", func(t *testing.T, w *evaded) string { return openssl(t, w.web, "-noservername") }, "handshake"},
		{"T20", "an address as name", named("127.0.0.1"), "passed"},
		{"T20b", "an IPv6 address as name", named("::1"), "passed"},
		{"T22", "bytes that no name holds", func(t *testing.T, w *evaded) string {
			for _, name := range []string{"filed.example ", "filed.example/", "filed.example:443", "u@filed.example", "a%2efiled.example", "*.filed.example"} {
				if got := named(name)(t, w); got != "alert 50" {
					return name + ": " + got
				}
			}
			return "alert 50"
		}, "alert 50"},
		{"T23", "UTF-8 in the name", named("例子.filed.example"), "alert 50"},
		{"T25", "an underscore", func(t *testing.T, w *evaded) string { return openssl(t, w.web, "-servername", "a_b.filed.example") }, "handshake"},
		{"T26", "record versions 3.0 and 3.4", func(t *testing.T, w *evaded) string {
			for _, minor := range []byte{0, 4} {
				b := slices.Clone(filed)
				b[2] = minor
				if got := sent(b)(t, w); got != "passed" {
					return got
				}
			}
			return "passed"
		}, "passed"},
		{"T28", "the hello of SSL 2", sent([]byte{0x80, 0x2e, 1, 3, 1, 0, 0x15, 0, 0, 0, 0x10}), "closed"},
		{"T29", "no extensions", sent(hello.Records(hello.Spec{Version: 0x0300, NoExtensions: true}.Message())), "passed"},
		{"T31", "an empty record first", sent(append([]byte{22, 3, 1, 0, 0}, filed...)), "alert 50"},
		{"T32", "another type between two records", sent(slices.Concat(hello.Records(msg[:20]), []byte{20, 3, 3, 0, 1, 1}, hello.Records(msg[20:]))), "alert 10"},
		{"T34", "30 KB in two records, the name last", sent(hello.Records(long)), "passed"},
		{"T35", "a length of 16 MB announced", func(t *testing.T, w *evaded) string {
			return raw(t, w.tls, []byte{22, 3, 1, 0, 4, 1, 0xff, 0xff, 0xff}, true)
		}, "alert 50"},
		{"T37", "encrypted_client_hello, as GREASE", sent(withExtensions(hello.Ext(0xfe0d, make([]byte, 186)), hello.SNI("filed.example"))), "passed"},
		{"T38", "encrypted_client_hello, in earnest", encrypted, "passed unfiled.example, encrypted true, alert 112, counted 2"},
		{"T40", "a session resumed under another name", resumed, "handshake, then alert 112"},
		{"T41", "openssl's early data", early, "accepted, alert 112"},
		{"T41b", "bytes behind the hello", sent(append(slices.Clone(filed), strings.Repeat("early data ", 9000)...)), "passed"},
		{"T43", "plaintext on the TLS port", func(t *testing.T, w *evaded) string { return curl(t, "http://"+w.tls+"/") }, "curl: (52) Empty reply from server"},
		{"T44", "TLS on the plaintext port", func(t *testing.T, w *evaded) string {
			_, said, _ := strings.Cut(curl(t, "-k", "https://"+w.http+"/"), ":")
			return raw(t, w.http, filed, true) + said[strings.LastIndexByte(said, ':'):]
		}, "400:wrong version number"},
		{"T46", "odd lists and lengths", func(t *testing.T, w *evaded) string {
			sni := [][]byte{hello.SNI("filed.example")}
			for _, s := range []hello.Spec{{Suites: []byte{1, 2, 3}, Extensions: sni}, {Session: make([]byte, 33), Extensions: sni}, {Trailing: []byte{0}, Extensions: sni}} {
				if got := sent(hello.Records(s.Message()))(t, w); got != "alert 50" {
					return got
				}
			}
			return "alert 50"
		}, "alert 50"},
		{"T47", "one name in the hello, another inside", func(t *testing.T, w *evaded) string {
			return curl(t, "-k", "--connect-to", "::"+w.ended, "-H", "Host: unfiled.example", "https://filed.example/")
		}, "403"},
	}
}

// dribble sends the half of b to a listener with short times, and tells what comes of
// it in the end.
func dribble(t *testing.T, scheme, upstream string, b []byte, want string) (came string) {
	t.Helper()
	hasty(t, 200*time.Millisecond, func(t testing.TB, head time.Duration) {
		addr := start(t, 1, fmt.Sprintf("%s://127.0.0.1:0 {\nICP\nupstream %s\ntimeouts head %s idle %s\n}", scheme, upstream, head, 2*head), nil).addr(t, scheme+":")
		c := dialTCP(t, addr)
		if _, err := c.Write(b[:len(b)/2]); err != nil {
			t.Fatal(err)
		}
		got, _ := io.ReadAll(c) // the deadline is absolute, whatever comes
		came = strings.Join(statuses(t, string(got)), " ")
		if len(got) == 0 {
			came = "closed"
		}
		if came != want {
			t.Errorf("got %s; want %s", came, want)
		}
	})
	return came
}

// resumed begins a session for a filed name and goes on with it for another.
func resumed(t *testing.T, w *evaded) string {
	dir := t.TempDir()
	session := filepath.Join(dir, "session")
	first := openssl(t, w.web, "-servername", "filed.example", "-tls1_2", "-sess_out", session)
	if _, err := os.Stat(session); err != nil {
		return "no session"
	}
	return first + ", then " + openssl(t, w.web, "-servername", "unfiled.example", "-tls1_2", "-sess_in", session)
}

func httpEvasions() []evasion {
	const filed, unfiled = "Host: filed.example", "Host: unfiled.example"
	get := func(lines string) string { return "GET / HTTP/1.1\r\n" + lines + "\r\n\r\n" }
	return []evasion{
		{"H01", "a second request on one connection", func(t *testing.T, w *evaded) string {
			return curl(t, w.toHTTP("http://filed.example/", "--next", "-sS", "-o", os.DevNull, "-w", "%{http_code}", "--connect-to", "::"+w.http, "http://unfiled.example/")...)
		}, "200 403"},
		{"H02", "three in one segment", said(get(filed) + get(unfiled) + get(filed)), "200 403"},
		{"H04", "two hosts", getHost(filed + "\r\n" + unfiled), "400"},
		{"H05", "the same host twice", getHost(filed + "\r\n" + filed), "400"},
		{"H07", "another host in the target", said("GET http://filed.example/ HTTP/1.1\r\n" + unfiled + "\r\n\r\n"), "400"},
		{"H08", "the host in the target", func(t *testing.T, w *evaded) string {
			return curl(t, w.toHTTP("--request-target", "http://filed.example/", "http://filed.example/")...)
		}, "200"},
		{"H10", "HTTP/1.0 without a host", func(t *testing.T, w *evaded) string { return curl(t, "-0", "-H", "Host:", "http://"+w.http+"/") }, "200"},
		{"H11", "HTTP/0.9", func(t *testing.T, w *evaded) string { return raw(t, w.http, []byte("GET /\r\n"), true) }, "400"},
		{"H13", "ports", curlHosts("filed.example:80", "filed.example:8080", "filed.example:"), "200 200 200"},
		{"H14", "ports that are none", curlHosts("filed.example:99999", "filed.example:8x"), "400 400"},
		{"H16", "dots", curlHosts("filed.example..", ".filed.example", "a..filed.example"), "400 400 400"},
		{"H17", "a user before the host", curlHosts("filed.example@unfiled.example"), "400"},
		{"H19", "two ports", curlHosts("filed.example:80:unfiled.example"), "400"},
		{"H20", "what ends a host elsewhere", curlHosts("filed.example/unfiled.example", "filed.example?unfiled.example", "filed.example#unfiled.example"), "400 400 400"},
		{"H22", "an escaped dot", curlHosts("www%2efiled.example"), "400"},
		{"H23", "a NUL", getHost("Host: filed.example\x00.unfiled.example"), "400"},
		{"H25", "UTF-8", getHost("Host: 例子.filed.example"), "400"},
		{"H26", "addresses", curlHosts("[::1]:80", "127.0.0.1", "2130706433", "0x7f.1"), "200 200 400 400"},
		{"H28", "a blank before the colon", getHost("Host : filed.example"), "400"},
		{"H29", "a folded host", getHost("Host:\r\n filed.example"), "400"},
		{"H31", "a blank before the first header", getHost(" X: 1\r\n" + filed), "400"},
		{"H32", "bare LF", said("GET / HTTP/1.1\nHost: filed.example\n\n"), "400"},
		{"H34", "header names that are none", func(t *testing.T, w *evaded) string {
			return getHost(filed+"\r\nX\x00: 1")(t, w) + " " + getHost(filed+"\r\nX Y: 1")(t, w) + " " + getHost(filed+"\r\nX")(t, w)
		}, "400 400 400"},
		{"H35", "a host in the trailers", post("Transfer-Encoding: chunked", "3\r\nabc\r\n0\r\nHost: unfiled.example\r\n\r\n"), "200"},
		{"H36", "a length and chunks", post("Content-Length: 60\r\nTransfer-Encoding: chunked", "0\r\n\r\n"+get(unfiled)), "400"},
		{"H37", "chunks and a length", post("Transfer-Encoding: chunked\r\nContent-Length: 4", "5c\r\n"+get(unfiled)), "400"},
		{"H39", "chunked, identity", post("Transfer-Encoding: chunked, identity", "0\r\n\r\n"), "400"},
		{"H40", "two transfer codings", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", "0\r\n\r\n"), "400"},
		{"H42", "two lengths", post("Content-Length: 3\r\nContent-Length: 4", "abcd"), "400"},
		{"H43", "lengths that are none", func(t *testing.T, w *evaded) string {
			for _, n := range []string{"+3", "3, 3", "0x3", "3 "} {
				if got := post("Content-Length: "+n, "abc")(t, w); got != "400" {
					return n + ": " + got
				}
			}
			return "400"
		}, "400"},
		{"H45", "chunk sizes beyond all measure", func(t *testing.T, w *evaded) string {
			return post("Transfer-Encoding: chunked", "10000000000000000\r\n")(t, w) + " " + post("Transfer-Encoding: chunked", "00000000000000001\r\na\r\n")(t, w)
		}, "400 400"},
		{"H46", "chunk extensions", func(t *testing.T, w *evaded) string {
			return post("Transfer-Encoding: chunked", "1;a\nb\r\n0\r\n\r\n")(t, w) + " " + post("Transfer-Encoding: chunked", "1;"+strings.Repeat("a", 1<<20))(t, w)
		}, "400 400"},
		{"H48", "a body shorter than its length, then a reset", cutOff, "cut off, the next by another connection"},
		{"H50", "websocket", upgraded, "101, then as it was sent; 403"},
		{"H51", "an upgrade refused, and then another name", said(get(filed+"\r\nConnection: Upgrade\r\nUpgrade: websocket") + get(unfiled)), "200 403"},
		{"H53", "curl's upgrade to h2c", func(t *testing.T, w *evaded) string { return curl(t, w.toHTTP("--http2", "http://filed.example/")...) }, "200"},
		{"H54", "HTTP/2 with prior knowledge", func(t *testing.T, w *evaded) string {
			return raw(t, w.http, []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), true) + ", on: " +
				curl(t, "--http2-prior-knowledge", "--connect-to", "::"+w.h2c, "http://filed.example/") + " " + curl(t, "--http2-prior-knowledge", "--connect-to", "::"+w.h2c, "http://unfiled.example/")
		}, "400, on: 200 403"},
		{"H55", "two names over one connection of HTTP/2", coalesced, "200 403 200"},
		{"H57", "HTTP/2 with a host field alone, and with none", func(t *testing.T, w *evaded) string {
			return frames(t, w, ":method", "GET", ":scheme", "http", ":path", "/", "host", "filed.example") + " " +
				frames(t, w, ":method", "GET", ":scheme", "http", ":path", "/", "host", "unfiled.example") + " " +
				frames(t, w, ":method", "GET", ":scheme", "http", ":path", "/") + " " +
				frames(t, w, ":method", "GET", ":scheme", "http", ":path", "/", ":authority", "filed.example", "host", "unfiled.example")
		}, "200 403 400 ended"},
		{"H58", "a header list of 256 KB", func(t *testing.T, w *evaded) string {
			return frames(t, w, ":method", "GET", ":scheme", "http", ":path", "/", ":authority", "filed.example", "x", strings.Repeat("x", 256<<10))
		}, "ended"},
		{"H60", "extended CONNECT", func(t *testing.T, w *evaded) string {
			return frames(t, w, ":method", "CONNECT", ":protocol", "websocket", ":scheme", "http", ":path", "/", ":authority", "filed.example")
		}, "ended"},
		{"H61", "a body that waits for 100", func(t *testing.T, w *evaded) string {
			return curl(t, w.toHTTP("-H", "Expect: 100-continue", "-d", strings.Repeat("x", 100_000), "http://unfiled.example/")...)
		}, "403"},
		{"H62", "OPTIONS *", func(t *testing.T, w *evaded) string {
			return curl(t, w.toHTTP("-X", "OPTIONS", "--request-target", "*", "http://unfiled.example/")...) + " " + curl(t, w.toHTTP("-X", "OPTIONS", "--request-target", "*", "http://filed.example/")...)
		}, "403 200"},
		{"H64", "empty lines first", func(t *testing.T, w *evaded) string {
			return said("\r\n\r\n"+get(filed))(t, w) + " " + said("\r\n\r\n\r\n"+get(filed))(t, w)
		}, "200 400"},
		{"H65", "long and many headers", func(t *testing.T, w *evaded) string {
			return curl(t, w.toHTTP("-H", "X: "+strings.Repeat("x", 70_000), "http://filed.example/")...) + " " + getHost(filed+strings.Repeat("\r\nX: 1", 200))(t, w)
		}, "431 431"},
		{"H67", "odd methods", func(t *testing.T, w *evaded) string {
			return curl(t, w.toHTTP("-X", "get", "http://filed.example/")...) + " " + curl(t, w.toHTTP("-X", "PROPFIND", "http://filed.example/")...) + " " + curl(t, w.toHTTP("-X", strings.Repeat("M", 1000), "http://filed.example/")...)
		}, "200 200 400"},
		{"H68", "a host to be escaped, and a redirect", func(t *testing.T, w *evaded) string {
			addr := start(t, 1, "http://127.0.0.1:0 {\nICP\nupstream 127.0.0.1:1\nblock redirect https://notice.example.com/icp\n}", nil).addr(t, "http:")
			return curlHosts("\"><script>alert(1)</script>")(t, w) + " " + curl(t, "-w", "%{http_code} %{redirect_url}", "--connect-to", "::"+addr, "http://unfiled.example/?\"><script>")
		}, "400 302 https://notice.example.com/icp?host=unfiled.example&reason=unfiled"},
		{"H70", "HEAD, 204 and early hints", func(t *testing.T, w *evaded) string {
			return curl(t, w.toHTTP("-I", "http://filed.example/")...) + " " + curl(t, w.toHTTP("http://filed.example/nothing")...) + " " + curl(t, w.toHTTP("http://filed.example/hints")...)
		}, "200 204 200"},
	}
}

func otherEvasions() []evasion {
	return []evasion{
		{"D01", "half a head and nothing more", func(t *testing.T, w *evaded) string {
			return dribble(t, "http", newOrigin(t, w.seen), []byte("GET / HTTP/1.1\r\nHost: filed.example\r\n"), "408")
		}, "408"},
		{"D02", "half a body and nothing more", func(t *testing.T, w *evaded) string {
			return dribble(t, "http", newOrigin(t, w.seen), []byte("POST / HTTP/1.1\r\nHost: filed.example\r\nContent-Length: 100\r\n\r\n"+strings.Repeat("x", 110)), "408")
		}, "408"},
		{"D08", "the client's end right after its request", said("GET /long HTTP/1.1\r\nHost: filed.example\r\n\r\n"), "200"},
		{"P01", "a PROXY header from somebody", func(t *testing.T, w *evaded) string {
			return raw(t, w.http, []byte("PROXY TCP4 192.0.2.1 192.0.2.2 1000 80\r\nGET / HTTP/1.1\r\nHost: filed.example\r\n\r\n"), false)
		}, "closed"},
		{"P01b", "no PROXY header from a proxy", func(t *testing.T, w *evaded) string {
			return raw(t, w.proxied, []byte("GET / HTTP/1.1\r\nHost: filed.example\r\n\r\n"), false)
		}, "closed"},
		{"P02", "curl's PROXY header", func(t *testing.T, w *evaded) string {
			return curl(t, "--haproxy-protocol", "--connect-to", "::"+w.proxied, "http://filed.example/") + " " + curl(t, "--haproxy-protocol", "--connect-to", "::"+w.proxied, "http://unfiled.example/")
		}, "200 403"},
		{"P04", "the command LOCAL", func(t *testing.T, w *evaded) string {
			local := "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"
			return raw(t, w.proxied, []byte(local+"GET / HTTP/1.1\r\nHost: filed.example\r\n\r\n"), false)
		}, "200"},
		{"P07", "names that lead elsewhere by themselves", ledAway, "200 200 200 405 passed, elsewhere 0"},
		{"X01", "both on one port", func(t *testing.T, w *evaded) string {
			return raw(t, w.mixed, []byte("GET / HTTP/1.1\r\nHost: unfiled.example\r\n\r\n"), false) + " " + raw(t, w.mixed, hello.For("unfiled.example"), false)
		}, "403 alert 112"},
	}
}

// coalesced asks for three names over one connection of HTTP/2.
func coalesced(t *testing.T, w *evaded) string {
	c, err := net.Dial("tcp", w.h2c)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	cc, err := (&http2.Transport{AllowHTTP: true}).NewClientConn(c)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, host := range []string{"filed.example", "unfiled.example", "www.filed.example"} {
		req, err := http.NewRequest(http.MethodGet, "http://"+host+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := cc.RoundTrip(req)
		if err != nil {
			return err.Error()
		}
		resp.Body.Close()
		got = append(got, resp.Status[:3])
	}
	return strings.Join(got, " ")
}

// frames sends one request of HTTP/2 with just these fields, and tells its status
// or that the stream or the connection was ended.
func frames(t *testing.T, w *evaded, fields ...string) string {
	t.Helper()
	c, err := net.Dial("tcp", w.h2c)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for i := 0; i < len(fields); i += 2 {
		_ = enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]}) // a buffer takes all
	}
	fr := http2.NewFramer(c, c)
	fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	_, _ = io.WriteString(c, http2.ClientPreface)
	_ = fr.WriteSettings()
	for first := true; first || block.Len() > 0; first = false {
		part := block.Next(16 << 10)
		if first {
			err = fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: part, EndStream: true, EndHeaders: block.Len() == 0})
		} else {
			err = fr.WriteContinuation(1, block.Len() == 0, part)
		}
		if err != nil {
			return "ended"
		}
	}
	for {
		f, err := fr.ReadFrame()
		if err != nil {
			return "ended"
		}
		switch f := f.(type) {
		case *http2.MetaHeadersFrame:
			return f.PseudoValue("status")
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			return "ended"
		}
	}
}
