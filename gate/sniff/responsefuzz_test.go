package sniff_test

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/icpgate/icpgate/gate/sniff"
)

// FuzzReadResponse compares with net/http: a response that passes here ends, for
// it, where it ends for us, or the connection ends with it.
func FuzzReadResponse(f *testing.F) {
	for _, s := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", "HTTP/1.1 200 OK\nConnection: a, close\nA: b\n\n",
		"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "HTTP/1.1 200 OK\r\nA:\r\n B\r\n\r\n",
		"HTTP/1.0 100\r00\n\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 05\r\n\r\nhello",
		"HTTP/1.1 100\nTransfer-Encoding: chunked\n\n", "HTTP/1.1 204\r\nTransfer-Encoding: chunked\r\n\r\n",
	} {
		f.Add([]byte(s), false)
	}
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"), true)
	f.Fuzz(func(t *testing.T, b []byte, head bool) {
		r := sniff.ReadResponse(b, 0, head, 64<<10)
		if r.Length > len(b) {
			t.Fatalf("got length %d of %d bytes", r.Length, len(b))
		}
		for at := range b {
			if sniff.ReadResponse(b[:at], 0, head, 64<<10).Kind == sniff.More && at >= 2 {
				if again := sniff.ReadResponse(b, at, head, 64<<10); again != r {
					t.Fatalf("got %+v; after a look at %d bytes %+v", r, at, again)
				}
			}
			if at > 64 {
				break
			}
		}
		if r.Kind != sniff.Name {
			return
		}
		method := "GET"
		if head {
			method = "HEAD"
		}
		in := bufio.NewReader(bytes.NewReader(b[:r.Length]))
		twin, err := http.ReadResponse(in, &http.Request{Method: method})
		if err != nil {
			if !listedResponse(b[:r.Length], err) {
				t.Fatalf("%q passes, but net/http says: %v", b[:r.Length], err)
			}
			return
		}
		if rest, _ := io.ReadAll(in); len(rest) > 0 {
			t.Errorf("%q: net/http ends the head %d bytes before us", b[:r.Length], len(rest))
		}
		if twin.StatusCode != r.Status {
			t.Errorf("got status %d; net/http reads %d", r.Status, twin.StatusCode)
		}
		if r.Status == http.StatusSwitchingProtocols || r.Close {
			return // nothing comes after it on this connection
		}
		// Of what follows; net/http tells what is said, and has no body where a
		// status or a method ends the response with its head.
		want := sniff.Framing{Chunked: len(twin.TransferEncoding) > 0, ContentLength: twin.ContentLength}
		if head || r.Interim || want.Chunked || twin.Body == http.NoBody {
			want.ContentLength = 0
		}
		if want.Chunked = want.Chunked && twin.Body != http.NoBody; r.Chunked != want.Chunked || r.ContentLength != want.ContentLength {
			t.Errorf("%q: got %+v; net/http reads %+v", b[:r.Length], r.Framing, want)
		}
	})
}

// listedResponse names what net/http refuses and is forwarded nevertheless: it
// frames nothing. The client reads it as it likes; nothing of ours depends on it.
func listedResponse(head []byte, err error) bool {
	switch text := err.Error(); {
	case strings.Contains(text, "malformed MIME header"): // names and values of other fields
		return true
	case strings.Contains(text, "multiple Content-Length"): // that say the same in other words
		return true
	case strings.Contains(text, "unsupported transfer encoding"), strings.Contains(text, "too many transfer encodings"):
		r := sniff.ReadResponse(head, 0, false, 64<<10)
		return r.Close && r.ContentLength < 0 || r.Status < 200 || r.Status == 204 || r.Status == 304
	}
	return false
}
