package gate_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/icpgate/icpgate/gate"
	"github.com/icpgate/icpgate/registry"
)

// maxPage is how large a page may be.
const maxPage = 6 << 10

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

func normalHTML(t *testing.T, s string) string {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(s))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := html.Render(&b, doc); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestNoticePage(t *testing.T) {
	s := newNotices(t, fullNotice)
	for _, r := range blockReasons() {
		for lang, tag := range map[string]string{"zh": "zh-CN", "en": "en"} {
			for _, host := range hostileHosts {
				n := noticeFor(host, r)
				n.Language = lang
				_, body := readNotice(t, s.AppendHTTP1(nil, n), "GET")
				if len(body) > maxPage {
					t.Errorf("%s, %s, %.20q: %d bytes; want at most %d", r, lang, host, len(body), maxPage)
				}
				checkPage(t, body, tag)
				for _, want := range []string{r.String(), "0123456789ab", "2026-03-02T04:04:05+08:00"} {
					if !strings.Contains(body, want) {
						t.Errorf("%s, %s, %q: no %q", r, lang, host, want)
					}
				}
			}
		}
	}
}

// checkPage holds a page to what every one must have and must not have.
func checkPage(t *testing.T, body, lang string) {
	t.Helper()
	count := map[string]int{}
	for z := html.NewTokenizer(strings.NewReader(body)); ; {
		kind := z.Next()
		if kind == html.ErrorToken {
			if z.Err() != io.EOF {
				t.Fatal(z.Err())
			}
			break
		}
		token := z.Token()
		switch kind {
		case html.StartTagToken:
			count[token.Data]++
			checkTag(t, token, lang)
		case html.EndTagToken:
			count["/"+token.Data]++
		case html.TextToken:
			if strings.ContainsAny(token.Data, "\x00\x1b\u202e\ue000") {
				t.Errorf("text %q", token.Data)
			}
		}
	}
	for _, tag := range []string{"html", "head", "body", "title", "main", "h1", "footer", "time", "style"} {
		if count[tag] != 1 || count["/"+tag] != 1 {
			t.Errorf("%d <%s>, %d </%s>; want one each in\n%s", count[tag], tag, count["/"+tag], tag, body)
		}
	}
	for _, tag := range []string{"dl", "dt", "dd", "p", "ul", "li", "a", "b", "bdi", "h2"} {
		if count[tag] != count["/"+tag] {
			t.Errorf("%d <%s>, %d </%s>", count[tag], tag, count["/"+tag], tag)
		}
	}
	if count["dt"] != count["dd"] || count["meta"] != 4 {
		t.Errorf("%d dt, %d dd, %d meta", count["dt"], count["dd"], count["meta"])
	}
}

func checkTag(t *testing.T, token html.Token, lang string) {
	t.Helper()
	switch token.Data {
	case "script", "img", "link", "iframe", "form", "object":
		t.Errorf("a %s", token.Data)
	}
	for _, a := range token.Attr {
		switch {
		case strings.HasPrefix(a.Key, "on"), a.Key == "src":
			t.Errorf("attribute %s=%q", a.Key, a.Val)
		case a.Key == "href" && !strings.HasPrefix(a.Val, "https://") && !strings.HasPrefix(a.Val, "mailto:"):
			t.Errorf("href %q", a.Val)
		case a.Key == "lang" && token.Data == "html" && a.Val != lang:
			t.Errorf("lang %q; want %q", a.Val, lang)
		}
	}
}

func TestNoticeLinks(t *testing.T) {
	s := newNotices(t, fullNotice)
	for _, tt := range []struct {
		name           string
		n              gate.Notice
		filing, access bool
	}{
		{"unfiled", noticeFor("www.example.com", registry.Unfiled), true, false},
		{"cannot be filed", noticeFor("www.example.com", registry.Unfiled, registry.TLDNotFileable), false, false},
		{"address", noticeFor("192.0.2.1", registry.IPUnfiled), false, false},
		{"not accessed", noticeFor("www.example.com", registry.NotAccessed), false, true},
		{"shell", noticeFor("www.example.com", registry.Shell), false, true},
		{"blacklisted", noticeFor("www.example.com", registry.Blacklisted), false, false},
		{"undecided", noticeFor("www.example.com", registry.Undecided), false, false},
	} {
		for _, accept := range []string{"text/html", "text/plain"} {
			tt.n.Accept = accept
			_, body := readNotice(t, s.AppendHTTP1(nil, tt.n), "GET")
			access := strings.Contains(body, fullNotice.AccessURL)
			filing := strings.Contains(strings.ReplaceAll(body, fullNotice.AccessURL, ""), fullNotice.FilingURL)
			if filing != tt.filing || access != tt.access {
				t.Errorf("%s, %s: filing %v, access %v; want %v, %v", tt.name, accept, filing, access, tt.filing, tt.access)
			}
			if !strings.Contains(body, "400-000-0000") {
				t.Errorf("%s, %s: no contact", tt.name, accept)
			}
		}
	}
}

