package gate_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/icpgate/icpgate/gate"
)

// seen are the requests that an origin has seen, as METHOD HOST TARGET.
type seen struct {
	mu   sync.Mutex
	list []string
}

func (s *seen) add(r *http.Request) {
	s.mu.Lock()
	s.list = append(s.list, r.Method+" "+r.Host+" "+r.URL.Path)
	s.mu.Unlock()
}

func (s *seen) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.list)
}

func (s *seen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.list, ", ")
}

// newOrigin is a web server that tells what it got.
func newOrigin(t testing.TB, s *seen) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.add(r)
		for _, f := range []string{"X-Forwarded-For", "X-Forwarded-Proto", "Forwarded", "Upgrade", "Connection", "Http2-Settings"} {
			if v := r.Header.Values(f); len(v) > 0 {
				w.Header().Set("Got-"+f, strings.Join(v, "|"))
			}
		}
		switch r.URL.Path {
		case "/hints":
			w.Header().Set("Link", "</a>; rel=preload")
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusOK)
		case "/nothing":
			w.WriteHeader(http.StatusNoContent)
		case "/long":
			for range 100 {
				fmt.Fprint(w, strings.Repeat("x", 1000))
				w.(http.Flusher).Flush()
			}
		case "/close":
			w.Header().Set("Connection", "close")
			fmt.Fprint(w, "bye")
		default:
			fmt.Fprintf(w, "%s %s %d", r.Method, r.Host, len(body))
		}
	}))
	t.Cleanup(srv.Close)
	return srv.Listener.Addr().String()
}

// talk writes to a gate and reads until the end.
func talk(t testing.TB, addr, text string) string {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	_ = c.(*net.TCPConn).CloseWrite()
	b, err := io.ReadAll(c)
	if err != nil {
		t.Fatalf("after %q: %v", b, err)
	}
	return string(b)
}

// statuses lists the statuses in what a gate wrote.
func statuses(t testing.TB, text string, methods ...string) (list []string) {
	t.Helper()
	r := bufio.NewReader(strings.NewReader(text))
	for i := 0; ; i++ {
		if _, err := r.Peek(1); err == io.EOF {
			return list
		}
		req := &http.Request{Method: "GET"}
		if i < len(methods) {
			req.Method = methods[i]
		}
		resp, err := http.ReadResponse(r, req)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		list = append(list, resp.Status[:3])
	}
}

func TestHTTPRequests(t *testing.T) {
	const filed, unfiled = "Host: www.filed.example\r\n", "Host: www.unfiled.example\r\n"
	get := func(path, lines string) string { return "GET " + path + " HTTP/1.1\r\n" + lines + "\r\n" }
	for _, tt := range []struct {
		name, send, status, seen string
	}{
		{"filed", get("/", filed), "200", "GET www.filed.example /"},
		{"unfiled", get("/", unfiled), "403", ""},
		{"elsewhere", get("/", "Host: elsewhere.example\r\n"), "403", ""},
		{"two filed", get("/a", filed) + get("/b", filed), "200 200", "GET www.filed.example /a, GET www.filed.example /b"},
		{"the second unfiled", get("/a", filed) + get("/b", unfiled) + get("/c", filed), "200 403", "GET www.filed.example /a"},
		{"hints", get("/hints", filed), "103 200", "GET www.filed.example /hints"},
		{"nothing", get("/nothing", filed) + get("/", filed), "204 200", "GET www.filed.example /nothing, GET www.filed.example /"},
		{"chunked response", get("/long", filed) + get("/", filed), "200 200", "GET www.filed.example /long, GET www.filed.example /"},
		{"close", get("/close", filed) + get("/", filed), "200", "GET www.filed.example /close"},
		{"asked to close", get("/", filed+"Connection: close\r\n") + get("/", filed), "200", "GET www.filed.example /"},
		{"body", "POST / HTTP/1.1\r\n" + filed + "Content-Length: 5\r\n\r\nhello" + get("/", filed), "200 200", "POST www.filed.example /, GET www.filed.example /"},
		{"chunked body", "POST / HTTP/1.1\r\n" + filed + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nHost: u.example\r\n\r\n" + get("/", filed), "200 200", "POST www.filed.example /, GET www.filed.example /"},
		{"bad chunk", "POST / HTTP/1.1\r\n" + filed + "Transfer-Encoding: chunked\r\n\r\nx\r\nhello\r\n0\r\n\r\n", "400", ""},
		{"no host", get("/", ""), "400", ""},
		{"HTTP/1.0 without host", "GET / HTTP/1.0\r\n\r\n", "200", "GET 127.0.0.1 /"},
		{"address", get("/", "Host: 127.0.0.1\r\n"), "200", "GET 127.0.0.1 /"},
		{"smuggled", "POST / HTTP/1.1\r\n" + filed + "Content-Length: 60\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + get("/", unfiled), "400", ""},
		{"connect", "CONNECT u.example:443 HTTP/1.1\r\n" + filed + "\r\n", "405", ""},
		{"h2c preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "400", ""},
		{"expect", "POST / HTTP/1.1\r\n" + unfiled + "Expect: 100-continue\r\nContent-Length: 9\r\n\r\n", "403", ""},
		{"head", "HEAD / HTTP/1.1\r\n" + filed + "\r\n" + get("/", filed), "200 200", "HEAD www.filed.example /, GET www.filed.example /"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var s seen
			l := serve(t, gate.TestService{Upstream: newOrigin(t, &s)})
			method, _, _ := strings.Cut(tt.send, " ")
			got := strings.Join(statuses(t, talk(t, l.Addr(), tt.send), method), " ")
			if got != tt.status {
				t.Errorf("got %s; want %s", got, tt.status)
			}
			want := tt.seen
			if strings.HasPrefix(want, "GET 127") {
				want, _, _ = strings.Cut(s.String(), "\n") // the origin names itself
			}
			if got := s.String(); got != want {
				t.Errorf("the origin saw %q; want %q", got, want)
			}
		})
	}
}

// TestHTTPBodies: long bodies arrive as they were sent, in both directions.
func TestHTTPBodies(t *testing.T) {
	const size = 3 << 20
	data := bytes.Repeat([]byte("0123456789abcdef"), size/16)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := sha256.New()
		n, _ := io.Copy(h, r.Body)
		if r.URL.Path == "/length" {
			w.Header().Set("Content-Length", fmt.Sprint(size))
		}
		w.Header().Set("Sum", fmt.Sprintf("%d %x", n, h.Sum(nil)))
		_, _ = w.Write(data)
	}))
	defer srv.Close()
	l := serve(t, gate.TestService{Upstream: srv.Listener.Addr().String(), Forwarded: "add"})
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 2}}
	for i := range 6 {
		path := []string{"/length", "/chunked"}[i%2]
		var body io.Reader = bytes.NewReader(data)
		if i >= 3 {
			body = struct{ io.Reader }{body} // no length: chunked
		}
		req, _ := http.NewRequest("POST", "http://"+l.Addr()+path, body)
		req.Host = "filed.example"
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || !bytes.Equal(got, data) {
			t.Fatalf("%s: got %d bytes, %v; want %d as sent", path, len(got), err, size)
		}
		if want := fmt.Sprintf("%d %x", size, sha256.Sum256(data)); resp.Header.Get("Sum") != want {
			t.Errorf("%s: the origin got %s; want %s", path, resp.Header.Get("Sum"), want)
		}
	}
}

