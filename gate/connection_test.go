package gate_test

import (
	"strings"
	"testing"
)

// TestConnectionLines: several lines of Connection are one list (RFC 9110 §5.3), for
// curl in front and nginx behind as for the gate.
func TestConnectionLines(t *testing.T) {
	web := freePort(t)
	serveNginx(t, web, newOrigin(t, new(seen)))
	addr := start(t, 1, "http://127.0.0.1:0 {\nICP\nupstream "+web+"\n}", nil).addr(t, "http:")
	for _, tt := range []struct {
		lines []string
		want  string // the status of each of two requests, and over how many connections
	}{
		{[]string{"Connection: keep-alive", "Connection: TE", "TE: trailers"}, "200 1 200 0"},
		{[]string{"Connection: TE", "TE: trailers", "Connection: close"}, "200 1 200 1"},
		{[]string{"Connection: keep-alive", "Connection: Host"}, "400 1 400 1"},
	} {
		args := []string{"-w", "%{http_code} %{num_connects} ", "http://" + addr + "/", "http://" + addr + "/", "-o", "/dev/null", "-H", "Host: filed.example"}
		for _, line := range tt.lines {
			args = append(args, "-H", line)
		}
		if got := curl(t, args...); got != tt.want {
			t.Errorf("%q: got %s; want %s", tt.lines, got, tt.want)
		}
	}
}

// TestConnectionLinesLeft: what is left of them where an upgrade is not granted.
func TestConnectionLinesLeft(t *testing.T) {
	o := newRaw(t)
	addr := start(t, 1, "http://127.0.0.1:0 {\nICP\nupstream "+o.addr+"\nforwarded off\n}", nil).addr(t, "http:")
	const line, end = "GET / HTTP/1.1\r\nHost: filed.example\r\n", "X: 1\r\n\r\n"
	for lines, want := range map[string]string{
		"Connection: a\r\nConnection: b, c\r\n": "Connection: a\r\nConnection: b, c\r\n",
		"Connection: keep-alive, Upgrade\r\nUpgrade: h2c\r\nConnection: http2-settings,te\r\nHTTP2-Settings: AAMA\r\n":    "Connection: keep-alive\r\nConnection: te\r\n",
		"Connection: te\r\nHTTP2-Settings: AAMA\r\nConnection: upgrade\r\nConnection: HTTP2-Settings\r\nUpgrade: h2c\r\n": "Connection: te\r\n",
	} {
		got := raw(t, addr, []byte(line+lines+end+strings.Replace(line, "filed", "unfiled", 1)+end), true)
		if text := o.take(); got != "200 403" || text != line+want+end {
			t.Errorf("%q: got %s, and the origin %q; want 200 403, and %q", lines, got, text, line+want+end)
		}
	}
	for _, option := range []string{"host", "Content-Length", "transfer-encoding", "cookie", "x-forwarded-for"} {
		got := raw(t, addr, []byte(line+"Connection: te\r\nConnection: "+option+"\r\n"+end), true)
		if text := o.take(); got != "400" || text != "" {
			t.Errorf("Connection: %s: got %s, and the origin %q; want 400, and nothing", option, got, text)
		}
	}
}
