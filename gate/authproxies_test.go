package gate_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
)

func init() {
	integrations["nginx.md#HTTP, with the page"] = tryNginxPage
	integrations["nginx.md#HTTP, with a redirect"] = tryNginxRedirect
	integrations["nginx.md#HTTP, open"] = tryNginxOpen
	integrations["nginx.md#TLS passed through"] = tryNginxBehind
	integrations["caddy.md#The page"] = tryCaddyPage
	integrations["caddy.md#A redirect"] = tryCaddyRedirect
	integrations["caddy.md#Open"] = tryCaddyOpen
}

// serveAskingNginx starts the nginx of a section, which listens at addr.
func serveAskingNginx(t *testing.T, f fences, addr string) {
	t.Helper()
	dir := t.TempDir()
	var names []string
	for name := range f {
		if name != "gate.conf" {
			names = append(names, name)
		}
	}
	f.write(t, dir, names...)
	for _, name := range []string{"modules", "logs"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	// Debian's modules stand elsewhere than a configuration names them from.
	if _, err := os.Stat(nginxModules); err == nil {
		_ = os.Remove(filepath.Join(dir, "modules"))
		if err := os.Symlink(nginxModules, filepath.Join(dir, "modules")); err != nil {
			t.Fatal(err)
		}
	}
	serveBy(t, addr, "nginx", "-p", dir, "-e", "stderr", "-c", filepath.Join(dir, "nginx.conf"),
		"-g", "daemon off; "+nginxWorkers(f)+" pid "+filepath.Join(dir, "pid")+";")
}

// nginxWorkers has root's nginx work as it does in earnest, by a worker that may do
// less, where the section has a socket for that one's group.
func nginxWorkers(f fences) string {
	_, group, ok := strings.Cut(f["gate.conf"], "socket 0660 ")
	group, _, _ = strings.Cut(group, "\n")
	if !ok || os.Geteuid() != 0 || !known(group) {
		return "master_process off;"
	}
	return "user " + group + " " + group + ";"
}

// known reports whether the system has a user and a group of that name.
func known(name string) bool {
	_, err := user.Lookup(name)
	_, err2 := user.LookupGroup(name)
	return err == nil && err2 == nil
}

// socketed has a section's socket be for anybody where its group cannot be tried.
func (f fences) socketed(group string) []string {
	if os.Geteuid() == 0 && known(group) {
		return nil
	}
	return []string{"socket 0660 " + group, "socket 0666"}
}

const nginxModules = "/usr/lib/nginx/modules"

// needNginxModule skips a test by the name of what it lacks.
func needNginxModule(t *testing.T, module, debian string) {
	t.Helper()
	command(t, "nginx")
	if _, err := os.Stat(filepath.Join(nginxModules, module)); err == nil {
		return
	}
	if os.Getenv("REQUIRE_PEERS") != "" {
		t.Fatalf("%s is not installed (Debian: %s); it is required", module, debian)
	}
	t.Skipf("%s is not installed (Debian: %s)", module, debian)
}

// socketPath is a path without what a configuration takes for its own marks, and
// which names of tests have.
func socketPath(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "icp-gate")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil { // for proxies that are not who tests
		t.Fatal(err)
	}
	return filepath.Join(dir, "icp-gate.sock")
}

// unhurried are the times of the documents that a busy machine of tests may exceed.
var unhurried = []string{
	"proxy_connect_timeout 1s", "proxy_connect_timeout 20s", "proxy_read_timeout 1s", "proxy_read_timeout 20s",
	"dial_timeout 1s", "dial_timeout 20s", "response_header_timeout 1s", "response_header_timeout 20s",
}

// patiently replaces in all files, and gives time.
func (f fences) patiently(pairs ...string) fences {
	changed := fences{}
	for name, text := range f {
		changed[name] = strings.NewReplacer(append(pairs, unhurried...)...).Replace(text)
	}
	return changed
}

// asHasty are the times for a gate that hangs.
func (f fences) asHasty() fences {
	return f.patiently("20s", "200ms")
}

