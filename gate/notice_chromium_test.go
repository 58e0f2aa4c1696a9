package gate_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

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
	out, err := chromiumCommand(t, chromium, lang, "--dump-dom", url).Output()
	if err != nil {
		t.Fatalf("chromium: %v", err)
	}
	return string(out)
}

// chromiumCommand is the browser without a window and without anything it would
// ask the network for by itself.
func chromiumCommand(t *testing.T, chromium, lang string, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), browserWait)
	t.Cleanup(cancel)
	return exec.CommandContext(ctx, chromium, append([]string{"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-proxy-server",
		"--user-data-dir=" + profile(t), "--accept-lang=" + lang}, args...)...)
}

// TestNoticeScreenshots writes, for people to look at, what a phone and a large
// screen show of the page, in each language, light and dark, into the directory
// that ICP_SCREENSHOTS names.
func TestNoticeScreenshots(t *testing.T) {
	dir := os.Getenv("ICP_SCREENSHOTS")
	if dir == "" {
		t.Skip("makes pictures to look at; ICP_SCREENSHOTS=DIR writes them there")
	}
	chromium := needChromium(t)
	s := newNotices(t, fullNotice)
	mux := http.NewServeMux()
	for _, r := range blockReasons() {
		mux.HandleFunc("/"+r.String(), func(w http.ResponseWriter, req *http.Request) {
			n := noticeFor(`www.xn--fsqu00a.example`, r)
			n.Accept, n.Language = req.Header.Get("Accept"), req.Header.Get("Accept-Language")
			s.ServeNotice(w, n)
		})
	}
	server := httptest.NewServer(mux)
	defer server.Close()
	for _, r := range []registry.Reason{registry.Unfiled, registry.NotAccessed} {
		for _, lang := range []string{"zh-CN", "en-US"} {
			for scheme, number := range map[string]string{"dark": "0", "light": "1"} {
				for screen, size := range map[string]string{"phone": "360,1200", "large": "1280,1100"} {
					path := filepath.Join(dir, fmt.Sprintf("%s-%s-%s-%s.png", r, lang, scheme, screen))
					out, err := chromiumCommand(t, chromium, lang, "--hide-scrollbars", "--window-size="+size,
						"--blink-settings=preferredColorScheme="+number, "--screenshot="+path, server.URL+"/"+r.String()).CombinedOutput()
					if err != nil {
						t.Fatalf("chromium: %v: %s", err, out)
					}
				}
			}
		}
	}
}
