package gate_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/icpgate/icpgate/gate"
)

// recorder is an origin that keeps every request as the bytes that came, and
// answers it.
type recorder struct {
	addr string
	got  chan []byte
}

func newRecorder(t testing.TB) *recorder {
	r := &recorder{got: make(chan []byte, 100)}
	r.addr = gate.LocalTCP(t, func(c net.Conn) {
		var came bytes.Buffer
		in := bufio.NewReader(io.TeeReader(c, &came))
		for {
			req, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			if _, err := io.Copy(io.Discard, req.Body); err != nil {
				return
			}
			r.got <- bytes.Clone(came.Bytes()[:came.Len()-in.Buffered()])
			came.Next(came.Len() - in.Buffered())
			if _, err := io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"); err != nil || req.Close {
				return
			}
		}
	})
	return r
}

// through sends a request to an address and returns the status, and what has come
// to the recorder of it.
func (r *recorder) through(t testing.TB, addr, request string) (status string, came []byte) {
	t.Helper()
	c := dialTCP(t, addr)
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	method, _, _ := strings.Cut(strings.TrimLeft(request, "\r\n"), " ")
	for in := bufio.NewReader(c); ; {
		resp, err := http.ReadResponse(in, &http.Request{Method: method})
		switch {
		case err != nil:
			return err.Error(), nil
		case resp.StatusCode == http.StatusContinue:
			continue
		}
		status = resp.Status[:3]
		break
	}
	select {
	case came = <-r.got: // before it was answered
	default:
	}
	return status, came
}