// wanted are answers for hosts: a status, and a word that stands in header or body.
type wanted struct {
	host   string
	status int
	says   string
}

func (w wanted) try(t *testing.T, addr string, fields ...string) {
	t.Helper()
	got := get(t, addr, w.host, fields...)
	if got.status != w.status || !strings.Contains(fmt.Sprint(got.header)+got.body, w.says) {
		t.Errorf("%q: %+v; want %d that says %q", w.host, got, w.status, w.says)
	}
}

// fronted tells what a proxy in front must do with any page of icp-gate.
var frontedPage = []wanted{
	{"filed.example", 200, "GET filed.example"},
	{"WWW.Filed.Example:80", 200, "GET WWW.Filed.Example:80"},
	{"unfiled.example", 403, "has no ICP filing"},
	{"www.unfiled.example:80", 403, "www.unfiled.example"},
	{"elsewhere.example", 403, "Example Cloud"},
}

// tricks are hosts in which one reads another name than the next. None may reach
// the web server.
var tricks = []string{
	"filed.example:80@unfiled.example", "filed.example:80:unfiled.example", "filed.example, unfiled.example", "unfiled.example,filed.example",
	"filed.example/unfiled.example", "unfiled.example#filed.example", "filed.example%00.unfiled.example", "filed.example..",
}

// trick sends them, and headers that a client may try to pass itself off by.
func trick(t *testing.T, addr string, s *seen) {
	t.Helper()
	for _, host := range tricks {
		if got := raw(t, addr, []byte("GET / HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\n\r\n"), true); strings.HasPrefix(got, "2") {
			t.Errorf("%q passes: %s", host, got)
		}
	}
	for _, lines := range []string{
		"Host: unfiled.example\r\nX-Forwarded-Host: filed.example", "Host: unfiled.example\r\nX-Original-Host: filed.example",
		"Host: unfiled.example\r\nX-ICP-Addr: 8.8.8.8", "Host: unfiled.example\r\nX-Real-IP: 198.51.100.99\r\nX-Forwarded-For: 198.51.100.99",
		"Host: unfiled.example\r\nForwarded: host=filed.example", "Host: filed.example\r\nHost: unfiled.example",
		"Host: unfiled.example\r\nConnection: close, X-Forwarded-Host, X-Original-Host", "X-Forwarded-Host: filed.example\r\nHost: unfiled.example",
	} {
		if !strings.Contains(lines, "Connection: ") {
			lines += "\r\nConnection: close"
		}
		if got := raw(t, addr, []byte("GET / HTTP/1.1\r\n"+lines+"\r\n\r\n"), true); strings.HasPrefix(got, "2") {
			t.Errorf("%q passes: %s", lines, got)
		}
	}
	if got := s.String(); strings.Contains(got, "unfiled") {
		t.Errorf("the web server saw a name that is blocked: %s", got)
	}
}

// whenGone stops the gate, first for a while and then for good, and tells what a
// filed name gets, from a proxy that waits for no more than a moment.
func whenGone(t *testing.T, p *program, addr string, hangs, want int) {
	t.Helper()
	p.hang(t)
	eventually(t, "the gate stands still", func() bool {
		stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
		_, state, _ := strings.Cut(string(stat), ") ")
		return strings.HasPrefix(state, "T")
	})
	if got := get(t, addr, "filed.example"); got.status != hangs {
		t.Errorf("the gate hangs: %+v; want %d", got, hangs)
	}
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
	for range 3 {
		if got := get(t, addr, "filed.example"); got.status != want {
			t.Errorf("the gate is gone: %+v; want %d", got, want)
		}
	}
}