func TestNoticeWords(t *testing.T) {
	s := newNotices(t, gate.NoticeConfig{})
	n := noticeFor("www.xn--fsqu00a.example", registry.NotAccessed, registry.PendingReview)
	n.Verdict.Filed = 2
	n.Language = "zh"
	_, body := readNotice(t, s.AppendHTTP1(nil, n), "GET")
	for _, want := range []string{"www.例子.example", "www.xn--fsqu00a.example", "xn--fsqu00a.example 的备案覆盖", "审核中", "请等待审核结果", "This website cannot be shown"} {
		if !strings.Contains(body, want) {
			t.Errorf("no %q in\n%s", want, body)
		}
	}
	for _, never := range []string{"{", "请在接入商"} { // no place is left open; an order is under way already
		_, text, _ := strings.Cut(body, "</style>")
		if strings.Contains(text, never) {
			t.Errorf("%q in\n%s", never, text)
		}
	}
}

func TestNoticeJSON(t *testing.T) {
	s := newNotices(t, fullNotice)
	for _, host := range hostileHosts {
		n := noticeFor(host, registry.Unfiled, registry.UseDNS01, registry.AppFilingIsNotSiteFiling)
		n.Accept = "application/json"
		resp, body := readNotice(t, s.AppendHTTP1(nil, n), "GET")
		var got struct {
			Verdict, Reason, Page, Host, Message, Time string
			Advisories                                 []string
			RequestID                                  string `json:"request_id"`
		}
		dec := json.NewDecoder(strings.NewReader(body))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&got); err != nil {
			t.Fatalf("%q: %v in %s", host, err, body)
		}
		if got.Verdict != "block" || got.Reason != "unfiled" || got.Page != "unfiled" || got.RequestID != "0123456789ab" ||
			got.Time != "2026-03-02T04:04:05+08:00" || strings.Join(got.Advisories, " ") != "app-filing-is-not-site-filing use-dns01" {
			t.Errorf("%q: %+v", host, got)
		}
		if resp.Header.Get("Content-Type") != "application/json" || !strings.HasPrefix(got.Message, "Not filed: ") {
			t.Errorf("%s, message %q", resp.Header.Get("Content-Type"), got.Message)
		}
		if plain := isASCII(host) && len(host) < 250 && !strings.ContainsAny(host, "\x00\r\n\x1b"); plain && got.Host != host {
			t.Errorf("host %q; want %q", got.Host, host)
		}
	}
}

func TestNoticeText(t *testing.T) {
	n := noticeFor("www.example.com", registry.Unfiled)
	n.Accept, n.Language = "*/*", "zh"
	_, body := readNotice(t, newNotices(t, fullNotice).AppendHTTP1(nil, n), "GET")
	want := `该网站未完成备案，暂时无法访问

网站：www.example.com
原因：未备案 (unfiled)
没有有效的网站备案覆盖 www.example.com（包括该域名本身及其上级域名）；指向中国内地服务器的网站须先备案后开通。

网站主办者可以这样处理：
- 请在域名所指向服务器的接入商处为 example.com 办理 ICP 备案；取得备案号后其下各级子域名均可使用。在此之前请将域名解析到非中国内地服务器，或停止解析。
- 前往备案系统：https://filing.example.com/

联系方式：400-000-0000, https://help.example.com/icp?a=1&b=2, icp+help@example.com

请求编号：0123456789ab
时间：2026-03-02T04:04:05+08:00
`
	if body != want {
		t.Errorf("got\n%s\nwant\n%s", body, want)
	}
	for _, host := range hostileHosts {
		n.Host = host
		if _, body := readNotice(t, new(gate.Notices).AppendHTTP1(nil, n), "GET"); strings.ContainsAny(body, "\x00\x1b\r\u202e") {
			t.Errorf("%q: %q", host, body)
		}
	}
}

func TestNoticeRequestID(t *testing.T) {
	n := noticeFor("www.example.com", registry.Unfiled)
	n.RequestID = "a\r\nSet-Cookie: b=c" + strings.Repeat("d", 500)
	resp, _ := readNotice(t, new(gate.Notices).AppendHTTP1(nil, n), "GET")
	if id := resp.Header.Get("X-ICP-Request-Id"); len(resp.Cookies()) > 0 || len(id) != 64 || !strings.HasPrefix(id, "a__Set-Cookie:_b=c") {
		t.Errorf("request id %q, cookies %v", id, resp.Cookies())
	}
}

