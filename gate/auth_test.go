package gate_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/edge"
	"github.com/icpgate/icpgate/registry/index"
)

// authAsked sends a request to a listener that is asked and returns the answer: its
// status, and the verdict with its reason.
func authAsked(t testing.TB, addr, method, path, lines string) (said string, resp *http.Response, body string) {
	t.Helper()
	text := talk(t, addr, method+" "+path+" HTTP/1.1\r\n"+strings.ReplaceAll(lines, "\n", "\r\n")+"\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(text)), &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%s %s %q: %v in %q", method, path, lines, err, text)
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	said = fmt.Sprintf("%d %s %s", resp.StatusCode, resp.Header.Get("X-ICP-Verdict"), resp.Header.Get("X-ICP-Reason"))
	return strings.TrimRight(said, " "), resp, string(b)
}

// authBlocks are the listeners of TestAuth: one that knows where it stands, one in
// mode monitor, one that is told by proxies, with its own word where it is not, one
// that is told or refuses.
const authBlocks = `
auth://127.0.0.1:0 {
	ICP
	peers 127.0.0.1
}
auth://127.0.0.2:0 {
	icp {
		registry registry.icp
		provider aliyun
		mode monitor
	}
	serves mainland
	peers 127.0.0.0/8
}
auth://127.0.0.3:0 {
	icp {
		registry registry.icp
		provider aliyun
		clients exempt 198.51.100.99
		policy no-host block
		policy ip-literal block
	}
	serves asked mainland
	peers 127.0.0.0/8
	block redirect https://notice.example.net/
}
auth://127.0.0.4:0 {
	icp {
		registry registry.icp
		provider aliyun
	}
	serves asked
	peers 127.0.0.0/8
	block page status 451
}
`

