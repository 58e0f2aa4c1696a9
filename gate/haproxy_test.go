package gate_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/icpgate/icpgate/gate"
	"github.com/icpgate/icpgate/gate/internal/hello"
)

func init() {
	integrations["haproxy.md#HTTP, with the page"] = tryHAProxyPage
	integrations["haproxy.md#HTTP, with a redirect"] = tryHAProxyRedirect
	integrations["haproxy.md#TLS passed through"] = tryHAProxyTLS
}

// haproxied is HAProxy before the gate.
type haproxied struct {
	dir  string
	addr string // that clients connect to
}

// serveAskingHAProxy starts the HAProxy of a section, which listens at addr.
func serveAskingHAProxy(t *testing.T, f fences, addr string) haproxied {
	t.Helper()
	dir := t.TempDir()
	f.write(t, dir, "haproxy.cfg", "spoe-icp.conf")
	if f["site.pem"] != "" {
		f.write(t, dir, "site.pem")
	}
	serveBy(t, addr, "haproxy", "-db", "-C", dir, "-f", filepath.Join(dir, "haproxy.cfg"))
	return haproxied{dir, addr}
}

// webAnswer is what a client gets.
type webAnswer struct {
	status int // 0 where nobody answered
	header http.Header
	body   string
}

// hastyHAProxy is a configuration with the document's times, for a gate that hangs or
// is gone.
func (f fences) hastyHAProxy(pairs ...string) fences {
	changed := fences{}
	for name, text := range f {
		changed[name] = strings.NewReplacer(append(pairs, "timeout processing 20s", "timeout processing 500ms", " fall 600", "")...).Replace(text)
	}
	return changed
}

// get asks for a page as a browser does.
func get(t *testing.T, addr, host string, fields ...string) webAnswer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = host
	for i := 0; i < len(fields); i += 2 {
		req.Header.Set(fields[i], fields[i+1])
	}
	tr := &http.Transport{DisableKeepAlives: true}
	defer tr.CloseIdleConnections()
	resp, err := tr.RoundTrip(req)
	if err != nil {
		return webAnswer{}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Errorf("%s: %v", host, err)
	}
	return webAnswer{status: resp.StatusCode, header: resp.Header, body: string(body)}
}

// patient are the times of the documents that a busy machine of tests may exceed. A
// check asks often, so that the gate is found again soon, and may fail for long.
var patient = []string{"timeout processing 500ms", "timeout processing 20s", "check inter 2s", "check inter 100ms fall 600", "timeout hello 1s", "timeout hello 20s", "timeout connect 5s", "timeout connect 20s"}

func tryHAProxyPage(t *testing.T, f fences) {
	web, secure, agent := freePort(t), freePort(t), freePort(t)
	f = f.with(t, append([]string{"bind :80", "bind " + web, "bind :443", "bind " + secure, "127.0.0.1:9000", agent, "127.0.0.1:8080", newOrigin(t, new(seen))}, patient...)...)
	f["site.pem"] = pemOf(t, newCertificate(t, "filed.example"))
	p := start(t, 1, f["gate.conf"], nil)
	h := serveAskingHAProxy(t, f, web)
	eventually(t, "the gate is asked", func() bool { return get(t, web, "filed.example").status == 200 })
	if got := get(t, web, "WWW.Filed.Example:80"); got.status != 200 || !strings.HasPrefix(got.body, "GET WWW.Filed.Example:80") {
		t.Errorf("a filed name: %+v", got)
	}
	for _, tt := range []struct{ host, language, reason, page string }{
		{"unfiled.example", "en", "unfiled", "has no ICP filing"},
		{"unfiled.example", "zh-CN", "unfiled", "该网站未完成备案"},
		{"elsewhere.example", "en", "not-accessed", "Example Cloud"},
	} {
		got := get(t, web, tt.host, "Accept-Language", tt.language)
		if got.status != 403 || got.header.Get("X-ICP-Reason") != tt.reason || !strings.Contains(got.body, tt.page) || got.header.Get("Content-Type") != "text/html; charset=utf-8" {
			t.Errorf("%s: %+v; want 403, %s and a page with %q", tt.host, got, tt.reason, tt.page)
		}
		// HAProxy writes control characters so, in a body too.
		if at := strings.Index(got.body, "%0"); at >= 0 || !strings.HasPrefix(got.body, "<!DOCTYPE html> <html ") {
			t.Errorf("%s: the page has something else in place of line breaks: %.60q", tt.host, got.body[max(at, 0):])
		}
	}
	// Two hosts in one request never pass, whoever of the two programs sees it.
	for _, lines := range []string{"Host: filed.example, unfiled.example", "Host: filed.example:80@unfiled.example", "Host: filed.example\r\nHost: unfiled.example"} {
		if got := raw(t, web, []byte("GET / HTTP/1.1\r\n"+lines+"\r\nConnection: close\r\n\r\n"), true); got != "400" && got != "403" {
			t.Errorf("%s: %q; want it refused", lines, got)
		}
	}
	tryBothNames(t, secure)
	reloadHAProxy(t, h)
	restartAsked(t, p, web)
	p.killSuccessors()
	p = start(t, 1, f["gate.conf"], nil)
	eventually(t, "the gate is asked again", func() bool { return get(t, web, "filed.example").status == 200 })
	// An agent that hangs, and one that is gone, are the closed side's.
	p.hang(t)
	other := freePort(t)
	serveAskingHAProxy(t, f.hastyHAProxy(web, other, secure, freePort(t)), other)
	if got := get(t, other, "filed.example"); got.status != 503 {
		t.Errorf("the agent hangs: %+v; want 503", got)
	}
	_ = p.cmd.Process.Kill()
	for range 3 {
		if got := get(t, other, "filed.example"); got.status != 503 {
			t.Errorf("the agent is gone: %+v; want 503", got)
		}
	}
}

