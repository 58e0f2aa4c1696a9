package gate_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/icpgate/icpgate/gate"
)

// rawOrigin is an origin that keeps what it was sent, byte for byte, and answers
// a GET when its head is there, and nothing else.
type rawOrigin struct {
	addr string
	mu   sync.Mutex
	text map[string]string // by the client's address
}

func newRaw(t testing.TB) *rawOrigin {
	o := &rawOrigin{text: map[string]string{}}
	o.addr = gate.LocalTCP(t, func(c net.Conn) {
		from := c.RemoteAddr().String()
		for b := make([]byte, 64<<10); ; {
			n, err := c.Read(b)
			if err != nil {
				return
			}
			o.mu.Lock()
			o.text[from] += string(b[:n])
			whole := strings.HasPrefix(o.text[from], "GET ") && strings.HasSuffix(o.text[from], "\r\n\r\n")
			o.mu.Unlock()
			if whole {
				fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Odd: 1\r\n\r\nok")
			}
		}
	})
	return o
}

// take returns what has come, and forgets it.
func (o *rawOrigin) take() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	text := strings.Join(slices.Sorted(maps.Values(o.text)), "")
	clear(o.text)
	return text
}

// TestSmugglingH2: what a request over HTTP/2 says that HTTP/1.1 would say
// otherwise, or could not, never reaches the upstream.
func TestSmugglingH2(t *testing.T) {
	o := newRaw(t)
	addr := startH2C(t, o.addr, "")
	const host, path = "filed.example", "/"
	request := func(method, scheme, authority, path string, more ...string) []string {
		return append([]string{":method", method, ":scheme", scheme, ":authority", authority, ":path", path}, more...)
	}
	get := func(more ...string) []string { return request("GET", "http", host, path, more...) }
	post := func(more ...string) []string { return request("POST", "http", host, path, more...) }
	const smuggled = "x\r\n\r\nGET / HTTP/1.1\r\nHost: unfiled.example\r\n\r\n"
	for _, tt := range []struct {
		name   string
		fields []string
		body   string
		want   string // the status, or how the stream ends
	}{
		{"CR LF in a value", get("x-a", smuggled), "", "PROTOCOL_ERROR"},
		{"LF in a value", get("x-a", "a\nhost: unfiled.example"), "", "PROTOCOL_ERROR"},
		{"CR in a value", get("x-a", "a\rb"), "", "PROTOCOL_ERROR"},
		{"NUL in a value", get("x-a", "a\x00b"), "", "PROTOCOL_ERROR"},
		{"DEL in a value", get("x-a", "a\x7fb"), "", "PROTOCOL_ERROR"},
		{"CR LF in a name", get("x-a: b\r\nhost", "unfiled.example"), "", "PROTOCOL_ERROR"},
		{"a colon in a name", get("host: unfiled.example\r\nx", "a"), "", "PROTOCOL_ERROR"},
		{"an empty name", get("", "a"), "", "PROTOCOL_ERROR"},
		{"upper case in a name", get("Host", "unfiled.example"), "", "PROTOCOL_ERROR"},
		{"a blank in a name", get("host ", "unfiled.example"), "", "PROTOCOL_ERROR"},
		{"a blank before a name", get(" host", "unfiled.example"), "", "PROTOCOL_ERROR"},
		{"two :authority", get(":authority", "unfiled.example"), "", "PROTOCOL_ERROR"},
		{"two :path", get(":path", "/x"), "", "PROTOCOL_ERROR"},
		{"two :method", get(":method", "POST"), "", "PROTOCOL_ERROR"},
		{"a pseudo-field behind others", append(get("x-a", "b"), ":authority", "unfiled.example"), "", "PROTOCOL_ERROR"},
		{"an unknown pseudo-field", get(":host", "unfiled.example"), "", "PROTOCOL_ERROR"},
		{":status", get(":status", "200"), "", "PROTOCOL_ERROR"},
		{":authority and another host", get("host", "unfiled.example"), "", "PROTOCOL_ERROR"},
		{"two hosts", get("host", host, "host", "unfiled.example"), "", "PROTOCOL_ERROR"},
		{"the same host twice", get("host", host, "host", host), "", "PROTOCOL_ERROR"},
		{"two hosts alone", []string{":method", "GET", ":scheme", "http", ":path", "/", "host", host, "host", "unfiled.example"}, "", "PROTOCOL_ERROR"},
		{"an empty :authority, a host", request("GET", "http", "", "/", "host", "unfiled.example"), "", "403"},
		{"neither", []string{":method", "GET", ":scheme", "http", ":path", "/"}, "", "400"},
		{"a list for :authority", request("GET", "http", "filed.example, unfiled.example", "/"), "", "PROTOCOL_ERROR"},
		{"user information", request("GET", "http", "filed.example@unfiled.example", "/"), "", "PROTOCOL_ERROR"},
		{"user information, host alone", []string{":method", "GET", ":scheme", "http", ":path", "/", "host", "filed.example:80@unfiled.example"}, "", "PROTOCOL_ERROR"},
		{"two ports", request("GET", "http", "filed.example:80:unfiled.example", "/"), "", "400"},
		{"a path in :authority", request("GET", "http", "filed.example/unfiled.example", "/"), "", "PROTOCOL_ERROR"},
		{"a blank before :authority", request("GET", "http", " filed.example", "/"), "", "PROTOCOL_ERROR"},
		{"a blank before a host alone", []string{":method", "GET", ":scheme", "http", ":path", "/", "host", " filed.example"}, "", "PROTOCOL_ERROR"},
		{"an absolute :path", request("GET", "http", host, "http://unfiled.example/"), "", "PROTOCOL_ERROR"},
		{"a :path without a slash", request("GET", "http", host, "unfiled.example"), "", "PROTOCOL_ERROR"},
		{"an empty :path", request("GET", "http", host, ""), "", "PROTOCOL_ERROR"},
		{"a version in :path", request("GET", "http", host, "/ HTTP/1.1"), "", "400"},
		{"CR LF in :path", request("GET", "http", host, "/ HTTP/1.1\r\nhost: unfiled.example\r\nx: "), "", "PROTOCOL_ERROR"},
		{"a tab in :path", request("GET", "http", host, "/\tHTTP/1.1"), "", "PROTOCOL_ERROR"},
		{"a request line in :method", request("GET http://unfiled.example/ HTTP/1.1", "http", host, "/"), "", "400"},
		{"CR LF in :method", request("GET / HTTP/1.1\r\nhost: unfiled.example\r\n\r\nGET", "http", host, "/"), "", "PROTOCOL_ERROR"},
		{"an empty :method", request("", "http", host, "/"), "", "PROTOCOL_ERROR"},
		{"no :scheme", []string{":method", "GET", ":authority", host, ":path", "/"}, "", "PROTOCOL_ERROR"},
		{"another :scheme", request("GET", "ftp", host, "/"), "", "PROTOCOL_ERROR"},
		{"a smuggled :scheme", request("GET", "http://unfiled.example/?", host, "/"), "", "PROTOCOL_ERROR"},
		{"a length with an underscore", get("content_length", "5"), "", "400"},
		{"chunks with an underscore", get("transfer_encoding", "chunked"), "", "400"},
		{"CONNECT", []string{":method", "CONNECT", ":authority", "filed.example:443"}, "", "405"},
		{"CONNECT with a path", request("CONNECT", "http", host, "/"), "", "PROTOCOL_ERROR"},
		{"extended CONNECT", request("CONNECT", "http", host, "/", ":protocol", "websocket"), "", "PROTOCOL_ERROR"},
		{":protocol without CONNECT", get(":protocol", "websocket"), "", "PROTOCOL_ERROR"},
		{"connection", get("connection", "x-forwarded-for"), "", "400"},
		{"keep-alive", get("keep-alive", "timeout=5"), "", "400"},
		{"proxy-connection", get("proxy-connection", "close"), "", "400"},
		{"upgrade", get("upgrade", "websocket"), "", "400"},
		{"transfer-encoding", post("transfer-encoding", "chunked"), "0\r\n\r\nGET / HTTP/1.1\r\nHost: unfiled.example\r\n\r\n", "400"},
		{"te", get("te", "trailers, chunked"), "", "400"},
		{"expect", post("expect", "200-ok"), "", "400"},
		{"two lengths", post("content-length", "2", "content-length", "2"), "ok", "400"},
		{"two lengths that differ", post("content-length", "2", "content-length", "0"), "ok", "400"},
		{"a list of lengths", post("content-length", "2, 2"), "", "400"},
		{"a length with a sign", post("content-length", "+0"), "", "400"},
		{"a hexadecimal length", post("content-length", "0x0"), "", "400"},
		{"a length with zeros", post("content-length", "00"), "", "400"},
		{"a length that is too long", post("content-length", "99999999999999999999"), "", "400"},
		{"a negative length", post("content-length", "-1"), "", "400"},
		{"an empty length", post("content-length", ""), "", "400"},
		{"a length without a body", post("content-length", "5"), "", "400"},
	} {
		c := newFramed(t, addr)
		_ = c.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: c.fields(tt.fields...), EndStream: tt.body == "", EndHeaders: true})
		if tt.body != "" {
			_ = c.WriteData(1, true, []byte(tt.body))
		}
		if got := strings.TrimSpace(c.answers(1)[1]); !strings.HasPrefix(got, tt.want) {
			t.Errorf("%s: got %q; want %s", tt.name, got, tt.want)
		}
		c.Close()
		if text := o.take(); text != "" {
			t.Errorf("%s: the upstream got %q", tt.name, text)
		}
	}
}