// TestAuth: nginx gets 204 and 403 alone, whatever a block is (I01); hosts that come
// twice or as a list are refused (I02).
func TestAuth(t *testing.T) {
	p := start(t, 4, authBlocks, nil)
	const nginx, forward, envoy = "/auth/nginx", "/auth/forward", "/auth/envoy/a"
	to := func(host string) string { return "Host: icp\nX-Forwarded-Host: " + host }
	for _, tt := range []struct{ listener, path, lines, want string }{
		{"1", nginx, to("www.filed.example"), "204 pass accessed"},
		{"1", nginx, to("unfiled.example"), "403 block unfiled"},
		{"1", nginx, to("elsewhere.example"), "403 block not-accessed"},
		{"1", nginx, to("filed.example, unfiled.example"), "403 block malformed"},
		{"1", nginx, to("filed.example") + "\nX-Forwarded-Host: unfiled.example", "403 block malformed"},
		{"1", nginx, to("filed.example") + "\nX-Original-Host: filed.example:80@unfiled.example", "403 block malformed"},
		{"1", nginx, "Host: filed.example", "403 block malformed"},
		{"1", nginx, to("192.0.2.1"), "204 pass ip-literal"},
		{"1", nginx, to(""), "204 pass no-host"},
		{"1", forward, to("www.filed.example:8443"), "200 pass accessed"},
		{"1", forward, to("unfiled.example"), "403 block unfiled"},
		{"1", forward, to("unfiled.example,"), "403 block malformed"},
		{"1", envoy, "Host: www.filed.example", "200 pass accessed"},
		{"1", envoy, "Host: unfiled.example:80", "403 block unfiled"},
		{"1", envoy, "Host: filed.example\nX-Forwarded-Host: unfiled.example", "403 block malformed"},
		// A client's own word is no address.
		{"1", forward, to("unfiled.example") + "\nX-ICP-Addr: 8.8.8.8", "403 block unfiled"},

		{"2", nginx, to("unfiled.example"), "204 block unfiled"},
		{"2", forward, to("unfiled.example"), "200 block unfiled"},
		{"2", envoy, "Host: unfiled.example", "200 block unfiled"},
		{"2", nginx, to("a, b"), "403 block malformed"},

		{"3", nginx, to("unfiled.example"), "403 block unfiled"},
		{"3", nginx, to("unfiled.example") + "\nX-ICP-Addr: 8.8.8.8", "204 pass outside-mainland"},
		{"3", nginx, to("unfiled.example") + "\nX-ICP-Addr: 223.5.5.5", "403 block unfiled"},
		{"3", nginx, to("unfiled.example") + "\nX-ICP-Addr: 10.0.0.5", "403 block unfiled"},
		{"3", nginx, to("unfiled.example") + "\nX-ICP-Addr: 198.18.0.5", "403 block unfiled"},
		{"3", nginx, to("unfiled.example") + "\nX-ICP-Addr: 240.0.0.5", "403 block unfiled"},
		{"3", nginx, to("unfiled.example") + "\nX-ICP-Addr: fec0::5", "403 block unfiled"},
		{"3", nginx, to("unfiled.example") + "\nX-ICP-Addr: 64:ff9b::10.0.0.5", "403 block unfiled"},
		{"3", nginx, to("unfiled.example") + "\nX-ICP-Addr: 8.8.8.8\nX-ICP-Addr: 8.8.8.8", "403 block malformed"},
		{"3", nginx, to("unfiled.example") + "\nX-Real-IP: 198.51.100.99", "204 pass exempt"},
		{"3", forward, to("unfiled.example") + "\nX-Forwarded-For: 203.0.113.1, 198.51.100.99", "200 pass exempt"},
		{"3", forward, to("unfiled.example") + "\nX-Forwarded-For: 198.51.100.99, 203.0.113.1", "302 block unfiled"},
		{"3", forward, to("192.0.2.1"), "302 block ip-refused"},
		{"3", forward, to(""), "302 block no-host-refused"},

		{"4", forward, to("unfiled.example") + "\nX-ICP-Addr: 8.8.8.8", "200 pass outside-mainland"},
		{"4", forward, to("filed.example") + "\nX-ICP-Addr: 223.5.5.5", "200 pass accessed"},
		{"4", forward, to("unfiled.example") + "\nX-ICP-Addr: 223.5.5.5", "451 block unfiled"},
		{"4", forward, to("filed.example"), "451 block malformed"},
		{"4", forward, to("filed.example") + "\nX-ICP-Addr: 10.0.0.5", "451 block malformed"},
		{"4", forward, to("filed.example") + "\nX-ICP-Addr: 198.18.0.5", "451 block malformed"},
		{"4", nginx, to("unfiled.example") + "\nX-ICP-Addr: 223.5.5.5", "403 block unfiled"},
	} {
		got, _, body := authAsked(t, p.addr(t, "auth://127.0.0."+tt.listener+":"), "GET", tt.path, tt.lines)
		if got != tt.want {
			t.Errorf("listener %s: %s %q: %s; want %s", tt.listener, tt.path, tt.lines, got, tt.want)
		}
		if shown := strings.HasPrefix(got, "4") && tt.path != nginx || strings.HasPrefix(got, "302"); (body != "") != shown {
			t.Errorf("listener %s: %s %q: %s with the body %q", tt.listener, tt.path, tt.lines, got, body)
		}
	}
}

// TestAuthAnswers: what else an answer says.
func TestAuthAnswers(t *testing.T) {
	p := start(t, 4, authBlocks, nil)
	first, third := p.addr(t, "auth://127.0.0.1:"), p.addr(t, "auth://127.0.0.3:")
	const unfiled = "Host: icp\nX-Forwarded-Host: unfiled.example"
	_, resp, _ := authAsked(t, third, "GET", "/auth/nginx", unfiled)
	if id := resp.Header.Get("X-ICP-Request-Id"); len(id) != 24 {
		t.Errorf("request id %q", id)
	}
	const where = "https://notice.example.net/?host=unfiled.example&reason=unfiled"
	if got := resp.Header.Get("X-ICP-Redirect"); got != where || resp.Header.Get("Location") != "" {
		t.Errorf("nginx is told to go to %q, %q; want %q by X-ICP-Redirect alone", got, resp.Header.Get("Location"), where)
	}
	if _, resp, _ = authAsked(t, third, "GET", "/auth/forward", unfiled); resp.Header.Get("Location") != where {
		t.Errorf("Location %q; want %q", resp.Header.Get("Location"), where)
	}
	for accept, typ := range map[string]string{"text/html": "text/html; charset=utf-8", "application/json": "application/json", "*/*": "text/plain; charset=utf-8"} {
		_, resp, body := authAsked(t, first, "GET", "/auth/forward", unfiled+"\nAccept: "+accept+"\nAccept-Language: en")
		if got := resp.Header.Get("Content-Type"); got != typ || !strings.Contains(body, "unfiled.example") || resp.Close {
			t.Errorf("%s: %s, close %v, %q; want %s", accept, got, resp.Close, body, typ)
		}
	}
	if _, resp, body := authAsked(t, first, "HEAD", "/auth/envoy/", "Host: unfiled.example"); body != "" || resp.ContentLength < 100 {
		t.Errorf("HEAD: body %q, length %d", body, resp.ContentLength)
	}
	for method, lines := range map[string]string{
		"POST": "\nContent-Length: 0", "DELETE": "", "PROPFIND": "", "OPTIONS": "",
	} {
		if got, resp, _ := authAsked(t, first, method, "/auth/envoy/x", "Host: filed.example"+lines); got != "200 pass accessed" || resp.Close {
			t.Errorf("%s: %s, close %v", method, got, resp.Close)
		}
	}
	if _, resp, _ := authAsked(t, first, "GET", "/auth/nginx", "Host: icp\nX-Forwarded-Host: filed.example\nConnection: close"); !resp.Close {
		t.Error("the answer to Connection: close does not say that it ends")
	}
	if got := resp.Header.Get("Date"); got == "" {
		t.Error("no Date")
	}
}