func tryNginxPage(t *testing.T, f fences) {
	web, agent, s := freePort(t), freePort(t), new(seen)
	f = f.patiently("listen 80 ", "listen "+web+" ", "127.0.0.1:9155", agent, "127.0.0.1:8080", newOrigin(t, s))
	p := start(t, 1, f["gate.conf"], nil)
	serveAskingNginx(t, f, web)
	for _, w := range frontedPage {
		w.try(t, web, "Accept", "text/html", "Accept-Language", "en")
	}
	wanted{"unfiled.example", 403, "该网站未完成备案"}.try(t, web, "Accept-Language", "zh-CN")
	wanted{"unfiled.example", 403, `"reason":"unfiled"`}.try(t, web, "Accept", "application/json")
	if got := tool(t, "curl", "-sS", "-o", os.DevNull, "-w", "%{http_code}", "-d", strings.Repeat("a", 100_000), "-H", "Host: filed.example", "http://"+web+"/"); got != "200" {
		t.Errorf("a body: %s; want 200", got)
	}
	if got := tool(t, "curl", "-sS", "-I", "-H", "Host: unfiled.example", "http://"+web+"/"); !strings.HasPrefix(got, "HTTP/1.1 403") {
		t.Errorf("HEAD: %s", got)
	}
	trick(t, web, s)
	hasty := freePort(t)
	serveAskingNginx(t, f.asHasty().patiently(web, hasty), hasty)
	get(t, hasty, "filed.example")
	whenGone(t, p, hasty, 500, 500)
}

// tryNginxRedirect (I01): a redirect is none to nginx, which makes one of a field.
func tryNginxRedirect(t *testing.T, f fences) {
	web, sock, s := freePort(t), socketPath(t), new(seen)
	f = f.patiently(append(f.socketed("www-data"), "listen 80 ", "listen "+web+" ", "/run/icp-gate/ask.sock", sock, "127.0.0.1:8080", newOrigin(t, s))...)
	p := start(t, 1, f["gate.conf"], nil)
	serveAskingNginx(t, f, web)
	for _, w := range []wanted{
		{"filed.example", 200, "GET filed.example"},
		{"unfiled.example", 302, "https://notice.example.com/icp?host=unfiled.example&reason=unfiled"},
		{"www.elsewhere.example", 302, "host=www.elsewhere.example&reason=not-accessed"},
		{"notice.example.com", 403, ""},
	} {
		w.try(t, web)
	}
	trick(t, web, s)
	hasty := freePort(t)
	serveAskingNginx(t, f.asHasty().patiently(web, hasty), hasty)
	whenGone(t, p, hasty, 500, 500)
}

func tryNginxOpen(t *testing.T, f fences) {
	web, agent := freePort(t), freePort(t)
	f = f.patiently("listen 80 ", "listen "+web+" ", "127.0.0.1:9155", agent, "127.0.0.1:8080", newOrigin(t, new(seen)))
	p := start(t, 1, f["gate.conf"], nil)
	serveAskingNginx(t, f, web)
	for _, w := range []wanted{{"filed.example", 200, "GET filed.example"}, {"unfiled.example", 403, ""}} {
		w.try(t, web)
		w.try(t, web, "X-ICP-Addr", "8.8.8.8")
	}
	hasty := freePort(t)
	serveAskingNginx(t, f.asHasty().patiently(web, hasty), hasty)
	whenGone(t, p, hasty, 200, 200)
	wanted{"unfiled.example", 200, "GET unfiled.example"}.try(t, hasty)
}

func tryNginxBehind(t *testing.T, f fences) {
	needNginxModule(t, "ngx_stream_module.so", "libnginx-mod-stream")
	web, agent := freePort(t), freePort(t)
	f = f.patiently("listen 443", "listen "+web, "127.0.0.1:9443", agent, "127.0.0.1:8443", newTLSOrigin(t))
	p := start(t, 1, f["gate.conf"], nil)
	serveAskingNginx(t, f, web)
	if err := handshake(web, "filed.example"); err != nil {
		t.Errorf("a filed name: %v", err)
	}
	if err := handshake(web, "unfiled.example"); err == nil || !strings.Contains(err.Error(), "unrecognized name") {
		t.Errorf("an unfiled name: %v; want the alert", err)
	}
	// As nginx has it with less patience.
	p.hang(t)
	hasty := freePort(t)
	serveAskingNginx(t, fences{"nginx.conf": strings.NewReplacer("listen "+web, "listen "+hasty, "proxy_timeout 75s", "proxy_timeout 500ms").Replace(f["nginx.conf"])}, hasty)
	var late net.Error
	if err := handshake(hasty, "filed.example"); err == nil || errors.As(err, &late) && late.Timeout() {
		t.Errorf("the gate hangs: %v; want the end", err)
	}
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
	if err := handshake(web, "filed.example"); err == nil {
		t.Error("the gate is gone: a handshake; want the end")
	}
}

