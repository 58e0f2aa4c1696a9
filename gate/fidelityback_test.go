package gate_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/icpgate/icpgate/gate"
)

// responses are such as servers may send, and some do; after one that does not
// end the connection another request is asked.
var responses = []struct {
	name, method, response string
	ends                   bool // with the connection
}{
	{"fields of all kinds", "GET", "HTTP/1.1 200 OK\r\ncontent-LENGTH:2\r\nServer:\r\nX_Under: a\r\nX!#$%&'*+.^`|~: b\r\nSet-Cookie: a=\"b; c\"\r\nset-cookie: d\r\nSet-Cookie: a=\"b; c\"\r\nX-A: \t a  b \t\r\n\r\nok", false},
	{"bytes beyond ASCII", "GET", "HTTP/1.1 200 \xe5\xa4\x87\xe6\xa1\x88\r\nContent-Disposition: attachment; filename=\xe6\xa1\x88\r\nX-Latin: caf\xe9\r\nContent-Length: 0\r\n\r\n", false},
	{"no reason", "GET", "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", false},
	{"a status nobody knows", "GET", "HTTP/1.1 799 A Thing\r\nContent-Length: 2\r\n\r\nok", false},
	{"early hints", "GET", "HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", false},
	{"chunks and trailers", "GET", "HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: Chunked\r\n\r\n5;a=\"b\"\r\nhello\r\n00A\r\n0123456789\r\n000\r\nX-Sum: 1\r\nX-B:\r\n\r\n", false},
	{"a body of 200 KB", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + strings.Repeat("0123456789", 20000), false},
	{"a chunk of 200 KB", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n30d40\r\n" + strings.Repeat("0123456789", 20000) + "\r\n0\r\n\r\n", false},
	{"until the end", "GET", "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n" + strings.Repeat("0123456789", 20000), true},
	{"HTTP/1.0", "GET", "HTTP/1.0 200 OK\r\n\r\nhello\n", true},
	{"HTTP/1.0, kept", "GET", "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\nok", false},
	{"another coding", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n\x1f\x8b\x00", true},
	{"HEAD", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nTransfer-Encoding: chunked\r\n\r\n", false},
	{"not modified", "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\nETag: W/\"a\"\r\n\r\n", false},
	{"nothing", "DELETE", "HTTP/1.1 204 No Content\r\n\r\n", false},
	{"the end, said so", "GET", "HTTP/1.1 200 OK\r\nConnection: foo, close\r\nContent-Length: 2\r\n\r\nok", true},
	{"options of the connection", "GET", "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\nUpgrade: h2c\r\nAlt-Svc: h3=\":443\"\r\nContent-Length: 2\r\n\r\nok", false},
	{"lines that end in LF alone", "GET", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok", false},
	{"cookies of 100 KB", "GET", "HTTP/1.1 200 OK\r\nSet-Cookie: a=" + strings.Repeat("0123456789", 10000) + "\r\nContent-Length: 2\r\n\r\nok", false},
}

// TestFidelityOfResponses: a response reaches the client byte for byte, and the
// connection goes on or ends as the response says.
func TestFidelityOfResponses(t *testing.T) {
	for _, tt := range responses {
		origin := newRawOrigin(t, func(c net.Conn, r *bufio.Reader) {
			for {
				req, err := http.ReadRequest(r)
				if err != nil {
					return
				}
				say := tt.response
				if req.URL.Path == "/last" {
					say = "HTTP/1.1 200 Last\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
				}
				if _, err := io.WriteString(c, say); err != nil || tt.ends || req.Close {
					return
				}
			}
		})
		l := serve(t, gate.TestService{Upstream: origin})
		want := tt.response
		if !tt.ends {
			want += "HTTP/1.1 200 Last\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
		}
		text := tt.method + " /first HTTP/1.1\r\nHost: filed.example\r\n\r\nGET /last HTTP/1.1\r\nHost: filed.example\r\n\r\n"
		if got := talk(t, l.Addr(), text); got != want {
			i := 0
			for i < min(len(got), len(want)) && got[i] == want[i] {
				i++
			}
			t.Errorf("%s: got %d bytes, other from the %d. on:\n%.500q\nwant\n%.500q", tt.name, len(got), i, got[i:], want[i:])
		}
	}
}