// TestBodyLengthH2: a body that is not as long as was said is no whole request to
// the upstream, nor the beginning of another.
func TestBodyLengthH2(t *testing.T) {
	o := newRaw(t)
	addr := startH2C(t, o.addr, "")
	for _, tt := range []struct{ name, length, body, want string }{
		{"shorter", "60", "short", "400"},
		{"longer", "2", "xxGET / HTTP/1.1\r\nHost: unfiled.example\r\n\r\n", "PROTOCOL_ERROR"},
	} {
		c := newFramed(t, addr)
		c.ask(1, "POST", "filed.example", "/", false, "content-length", tt.length)
		_ = c.WriteData(1, true, []byte(tt.body))
		if got := strings.TrimSpace(c.answers(1)[1]); !strings.HasPrefix(got, tt.want) {
			t.Errorf("%s: got %q; want %s", tt.name, got, tt.want)
		}
		c.Close()
		text := o.take()
		if head, body, _ := strings.Cut(text, "\r\n\r\n"); strings.Contains(text, "unfiled") || body == tt.body && len(body) >= 60 || strings.Contains(head, "chunked") {
			t.Errorf("%s: the upstream got %q", tt.name, text)
		}
	}
}

// TestFidelityH2: the upstream gets what the client sent and no more than must be
// said, and the client what the upstream did.
func TestFidelityH2(t *testing.T) {
	o := newRaw(t)
	cert := newCertificate(t, "filed.example")
	p := start(t, 1, "tls://127.0.0.1:0 {\nICP\nforwarded replace\ntls "+cert.Cert+" "+cert.Key+"\nupstream "+o.addr+"\n}", nil)
	c := overFrames(t, tls.Client(dialTCP(t, p.addr(t, "tls:")), &tls.Config{ServerName: "filed.example", InsecureSkipVerify: true, NextProtos: []string{"h2"}}))
	// The scheme is none that the client may choose.
	c.ask(1, "GET", "filed.example:8443", "/a?b;c=%zz", true, "cookie", "a=1", "cookie", "b=2", "x-b", "2", "x-a", "1", "x-a", "3",
		"te", "trailers", "x-forwarded-for", "192.0.2.7", "x-forwarded-proto", "http", "forwarded", "for=192.0.2.7")
	var fields []string
	c.until("a response", func(f http2.Frame) bool {
		h, ok := f.(*http2.MetaHeadersFrame)
		if ok {
			for _, f := range h.Fields {
				fields = append(fields, f.Name+": "+f.Value)
			}
		}
		return ok
	})
	if got := strings.Join(fields, ", "); got != ":status: 200, content-length: 2, x-odd: 1" && got != ":status: 200, x-odd: 1, content-length: 2" {
		t.Errorf("the client got %s", got)
	}
	want := "GET /a?b;c=%zz HTTP/1.1\r\nHost: filed.example:8443\r\nCookie: a=1; b=2\r\nForwarded: for=127.0.0.1;proto=https\r\nTe: trailers\r\n" +
		"X-A: 1\r\nX-A: 3\r\nX-B: 2\r\nX-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: https\r\n\r\n"
	if got := o.take(); got != want {
		t.Errorf("the upstream got %q; want %q", got, want)
	}
}

