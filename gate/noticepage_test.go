package gate_test

import (
	"encoding/json"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/icpgate/icpgate/gate"
	"github.com/icpgate/icpgate/registry"
)

// maxPage is how large a page may be.
const maxPage = 6 << 10

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