func TestNoticeConfigRefused(t *testing.T) {
	for _, tt := range []struct {
		cfg  gate.NoticeConfig
		want string
	}{
		{gate.NoticeConfig{Status: 404}, "status 404; expect 403 or 451"},
		{gate.NoticeConfig{Redirect: "/page"}, `redirect "/page"; expect a URL`},
		{gate.NoticeConfig{Redirect: "https://a:b@example.com"}, "redirect"},
		{gate.NoticeConfig{FilingURL: "javascript:alert(1)"}, "filing URL"},
		{gate.NoticeConfig{AccessURL: "https://"}, "access URL"},
		{gate.NoticeConfig{BlockedBy: "https://example.com/\r\nX: y"}, "blocked-by"},
		{gate.NoticeConfig{Contact: gate.NoticeContact{URL: "x"}}, "contact URL"},
		{gate.NoticeConfig{Contact: gate.NoticeContact{Mail: "A <icp@example.com>"}}, "contact mail"},
		{gate.NoticeConfig{Contact: gate.NoticeContact{Text: "a\ue000"}}, "at byte 2"},
		{gate.NoticeConfig{Provider: "a\nb"}, "provider"},
		{gate.NoticeConfig{TemplateFile: "/nonexistent/page.html"}, "/nonexistent/page.html"},
	} {
		if _, err := gate.NewNotices(tt.cfg); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: %v; want %q", tt.cfg, err, tt.want)
		}
	}
}

func writeTemplate(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "page.html")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestNoticeTemplate(t *testing.T) {
	file := writeTemplate(t, `{{define "part"}}<b>{{.Host}}</b>{{end}}
{{define "unfiled.zh"}}ZH {{template "part" .}} <a href="mailto:a@example.com?subject={{.Host}}">{{.Reason}}</a> {{len .Host}}{{end}}
{{define "unfiled"}}ANY {{.Host}} {{.RequestID}} {{.Time}} {{.Labels.Host}} {{range .Steps}}{{.}}{{end}}{{with .Contact}}{{.Mail}}{{end}}{{end}}
{{define "page.en"}}EN {{.Heading}}{{if eq .Host "fails.example"}}{{index .Steps 99}}{{end}}{{end}}`)
	s := newNotices(t, gate.NoticeConfig{TemplateFile: file})
	for _, tt := range []struct {
		host, lang string
		reason     registry.Reason
		want       string
	}{
		{"<a>.example", "zh", registry.Unfiled, `ZH <b>&lt;a&gt;.example</b> <a href="mailto:a@example.com?subject=%3ca%3e.example">unfiled</a> 11`},
		{"<a>.example", "en", registry.Unfiled, "ANY &lt;a&gt;.example 0123456789ab 2026-03-02T04:04:05&#43;08:00 Website File "},
		{"a.example", "en", registry.Shell, "EN This website cannot be shown"},
		{"a.example", "zh", registry.Shell, "<!DOCTYPE html>"},
		{"fails.example", "en", registry.Shell, "<!DOCTYPE html>"},
	} {
		n := noticeFor(tt.host, tt.reason)
		n.Language = tt.lang
		resp, body := readNotice(t, s.AppendHTTP1(nil, n), "GET")
		if !strings.HasPrefix(body, tt.want) {
			t.Errorf("%s, %s, %s: %q; want %q", tt.host, tt.lang, tt.reason, body, tt.want)
		}
		w := httptest.NewRecorder()
		if s.ServeNotice(w, n); w.Body.String() != body {
			t.Errorf("%s: over a ResponseWriter %q; want %q", tt.host, w.Body, body)
		}
		if csp := resp.Header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none';") || strings.Contains(csp, "script") {
			t.Errorf("Content-Security-Policy %q", csp)
		}
	}
}

func TestNoticeTemplateRefused(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"\n\n{{define \"page\"}}{{.Host}", "page.html:3"},
		{"\n{{define \"page\"}}{{.Hots}}{{end}}", "page.html:2"},
		{"\n{{define \"undecided\"}}{{index .Steps 7}}{{end}}", "page.html:2"},
		{"\n{{define \"page\"}}<a href='{{.Host}}{{end}}", "page.html"},
		{`{{define "unfilled.zh"}}x{{end}}`, `defines "unfilled.zh"; expect one of unfiled,`},
		{`<p>{{.Host}}</p>`, "defines no page"},
		{``, "defines no page"},
	} {
		file := writeTemplate(t, tt.text)
		if _, err := gate.NewNotices(gate.NoticeConfig{TemplateFile: file}); err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), file) {
			t.Errorf("%q: %v; want %q", tt.text, err, tt.want)
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
