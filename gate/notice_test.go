package gate_test

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/icpgate/icpgate/gate"
	"github.com/icpgate/icpgate/registry"
)

var fullNotice = gate.NoticeConfig{
	Contact:   gate.NoticeContact{Text: "400-000-0000", URL: "https://help.example.com/icp?a=1&b=2", Mail: "icp+help@example.com"},
	FilingURL: "https://filing.example.com/", AccessURL: "https://filing.example.com/access", Provider: "Example Cloud & Co",
}

func newNotices(t testing.TB, cfg gate.NoticeConfig) *gate.Notices {
	t.Helper()
	s, err := gate.NewNotices(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func noticeFor(host string, r registry.Reason, advisories ...registry.Advisory) gate.Notice {
	v := registry.Verdict{Reason: r, Block: true}
	for _, a := range advisories {
		v.Advisories = v.Advisories.With(a)
	}
	return gate.Notice{Host: host, Verdict: v, RequestID: "0123456789ab", Time: time.Date(2026, 3, 1, 20, 4, 5, 0, time.UTC),
		Accept: acceptChromium, Language: "en"}
}

// readNotice reads a response to its end, and nothing may follow.
func readNotice(t testing.TB, raw []byte, method string) (*http.Response, string) {
	t.Helper()
	r := bufio.NewReader(bytes.NewReader(raw))
	resp, err := http.ReadResponse(r, &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%v in\n%s", err, raw)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("body: %v in\n%s", err, raw)
	}
	if rest, _ := io.ReadAll(r); len(rest) > 0 {
		t.Fatalf("%d bytes behind the response: %q", len(rest), rest)
	}
	return resp, string(body)
}

func blockReasons() (list []registry.Reason) {
	for _, r := range registry.Reasons() {
		if r.Page() != registry.PageNone {
			list = append(list, r)
		}
	}
	return list
}

// TestNoticeForVisitors: where it is not the owner who can do something, the page
// speaks to whoever reads it, and no page speaks of options.
func TestNoticeForVisitors(t *testing.T) {
	for _, tt := range []struct {
		reason registry.Reason
		lang   string
		want   []string
	}{
		{registry.Undecided, "zh", []string{"<h1>暂时无法核验备案信息，请稍后再试</h1>", "<h2>您可以这样处理</h2>", "<li>请稍后再试，无需为此办理任何手续；如长时间未恢复，请告知接入商。</li>"}},
		{registry.Undecided, "en", []string{"<h1>The ICP filing cannot be checked at present, please try again later</h1>", "<h2>What you can do</h2>", "Tell the provider if it lasts."}},
		{registry.IPRefused, "zh", []string{"<h1>不能通过 IP 地址访问该网站</h1>", "<h2>您可以这样处理</h2>", "<li>请改用网站的域名访问；该域名须已备案。</li>"}},
		{registry.IPRefused, "en", []string{"<h1>This website cannot be opened by an IP address</h1>", "<h2>What you can do</h2>", "<li>Open the site by its domain name, which must be filed.</li>"}},
		{registry.NoHostRefused, "zh", []string{"<h1>请求未指明要访问的网站</h1>", "<h2>您可以这样处理</h2>", "通过网站的域名访问。</li>"}},
		{registry.NoHostRefused, "en", []string{"<h1>The request does not say which website it is for</h1>", "<h2>What you can do</h2>", "<li>Open the site by its domain name"}},
		{registry.Unfiled, "zh", []string{"<h2>网站主办者可以这样处理</h2>"}},
		{registry.Unfiled, "en", []string{"<h2>What the site&#39;s owner can do</h2>"}},
	} {
		n := noticeFor("203.0.113.7", tt.reason)
		n.Language = tt.lang
		_, body := readNotice(t, newNotices(t, gate.NoticeConfig{}).AppendHTTP1(nil, n), "GET")
		for _, want := range tt.want {
			if !strings.Contains(body, want) {
				t.Errorf("%s in %s: no %q in\n%s", tt.reason, tt.lang, want, body)
			}
		}
	}
	for _, r := range blockReasons() {
		for _, lang := range []string{"zh", "en"} {
			n := noticeFor("203.0.113.7", r)
			n.Language = lang
			_, body := readNotice(t, newNotices(t, gate.NoticeConfig{}).AppendHTTP1(nil, n), "GET")
			for _, word := range []string{"ip-literal", "no-host ", "policy", "策略", "registry"} {
				if strings.Contains(body, word) {
					t.Errorf("%s in %s speaks of %q", r, lang, word)
				}
			}
		}
	}
}

func TestNoticeHeaders(t *testing.T) {
	n := noticeFor("www.example.com", registry.NotAccessed)
	resp, body := readNotice(t, newNotices(t, gate.NoticeConfig{}).AppendHTTP1(nil, n), "GET")
	want := map[string]string{
		"Date": "Sun, 01 Mar 2026 20:04:05 GMT", "Content-Type": "text/html; charset=utf-8", "Content-Language": "en",
		"Vary": "Accept, Accept-Language", "Cache-Control": "no-store", "Connection": "close", "X-Icp-Verdict": "block",
		"X-Icp-Reason": "not-accessed", "X-Icp-Request-Id": "0123456789ab", "X-Content-Type-Options": "nosniff",
		"Referrer-Policy": "no-referrer", "X-Icp-Redirect": "", "Location": "", "Link": "",
	}
	if resp.StatusCode != 403 || resp.Proto != "HTTP/1.1" || resp.ContentLength != int64(len(body)) {
		t.Errorf("%s %s, length %d of %d", resp.Proto, resp.Status, resp.ContentLength, len(body))
	}
	for name, value := range want {
		got := resp.Header.Get(name)
		if name == "Connection" && resp.Close {
			got = "close"
		}
		if got != value {
			t.Errorf("%s: %q; want %q", name, got, value)
		}
	}
	csp := resp.Header.Get("Content-Security-Policy")
	for _, part := range []string{"default-src 'none'", "style-src 'sha256-", "frame-ancestors 'none'"} {
		if !strings.Contains(csp, part) {
			t.Errorf("Content-Security-Policy %q without %q", csp, part)
		}
	}
}

func TestNoticeOverResponseWriter(t *testing.T) {
	s := newNotices(t, gate.NoticeConfig{Status: 451, BlockedBy: "https://example.com/who"})
	for _, head := range []bool{false, true} {
		n := noticeFor("www.example.com", registry.Unfiled)
		n.Head = head
		w := httptest.NewRecorder()
		s.ServeNotice(w, n)
		method := map[bool]string{false: "GET", true: "HEAD"}[head]
		resp, body := readNotice(t, s.AppendHTTP1(nil, n), method)
		if w.Code != resp.StatusCode || w.Body.String() != body {
			t.Errorf("head %v: two answers: %d %d\n%s\n%s", head, w.Code, resp.StatusCode, w.Body, body)
		}
		if w.Header().Get("Connection") != "" {
			t.Error("a Connection header, which HTTP/2 does not know")
		}
		for name := range resp.Header {
			if got, want := w.Header().Get(name), resp.Header.Get(name); got != want && name != "Connection" {
				t.Errorf("head %v: %s: %q; want %q", head, name, got, want)
			}
		}
	}
}

func TestNoticeHead(t *testing.T) {
	s := newNotices(t, fullNotice)
	n := noticeFor("www.example.com", registry.Unfiled)
	_, body := readNotice(t, s.AppendHTTP1(nil, n), "GET")
	n.Head = true
	resp, none := readNotice(t, s.AppendHTTP1([]byte{}, n), "HEAD")
	if none != "" || resp.ContentLength != int64(len(body)) {
		t.Errorf("HEAD: body %q, length %d; want none, %d", none, resp.ContentLength, len(body))
	}
}

func TestNotice451(t *testing.T) {
	s := newNotices(t, gate.NoticeConfig{Status: 451, BlockedBy: `https://example.com/"<who>`})
	resp, _ := readNotice(t, s.AppendHTTP1(nil, noticeFor("www.example.com", registry.Unfiled)), "GET")
	if resp.Status != "451 Unavailable For Legal Reasons" {
		t.Errorf("status %s", resp.Status)
	}
	if got, want := resp.Header.Get("Link"), `<https://example.com/%22%3Cwho%3E>; rel="blocked-by"`; got != want {
		t.Errorf("Link: %s; want %s", got, want)
	}
}

func TestNoticeRedirect(t *testing.T) {
	for _, tt := range []struct{ target, host, want string }{
		{"https://page.example.com", "www.example.com", "https://page.example.com?host=www.example.com&reason=unfiled"},
		{"https://page.example.com/a?b=c", "a.example.com", "https://page.example.com/a?b=c&host=a.example.com&reason=unfiled"},
		{"https://page.example.com/a?#top", "a.example.com", "https://page.example.com/a?host=a.example.com&reason=unfiled#top"},
		{"https://page.example.com/", "2001:db8::1", "https://page.example.com/?host=2001%3Adb8%3A%3A1&reason=unfiled"},
		{"https://page.example.com/", "a\r\nSet-Cookie: b=c", "https://page.example.com/?host=a%EF%BF%BD%EF%BF%BDSet-Cookie%3A+b%3Dc&reason=unfiled"},
		{"https://page.example.com/", `x&reason=filed#"><script>`, "https://page.example.com/?host=x%26reason%3Dfiled%23%22%3E%3Cscript%3E&reason=unfiled"},
		{"https://page.example.com/", "page.example.com", ""}, // it would come back for ever
	} {
		s := newNotices(t, gate.NoticeConfig{Redirect: tt.target})
		resp, body := readNotice(t, s.AppendHTTP1(nil, noticeFor(tt.host, registry.Unfiled)), "GET")
		status := 302
		if tt.want == "" {
			status = 403
		}
		if resp.StatusCode != status || resp.Header.Get("Location") != tt.want || resp.Header.Get("X-ICP-Redirect") != tt.want {
			t.Errorf("%s of %q: %d, %q, %q; want %d, %q", tt.target, tt.host, resp.StatusCode, resp.Header.Get("Location"), resp.Header.Get("X-ICP-Redirect"), status, tt.want)
		}
		// Whoever does not come to see the header finds the place in the body.
		if said := strings.Contains(body, html.EscapeString(tt.target)); said != (tt.want != "") {
			t.Errorf("%s of %q: is it in the body: %v", tt.target, tt.host, said)
		}
		if len(resp.Cookies()) > 0 || body == "" {
			t.Errorf("%q: cookies %v, body %q", tt.host, resp.Cookies(), body)
		}
		if u, err := url.Parse(tt.want); err != nil || tt.want != "" && strings.Contains(tt.host, "script") && u.Query().Get("host") != tt.host {
			t.Errorf("%q: %v, host %q", tt.want, err, u.Query().Get("host"))
		}
	}
}

var hostileHosts = []string{"", "www.example.com", "www.xn--fsqu00a.example", "192.0.2.1", `"><script>alert(1)</script>`, "'onload=alert(1) x='",
	"\x00\x1b[31m\r\nX: y", "\xff\xfe.example", "a\u202etxt.example", strings.Repeat("a.", 5000), "&amp;<b>", "\ue000\ue005", "{{.Host}}", "a+b"}

// TestNoticeMadeBeforehand: what is put together from pieces is what the template
// gives.
func TestNoticeMadeBeforehand(t *testing.T) {
	s := newNotices(t, fullNotice)
	for _, r := range blockReasons() {
		for _, lang := range []string{"zh", "en"} {
			for _, host := range hostileHosts {
				n := noticeFor(host, r, registry.UseDNS01)
				n.Language = lang
				_, body := readNotice(t, s.AppendHTTP1(nil, n), "GET")
				if got, want := normalHTML(t, body), normalHTML(t, s.SlowNotice(n)); got != want {
					t.Fatalf("%s, %s, %q:\n%s\nwant\n%s", r, lang, host, got, want)
				}
			}
		}
	}
}

func TestNoticeErrors(t *testing.T) {
	s := new(gate.Notices)
	for _, status := range []int{400, 404, 405, 408, 414, 421, 431, 502, 503, 504, 505} {
		resp, body := readNotice(t, s.AppendError1(nil, status, "a cause\r\nX: y"), "GET")
		want := resp.Status + ": a cause\ufffd\ufffdX: y\n"
		if resp.StatusCode != status || body != want || !resp.Close || resp.Header.Get("Cache-Control") != "no-store" || resp.Header.Get("Date") == "" {
			t.Errorf("%d: %s %q, close %v, %v", status, resp.Status, body, resp.Close, resp.Header)
		}
		if (resp.Header.Get("Allow") != "") != (status == 405) {
			t.Errorf("%d: Allow %q", status, resp.Header.Get("Allow"))
		}
		w := httptest.NewRecorder()
		if s.ServeError(w, status, "a cause\r\nX: y"); w.Code != status || w.Body.String() != want || w.Header().Get("Connection") != "" {
			t.Errorf("%d over a ResponseWriter: %d %q %v", status, w.Code, w.Body, w.Header())
		}
	}
	if resp, body := readNotice(t, s.AppendError1(nil, 200, ""), "GET"); body != "500 Internal Server Error\n" || resp.StatusCode != 500 {
		t.Errorf("a status that is no error: %s %q", resp.Status, body)
	}
}

func BenchmarkNotice(b *testing.B) {
	s := newNotices(b, fullNotice)
	for _, bb := range []struct {
		name string
		n    gate.Notice
	}{
		{"html", noticeFor("www.example.com", registry.Unfiled)},
		{"idn", noticeFor("www.xn--fsqu00a.example", registry.Unfiled)},
		{"json", noticeFor("www.example.com", registry.Unfiled)},
		{"text", noticeFor("www.example.com", registry.Unfiled)},
	} {
		if bb.name == "json" {
			bb.n.Accept = "application/json"
		} else if bb.name == "text" {
			bb.n.Accept = "*/*"
		}
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			buf := make([]byte, 0, 8<<10)
			for b.Loop() {
				buf = s.AppendHTTP1(buf[:0], bb.n)
			}
		})
	}
	b.Run("unprepared", func(b *testing.B) {
		for b.Loop() {
			s.SlowNotice(noticeFor("www.example.com", registry.Unfiled))
		}
	})
}

// TestNoticesConcurrently: the zero value makes its answers while many ask.
func TestNoticesConcurrently(t *testing.T) {
	var s gate.Notices
	want := map[registry.Reason]string{}
	for _, r := range blockReasons() {
		want[r] = string(new(gate.Notices).AppendHTTP1(nil, noticeFor("www.example.com", r)))
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for r, text := range want {
				if got := string(s.AppendHTTP1(nil, noticeFor("www.example.com", r))); got != text {
					t.Errorf("%s:\n%s\nwant\n%s", r, got, text)
				}
			}
		})
	}
	wg.Wait()
}