// serveCaddy starts the Caddy of a section, which listens at addr.
func serveCaddy(t *testing.T, f fences, addr string) {
	t.Helper()
	dir := t.TempDir()
	writeFile(t, dir, "Caddyfile", "{\n\tadmin off\n\tauto_https off\n}\n"+f["Caddyfile"])
	serveBy(t, addr, "env", "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir, command(t, "caddy").Path, "run", "--adapter", "caddyfile", "--config", filepath.Join(dir, "Caddyfile"))
}

// caddyPort is how a Caddyfile names an address that it listens at.
func caddyPort(addr string) string {
	_, port, _ := net.SplitHostPort(addr)
	return ":" + port + " {"
}

// tryCaddyPage (I07): the page comes to the client as it is.
func tryCaddyPage(t *testing.T, f fences) {
	command(t, "caddy")
	web, agent, s := freePort(t), freePort(t), new(seen)
	f = f.patiently(":80 {", caddyPort(web), "127.0.0.1:9155", agent, "127.0.0.1:8080", newOrigin(t, s))
	p := start(t, 1, f["gate.conf"], nil)
	serveCaddy(t, f, web)
	for _, w := range frontedPage {
		w.try(t, web, "Accept", "text/html", "Accept-Language", "en")
	}
	wanted{"unfiled.example", 403, "该网站未完成备案"}.try(t, web, "Accept-Language", "zh-CN")
	wanted{"unfiled.example", 403, `"reason":"unfiled"`}.try(t, web, "Accept", "application/json")
	trick(t, web, s)
	hasty := freePort(t)
	serveCaddy(t, f.asHasty().patiently(caddyPort(web), caddyPort(hasty)), hasty)
	whenGone(t, p, hasty, 504, 502)
}

func tryCaddyRedirect(t *testing.T, f fences) {
	command(t, "caddy")
	web, sock, s := freePort(t), socketPath(t), new(seen)
	f = f.patiently(append(f.socketed("caddy"), ":80 {", caddyPort(web), "/run/icp-gate/ask.sock", sock, "127.0.0.1:8080", newOrigin(t, s))...)
	p := start(t, 1, f["gate.conf"], nil)
	serveCaddy(t, f, web)
	for _, w := range []wanted{
		{"filed.example", 200, "GET filed.example"},
		{"unfiled.example", 302, "https://notice.example.com/icp?host=unfiled.example&reason=unfiled"},
		{"notice.example.com", 403, "notice.example.com"},
	} {
		w.try(t, web)
	}
	trick(t, web, s)
	hasty := freePort(t)
	serveCaddy(t, f.asHasty().patiently(caddyPort(web), caddyPort(hasty)), hasty)
	whenGone(t, p, hasty, 504, 502)
}

func tryCaddyOpen(t *testing.T, f fences) {
	command(t, "caddy")
	web, agent := freePort(t), freePort(t)
	f = f.patiently(":80 {", caddyPort(web), "127.0.0.1:9155", agent, "127.0.0.1:8080", newOrigin(t, new(seen)))
	p := start(t, 1, f["gate.conf"], nil)
	serveCaddy(t, f, web)
	for _, w := range []wanted{{"filed.example", 200, "GET filed.example"}, {"unfiled.example", 403, ""}} {
		w.try(t, web)
	}
	// A head that is longer than the gate takes does not make it gone.
	for range 30 {
		if got := get(t, web, "unfiled.example", "X-Long", strings.Repeat("a", 500_000)); got.status == 200 {
			t.Errorf("a long head: %+v; want it refused", got)
		}
	}
	hasty := freePort(t)
	serveCaddy(t, f.asHasty().patiently(caddyPort(web), caddyPort(hasty)), hasty)
	whenGone(t, p, hasty, 200, 200)
}
