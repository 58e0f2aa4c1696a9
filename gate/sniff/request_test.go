package sniff_test

import (
	"bufio"
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/icpgate/icpgate/gate/sniff"
)

func request(s string) sniff.Request { return sniff.ReadRequest([]byte(s), 0, sniff.Limits{}) }

// get is a request with these header lines.
func get(lines ...string) string {
	return "GET / HTTP/1.1\r\n" + strings.Join(lines, "\r\n") + "\r\n\r\n"
}

func TestReadRequestHosts(t *testing.T) {
	for _, tt := range []struct {
		head string
		kind sniff.Kind
		want string // the host, or the word of the cause
	}{
		{get("Host: example.com"), sniff.Name, "example.com"},
		{get("Host:example.com"), sniff.Name, "example.com"},
		{get("host: \t WWW.Example.COM \t"), sniff.Name, "WWW.Example.COM"},
		{get("Host: example.com."), sniff.Name, "example.com."},
		{get("Host: example.com:8080"), sniff.Name, "example.com"},
		{get("Host: example.com:"), sniff.Name, "example.com"},
		{get("Host: a_b.example.com:80"), sniff.Name, "a_b.example.com"},
		{get("Accept: */*", "Host: example.com", "X-Host: example.net"), sniff.Name, "example.com"},
		{get("Host: 127.0.0.1:80"), sniff.Literal, "127.0.0.1"},
		{get("Host: [::1]"), sniff.Literal, "::1"},
		{get("Host: [2001:db8::1]:8080"), sniff.Literal, "2001:db8::1"},
		{get("Host:"), sniff.NoName, ""},
		{"GET / HTTP/1.0\r\n\r\n", sniff.NoName, ""},
		{"GET / HTTP/1.0\r\nHost: example.com\r\n\r\n", sniff.Name, "example.com"},
		{"GET http://example.com/ HTTP/1.0\r\n\r\n", sniff.Name, "example.com"},
		{"\r\n\r\n" + get("Host: example.com"), sniff.Name, "example.com"},
		{"OPTIONS * HTTP/1.1\r\nHost: example.com\r\n\r\n", sniff.Name, "example.com"},
		{"GET http://example.com/a?b HTTP/1.1\r\nHost: EXAMPLE.com\r\n\r\n", sniff.Name, "example.com"},
		{"GET HTTPS://example.com:8443 HTTP/1.1\r\nHost: example.com:8443\r\n\r\n", sniff.Name, "example.com"},
		{"PROPFIND /%2e%2e HTTP/1.1\r\nHost: example.com\r\n\r\n", sniff.Name, "example.com"},
		{"get / HTTP/1.1\r\nHost: example.com\r\n\r\n", sniff.Name, "example.com"},

		{get("Accept: */*"), sniff.Malformed, "bad-host"},
		{get("Host: a.example", "Host: b.example"), sniff.Malformed, "bad-host"},
		{get("Host: a.example", "Host: a.example"), sniff.Malformed, "bad-host"},
		{get("Host: a.example, b.example"), sniff.Malformed, "bad-host"},
		{get("Host: a.example:99999"), sniff.Malformed, "bad-host"},
		{get("Host: a.example:8x"), sniff.Malformed, "bad-host"},
		{get("Host: a.example:80:b.example"), sniff.Malformed, "bad-host"},
		{get("Host: a.example:80@b.example"), sniff.Malformed, "bad-host"},
		{get("Host: a.example@b.example"), sniff.Malformed, "bad-host"},
		{get("Host: :80"), sniff.Malformed, "bad-host"},
		{get("Host: a.example.."), sniff.Malformed, "bad-host"},
		{get("Host: .a.example"), sniff.Malformed, "bad-host"},
		{get("Host: a.example/x"), sniff.Malformed, "bad-host"},
		{get("Host: a.example?x"), sniff.Malformed, "bad-host"},
		{get("Host: a.example#x"), sniff.Malformed, "bad-host"},
		{get("Host: www%2ea.example"), sniff.Malformed, "bad-host"},
		{get("Host: 例子.example"), sniff.Malformed, "bad-host"},
		{get("Host: ::1"), sniff.Malformed, "bad-host"},
		{get("Host: [127.0.0.1]"), sniff.Malformed, "bad-host"},
		{get("Host: [::1"), sniff.Malformed, "bad-host"},
		{get("Host: [::1]x"), sniff.Malformed, "bad-host"},
		{get("Host: [fe80::1%25eth0]"), sniff.Malformed, "bad-host"},
		{get("Host: 2130706433"), sniff.Malformed, "bad-host"},
		{get("Host: 0x7f.1"), sniff.Malformed, "bad-host"},
		{get("Host: a.example\x00.b.example"), sniff.Malformed, "bad-header"},
		{get("Host : a.example"), sniff.Malformed, "bad-header"},
		{get("Host:", " a.example"), sniff.Malformed, "folded-header"},
		{get(" X: 1", "Host: a.example"), sniff.Malformed, "folded-header"},
		{get("\tX: 1", "Host: a.example"), sniff.Malformed, "folded-header"},
		{"GET http://a.example/ HTTP/1.1\r\nHost: b.example\r\n\r\n", sniff.Malformed, "host-differs"},
		{"GET http://a.example/ HTTP/1.1\r\nHost:\r\n\r\n", sniff.Malformed, "host-differs"},
		{"GET http://a.example:80/ HTTP/1.1\r\nHost: a.example\r\n\r\n", sniff.Malformed, "host-differs"},
		{"GET http://a.example@b.example/ HTTP/1.1\r\nHost: a.example@b.example\r\n\r\n", sniff.Malformed, "bad-target"},
		{"GET http:///a HTTP/1.1\r\nHost: a.example\r\n\r\n", sniff.Malformed, "bad-target"},
		{"GET http://a.example\\@b.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n", sniff.Malformed, "bad-target"},
		{"GET http://a.example#@b.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n", sniff.Malformed, "bad-target"},
		{"GET ftp://a.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n", sniff.Malformed, "bad-target"},
		{"GET a.example HTTP/1.1\r\nHost: a.example\r\n\r\n", sniff.Malformed, "bad-target"},
		{"GET * HTTP/1.1\r\nHost: a.example\r\n\r\n", sniff.Malformed, "bad-target"},
		{"CONNECT b.example:443 HTTP/1.1\r\nHost: a.example\r\n\r\n", sniff.Malformed, "connect"},
	} {
		r := request(tt.head)
		got := r.Cause.String()
		if r.Kind != sniff.Malformed {
			got = string(r.Host.Of([]byte(tt.head)))
		}
		if r.Kind != tt.kind || got != tt.want {
			t.Errorf("%q: got %s %q; want %s %q", tt.head, r.Kind, got, tt.kind, tt.want)
		}
	}
}

