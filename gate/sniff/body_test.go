package sniff_test

import (
	"strings"
	"testing"

	"github.com/icpgate/icpgate/gate/sniff"
)

func TestReadResponse(t *testing.T) {
	for _, tt := range []struct {
		head    string
		method  bool // HEAD
		kind    sniff.Kind
		status  int
		chunked bool
		length  int64
		close   bool
		interim bool
	}{
		{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", false, sniff.Name, 200, false, 5, false, false},
		{"HTTP/1.1 200\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", false, sniff.Name, 200, false, 5, false, false},
		{"HTTP/1.1 200 OK\nContent-Length: 5\n\n", false, sniff.Name, 200, false, 5, false, false},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", false, sniff.Name, 200, true, 0, false, false},
		{"HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 0\r\n\r\n", false, sniff.Name, 200, false, 0, true, false},
		{"HTTP/1.1 200 OK\r\n\r\n", false, sniff.Name, 200, false, -1, true, false},
		{"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", false, sniff.Name, 200, false, 5, true, false},
		{"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\n", false, sniff.Name, 200, false, 5, false, false},
		{"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n", false, sniff.Name, 200, true, 0, true, false},
		{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", true, sniff.Name, 200, false, 0, false, false},
		{"HTTP/1.1 204 No Content\r\n\r\n", false, sniff.Name, 204, false, 0, false, false},
		{"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", false, sniff.Name, 304, false, 0, false, false},
		{"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", false, sniff.Name, 103, false, 0, false, true},
		{"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n", false, sniff.Name, 101, false, -1, true, false},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", false, sniff.Name, 200, false, -1, true, false},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", false, sniff.Name, 200, true, 0, true, false},
		{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", false, sniff.Malformed, 200, false, 0, false, false},
		{"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", false, sniff.Malformed, 200, false, 0, false, false},
		{"HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\n", false, sniff.Malformed, 200, false, 0, false, false},
		{"HTTP/1.1 200 OK\r\nA: b\r\n Content-Length: 5\r\n\r\n", false, sniff.Malformed, 200, false, 0, false, false},
		{"HTTP/1.1 99 OK\r\n\r\n", false, sniff.Malformed, 0, false, 0, false, false},
		{"HTTP/2 200\r\n\r\n", false, sniff.Malformed, 0, false, 0, false, false},
		{"hello", false, sniff.Malformed, 0, false, 0, false, false},
		{"HTTP/1.1 200 OK\r\nA: b", false, sniff.More, 0, false, 0, false, false},
		{"HTTP/1.1 200 OK\r\nA: " + strings.Repeat("b", 100_000), false, sniff.Malformed, 0, false, 0, false, false},
	} {
		r := sniff.ReadResponse([]byte(tt.head), 0, tt.method, 64<<10)
		if r.Kind != tt.kind || r.Status != tt.status || r.Chunked != tt.chunked || r.ContentLength != tt.length || r.Close != tt.close || r.Interim != tt.interim {
			t.Errorf("%.60q: got %+v; want %+v", tt.head, r, tt)
		}
	}
}

func TestChunks(t *testing.T) {
	for _, tt := range []struct {
		body string
		n    int // bytes of it that belong to the body; -1: all, and more to come
		bad  bool
	}{
		{"0\r\n\r\n", 5, false},
		{"5\r\nhello\r\n0\r\n\r\nGET /", 15, false},
		{"05;a=b\r\nhello\r\n0\r\n\r\n", 20, false},
		{"A\r\n0123456789\r\n0\r\nX: 1\r\nHost: u\r\n\r\n", 35, false},
		{"5\r\nhel", -1, false},
		{"", -1, false},
		{"5\nhello", 1, true},
		{"5\r\nhelloX", 8, true},
		{"5 \r\n", 1, true},
		{" 5\r\n", 0, true},
		{"+5\r\n", 0, true},
		{"0x5\r\n", 1, true},
		{"\r\n", 0, true},
		{"5;a\n", 3, true},
		{"5;\x00\r\n", 2, true},
		{"FFFFFFFFFFFFFFFFF\r\n", 15, true},
		{"10000000000000000\r\n", 15, true},
		{"0\r\nX 1\r\n\r\n", 4, true},
		{"0\r\n: 1\r\n\r\n", 3, true},
		{"0\r\nX: 1\n\r\n", 7, true},
		{"0\r\n X: 1\r\n\r\n", 3, true},
		{"5;" + strings.Repeat("a", 2000), 1026, true},
		{"0\r\nX: " + strings.Repeat("a", 10_000), 3 + 8192, true},
	} {
		var c sniff.Chunks
		n := c.Next([]byte(tt.body))
		want := tt.n
		if want < 0 {
			want = len(tt.body)
		}
		if n != want || c.Bad() != tt.bad || c.Done() != (!tt.bad && tt.n >= 0) {
			t.Errorf("%.40q: got %d, bad %v, done %v; want %d, %v, %v", tt.body, n, c.Bad(), c.Done(), want, tt.bad, !tt.bad && tt.n >= 0)
		}
	}
}
