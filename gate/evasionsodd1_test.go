package gate_test

import (
	"fmt"
	"strings"
	"testing"
)

// hidden is a request for another name that a body may hold, or a head that ends
// sooner for one than for another.
const hidden = "0\r\n\r\nGET / HTTP/1.1\r\nHost: unfiled.example\r\n\r\n"

// TestOddRequests: heads and bodies of HTTP/1.
func TestOddRequests(t *testing.T) {
	w := newEvaded(t)
	head := func(s string) string { return "GET / HTTP/1.1\r\n" + s + "\r\n\r\n" }
	hostIs := func(s string) string { return head("Host: " + s) }
	lineIs := func(s string) string { return s + "\r\nHost: filed.example\r\n\r\n" }
	fieldIs := func(s string) string { return head("Host: filed.example\r\n" + s) }
	codingIs := func(s string) string {
		return "POST / HTTP/1.1\r\nHost: filed.example\r\nTransfer-Encoding: " + s + "\r\n\r\n" + hidden
	}
	bothAre := func(s string) string {
		return fmt.Sprintf("POST / HTTP/1.1\r\nHost: filed.example\r\nContent-Length: %d\r\n%s\r\n\r\n%s", len(hidden), s, hidden)
	}
	lengthIs := func(s string) string {
		return "POST / HTTP/1.1\r\nHost: filed.example\r\nContent-Length: " + s + "\r\n\r\nhello"
	}
	chunksAre := func(s string) string {
		return "POST / HTTP/1.1\r\nHost: filed.example\r\nTransfer-Encoding: chunked\r\n\r\n" + s
	}
	then := func(s string) string { return s + "GET / HTTP/1.1\r\nHost: unfiled.example\r\n\r\n" }
	whole := func(s string) string { return s }
	refused, passes := []string{"400"}, []string{"200"}
	for _, tt := range []struct {
		odd
		request func(string) string
	}{
		{odd{"hosts", refused, []string{
			"u@filed.example", "u:p@filed.example", "filed.example:65536", "filed.example:-1", "filed.example:+80", "filed.example:8 0", "filed.example:0x50",
			"filed.example:000080", "filed.example:80:", "filed.example:80@unfiled.example", "[::1", "[::1]x", "::1", "[filed.example]", "[127.0.0.1]", "[v1.a]",
			"[fe80::1%25eth0]", "[]", "[]:80", ":80", ".", ":", "filed.example, unfiled.example", "filed.example,", "filed.example unfiled.example", "filed.example\tunfiled.example",
			"filed%2eexample", "filed.example%00", "filed.example\\", "filed.example;x", `"filed.example"`, "filed.example|x", "filed.example\x0b", "filed.example\x0c", "filed.example\xa0",
			"filed.example\x85", "\xefiled.example", "filed\xe3\x80\x82example", "0", "1.1", "0x1", "2130706433", "filed.example.0x1", "http://filed.example", "//filed.example",
			"filed.example:80/", "filed.example?", "*", "*.filed.example", "a..filed.example", "filed.example..", strings.Repeat("a", 64) + ".filed.example", longName(254),
			"filed.example\r", "filed.example\r\n .unfiled.example", "filed.example\r\n\tx", "filed.example\nX: y", "filed.example\r\nHost: filed.example", "filed.example\r\nHOST: unfiled.example",
		}}, hostIs},
		{odd{"hosts", passes, []string{
			"filed.example:", "filed.example:80", "filed.example.:80", "FILED.example", "a_b.filed.example", "-a.filed.example", "xn--fiqs8s.filed.example", longName(253), "[::1]:80", "[::ffff:127.0.0.1]",
		}}, hostIs},
		{odd{"targets", refused, []string{
			"http://u@filed.example/", "http://unfiled.example/", "http:///", "http://", "ftp://filed.example/", "http:/filed.example/", `http:\\unfiled.example/`, `http://filed.example\@unfiled.example/`,
			"http://filed.example#@unfiled.example/", "http://filed.example:80/", "filed.example:80", "filed.example", "*", "/\x00", "/\x7f", "/a b", "/\t", "", "?x", "/a HTTP/1.1 /b",
		}}, func(s string) string { return lineIs("GET " + s + " HTTP/1.1") }},
		{odd{"request lines", []string{"400", "505"}, []string{
			"GET / HTTP/1.2", "GET / HTTP/2.0", "GET / HTTP/1.10", "GET / HTTP/1.1 ", "GET  / HTTP/1.1", "GET /  HTTP/1.1", " GET / HTTP/1.1", "GET\t/\tHTTP/1.1", "GET / http/1.1", "GET / HTTP/01.1",
			"GET / HTTP/1,1", "GET: / HTTP/1.1", "G\xcbT / HTTP/1.1", "GET /", "GET", "GET / HTTP/", strings.Repeat("M", 33) + " / HTTP/1.1", "GET / HTTP/1.1\x0b", "GET / HTTPS/1.1", "GET / HTTP/1.1\n", "\rGET / HTTP/1.1",
			"\r\n\r\n\r\nGET / HTTP/1.1",
		}}, lineIs},
		{odd{"fields", refused, []string{
			"X: a\rb", "X: a\rHost: unfiled.example", "X: a\r\n\tb", "X\xe9: 1", ": 1", "X y: 1", "X", "X: a\x00b", "Connection: close, Host", "Connection: te\r\nConnection: host", "Connection: content-length",
			"Upgrade: websocket", "Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c", "Expect: 200-ok", "Expect: 100-continue\r\nExpect: 100-continue",
			"X-Forwarded-Host: unfiled.example@filed.example",
		}}, fieldIs},
		{odd{"a host that is told", []string{"403"}, []string{
			"X-Forwarded-Host: unfiled.example", "X-Forwarded-Host: filed.example, unfiled.example:80", "Forwarded: for=a;HOST=unfiled.example",
		}}, fieldIs},
		// It is taken out, and tells nobody anything.
		{odd{"a look-alike of a host that is told", []string{"200"}, []string{"X_Forwarded-Host: unfiled.example"}}, fieldIs},
		{odd{"codings", refused, []string{
			"chunked;q=1", "xchunked", "chunked, chunked", "identity", "\x0bchunked", "gzip, chunked", "chunked,", ",chunked", `"chunked"`, "chunked\x0b", "cHuNkeD, identity", "chunked\x00", "", "  chunked", "chunked  x", "\tchunked",
			"chunked\r\n , identity",
		}}, codingIs},
		{odd{"a coding beside a length", refused, []string{
			"Transfer-Encoding: chunked", "Transfer-Encoding : chunked", " Transfer-Encoding: chunked", "X: y\nTransfer-Encoding: chunked", "Transfer-Encoding\n: chunked", "Transfer-Encoding\x00: chunked",
			"X: \rTransfer-Encoding: chunked", "Transfer_Encoding: chunked", "Transfer.Encoding: chunked", "Transfer\xadEncoding: chunked", "Content-Length: 0", "content_length: 0",
		}}, bothAre},
		{odd{"lengths", refused, []string{
			"5, 5", "+5", "-5", "5 5", "5\t", "0x5", "5.0", "", "5;", "1_0", " ", strings.Repeat("9", 19), "\xb2", "5\x0b", "5\r\nContent-Length: 5", "5\r\nContent-Length: 0",
		}}, lengthIs},
		{odd{"chunks", []string{"400", "431"}, []string{
			"5 ;x\r\nhello\r\n0\r\n\r\n", " 5\r\nhello\r\n0\r\n\r\n", "5\nhello\r\n0\r\n\r\n", "0x5\r\nhello\r\n0\r\n\r\n", "+5\r\nhello\r\n0\r\n\r\n", "5\r\nhelloX\r\n0\r\n\r\n", "5\r\nhello\n0\r\n\r\n", "5\r\nhello0\r\n\r\n",
			"ffffffffffffffff\r\nhello", "5;a=\"\r\nb\"\r\nhello\r\n0\r\n\r\n", "5\r\nhello\r\n0\r\nX\r\n\r\n", "5\r\nhello\r\n0\r\nX : y\r\n\r\n", "5\r\nhello\r\n0\r\n X: y\r\n\r\n", "5\r\nhello\r\n0\r\nX: y\n\r\n", "5\r\nhello\r\n0\r\n\n",
			"g\r\n", "-1\r\n", "5;\x00\r\nhello\r\n0\r\n\r\n", "5\t\r\nhello\r\n0\r\n\r\n", ";a\r\n\r\n", "\r\n", "5\r\r\nhello\r\n0\r\n\r\n", "0\r\n" + strings.Repeat("X: y\r\n", 2000) + "\r\n",
		}}, chunksAre},
		{odd{"bodies, then another name", []string{"200 403"}, []string{
			chunksAre("5;a=\"b;c\"\r\nhello\r\n0\r\n\r\n"), chunksAre("000005\r\nhello\r\n00\r\n\r\n"), chunksAre("0\r\nHost: unfiled.example\r\nContent-Length: 5\r\n\r\n"),
			lengthIs("005"), lengthIs("5") + "\r\n", fieldIs("Connection: Upgrade\r\nUpgrade: h2c"), fieldIs("Connection: keep-alive\r\nConnection: te"),
			fieldIs("Proxy-Connection: close"), "\r\n\r\n" + fieldIs("X: 1"),
		}}, then},
		{odd{"a body that comes with its Expect", []string{"200 403", "100 200 403"}, []string{lengthIs("5\r\nExpect: 100-continue")}}, then},
		{odd{"whole connections", []string{"200"}, []string{
			"GET / HTTP/1.1\r\nHost: filed.example\r\nContent-Length: 44\r\n\r\nGET / HTTP/1.1\r\nHost: unfiled.example\r\n\r\n...",
			then("GET / HTTP/1.0\r\nHost: filed.example\r\n\r\n"), then(fieldIs("Connection: keep-alive\r\nConnection: close")), "GET http://filed.example/ HTTP/1.0\r\n\r\n",
		}}, whole},
		{odd{"whole connections", []string{"200 400"}, []string{
			fieldIs("X: 1") + "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", fieldIs("X: 1") + "\x16\x03\x01\x02", lengthIs("5") + "xGET / HTTP/1.1\r\nHost : unfiled.example\r\n\r\n",
		}}, whole},
		{odd{"whole connections", []string{"200 closed", "200"}, []string{
			fieldIs("X: 1") + "PROXY TCP4 192.0.2.1 203.0.113.1 1000 80\r\n" + fieldIs("X: 1"), fieldIs("X: 1") + "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00",
		}}, whole},
		{odd{"whole connections", []string{"403"}, []string{
			"GET http://unfiled.example/ HTTP/1.0\r\n\r\n", "GET / HTTP/1.1\r\nX: " + strings.Repeat("a", 30_000) + "\r\nHost: unfiled.example\r\n\r\n", then("GET / HTTP/1.1\r\nHost: unfiled.example\r\n\r\n"),
			"GET https://unfiled.example/ HTTP/1.1\r\nHost: unfiled.example\r\n\r\n",
		}}, whole},
		{odd{"CONNECT", []string{"405"}, []string{"CONNECT / HTTP/1.1", "CONNECT unfiled.example:443 HTTP/1.1", "CONNECT filed.example:80 HTTP/1.1"}}, lineIs},
	} {
		for _, form := range tt.forms {
			tt.check(t, w.seen, form, raw(t, w.http, []byte(tt.request(form)), false))
		}
	}
}