func TestHTTPForwarded(t *testing.T) {
	for _, tt := range []struct{ mode, lines, addr, proto, element string }{
		{"", "X-Forwarded-For: 192.0.2.1\r\n", "192.0.2.1", "", ""},
		{"add", "", "127.0.0.1", "http", "for=127.0.0.1;proto=http"},
		{"add", "X-Forwarded-For: 192.0.2.1\r\nForwarded: for=x\r\nX-Forwarded-Proto: https\r\n", "192.0.2.1, 127.0.0.1", "https", "for=x, for=127.0.0.1;proto=http"},
		{"add", "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For: 192.0.2.2\r\n", "192.0.2.1|192.0.2.2, 127.0.0.1", "http", "for=127.0.0.1;proto=http"},
		{"replace", "X-Forwarded-For: 192.0.2.1\r\nX-Real-IP: 192.0.2.1\r\nForwarded: for=x\r\n", "127.0.0.1", "http", "for=127.0.0.1;proto=http"},
	} {
		var s seen
		l := serve(t, gate.TestService{Upstream: newOrigin(t, &s), Forwarded: tt.mode})
		text := talk(t, l.Addr(), "GET / HTTP/1.1\r\nHost: filed.example\r\n"+tt.lines+"Connection: close\r\n\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(text)), nil)
		if err != nil {
			t.Fatal(err)
		}
		got := fmt.Sprintf("%q %q %q", resp.Header.Get("Got-X-Forwarded-For"), resp.Header.Get("Got-X-Forwarded-Proto"), resp.Header.Get("Got-Forwarded"))
		if want := fmt.Sprintf("%q %q %q", tt.addr, tt.proto, tt.element); got != want {
			t.Errorf("%s %q: got %s; want %s", tt.mode, tt.lines, got, want)
		}
	}
}

// TestHTTPUpgradeRefused: an upgrade that nobody grants is taken out, and the
// rest goes on as HTTP/1.1.
func TestHTTPUpgradeRefused(t *testing.T) {
	var s seen
	l := serve(t, gate.TestService{Upstream: newOrigin(t, &s)})
	text := talk(t, l.Addr(), "GET / HTTP/1.1\r\nHost: filed.example\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n\r\n"+
		"GET / HTTP/1.1\r\nHost: unfiled.example\r\n\r\n")
	if got := strings.Join(statuses(t, text), " "); got != "200 403" || strings.Contains(text, "Got-Upgrade") || strings.Contains(text, "Got-Http2") {
		t.Errorf("got %s in %q; want 200 403, and no upgrade at the origin", got, text)
	}
}

// TestHTTPUpgrade: bytes go both ways after 101, and after nothing else.
func TestHTTPUpgrade(t *testing.T) {
	up := newRawOrigin(t, func(c net.Conn, r *bufio.Reader) {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		if req.URL.Path == "/refuse" {
			fmt.Fprint(c, "HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n")
			return
		}
		fmt.Fprint(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello ")
		_, _ = io.Copy(c, r)
	})
	l := serve(t, gate.TestService{Upstream: up, WebSocket: true})
	const head = " HTTP/1.1\r\nHost: filed.example\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\r\n"
	text := talk(t, l.Addr(), "GET /"+head+"these bytes")
	if !strings.HasPrefix(text, "HTTP/1.1 101 ") || !strings.HasSuffix(text, "\r\n\r\nhello these bytes") {
		t.Errorf("got %q; want 101 and the bytes back", text)
	}
	if got := strings.Join(statuses(t, talk(t, l.Addr(), "GET /"+strings.Replace(head, "1.1", "1.0", 1))), " "); got != "502" {
		t.Errorf("in HTTP/1.0: got %s; want 502, since nobody has asked for what the origin does", got)
	}
	text = talk(t, l.Addr(), "GET /refuse"+head+"GET / HTTP/1.1\r\nHost: unfiled.example\r\n\r\n")
	if got := strings.Join(statuses(t, text), " "); got != "426 403" {
		t.Errorf("got %s; want 426 403", got)
	}
}
