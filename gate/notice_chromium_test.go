package gate_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/icpgate/icpgate/registry"
)

// TestNoticeInChromium: a browser that people use shows the page in its language,
// with its style, and asks for nothing else.
func TestNoticeInChromium(t *testing.T) {
	chromium := needChromium(t)
	s := newNotices(t, fullNotice)
	var mu sync.Mutex
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked = append(asked, r.URL.Path)
		mu.Unlock()
		n := noticeFor(`www.xn--fsqu00a.example`, registry.Unfiled)
		if r.URL.Path == "/hostile" {
			n.Host = `"><script>document.title="taken"</script><h1>`
		}
		n.Accept, n.Language = r.Header.Get("Accept"), r.Header.Get("Accept-Language")
		s.ServeNotice(w, n)
	}))
	defer server.Close()
	for _, tt := range []struct{ path, lang, html, want string }{
		{"/zh", "zh-CN", `<html lang="zh-CN">`, "该网站未完成备案，暂时无法访问 - www.xn--fsqu00a.example</title>"},
		{"/en", "en-US", `<html lang="en">`, "<b><bdi>www.例子.example</bdi></b>"},
		{"/hostile", "en-US", `<html lang="en">`, "<title>This website cannot be shown"},
	} {
		dom := dumpDOM(t, chromium, server.URL+tt.path, tt.lang)
		if !strings.Contains(dom, tt.html) || !strings.Contains(dom, tt.want) {
			t.Errorf("%s: no %q or no %q in\n%s", tt.path, tt.html, tt.want, dom)
		}
		if strings.Contains(dom, "<script") || strings.Count(dom, "<h1>") != 1 {
			t.Errorf("%s: the host became a part of the page:\n%s", tt.path, dom)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if got := strings.Join(asked, " "); got != "/zh /en /hostile" {
		t.Errorf("asked for %s; want each page once and nothing else", got)
	}
}

// needChromium finds Chromium, or skips the test by name; with REQUIRE_PEERS=1 it
// fails.
func needChromium(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err == nil {
		return path
	}
	const missing = "chromium is missing (Debian: chromium)"
	if os.Getenv("REQUIRE_PEERS") == "1" {
		t.Fatal(missing)
	}
	t.Skip(missing)
	return ""
}

// dumpDOM returns a page as the browser has read it.
func dumpDOM(t *testing.T, chromium, url, lang string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-proxy-server",
		"--user-data-dir="+t.TempDir(), "--accept-lang="+lang, "--dump-dom", url)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("chromium: %v", err)
	}
	return string(out)
}