// legal are requests that clients may send, and some do.
var legal = []struct{ name, request string }{
	{"fields of all kinds", "GET / HTTP/1.1\r\nhOsT: filed.example\r\naccept:*/*\r\nX-Empty:\r\nX-Blank: \t \r\nX_Under: a_b\r\nX!#$%&'*+.^`|~: tchars\r\n0: 1\r\nX-Twice: a\r\nx-twice: b\r\nX-Twice: a\r\n\r\n"},
	{"blanks around values", "GET / HTTP/1.1\r\nHost:\t filed.example \t\r\nX-A:   a  b\tc   \r\nX-B:\tb\r\n\r\n"},
	{"bytes beyond ASCII", "GET / HTTP/1.1\r\nHost: filed.example\r\nX-UTF: \xe5\xa4\x87\xe6\xa1\x88\r\nX-Latin: caf\xe9\r\nX-Last: \xff\r\n\r\n"},
	{"quoted and listed", "GET / HTTP/1.1\r\nHost: filed.example\r\nIf-None-Match: \"a,b\", W/\"c\"\r\nAccept: a/b;q=0.5, , text/*\r\nCookie: a=\"b; c\"\r\nCookie: d=e\r\nVia: 1.0 old, 1.1 new\r\nX-Colons: a:b::c\r\n\r\n"},
	{"cookies of 8 KiB", "GET / HTTP/1.1\r\nHost: filed.example\r\nCookie: a=" + strings.Repeat("0123456789abcdef", 512) + "\r\n\r\n"},
	{"a hundred fields", "GET / HTTP/1.1\r\nHost: filed.example\r\n" + strings.Repeat("X-A: b\r\n", 98) + "\r\n"},
	{"Host last", "GET / HTTP/1.1\r\nX-A: b\r\nHost: filed.example\r\n\r\n"},
	{"Host in capitals, with a dot and a port", "GET / HTTP/1.1\r\nHost: WWW.Filed.EXAMPLE.:8080\r\n\r\n"},
	{"Host with no port behind the colon", "GET / HTTP/1.1\r\nHost: filed.example:\r\n\r\n"},
	{"a target in absolute form", "GET http://filed.example/a?b HTTP/1.1\r\nHost: filed.example\r\n\r\n"},
	{"a target in absolute form, without a path", "GET http://filed.example HTTP/1.1\r\nHost: filed.example\r\n\r\n"},
	{"an asterisk", "OPTIONS * HTTP/1.1\r\nHost: filed.example\r\n\r\n"},
	{"slashes and dots", "GET //a/./b/../c//d/..;x/%2e%2e/%2F HTTP/1.1\r\nHost: filed.example\r\n\r\n"},
	{"a query of everything", "GET /?a=b&&c=?/:@!$'()*+,;~|^[]{}\"<>\\`&d=%zz%&e=%00 HTTP/1.1\r\nHost: filed.example\r\n\r\n"},
	{"an empty query", "GET /? HTTP/1.1\r\nHost: filed.example\r\n\r\n"},
	{"a target beyond ASCII", "GET /\xe5\xa4\x87?\xe6\xa1\x88 HTTP/1.1\r\nHost: filed.example\r\n\r\n"},
	{"a long target", "GET /" + strings.Repeat("a/", 3000) + " HTTP/1.1\r\nHost: filed.example\r\n\r\n"},
	{"HEAD", "HEAD / HTTP/1.1\r\nHost: filed.example\r\n\r\n"},
	{"methods of others", "PROPFIND /dav HTTP/1.1\r\nHost: filed.example\r\nDepth: 1\r\nContent-Length: 3\r\n\r\n<a>"},
	{"a method with a hyphen", "M-SEARCH / HTTP/1.1\r\nHost: filed.example\r\n\r\n"},
	{"no body, said so", "POST / HTTP/1.1\r\nHost: filed.example\r\nContent-Length: 0\r\n\r\n"},
	{"a length with noughts", "POST / HTTP/1.1\r\nHost: filed.example\r\nContent-Length: 0005\r\n\r\nhello"},
	{"a body of what looks like a request", "POST / HTTP/1.1\r\nHost: filed.example\r\nContent-Length: 44\r\n\r\nGET / HTTP/1.1\r\nHost: unfiled.example\r\n\r\n\x00\xff\n"},
	{"GET with a body", "GET / HTTP/1.1\r\nHost: filed.example\r\nContent-Length: 2\r\n\r\nok"},
	{"DELETE with a body", "DELETE / HTTP/1.1\r\nHost: filed.example\r\nContent-Length: 2\r\n\r\nok"},
	{"a body of 200 KB", "PUT / HTTP/1.1\r\nHost: filed.example\r\nContent-Length: 200000\r\n\r\n" + strings.Repeat("0123456789", 20000)},
	{"chunks", "POST / HTTP/1.1\r\nHost: filed.example\r\nTransfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n00A\r\n0123456789\r\nb;a=b;c=\"d e\"\r\n0123456789a\r\n000\r\n\r\n"},
	{"trailers", "POST / HTTP/1.1\r\nHost: filed.example\r\nTrailer: X-Sum, X-Other\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Sum: 1\r\nX-Other:\r\n\r\n"},
	{"a chunk of 200 KB", "POST / HTTP/1.1\r\nHost: filed.example\r\nTransfer-Encoding: chunked\r\n\r\n30d40\r\n" + strings.Repeat("0123456789", 20000) + "\r\n0\r\n\r\n"},
	{"Expect", "POST / HTTP/1.1\r\nHost: filed.example\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\nok"},
	{"options of the connection", "GET / HTTP/1.1\r\nHost: filed.example\r\nConnection: close, TE , X-Hop\r\nTE: trailers\r\nX-Hop: a\r\nKeep-Alive: timeout=5\r\n\r\n"},
	{"a proxy's connection", "GET / HTTP/1.1\r\nHost: filed.example\r\nProxy-Connection: keep-alive\r\nProxy-Authorization: Basic YTpi\r\n\r\n"},
	{"HTTP/1.0", "GET /old HTTP/1.0\r\nHost: filed.example\r\nPragma: no-cache\r\n\r\n"},
	{"HTTP/1.0 without Host", "GET /older HTTP/1.0\r\n\r\n"},
	{"HTTP/1.0, kept", "POST /old HTTP/1.0\r\nHost: filed.example\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\nok"},
	{"what tells of the client", "GET / HTTP/1.1\r\nHost: filed.example\r\nX-Forwarded-Host: a\r\nX-Forwarded-Port: 1\r\nX-Real-IP: 192.0.2.1\r\nForwarded-For: b\r\n\r\n"},
	{"a browser", "GET /a HTTP/1.1\r\nHost: filed.example\r\nConnection: keep-alive\r\nCache-Control: max-age=0\r\nsec-ch-ua: \"Chromium\";v=\"156\", \"Not?A_Brand\";v=\"24\"\r\nsec-ch-ua-mobile: ?0\r\nUpgrade-Insecure-Requests: 1\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\nAccept: text/html;q=0.9,*/*;q=0.8\r\nSec-Fetch-Site: none\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: zh-CN,zh;q=0.9\r\nPriority: u=0, i\r\n\r\n"},
	{"a websocket", "GET /ws HTTP/1.1\r\nHost: filed.example\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"},
}

// changed are requests of which something is taken out, as is documented.
var changed = []struct{ name, request, want string }{
	{"empty lines before", "\r\n\r\nGET / HTTP/1.1\r\nHost: filed.example\r\n\r\n", "GET / HTTP/1.1\r\nHost: filed.example\r\n\r\n"},
	{"an upgrade", "GET / HTTP/1.1\r\nHost: filed.example\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\nX: y\r\n\r\n", "GET / HTTP/1.1\r\nHost: filed.example\r\nX: y\r\n\r\n"},
	{"an upgrade among other options", "GET / HTTP/1.1\r\nHost: filed.example\r\nConnection: TE, upgrade,close\r\nUpgrade: TLS/1.3\r\nTE: trailers\r\n\r\n", "GET / HTTP/1.1\r\nHost: filed.example\r\nConnection: TE, close\r\nTE: trailers\r\n\r\n"},
}

