package gate_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// newPeered starts the program with an HTTP listener that takes h2c and one that
// ends TLS.
func newPeered(t *testing.T) (plain, ended string) {
	web := newOrigin(t, new(seen))
	cert := newCertificate(t, "filed.example", "unfiled.example")
	p := start(t, 2, fmt.Sprintf(`
http://127.0.0.1:0 {
	ICP
	upstream %[1]s
	h2c on
}
tls://127.0.0.1:0 {
	ICP
	upstream %[1]s
	tls %[2]s %[3]s
}`, web, cert.Cert, cert.Key), nil)
	return p.addr(t, "http:"), p.addr(t, "tls:")
}

// TestNghttp: another client of HTTP/2, on both kinds of listeners: streams of
// filed and other names over one connection each.
func TestNghttp(t *testing.T) {
	plain, ended := newPeered(t)
	status := regexp.MustCompile(`:status: (\d+)`)
	for _, tt := range []struct{ url, name, want string }{
		{"http://" + plain + "/", "filed.example", "200"},
		{"http://" + plain + "/", "unfiled.example", "403"},
		{"https://" + ended + "/", "filed.example", "200"},
		{"https://" + ended + "/", "unfiled.example", "403"},
	} {
		out := tool(t, "nghttp", "-nv", "--no-verify-peer", "-t", "30", "-m", "3", "-H", ":authority: "+tt.name, tt.url)
		got := status.FindAllStringSubmatch(out, -1)
		if len(got) != 3 || got[0][1] != tt.want || got[2][1] != tt.want {
			t.Errorf("%s as %s: got %v; want 3 of %s\n%s", tt.url, tt.name, got, tt.want, out)
		}
	}
}

// TestCurlH2 has curl ask over HTTP/2, on both kinds of listeners.
func TestCurlH2(t *testing.T) {
	plain, ended := newPeered(t)
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"TLS", []string{"-k", "--http2", "--connect-to", "::" + ended, "https://filed.example/"}, "2 200"},
		{"an unfiled name", []string{"-k", "--http2", "--connect-to", "::" + ended, "https://unfiled.example/"}, "2 403"},
		{"a body", []string{"-k", "--http2", "--data", "hello", "--connect-to", "::" + ended, "https://filed.example/"}, "2 200"},
		{"plaintext", []string{"--http2-prior-knowledge", "--connect-to", "::" + plain, "http://filed.example/"}, "2 200"},
		{"another host than in the hello", []string{"-k", "--http2", "-H", "Host: unfiled.example", "--connect-to", "::" + ended, "https://filed.example/"}, "2 403"},
	} {
		out := tool(t, "curl", append([]string{"-sS", "-o", os.DevNull, "-w", "%{http_version} %{http_code}", "--max-time", "30"}, tt.args...)...)
		if out != tt.want {
			t.Errorf("%s: got %s; want %s", tt.name, out, tt.want)
		}
	}
}

// TestLoadGenerators: load generators get the answers that they should, all of them.
func TestLoadGenerators(t *testing.T) {
	plain, ended := newPeered(t)
	body := filepath.Join(t.TempDir(), "body")
	if err := os.WriteFile(body, make([]byte, 100_000), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		args []string
		want []string // patterns of what it says
		not  string
	}{
		{"h2load", []string{"-n", "2000", "-c", "10", "-m", "20", "--connect-to=" + plain, "http://filed.example/"}, []string{`2000 2xx, 0 3xx, 0 4xx, 0 5xx`, `2000 succeeded, 0 failed`}, ""},
		{"h2load", []string{"-n", "500", "-c", "5", "-m", "20", "--connect-to=" + plain, "http://unfiled.example/"}, []string{`0 2xx, 0 3xx, 500 4xx, 0 5xx`}, ""},
		{"h2load", []string{"-n", "2000", "-c", "10", "-m", "20", "--connect-to=" + ended, "https://filed.example/"}, []string{`2000 2xx, 0 3xx, 0 4xx, 0 5xx`, `Application protocol: h2`}, ""},
		{"h2load", []string{"-n", "200", "-c", "5", "-m", "20", "-d", body, "--connect-to=" + ended, "https://filed.example/"}, []string{`200 2xx, 0 3xx, 0 4xx, 0 5xx`}, ""},
		{"h2load", []string{"-n", "500", "-c", "5", "--h1", "--connect-to=" + ended, "https://filed.example/"}, []string{`500 2xx`, `Application protocol: http/1.1`}, ""},
		{"ab", []string{"-q", "-n", "2000", "-c", "20", "-k", "-H", "Host: filed.example", "http://" + plain + "/"}, []string{`Complete requests: +2000`, `Failed requests: +0`, `Keep-Alive requests: +2000`}, `Non-2xx`},
		{"ab", []string{"-q", "-n", "2000", "-c", "20", "-H", "Host: filed.example", "http://" + plain + "/"}, []string{`Complete requests: +2000`, `Failed requests: +0`}, `Non-2xx`},
		{"ab", []string{"-q", "-n", "500", "-c", "20", "-l", "-H", "Host: unfiled.example", "http://" + plain + "/"}, []string{`Complete requests: +500`, `Failed requests: +0`, `Non-2xx responses: +500`}, ``},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out := tool(t, tt.name, tt.args...)
			for _, want := range tt.want {
				if !regexp.MustCompile(want).MatchString(out) {
					t.Errorf("%s: no %q in\n%s", strings.Join(tt.args, " "), want, out)
				}
			}
			if tt.not != "" && regexp.MustCompile(tt.not).MatchString(out) {
				t.Errorf("%s: %q in\n%s", strings.Join(tt.args, " "), tt.not, out)
			}
		})
	}
	for name, tt := range map[string]struct {
		args      []string
		want, not string // patterns of what it says
	}{
		"kept":    {[]string{"-c", "50", "-H", "Host: filed.example"}, `[1-9]\d* requests in`, `Non-2xx|Socket errors`},
		"closed":  {[]string{"-c", "200", "-H", "Host: filed.example", "-H", "Connection: close"}, `[1-9]\d* requests in`, `Non-2xx|Socket errors`},
		"blocked": {[]string{"-c", "50", "-H", "Host: unfiled.example"}, `[1-9]\d* requests in[^$]*Non-2xx or 3xx responses: `, `Socket errors`},
	} {
		t.Run("wrk "+name, func(t *testing.T) {
			// It may have no answer at all in a second of a machine that stands still.
			hasty(t, time.Second, func(t testing.TB, long time.Duration) {
				args := append([]string{"-t", "1", "--timeout", "10m", "-d", fmt.Sprintf("%.0fs", long.Seconds())}, tt.args...)
				out, err := command(t, "wrk", append(args, "http://"+plain+"/")...).CombinedOutput()
				if err != nil || !regexp.MustCompile(tt.want).Match(out) || regexp.MustCompile(tt.not).Match(out) {
					t.Errorf("%v: %v, want %q and no %q in\n%s", args, err, tt.want, tt.not, out)
				}
			})
		})
	}
}