// pemOf is a certificate and its key in one, as HAProxy wants them.
func pemOf(t *testing.T, c gate.Certificate) string {
	t.Helper()
	var both strings.Builder
	for _, path := range []string{c.Cert, c.Key} {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		both.Write(b)
	}
	return both.String()
}

// tryBothNames: where TLS ends at HAProxy, the name in the hello and the host must
// pass, over HTTP/1.1 and HTTP/2.
func tryBothNames(t *testing.T, addr string) {
	t.Helper()
	for _, h2 := range []bool{false, true} {
		for _, tt := range []struct {
			sni, host string
			want      int
		}{
			{"filed.example", "filed.example", 200}, {"filed.example", "unfiled.example", 403}, {"unfiled.example", "filed.example", 403}, {"", "filed.example", 200},
		} {
			// No name is sent in the hello where an address is to be verified.
			config := &tls.Config{ServerName: tt.sni, InsecureSkipVerify: true}
			tr := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: h2, DisableKeepAlives: true}
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+addr+"/", nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Host = tt.host
			resp, err := tr.RoundTrip(req)
			if err != nil {
				t.Fatalf("%+v, HTTP/2 %v: %v", tt, h2, err)
			}
			resp.Body.Close()
			if resp.StatusCode != tt.want || resp.ProtoMajor == 2 != h2 {
				t.Errorf("%+v, HTTP/2 %v: %s %d", tt, h2, resp.Proto, resp.StatusCode)
			}
		}
	}
}

// restartAsked restarts the gate while HAProxy asks. A question that crosses the
// farewell may fail, and no other.
func restartAsked(t *testing.T, p *program, addr string) {
	t.Helper()
	stop := make(chan struct{})
	var all sync.WaitGroup
	const clients = 4
	var n, failed atomic.Int64
	for range clients {
		all.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				n.Add(1)
				if got := get(t, addr, "filed.example"); got.status != 200 {
					failed.Add(1)
				}
			}
		})
	}
	p.signal(t, sigHandOver)
	p.log.await(t, "msg=ended")
	close(stop)
	all.Wait()
	if failed.Load() > clients {
		t.Errorf("%d of %d requests failed at the restart; want no more than one of each client's", failed.Load(), n.Load())
	}
}

// reloadHAProxy reloads under load, again and again: each new process opens its
// connections to the gate at once. No answer is wrong.
func reloadHAProxy(t *testing.T, h haproxied) {
	t.Helper()
	stop := make(chan struct{})
	var all sync.WaitGroup
	for i := range 6 {
		host, want := "filed.example", 200
		if i%3 == 0 {
			host, want = "unfiled.example", 403
		}
		all.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				// A connection in the queue of a process that ends is reset by the kernel.
				if got := get(t, h.addr, host); got.status != 0 && got.status != want {
					t.Errorf("while HAProxy is reloaded: %s got %d; want %d", host, got.status, want)
					return
				}
			}
		})
	}
	var old *exec.Cmd
	for range 4 {
		next := command(t, "haproxy", "-db", "-C", h.dir, "-f", filepath.Join(h.dir, "haproxy.cfg"))
		if old != nil {
			next.Args = append(next.Args, "-sf", fmt.Sprint(old.Process.Pid))
		}
		if err := next.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = next.Process.Signal(syscall.SIGTERM)
			_ = next.Wait()
		})
		if old != nil {
			_ = old.Wait()
		}
		old = next
	}
	close(stop)
	all.Wait()
}