// TestAuthBody: a body is not read, whatever its length says: the answer comes at
// once, and the connection ends with it.
func TestAuthBody(t *testing.T) {
	g, _, _ := startHere(t, "auth://127.0.0.1:0 {\nICP\npeers 127.0.0.1\n}")
	for _, lines := range []string{"Content-Length: 1000000", "Transfer-Encoding: chunked", "Content-Length: 10\r\nExpect: 100-continue"} {
		c := dialTCP(t, only(g))
		fmt.Fprintf(c, "POST /auth/envoy/x HTTP/1.1\r\nHost: filed.example\r\n%s\r\n\r\n", lines)
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatalf("%s: %v", lines, err)
		}
		if resp.StatusCode != 200 || !resp.Close {
			t.Errorf("%s: %s, close %v; want 200 and the end", lines, resp.Status, resp.Close)
		}
		c.Close()
	}
}

// TestAuthPipelined: questions that come together are answered in their order, and
// those that come in pieces as well.
func TestAuthPipelined(t *testing.T) {
	g, _, _ := startHere(t, "auth://127.0.0.1:0 {\nICP\npeers 127.0.0.1\n}")
	one := func(host string) string {
		return "GET /auth/nginx HTTP/1.1\r\nHost: icp\r\nX-Forwarded-Host: " + host + "\r\n\r\n"
	}
	all := strings.Repeat(one("filed.example")+one("unfiled.example"), 500)
	got := statuses(t, talk(t, only(g), all))
	if len(got) != 1000 || got[0] != "204" || got[1] != "403" || got[998] != "204" || got[999] != "403" {
		t.Errorf("%d answers: %v…", len(got), got[:min(len(got), 4)])
	}
	c := dialTCP(t, only(g))
	in := bufio.NewReader(c)
	text := one("filed.example") + one("unfiled.example")
	for i := range len(text) {
		if _, err := io.WriteString(c, text[i:i+1]); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []int{204, 403} {
		resp, err := http.ReadResponse(in, nil)
		if err != nil || resp.StatusCode != want {
			t.Fatalf("in pieces: %v, %v; want %d", resp, err, want)
		}
	}
}

// TestAuthRefused: what cannot be read is refused as everywhere, and who is not
// listed gets no verdict.
func TestAuthRefused(t *testing.T) {
	g, reg, _ := startHere(t, "auth://127.0.0.1:0 {\nICP\npeers 127.0.0.1 192.0.2.0/24\n}")
	for text, want := range map[string]string{
		"GET /auth/nginx HTTP/1.1\r\nX-Forwarded-Host: filed.example\r\n\r\n":                                                          "400",
		"GET /auth/envoy/ HTTP/1.1\r\nHost: filed.example\r\nHost: filed.example\r\n\r\n":                                              "400",
		"GET /auth/envoy/ HTTP/1.1\r\nHost: filed.example, unfiled.example\r\n\r\n":                                                    "400",
		"GET http://filed.example/auth/envoy/ HTTP/1.1\r\nHost: unfiled.example\r\n\r\n":                                               "400",
		"GET /auth/forward HTTP/1.1\nHost: icp\nX-Forwarded-Host: filed.example\n\n":                                                   "400",
		"GET /auth/forward HTTP/1.1\r\nHost: icp\r\nX-Forwarded-Host : filed.example\r\n\r\n":                                          "400",
		"GET /auth/forward HTTP/1.1\r\nHost: icp\r\nX-Forwarded-Host: filed.example\r\n unfiled.example\r\n\r\n":                       "400",
		"GET /auth/forward HTTP/1.1\r\nHost: icp\r\nX-A: " + strings.Repeat("a", 70_000) + "\r\n\r\n":                                  "431",
		"CONNECT /auth/envoy/ HTTP/1.1\r\nHost: filed.example\r\n\r\n":                                                                 "405",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n":                                                                                             "400",
		"GET /auth/forward HTTP/1.1\r\nHost: icp\r\nX-Forwarded-Host: filed.example\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n": "400",
		"GET / HTTP/1.1\r\nHost: icp\r\n\r\n":                                                                                          "404",
		"GET /auth/other HTTP/1.1\r\nHost: icp\r\n\r\n":                                                                                "404",
	} {
		if got := strings.Join(statuses(t, talk(t, only(g), text)), " "); got != want {
			t.Errorf("%.80q: %s; want %s", text, got, want)
		}
	}
	if n := metric(t, reg, "icp_gate_limited_total", "peers"); n != 0 {
		t.Errorf("%v peers were refused; want none", n)
	}
	g, reg, _ = startHere(t, "auth://127.0.0.1:0 {\nICP\npeers 192.0.2.0/24\n}")
	for _, path := range []string{"/auth/nginx", "/v1/check?host=filed.example", "/healthz"} {
		got := talk(t, only(g), "GET "+path+" HTTP/1.1\r\nHost: icp\r\nX-Forwarded-Host: filed.example\r\n\r\n")
		if !strings.HasPrefix(got, "HTTP/1.1 403 ") || strings.Contains(got, "X-ICP") {
			t.Errorf("%s: a stranger got %q; want 403 and no verdict", path, got)
		}
	}
	if n := metric(t, reg, "icp_gate_limited_total", "peers"); n != 3 {
		t.Errorf("%v strangers were counted; want 3", n)
	}
	if n := metric(t, reg, "icp_gate_verdicts_total"); n != 0 {
		t.Errorf("%v verdicts; want none", n)
	}
}

// TestAuthStrangers: peers that are not listed and say nothing keep no listed one out.
func TestAuthStrangers(t *testing.T) {
	g, reg, _ := startHere(t, "auth://127.0.0.1:0 {\nICP\npeers 127.0.0.2\nlimits connections 32\ntimeouts head 1h\n}")
	const question = "GET /auth/nginx HTTP/1.1\r\nHost: icp\r\nX-Forwarded-Host: filed.example\r\n\r\n"
	first := dialTCP(t, only(g))
	stranger := func() net.Conn { // nil where it was refused that soon
		c, err := net.Dial("tcp", only(g))
		if err != nil {
			return nil
		}
		t.Cleanup(func() { c.Close() })
		_ = c.SetDeadline(time.Now().Add(patience))
		return c
	}
	for range 40 {
		stranger()
	}
	// All but two of them are refused as they come.
	eventually(t, "strangers are refused", func() bool { return metric(t, reg, "icp_gate_limited_total", "peers") >= 41 })
	if n := metric(t, reg, "icp_gate_limited_total", "connections"); n != 0 {
		t.Errorf("%v connections found no room; want none", n)
	}
	c, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}).Dial("tcp", only(g))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, question)
	if resp, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || resp.StatusCode != 204 {
		t.Errorf("the listed peer: %v, %v; want 204", resp, err)
	}
	// One that has room is told, and makes room for another.
	refused := func(c net.Conn) bool {
		if c == nil {
			return false
		}
		fmt.Fprint(c, question)
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		return err == nil && resp.StatusCode == 403
	}
	if !refused(first) {
		t.Error("the first stranger: no 403")
	}
	first.Close()
	eventually(t, "another stranger is told", func() bool { return refused(stranger()) })
}