func TestReadRequestForms(t *testing.T) {
	host := "Host: a.example\r\n"
	for _, tt := range []struct {
		head  string
		kind  sniff.Kind
		cause string
	}{
		{"GET /\r\n", sniff.Malformed, "bad-request-line"},
		{"GET /\r\n\r\n", sniff.Malformed, "bad-request-line"},
		{"GET / HTTP/1.1\n" + host + "\r\n", sniff.Malformed, "bad-request-line"},
		{"GET / HTTP/1.1\r\nHost: a.example\n\r\n", sniff.Malformed, "bad-header"},
		{"GET / HTTP/1.1\r\nHost: a.example\r\n\n", sniff.Malformed, "bad-header"},
		{"GET / HTTP/1.1\r\nHost: a.example\r\r\n\r\n", sniff.Malformed, "bad-header"},
		{"GET / HTTP/1.1\r\n" + host + "X\r\n\r\n", sniff.Malformed, "bad-header"},
		{"GET / HTTP/1.1\r\n" + host + "X Y: 1\r\n\r\n", sniff.Malformed, "bad-header"},
		{"GET / HTTP/1.1\r\n" + host + "X\x00Y: 1\r\n\r\n", sniff.Malformed, "bad-header"},
		{"GET / HTTP/1.1\r\n" + host + ": 1\r\n\r\n", sniff.Malformed, "bad-header"},
		{"GET  / HTTP/1.1\r\n" + host + "\r\n", sniff.Malformed, "bad-target"},
		{"GET / HTTP/1.1 \r\n" + host + "\r\n", sniff.Malformed, "bad-request-line"},
		{"GET\t/ HTTP/1.1\r\n" + host + "\r\n", sniff.Malformed, "bad-request-line"},
		{"GET / http/1.1\r\n" + host + "\r\n", sniff.Malformed, "bad-request-line"},
		{"GET / HTTP/1.2\r\n" + host + "\r\n", sniff.Malformed, "bad-version"},
		{"GET / HTTP/2.0\r\n" + host + "\r\n", sniff.Malformed, "bad-version"},
		{"GET / HTTP/11\r\n" + host + "\r\n", sniff.Malformed, "bad-request-line"},
		{" GET / HTTP/1.1\r\n" + host + "\r\n", sniff.Malformed, "bad-request-line"},
		{"\r\n\r\n\r\nGET / HTTP/1.1\r\n" + host + "\r\n", sniff.Malformed, "bad-request-line"},
		{"\nGET / HTTP/1.1\r\n" + host + "\r\n", sniff.Malformed, "bad-request-line"},
		{"\rGET / HTTP/1.1\r\n" + host + "\r\n", sniff.Malformed, "bad-request-line"},
		{strings.Repeat("M", 33) + " / HTTP/1.1\r\n" + host + "\r\n", sniff.Malformed, "bad-request-line"},
		{strings.Repeat("M", 32) + " / HTTP/1.1\r\n" + host + "\r\n", sniff.Name, ""},
		{"G@T / HTTP/1.1\r\n" + host + "\r\n", sniff.Malformed, "bad-request-line"},
		{"GET /a b HTTP/1.1\r\n" + host + "\r\n", sniff.Malformed, "bad-target"},
		{"GET /\x7f HTTP/1.1\r\n" + host + "\r\n", sniff.Malformed, "bad-target"},
		{"GET /" + strings.Repeat("a", 16<<10), sniff.Malformed, "line-too-long"},
		{get("Host: a.example", "Cookie: "+strings.Repeat("a", 70_000)), sniff.Malformed, "too-long"},
		{"GET / HTTP/1.1\r\nCookie: " + strings.Repeat("a", 70_000), sniff.Malformed, "too-long"},
		{get(append(slices.Repeat([]string{"X: 1"}, 127), "Host: a.example")...), sniff.Name, ""},
		{get(append(slices.Repeat([]string{"X: 1"}, 128), "Host: a.example")...), sniff.Malformed, "too-many-headers"},
		{get(append(slices.Repeat([]string{"X-Forwarded-For: 1"}, 17), "Host: a.example")...), sniff.Malformed, "too-many-headers"},
		{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", sniff.Other, "http2"},
		{"\x16\x03\x01", sniff.Other, "tls"},
		{"\x00", sniff.Other, "unknown"},
		{"\x80", sniff.Other, "unknown"},
		{"", sniff.More, ""},
		{"\r", sniff.More, ""},
		{"\r\n", sniff.More, ""},
		{"GET / HTTP/1.1\r\nHost: a.example\r\n\r", sniff.More, ""},
		{"PRI * HTTP/2.", sniff.More, ""},
	} {
		if r := request(tt.head); r.Kind != tt.kind || r.Cause.String() != tt.cause {
			t.Errorf("%.60q: got %s %q; want %s %q", tt.head, r.Kind, r.Cause, tt.kind, tt.cause)
		}
	}
}

func TestReadRequestFraming(t *testing.T) {
	for _, tt := range []struct {
		lines   []string
		cause   string
		chunked bool
		length  int64
		close   bool
	}{
		{nil, "", false, 0, false},
		{[]string{"Content-Length: 5"}, "", false, 5, false},
		{[]string{"content-length:5", "Connection: close"}, "", false, 5, true},
		{[]string{"Transfer-Encoding: CHUNKED", "Connection: keep-alive, x"}, "", true, 0, false},
		{[]string{"Content-Length: 999999999999999999"}, "", false, 999999999999999999, false},
		{[]string{"Content-Length: 5", "Transfer-Encoding: chunked"}, "bad-length", false, 0, false},
		{[]string{"Transfer-Encoding: chunked", "Content-Length: 5"}, "bad-length", false, 0, false},
		{[]string{"Transfer-Encoding: chunked, identity"}, "bad-length", false, 0, false},
		{[]string{"Transfer-Encoding: gzip, chunked"}, "bad-length", false, 0, false},
		{[]string{"Transfer-Encoding: xchunked"}, "bad-length", false, 0, false},
		{[]string{"Transfer-Encoding: \tchunked"}, "bad-length", false, 0, false},
		{[]string{"Transfer-Encoding:  chunked"}, "bad-length", false, 0, false},
		{[]string{"Transfer-Encoding:"}, "bad-length", false, 0, false},
		{[]string{"Transfer-Encoding: chunked", "Transfer-Encoding: chunked"}, "bad-length", false, 0, false},
		{[]string{"Transfer-Encoding\t: chunked"}, "bad-header", false, 0, false},
		{[]string{"Content-Length: 5", "Content-Length: 5"}, "bad-length", false, 0, false},
		{[]string{"Content-Length: 5", "Content-Length: 6"}, "bad-length", false, 0, false},
		{[]string{"Content-Length: +3"}, "bad-length", false, 0, false},
		{[]string{"Content-Length: -3"}, "bad-length", false, 0, false},
		{[]string{"Content-Length: 3, 3"}, "bad-length", false, 0, false},
		{[]string{"Content-Length: 0x3"}, "bad-length", false, 0, false},
		{[]string{"Content-Length: 3 "}, "bad-length", false, 0, false},
		{[]string{"Content-Length: "}, "bad-length", false, 0, false},
		{[]string{"Content-Length: 9999999999999999999"}, "bad-length", false, 0, false},
		{[]string{"Connection: close, Host"}, "bad-connection", false, 0, false},
		{[]string{"Connection: content-length"}, "bad-connection", false, 0, false},
		{[]string{"Connection: X-Forwarded-For"}, "bad-connection", false, 0, false},
		{[]string{"Connection: keep-alive", "Connection: close"}, "", false, 0, true},
		{[]string{"Connection: close", "Connection: keep-alive", "Connection:", "Connection: te,"}, "", false, 0, true},
		{[]string{"Connection: keep-alive", "Connection: Host"}, "bad-connection", false, 0, false},
		{[]string{"Connection: te", "Content-Length: 5", "Connection: close, Content-Length"}, "bad-connection", false, 0, false},
		{[]string{"Connection: te", "Connection: transfer-encoding"}, "bad-connection", false, 0, false},
		{[]string{"Connection: upgrade", "Connection: upgrade", "Connection: upgrade"}, "bad-connection", false, 0, false},
		{[]string{"Connection: x", "Connection: close"}, "", false, 0, true},
		{[]string{"Connection: a b"}, "bad-connection", false, 0, false},
		{[]string{"Content-Length: 5", "Content_Length: 0"}, "bad-length", false, 0, false},
		{[]string{"Content-Length: 5", "TRANSFER_ENCODING: chunked"}, "bad-length", false, 0, false},
		{[]string{"Content.Length: 5"}, "bad-length", false, 0, false},
		{[]string{"Transfer~Encoding: chunked"}, "bad-length", false, 0, false},
		{[]string{"ContentxLength: 5", "Content-Lengt: 5"}, "", false, 0, false},
		{[]string{"Connection: x_forwarded_host"}, "bad-connection", false, 0, false},
		{[]string{"Connection: X-Real_IP"}, "bad-connection", false, 0, false},
		{[]string{"Upgrade: websocket"}, "bad-connection", false, 0, false},
		{[]string{"Expect: 200-ok"}, "bad-header", false, 0, false},
	} {
		r := request(get(append([]string{"Host: a.example"}, tt.lines...)...))
		if r.Cause.String() != tt.cause || r.Chunked != tt.chunked || r.ContentLength != tt.length || r.Close != tt.close {
			t.Errorf("%q: got %q %v %d %v; want %q %v %d %v", tt.lines, r.Cause, r.Chunked, r.ContentLength, r.Close, tt.cause, tt.chunked, tt.length, tt.close)
		}
	}
	for head, want := range map[string]bool{
		"GET / HTTP/1.0\r\n\r\n": true, "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n": false,
	} {
		if r := request(head); r.Close != want {
			t.Errorf("%q: got close %v; want %v", head, r.Close, want)
		}
	}
	if r := request("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"); r.Cause != sniff.BadLength {
		t.Errorf("chunked in HTTP/1.0: got %s %q; want bad-length", r.Kind, r.Cause)
	}
}

func TestReadRequestUpgrade(t *testing.T) {
	head := []byte(get("Host: a.example", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMA", "X-Forwarded-For: 192.0.2.1", "Forwarded: for=x"))
	r := sniff.ReadRequest(head, 0, sniff.Limits{})
	if r.Kind != sniff.Name || string(r.Upgrade.Of(head)) != "h2c" {
		t.Fatalf("got %s %q, upgrade %q; want h2c", r.Kind, r.Cause, r.Upgrade.Of(head))
	}
	got := fmt.Sprintf("%q %q %q %q %q", r.Connection[0].Of(head), r.Drop[0].Of(head), r.Drop[1].Of(head), r.Forwarded[0].Span().Of(head), r.Forwarded[1].Span().Of(head))
	want := `"Connection: Upgrade, HTTP2-Settings\r\n" "Upgrade: h2c\r\n" "HTTP2-Settings: AAMA\r\n" "X-Forwarded-For: 192.0.2.1\r\n" "Forwarded: for=x\r\n"`
	if got != want || r.Forwards != 2 {
		t.Errorf("got %s, %d; want %s, 2", got, r.Forwards, want)
	}
}

// TestReadRequestPieces: however a head arrives, it is read as if it were whole,
// and what follows it is not touched.
func TestReadRequestPieces(t *testing.T) {
	head := "\r\n" + get("Host: www.example.com", "Content-Length: 3", "Accept: */*")
	all := []byte(head + "abcGET /")
	want := request(head)
	for cut := range len(head) {
		if r := sniff.ReadRequest(all[:cut], 0, sniff.Limits{}); r.Kind != sniff.More {
			t.Fatalf("%d bytes: got %s %q; want more", cut, r.Kind, r.Cause)
		}
		if r := sniff.ReadRequest(all, cut, sniff.Limits{}); r != want {
			t.Fatalf("scanned %d before: got %+v; want %+v", cut, r, want)
		}
	}
	if want.Length != len(head) || want.Start != 2 {
		t.Errorf("got length %d, start %d; want %d, 2", want.Length, want.Start, len(head))
	}
}

func TestReadRequestDoesNotAllocate(t *testing.T) {
	b := []byte(get(browser...))
	if n := testing.AllocsPerRun(100, func() { sniff.ReadRequest(b, 0, sniff.Limits{}) }); n != 0 {
		t.Errorf("got %v allocations; want none", n)
	}
}

// browser is a head as browsers send it.
var browser = []string{
	"Host: www.example.com", "Connection: keep-alive", "Cache-Control: max-age=0", `sec-ch-ua: "Chromium";v="156"`,
	"Upgrade-Insecure-Requests: 1", "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36",
	"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8", "Accept-Encoding: gzip, deflate, br", "Accept-Language: zh-CN,zh;q=0.9",
}

func BenchmarkReadRequest(b *testing.B) {
	for _, c := range []struct {
		name string
		head string
	}{{"curl", get("Host: www.example.com", "User-Agent: curl/7.88.1", "Accept: */*")}, {"browser", get(browser...)}} {
		head := []byte(c.head)
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(head)))
			for b.Loop() {
				sniff.ReadRequest(head, 0, sniff.Limits{})
			}
		})
		b.Run(c.name+"/net-http", func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(head)))
			for b.Loop() {
				if _, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(head))); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// FuzzReadRequest compares with net/http: what passes here, it reads as the same