// TestFidelity: what is legal reaches the origin byte for byte, but for the lines
// that tell of the client; and what is documented to be taken out, alone, is.
func TestFidelity(t *testing.T) {
	rec := newRecorder(t)
	p := start(t, 2, fmt.Sprintf(`
http://127.0.0.1:0 {
	ICP
	upstream %[1]s
	forwarded off
}
http://127.0.0.2:0 {
	ICP
	upstream %[1]s
}`, rec.addr), nil)
	const told = "X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\nForwarded: for=127.0.0.1;proto=http\r\n"
	check := func(name, request, want string) {
		for listener, lines := range map[string]string{"http://127.0.0.1:": "", "http://127.0.0.2:": told} {
			head, body, _ := strings.Cut(want, "\r\n\r\n")
			want := head + "\r\n" + lines + "\r\n" + body
			if status, came := rec.through(t, p.addr(t, listener), request); status != "200" || string(came) != want {
				t.Errorf("%s, by %s: got %s and\n%.2000q\nwant\n%.2000q", name, listener, status, came, want)
			}
		}
	}
	for _, tt := range legal {
		check(tt.name, tt.request, tt.request)
	}
	for _, tt := range changed {
		check(tt.name, tt.request, tt.want)
	}
}

// TestFidelityReaders: servers of the system, before the gate and behind it, read
// a request as they read it without the gate: they write the same to the origin,
// or refuse it in the same way.
func TestFidelityReaders(t *testing.T) {
	for _, tt := range []struct {
		name   string
		serve  func(t *testing.T, at, upstream string)
		behind bool // behind the gate; or before it
	}{
		{"nginx behind", serveNginx, true},
		{"HAProxy behind", serveHAProxy, true},
		{"nginx before", serveNginx, false},
		{"HAProxy before", serveHAProxy, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rec := newRecorder(t)
			without, with := freePort(t), freePort(t)
			tt.serve(t, without, rec.addr)
			upstream := rec.addr
			if tt.behind {
				upstream = without
			}
			addr := start(t, 1, "http://127.0.0.1:0 {\nICP\nupstream "+upstream+"\nforwarded off\n}", nil).addr(t, "http:")
			if !tt.behind {
				tt.serve(t, with, addr)
				addr = with
			}
			refused := 0
			for _, l := range legal {
				wantStatus, want := rec.through(t, without, l.request)
				status, came := rec.through(t, addr, l.request)
				if status != wantStatus || meaning(t, came) != meaning(t, want) {
					t.Errorf("%s: got %s and\n%.2000q\nwithout the gate %s and\n%.2000q", l.name, status, came, wantStatus, want)
				}
				if want == nil {
					refused++
				}
			}
			if t.Logf("%d requests, of which it refuses %d", len(legal), refused); refused > len(legal)/3 {
				t.Errorf("%d of %d requests are refused without the gate: this shows little", refused, len(legal))
			}
		})
	}
}

// meaning is a request as it came, but for how its body is cut into chunks: a
// reader that writes it anew goes by how it came in.
func meaning(t *testing.T, request []byte) string {
	t.Helper()
	if len(request) == 0 {
		return "nothing"
	}
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(request)))
	if err != nil {
		t.Fatal(err)
	}
	head, _, _ := strings.Cut(string(request), "\r\n\r\n")
	body, err := io.ReadAll(r.Body)
	return fmt.Sprintf("%s\n%x\n%v %v", head, sha256.Sum256(body), r.Trailer, err)
}

// serveNginx has nginx pass all that it takes on to an upstream, along with what
// it reads in it.
func serveNginx(t *testing.T, at, upstream string) {
	dir := t.TempDir()
	writeFile(t, dir, "nginx.conf", fmt.Sprintf(`
daemon off;
pid nginx.pid;
error_log stderr crit;
events {}
http {
	access_log off;
	client_body_temp_path body;
	proxy_temp_path proxy;
	fastcgi_temp_path f;
	uwsgi_temp_path u;
	scgi_temp_path s;
	large_client_header_buffers 8 16k;
	client_body_buffer_size 1m;
	ignore_invalid_headers off;
	underscores_in_headers on;
	map $http_host $to {
		"" filed.example;
		default $http_host;
	}
	server {
		listen %s;
		location / {
			proxy_pass http://%s;
			proxy_http_version 1.1;
			proxy_set_header Host $to;
			proxy_set_header X-Read "$request_method|$scheme|$host|$uri|$args|$content_length|$http_transfer_encoding|$server_protocol";
		}
	}
}`, at, upstream))
	serveBy(t, at, "nginx", "-p", dir, "-c", filepath.Join(dir, "nginx.conf"))
}

// serveHAProxy has HAProxy do the same.
func serveHAProxy(t *testing.T, at, upstream string) {
	dir := t.TempDir()
	path := writeFile(t, dir, "haproxy.cfg", fmt.Sprintf(`
global
	tune.bufsize 65536
	tune.http.maxhdr 256
defaults
	mode http
	timeout connect 10s
	timeout client 10s
	timeout server 10s
	http-reuse never
listen reads
	bind %s
	http-request set-header X-Read "%%[method]|%%[req.hdr(host)]|%%[pathq]|%%[req.ver]|%%[req.body_size]"
	server origin %s
`, at, upstream))
	serveBy(t, at, "haproxy", "-db", "-f", path)
}