// TestAuthLongHead: a proxy can send a question to its end that is refused before, or it
// would take the gate for gone.
func TestAuthLongHead(t *testing.T) {
	g, _, _ := startHere(t, "auth://127.0.0.1:0 {\nICP\npeers 127.0.0.1\n}")
	c := dialTCP(t, only(g))
	// More than the system holds of a connection.
	text := "GET /auth/forward HTTP/1.1\r\nHost: icp\r\n" + strings.Repeat("X-Long: "+strings.Repeat("a", 16<<10)+"\r\n", 800)
	if n, err := io.WriteString(c, text); err != nil {
		t.Errorf("of %d bytes %d were sent: %v", len(text), n, err)
	}
	if resp, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || resp.StatusCode != 431 {
		t.Errorf("%v, %v; want 431", resp, err)
	}
}

func TestAuthOverUnixSocket(t *testing.T) {
	_, _, dir := startHere(t, "auth://unix:a.sock {\nICP\n}")
	c, err := net.Dial("unix", filepath.Join(dir, "a.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, "GET /auth/nginx HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-Host: filed.example\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || resp.StatusCode != 204 {
		t.Errorf("%v, %v; want 204", resp, err)
	}
}

// TestAuthCounts: verdicts, sightings and the log say the same as of a client's own
// connection.
func TestAuthCounts(t *testing.T) {
	g, reg, dir := startHere(t, "auth://127.0.0.1:0 {\nICP\npeers 127.0.0.1\nlog conn.log\n}")
	_, resp, _ := authAsked(t, only(g), "GET", "/auth/nginx",
		"Host: icp\nX-Forwarded-Host: sighted.example\nX-Forwarded-Proto: https\nX-Real-IP: 203.0.113.7")
	authAsked(t, only(g), "GET", "/auth/forward", "Host: icp\nX-Forwarded-Host: filed.example")
	if n := metric(t, reg, "icp_gate_verdicts_total", "https", "block", "unfiled", "enforce"); n != 1 {
		t.Errorf("%v blocks were counted; want 1", n)
	}
	if n := metric(t, reg, "icp_gate_sniffs_total", "name"); n != 2 {
		t.Errorf("%v names were counted; want 2", n)
	}
	lines := logLines(t, filepath.Join(dir, "conn.log"), 2)
	if l := lines[0]; l["host"] != "sighted.example" || l["client"] != "203.0.113.7" || l["reason"] != "unfiled" || l["protocol"] != "https" ||
		l["id"] == "" || l["id"] != resp.Header.Get("X-ICP-Request-Id") {
		t.Errorf("the log says %v; the client was told %s", l, resp.Header.Get("X-ICP-Request-Id"))
	}
	if !slices.ContainsFunc(edge.ProcessSightings().Rows(), func(s edge.Sighting) bool { return s.Name.String() == "sighted.example" }) {
		t.Error("no sighting")
	}
}

// TestAuthSlow: who does not come to the end of a head, or of a body that is
// wanted, is told to go.
func TestAuthSlow(t *testing.T) {
	hasty(t, 50*time.Millisecond, func(t testing.TB, short time.Duration) {
		g, _, _ := startHere(t, fmt.Sprintf("auth://127.0.0.1:0 {\nICP\npeers 127.0.0.1\ntimeouts head %[1]s idle %[1]s\n}", short))
		for text, want := range map[string]string{
			"": "",
			"GET /auth/nginx HTTP/1.1\r\nHost: icp\r\n":                                                             "HTTP/1.1 408",
			"POST /v1/check HTTP/1.1\r\nHost: icp\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n[": "HTTP/1.1 408",
			"GET /auth/nginx HTTP/1.1\r\nHost: icp\r\nX-Forwarded-Host: filed.example\r\n\r\nGET /":                 "HTTP/1.1 204",
		} {
			c := dialTCP(t, only(g))
			fmt.Fprint(c, text)
			b, _ := io.ReadAll(c)
			if !strings.HasPrefix(string(b), want) || want == "" && len(b) > 0 {
				t.Errorf("%q: %q; want %s", text, b, want)
			}
		}
	})
}

// TestAuthFollowsReload: connections that proxies keep go on over a reload, by the
// configuration in force.
func TestAuthFollowsReload(t *testing.T) {
	const before = "auth://127.0.0.1:0 {\nICP\npeers 127.0.0.1\n}"
	p := start(t, 1, before, nil)
	c := dialTCP(t, p.addr(t, "auth:"))
	in := bufio.NewReader(c)
	ask := func() string {
		fmt.Fprint(c, "GET /auth/nginx HTTP/1.1\r\nHost: icp\r\nX-Forwarded-Host: unfiled.example\r\n\r\n")
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			return err.Error()
		}
		return resp.Status[:3]
	}
	if got := ask(); got != "403" {
		t.Fatalf("before: %s", got)
	}
	reload := func(config string, n int) {
		p.write(t, config)
		p.signal(t, syscall.SIGHUP)
		p.log.await(t, fmt.Sprintf(`(?s)(configuration read anew.*?){%d}`, n))
	}
	reload(strings.ReplaceAll(before, "ICP", "icp {\nregistry registry.icp\nmode monitor\n}\nserves mainland"), 1)
	if got := ask(); got != "204" {
		t.Errorf("in mode monitor: %s; want 204", got)
	}
	reload(strings.ReplaceAll(before, "peers 127.0.0.1", "peers 192.0.2.1"), 2)
	if got := ask(); got != "403" {
		t.Errorf("as a stranger: %s; want 403", got)
	}
	if got := ask(); got == "403" || got == "204" {
		t.Errorf("a stranger's connection goes on: %s", got)
	}
}

// TestAuthDrains: at the end of the process idle connections end at once, and a
// question that is under way is answered with the end.
func TestAuthDrains(t *testing.T) {
	p := start(t, 1, "auth://127.0.0.1:0 {\nICP\npeers 127.0.0.1\n}", nil)
	idle, asking := dialTCP(t, p.addr(t, "auth:")), dialTCP(t, p.addr(t, "auth:"))
	fmt.Fprint(idle, "GET /auth/nginx HTTP/1.1\r\nHost: icp\r\nX-Forwarded-Host: filed.example\r\n\r\n")
	if _, err := http.ReadResponse(bufio.NewReader(idle), nil); err != nil {
		t.Fatal(err)
	}
	const body = `{"host": "filed.example"}`
	fmt.Fprintf(asking, "POST /v1/check HTTP/1.1\r\nHost: icp\r\nContent-Type: application/json\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", len(body))
	in := bufio.NewReader(asking)
	if line, err := in.ReadString('\n'); !strings.HasPrefix(line, "HTTP/1.1 100 ") {
		t.Fatalf("%q, %v; want 100", line, err)
	}
	_, _ = in.ReadString('\n')
	p.signal(t, os.Interrupt)
	if b, err := io.ReadAll(idle); len(b) > 0 || err != nil {
		t.Errorf("an idle connection got %q, %v; want its end", b, err)
	}
	fmt.Fprint(asking, body)
	resp, err := http.ReadResponse(in, nil)
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("%v, %v; want 200", resp, err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	if n, err := in.Read(make([]byte, 1)); n > 0 || err != io.EOF {
		t.Errorf("behind the answer: %v; want the end", err)
	}
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("%v; it said %s", err, p.log)
	}
}

// TestAuthUndecided: without a registry `fail closed` refuses and is not ready, and
// what a program is told is that nobody can tell.
func TestAuthUndecided(t *testing.T) {
	live := new(index.Live)
	g, _ := startLive(t, "auth://127.0.0.1:0 {\nicp {\nregistry r.snap\nfail closed\n}\nserves mainland\npeers 127.0.0.1\n}", live)
	want := func(path, want string) {
		t.Helper()
		if got, _, _ := authAsked(t, only(g), "GET", path, "Host: icp\nX-Forwarded-Host: filed.example"); got != want {
			t.Errorf("%s: %s; want %s", path, got, want)
		}
	}
	want("/auth/nginx", "403 block undecided")
	want("/readyz", "503")
	want("/healthz", "200")
	_, _, body := authAsked(t, only(g), "GET", "/v1/check?host=filed.example", "Host: icp")
	if !strings.Contains(body, `"answer":"cannot-tell","verdict":"block","reason":"undecided"`) {
		t.Errorf("a program is told %s", body)
	}
	live.Swap(newIndex(t, 1, filing("filed.example", registry.Aliyun)))
	want("/auth/nginx", "204 pass accessed")
	want("/readyz", "200")
}

// TestAuthIdle: who asks and then says nothing is let go when its time is over.
func TestAuthIdle(t *testing.T) {
	hasty(t, 50*time.Millisecond, func(t testing.TB, short time.Duration) {
		g, _, _ := startHere(t, fmt.Sprintf("auth://127.0.0.1:0 {\nICP\npeers 127.0.0.1\ntimeouts idle %s\n}", short))
		c := dialTCP(t, only(g))
		fmt.Fprint(c, "GET /auth/nginx HTTP/1.1\r\nHost: icp\r\nX-Forwarded-Host: filed.example\r\n\r\n")
		b, err := io.ReadAll(c)
		if err != nil || !strings.HasPrefix(string(b), "HTTP/1.1 204") {
			t.Errorf("%q, %v; want an answer and, in time, the end", b, err)
		}
	})
}