func tryHAProxyRedirect(t *testing.T, f fences) {
	web, sock := freePort(t), socketPath(t)
	if socketed := f.socketed("haproxy"); socketed != nil {
		f = f.with(t, socketed...)
	} else { // as Debian has it
		f["haproxy.cfg"] = "global\n    user haproxy\n    group haproxy\n\n" + f["haproxy.cfg"]
	}
	f = f.with(t, append([]string{"bind :80", "bind " + web, "/run/icp-gate/ask.sock", sock, "127.0.0.1:8080", newOrigin(t, new(seen))}, patient...)...)
	p := start(t, 1, f["gate.conf"], nil)
	serveAskingHAProxy(t, f, web)
	if got := get(t, web, "filed.example"); got.status != 200 || got.body != "GET filed.example 0" {
		t.Errorf("a filed name: %+v", got)
	}
	for host, to := range map[string]string{
		"unfiled.example":       "https://notice.example.com/icp?host=unfiled.example&reason=unfiled",
		"www.elsewhere.example": "https://notice.example.com/icp?host=www.elsewhere.example&reason=not-accessed",
		"notice.example.com":    "",
	} {
		got := get(t, web, host)
		if want := map[bool]int{true: 403, false: 302}[to == ""]; got.status != want || got.header.Get("Location") != to {
			t.Errorf("%s: %+v; want %d to %q", host, got, want, to)
		}
	}
	// What an HAProxy with larger buffers takes, it can ask about.
	large := freePort(t)
	serveAskingHAProxy(t, f.with(t, web, large, "defaults\n", "global\n    tune.bufsize 65536\n\ndefaults\n"), large)
	if got := talk(t, large, "GET /"+strings.Repeat("a", 40_000)+" HTTP/1.1\r\nHost: unfiled.example\r\nConnection: close\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 302 ") {
		t.Errorf("a long path: %.100q; want 302", got)
	}
	other := freePort(t)
	serveAskingHAProxy(t, f.hastyHAProxy(web, other), other)
	p.hang(t)
	if got := get(t, other, "unfiled.example"); got.status != 200 {
		t.Errorf("the agent hangs: %+v; want 200, by the open side", got)
	}
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
	for _, host := range []string{"filed.example", "unfiled.example"} {
		if got := get(t, other, host); got.status != 200 {
			t.Errorf("%s while the agent is gone: %+v; want 200, by the open side", host, got)
		}
	}
}

func tryHAProxyTLS(t *testing.T, f fences) {
	web, agent := freePort(t), freePort(t)
	f = f.with(t, append([]string{"bind :443", "bind " + web, "127.0.0.1:9000", agent, "127.0.0.1:8443", newTLSOrigin(t), "inspect-delay 5s", "inspect-delay 20s"}, patient...)...)
	p := start(t, 1, f["gate.conf"], nil)
	serveAskingHAProxy(t, f, web)
	eventually(t, "the gate is asked", func() bool { return handshake(web, "filed.example") == nil })
	for name, passes := range map[string]bool{
		"www.filed.example": true, "WWW.Filed.example": true, "unfiled.example": false, "elsewhere.example": false, "": false,
	} {
		if err := handshake(web, name); (err == nil) != passes {
			t.Errorf("%q: %v; want it to pass: %v", name, err, passes)
		}
	}
	for name, b := range map[string][]byte{
		"the first of two":    withExtensions(hello.SNIOf(hello.Entry(0, "unfiled.example"), hello.Entry(0, "filed.example"))),
		"a NUL in the name":   withExtensions(hello.SNI("filed.example\x00.unfiled.example")),
		"several records":     hello.Records(hello.Spec{Extensions: [][]byte{hello.SNI("unfiled.example")}}.Message(), 8, 8, 8),
		"no extensions":       hello.Records(hello.Spec{NoExtensions: true}.Message()),
		"no TLS":              []byte("GET / HTTP/1.1\r\nHost: filed.example\r\n\r\n"),
		"an unfiled name":     withExtensions(hello.SNI("unfiled.example")),
		"half an unfiled one": withExtensions(hello.SNI("unfiled.example"))[:60],
	} {
		if got := raw(t, web, b, false); got != "closed" && got != "reset" {
			t.Errorf("%s: %q; want the end alone", name, got)
		}
	}
	other := freePort(t)
	serveAskingHAProxy(t, f.hastyHAProxy(web, other), other)
	p.hang(t)
	if err := handshake(other, "filed.example"); err == nil {
		t.Error("the agent hangs: a handshake; want the end, by the closed side")
	}
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
	if err := handshake(other, "filed.example"); err == nil {
		t.Error("the agent is gone: a handshake; want the end, by the closed side")
	}
}