// TestUpstreamOfOneClient: clients do not share a connection to the upstream,
// which each uses for one request after the other.
func TestUpstreamOfOneClient(t *testing.T) {
	o := newRaw(t)
	addr := serve(t, gate.TestService{Upstream: o.addr, H2C: true, Kept: time.Hour, Idle: time.Hour}).Addr()
	clients := []*framed{newFramed(t, addr), newFramed(t, addr)}
	for i := range 3 {
		for _, c := range clients {
			id := uint32(2*i + 1)
			c.ask(id, "GET", "filed.example", "/", true)
			if got := c.answers(id); got[id] != "200 ok" {
				t.Fatalf("got %v", got)
			}
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.text) != 2 {
		t.Errorf("the upstream had %d connections; want one for each client", len(o.text))
	}
	for from, text := range o.text {
		if n := strings.Count(text, "GET / "); n != 3 {
			t.Errorf("%s: got %d requests; want the 3 of one client", from, n)
		}
	}
}

// TestTrailersH2: trailers go both ways.
func TestTrailersH2(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Sum")
		_, _ = io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, "ok")
		w.Header().Set("X-Sum", r.Trailer.Get("X-Sum"))
	}))
	t.Cleanup(srv.Close)
	c := newFramed(t, startH2C(t, srv.Listener.Addr().String(), ""))
	c.ask(1, "POST", "filed.example", "/", false, "trailer", "x-sum")
	_ = c.WriteData(1, false, []byte("body"))
	_ = c.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: c.fields("x-sum", "1234"), EndStream: true, EndHeaders: true})
	sum := ""
	c.until("the trailer", func(f http2.Frame) bool {
		h, ok := f.(*http2.MetaHeadersFrame)
		if ok && h.StreamEnded() {
			sum = h.RegularFields()[0].Value
			return true
		}
		return false
	})
	if sum != "1234" {
		t.Errorf("got %q; want what was sent", sum)
	}
}