// host and the same framing. It takes more than we do, never less.
func FuzzReadRequest(f *testing.F) {
	for _, s := range []string{
		get("Host: example.com"), get(browser...), get("Host: [::1]:80"), get("Host: a.example", "Host: b.example"),
		"GET http://a.example/x HTTP/1.1\r\nHost: a.example\r\n\r\n", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
		"POST / HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc", get("Host: a", "Connection: Upgrade", "Upgrade: websocket"), "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET / HTTP/1.1\r\nHost:\r\n a\r\n\r\n", "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r := sniff.ReadRequest(b, 0, sniff.Limits{})
		if r.Length > len(b) {
			t.Fatalf("got length %d of %d bytes", r.Length, len(b))
		}
		if r.Kind != sniff.Name && r.Kind != sniff.NoName && r.Kind != sniff.Literal {
			return
		}
		head := b[r.Start:r.Length]
		twin, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(head)))
		if err != nil {
			if !listedDifference(head, r, err) {
				t.Fatalf("passes, but net/http says: %v", err)
			}
			return
		}
		if host, _, _ := strings.Cut(twin.Host, ":"); r.Kind == sniff.Name && host != string(r.Host.Of(b)) {
			t.Errorf("got host %q; net/http reads %q", r.Host.Of(b), twin.Host)
		}
		if chunked := len(twin.TransferEncoding) > 0; chunked != r.Chunked || !chunked && twin.ContentLength != r.ContentLength {
			t.Errorf("got %+v; net/http reads %v %d", r.Framing, twin.TransferEncoding, twin.ContentLength)
		}
	})
}

// listedDifference names what net/http refuses and we pass: escapes in the target
// that decode to nothing, which nobody reads as a host. Without them it takes the
// head.
func listedDifference(head []byte, r sniff.Request, err error) bool {
	if !strings.Contains(err.Error(), "invalid URL escape") && !strings.Contains(err.Error(), "parse ") {
		return false
	}
	target := r.Path.Of(append(make([]byte, r.Start), head...))
	plain := bytes.Replace(head, target, []byte("/"), 1)
	_, err = http.ReadRequest(bufio.NewReader(bytes.NewReader(plain)))
	return err == nil
}
