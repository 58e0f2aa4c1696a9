package gate_test

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/net/http2"
)

// TestOddStreams: heads of HTTP/2. Each is sent alone, and a filed name may still be
// asked for over another connection.
func TestOddStreams(t *testing.T) {
	w := newEvaded(t)
	const method, scheme, authority, path = ":method", ":scheme", ":authority", ":path"
	with := func(more ...string) []string {
		return append([]string{method, "GET", scheme, "http", authority, "filed.example", path, "/"}, more...)
	}
	without := func(name string, more ...string) (list []string) {
		for all := with(); len(all) > 0; all = all[2:] {
			if all[0] != name {
				list = append(list, all[0], all[1])
			}
		}
		return append(list, more...)
	}
	put := func(name string, values ...string) (list [][]string) {
		for _, value := range values {
			fields := with()
			for i := 0; i < len(fields); i += 2 {
				if fields[i] == name {
					fields[i+1] = value
				}
			}
			list = append(list, fields)
		}
		return list
	}
	more := func(pairs ...string) (list [][]string) {
		for i := 0; i < len(pairs); i += 2 {
			list = append(list, with(pairs[i], pairs[i+1]))
		}
		return list
	}
	refused := []string{"400", "405", "ended"}
	for _, tt := range []struct {
		odd
		heads [][]string
	}{
		{odd{"passes", []string{"200"}, nil}, append(more("host", "filed.example", "te", "trailers", "cookie", "a=1", "x-forwarded-host", "www.filed.example", "x_forwarded_host", "unfiled.example"),
			without(authority, "host", "filed.example"), put(authority, "FILED.Example.:8080")[0], put(path, "//unfiled.example/")[0])},
		{odd{"a name that is blocked", []string{"403"}, nil}, append(append(put(authority, "unfiled.example", "UNFILED.example.", "unfiled.example:80", "elsewhere.example"),
			more("x-forwarded-host", "unfiled.example", "forwarded", "host=unfiled.example")...), without(authority, "host", "unfiled.example"))},
		{odd{"an authority", refused, nil}, put(authority, "", "u@filed.example", "filed.example:65536", "filed.example/unfiled.example", "filed.example\x00", "filed.example ", " filed.example", "filed.example,unfiled.example",
			"filed.example..", "[fe80::1%25lo]", "f\xc3\xbc.filed.example", "filed.example\r\n", "filed.example\t", "*.filed.example", "filed.example:80:80", "http://filed.example", "filed.example?x", "filed.example#x",
			"%66iled.example", strings.Repeat("a", 64)+".filed.example", longName(254), "1.1", "2130706433", `filed.example\`, "filed.example:80@unfiled.example", "[::1", ":80")},
		{odd{"an authority and a host", refused, nil}, [][]string{
			with("host", "unfiled.example"), with("host", "filed.example", "host", "unfiled.example"), with("host", "unfiled.example", "host", "filed.example"), with(authority, "unfiled.example"),
			without(authority), without(authority, "host", ""), without(authority, "host", "filed.example", "host", "unfiled.example"), without(authority, "host", "unfiled.example", "host", "filed.example"),
			append(put(authority, "unfiled.example")[0], "host", "filed.example"), append(without(authority), "x", "y", authority, "filed.example"),
		}},
		{odd{"a field", refused, nil}, more("Host", "unfiled.example", "X-A", "1", "connection", "close", "connection", "host", "transfer-encoding", "chunked", "upgrade", "websocket", "upgrade", "h2c", "keep-alive", "1", "proxy-connection", "x",
			"te", "gzip", ":x", "y", ":path", "/b", ":method", "POST", ":status", "200", "x", "a\r\nhost: unfiled.example", "x", "a\x00b", "x", "a\nb", "x y", "1", "x:", "1", "", "1", "x\r\nhost: u", "1", "content-length", "5", "content-length", "+0",
			"content-length", "0, 0", "content_length", "5", "content.length", "5", "transfer_encoding", "chunked", "expect", "x", "x-forwarded-host", "unfiled.example@filed.example")},
		{odd{"a path", refused, nil}, put(path, "http://unfiled.example/", "", "*", "a", "/a b", "/a\x00", "/a\r\nHost: unfiled.example", "/a\tb", "?x", "unfiled.example:80", `\`, "/\x7f")},
		{odd{"a method", refused, nil}, put(method, "CONNECT", "GE T", "", "GET\r\n", "G\x00T", "GET / HTTP/1.1\r\nHost: unfiled.example\r\nX:")},
		{odd{"what must be there", refused, nil}, [][]string{
			without(path), without(scheme), without(method), {method, "CONNECT", authority, "unfiled.example:443"}, append([]string{":protocol", "websocket"}, put(method, "CONNECT")[0]...),
		}},
	} {
		for _, head := range tt.heads {
			tt.check(t, w.seen, fmt.Sprintf("%q", head), frames(t, w, head...))
		}
	}
}

// TestOddConnections: streams of several names over one connection of HTTP/2, whatever
// its table of fields holds.
func TestOddConnections(t *testing.T) {
	w := newEvaded(t)
	f := newFramed(t, w.h2c)
	var ids []uint32
	for i := range 30 {
		id := uint32(2*i + 1)
		// The encoder gives the indices of what it has sent before.
		f.ask(id, "GET", []string{"filed.example", "unfiled.example", "www.filed.example"}[i%3], "/", true)
		ids = append(ids, id)
	}
	got := f.answers(ids...)
	for i, id := range ids {
		if want := []string{"200", "403", "200"}[i%3]; !strings.HasPrefix(got[id], want) {
			t.Errorf("stream %d: got %s; want %s", id, got[id], want)
		}
	}
	if w.seen.reached() {
		t.Error("the upstream was asked for unfiled.example")
	}
	// What comes behind the body names nobody.
	for name, want := range map[string]string{"host": "200", "x-forwarded-host": "200", ":authority": " PROTOCOL_ERROR"} {
		f := newFramed(t, w.h2c)
		f.ask(1, "POST", "filed.example", "/", false)
		_ = f.WriteData(1, false, []byte("hello"))
		_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: f.fields(name, "unfiled.example"), EndStream: true, EndHeaders: true})
		if got := f.answers(1); !strings.HasPrefix(got[1], want) && got[0] == "" || w.seen.reached() {
			t.Errorf("%s behind the body: got %v; want %s", name, got, want)
		}
	}
	// Neither begins a connection of HTTP/2 where it is off, or not at the beginning.
	if got := raw(t, w.http, []byte(http2.ClientPreface), true); got != "400" {
		t.Errorf("the preface where h2c is off: got %s; want 400", got)
	}
	if got := raw(t, w.h2c, []byte("GET / HTTP/1.1\r\nHost: filed.example\r\n\r\n"+http2.ClientPreface), true); got != "200 400" {
		t.Errorf("the preface behind a request: got %s; want 200 400", got)
	}
}

// TestOddTLSEnded: the name in the hello against the one that is asked for, where TLS
// ends here.
func TestOddTLSEnded(t *testing.T) {
	w := newEvaded(t)
	for _, tt := range []struct{ sni, host, one, two string }{
		{"filed.example", "filed.example", "200", "200"},
		{"filed.example", "a.b.filed.example", "200", "200"},
		{"filed.example", "unfiled.example", "403", "403"},
		{"filed.example", "elsewhere.example", "403", "403"},
		{"filed.example", "filed.example:80@unfiled.example", "400", "curl: (92) HTTP/2 stream 1 was not closed cleanly: PROTOCOL_ERROR (err 1)"},
		{"www.filed.example", "UNFILED.example.", "403", "403"},
	} {
		for version, want := range map[string]string{"--http1.1": tt.one, "--http2": tt.two} {
			got := curl(t, "-k", version, "--connect-to", "::"+w.ended, "-H", "Host: "+tt.host, "https://"+tt.sni+"/")
			odd{"hello " + tt.sni, []string{want}, nil}.check(t, w.seen, version+" "+tt.host, got)
		}
	}
	if got := curl(t, "-k", "--connect-to", "::"+w.ended, "-H", "Host: filed.example", "https://unfiled.example/"); got != "alert 112" {
		t.Errorf("a blocked name in the hello, a filed host: got %s; want alert 112", got)
	}
}