// TestPrefaceIsFirst: HTTP/2 does not begin behind a request of HTTP/1, where a
// proxy that brings several clients would not know of it.
func TestPrefaceIsFirst(t *testing.T) {
	o := newRaw(t)
	c := dialTCP(t, startH2C(t, o.addr, ""))
	fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: filed.example\r\n\r\n"+http2.ClientPreface+"\x00\x00\x00\x04\x00\x00\x00\x00\x00")
	b, _ := io.ReadAll(c) // to the end, which may be a reset
	if got := string(b); !strings.HasPrefix(got, "HTTP/1.1 200") || !strings.Contains(got, "HTTP/1.1 400") {
		t.Errorf("got %q; want 200 and 400", got)
	}
}

// TestContinueH2: a client that waits to be told before it sends its body is told
// by whom is asked, and not where the answer is no.
func TestContinueH2(t *testing.T) {
	var s seen
	c := newFramed(t, startH2C(t, newOrigin(t, &s), ""))
	c.ask(1, "POST", "unfiled.example", "/", false, "expect", "100-continue")
	if got := c.answers(1); !strings.HasPrefix(got[1], "403") {
		t.Errorf("got %v; want 403 and no 100", got)
	}
	c.ask(3, "POST", "filed.example", "/", false, "expect", "100-continue")
	c.until("100", func(f http2.Frame) bool {
		h, ok := f.(*http2.MetaHeadersFrame)
		return ok && h.PseudoValue("status") == "100"
	})
	_ = c.WriteData(3, true, []byte("body"))
	if got := c.answers(3); got[3] != "200 POST filed.example 4" {
		t.Errorf("got %v; want the answer", got)
	}
	c.ask(5, "OPTIONS", "filed.example", "*", true)
	if got := c.answers(5); !strings.HasPrefix(got[5], "200") {
		t.Errorf("got %v; want OPTIONS * answered", got)
	}
}
