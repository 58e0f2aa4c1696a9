package edge_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/icpgate/icpgate/registry/edge"
)

// FuzzAdmin asks the admin pages for anything. Whatever comes is answered, in a
// form that can be read, and never as an error of the server's.
func FuzzAdmin(f *testing.F) {
	full(f)
	for _, query := range []string{
		"host=www.example.com&addr=203.0.113.10&lang=zh", "host=%E4%BE%8B%E5%AD%90.example.com&cname=x.example", "host=[2001:db8::1]", "host=1.2.3.4:80",
		"host=a..b", "host=a%00b", "host=xn--a&product=ecs&acceleration=global&origin=here&origin_pull=true", "block=1&host=a&addr=::ffff:203.0.113.1",
		"host=a;b", "%zz", "channel=quic&host=*.a.test&provider=aliyun&address_provider=tencent", "addr=fe80::1%25eth0&host=a",
	} {
		f.Add("/explain", query, "127.0.0.1:9154", "application/json", "zh;q=0.5,en;q=nan")
	}
	f.Add("/status", "lang=en", "localhost", "text/*;q=1e999, */*", "")
	f.Add("/sightings", "", "[::1]:9154", "text/csv", "zh-TW")
	f.Fuzz(func(t *testing.T, path, query, host, accept, lang string) {
		r := &http.Request{Method: "GET", URL: &url.URL{Path: path, RawQuery: query}, Host: host, Header: http.Header{}}
		r.Header.Set("Accept", accept)
		r.Header.Set("Accept-Language", lang)
		w := httptest.NewRecorder()
		edge.Admin(netip.MustParseAddrPort("127.0.0.1:9154")).ServeHTTP(w, r)
		kind, body := w.Header().Get("Content-Type"), w.Body.String()
		if w.Code >= 500 {
			t.Fatalf("got %d %s", w.Code, body)
		}
		if strings.Contains(kind, "json") && !json.Valid(w.Body.Bytes()) {
			t.Fatalf("got %s, which is no JSON", body)
		}
		// A terminal must not be steered by what somebody else asked for, or had blocked.
		if steers := func(r rune) bool { return r < ' ' && r != '\n' && r != '\r' && r != '\t' }; strings.ContainsFunc(body, steers) {
			t.Fatalf("got %q, which has control characters", body)
		}
	})
}