// serveBy runs a server of the system until the test ends; it listens at addr.
func serveBy(t *testing.T, addr, name string, args ...string) {
	t.Helper()
	cmd := command(t, name, args...)
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // which no shell has had ignored for us
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s: %s", name, &said)
		}
	})
	eventually(t, name+" listens", func() bool {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

// TestProxyInFront (P02): HAProxy and nginx tell of the client by a PROXY header;
// the name in it, where HAProxy sends one, is not what is judged.
func TestProxyInFront(t *testing.T) {
	p := start(t, 1, "http://127.0.0.1:0 {\nICP\nupstream "+newOrigin(t, new(seen))+"\nproxy-protocol require 127.0.0.1\n}", nil)
	gate := p.addr(t, "http:")
	cert := newCertificate(t, "filed.example")
	var both []byte
	for _, path := range []string{cert.Cert, cert.Key} {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		both = append(both, b...)
	}
	plain, secure, nginx := freePort(t), freePort(t), freePort(t)
	files := map[string]string{
		"both.pem": string(both),
		"haproxy.cfg": fmt.Sprintf(`
defaults
	mode tcp
	timeout connect 10s
	timeout client 10s
	timeout server 10s
listen v1
	bind %s
	server gate %s send-proxy
listen v2
	bind %s ssl crt both.pem
	server gate %s send-proxy-v2 proxy-v2-options authority,ssl,cert-cn,crc32c
`, plain, gate, secure, gate),
		"nginx.conf": fmt.Sprintf(`
load_module /usr/lib/nginx/modules/ngx_stream_module.so;
daemon off;
pid nginx.pid;
error_log stderr;
events {}
stream {
	server {
		listen %s;
		proxy_pass %s;
		proxy_protocol on;
	}
}
`, nginx, gate),
	}
	dir := t.TempDir()
	for name, text := range files {
		writeFile(t, dir, name, text)
	}
	for _, tt := range []struct {
		name, url string
		serve     func(t *testing.T)
	}{
		{"haproxy, v1", "http://" + plain + "/", func(t *testing.T) {
			serveBy(t, plain, "haproxy", "-db", "-C", dir, "-f", filepath.Join(dir, "haproxy.cfg"))
		}},
		{"haproxy, v2", "https://" + secure + "/", func(t *testing.T) {
			serveBy(t, secure, "haproxy", "-db", "-C", dir, "-f", filepath.Join(dir, "haproxy.cfg"))
		}},
		{"nginx", "http://" + nginx + "/", func(t *testing.T) {
			if _, err := os.Stat("/usr/lib/nginx/modules/ngx_stream_module.so"); err != nil && os.Getenv("REQUIRE_PEERS") == "" {
				t.Skip("nginx's stream module is not installed (Debian: libnginx-mod-stream)")
			}
			serveBy(t, nginx, "nginx", "-p", dir, "-c", filepath.Join(dir, "nginx.conf"))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.serve(t)
			scheme, addr, _ := strings.Cut(strings.TrimSuffix(tt.url, "/"), "://")
			ask := func(host string) string {
				return tool(t, "curl", "-sk", "-i", "--http1.1", "--interface", "127.0.0.77", "--connect-to", "::"+addr, "-H", "Host: "+host, "--max-time", "30", scheme+"://filed.example/")
			}
			if got := ask("filed.example"); !strings.HasPrefix(got, "HTTP/1.1 200") || !strings.Contains(got, "Got-X-Forwarded-For: 127.0.0.77") {
				t.Errorf("a filed name: got\n%s\nwant 200, and the client's address passed on", got)
			}
			// The hello, and with it the header, names the filed one.
			if got := ask("unfiled.example"); !strings.HasPrefix(got, "HTTP/1.1 403") {
				t.Errorf("an unfiled name: got\n%s\nwant 403", got)
			}
		})
	}
}
