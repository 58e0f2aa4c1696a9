package edge_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/icpgate/icpgate/deploy/loopback"
	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/edge"
)

// request asks the handler; headers are pairs, of which Host is one.
func request(method, target string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	r.Host = "127.0.0.1:9154"
	for i := 0; i < len(headers); i += 2 {
		if r.Header.Set(headers[i], headers[i+1]); headers[i] == "Host" {
			r.Host = headers[i+1]
		}
	}
	w := httptest.NewRecorder()
	edge.Admin(netip.MustParseAddrPort("127.0.0.1:9154")).ServeHTTP(w, r)
	return w
}

func TestAdminRefuses(t *testing.T) {
	full(t)
	tests := []struct {
		name, method, target string
		headers              []string
		status               int
		want                 string
	}{
		{"unknown path", "GET", "/explain/", nil, 404, `"/explain/"`},
		{"post", "POST", "/status", nil, 405, "GET or HEAD"},
		{"name as host", "GET", "/status", []string{"Host", "rebound.example"}, 421, "rebound.example"},
		{"name with port as host", "GET", "/status", []string{"Host", "localhost.evil.example:9154"}, 421, "localhost.evil"},
		{"no host header", "GET", "/status", []string{"Host", ""}, 421, "Host"},
		{"no host", "GET", "/explain", nil, 400, "host: is missing"},
		{"empty host", "GET", "/explain?host=", nil, 400, "host: has no value"},
		{"bad host", "GET", "/explain?host=a..b", nil, 400, "host: "},
		{"two hosts", "GET", "/explain?host=a.test&host=b.test", nil, 400, "host: given 2 times"},
		{"unknown parameter", "GET", "/explain?host=a.test&adr=192.0.2.1", nil, 400, "adr: unknown parameter; expect host, addr"},
		{"unprintable parameter", "GET", "/status?%1b[2J=1", nil, 400, `"\x1b[2J": unknown parameter`},
		{"parameter of another page", "GET", "/status?host=a.test", nil, 400, "host: unknown parameter"},
		{"bad address", "GET", "/explain?host=a.test&addr=1.2.3", nil, 400, `addr: address "1.2.3"`},
		{"too many addresses", "GET", "/explain?host=a.test" + strings.Repeat("&addr=192.0.2.1", 33), nil, 400, "addr: more than 32"},
		{"too many aliases", "GET", "/explain?host=a.test" + strings.Repeat("&cname=x.test", 17), nil, 400, "cname: more than 16"},
		{"bad product", "GET", "/explain?host=a.test&product=tea", nil, 400, "product: "},
		{"bad provider", "GET", "/explain?host=a.test&provider=a_b", nil, 400, "provider: "},
		{"bad channel", "GET", "/explain?host=a.test&channel=fax", nil, 400, "channel: "},
		{"bad origin_pull", "GET", "/explain?host=a.test&origin_pull=maybe", nil, 400, "origin_pull: "},
		{"no such block", "GET", "/explain?host=a.test&block=77", nil, 400, "block: "},
		{"bad language", "GET", "/status?lang=fr", nil, 400, "lang: "},
		{"bad escape", "GET", "/status?lang=%zz", nil, 400, "cannot be read"},
		{"long query", "GET", "/explain?host=" + strings.Repeat("a", 5000), nil, 414, "longer than"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := request(tt.method, tt.target, tt.headers...)
			if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.want) {
				t.Errorf("got %d %s; want %d with %q", w.Code, w.Body, tt.status, tt.want)
			}
			w = request(tt.method, tt.target, append(tt.headers, "Accept", "application/json")...)
			var p struct{ Detail, Parameter string }
			if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || p.Detail == "" || w.Header().Get("Content-Type") != "application/problem+json" {
				t.Errorf("got %s %s (%v); want a problem in JSON", w.Header().Get("Content-Type"), w.Body, err)
			}
		})
	}
	if w := request("POST", "/"); w.Header().Get("Allow") != "GET, HEAD" {
		t.Errorf("got Allow %q; want GET, HEAD", w.Header().Get("Allow"))
	}
}

// TestAdminHosts: a page of the web cannot read by a name; addresses and
// localhost can be asked by.
func TestAdminHosts(t *testing.T) {
	for _, host := range []string{"127.0.0.1:9154", "localhost", "LOCALHOST:9154", "[::1]:9154", "[2001:db8::1]", "192.0.2.1"} {
		if w := request("GET", "/healthz", "Host", host); w.Code != 200 || w.Body.String() != "ok\n" {
			t.Errorf("Host %s: got %d %s; want ok", host, w.Code, w.Body)
		}
	}
}

func TestAdminHeaders(t *testing.T) {
	for _, target := range []string{"/", "/nothing", "/status?x=%3Cscript%3E"} {
		h := request("GET", target).Header()
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Content-Type": "text/plain; charset=utf-8",
			"Access-Control-Allow-Origin": "", "Cross-Origin-Resource-Policy": "same-origin",
		} {
			if h.Get(name) != want {
				t.Errorf("%s: got %s %q; want %q", target, name, h.Get(name), want)
			}
		}
	}
	if w := request("HEAD", "/status"); w.Body.Len() != 0 || w.Header().Get("Content-Length") == "0" {
		t.Errorf("HEAD: got a body of %d bytes, length %s", w.Body.Len(), w.Header().Get("Content-Length"))
	}
}

func TestAdminForms(t *testing.T) {
	for accept, want := range map[string]string{
		"": "text/plain", "*/*": "text/plain", "application/json": "application/json", "application/*": "application/json",
		"text/plain;q=0.5, application/json": "application/json", "application/json;q=0.1, */*": "text/plain",
		"text/csv": "text/csv", "text/html": "text/plain", "application/json;q=0": "text/plain", "application/json;q=x": "text/plain",
	} {
		got, _, _ := strings.Cut(request("GET", "/sightings", "Accept", accept).Header().Get("Content-Type"), ";")
		if got != want {
			t.Errorf("Accept %q: got %s; want %s", accept, got, want)
		}
	}
	for headers, want := range map[string]string{"zh-CN,zh;q=0.9,en;q=0.8": "本列表", "en-GB": "this list", "fr, zh;q=0.1": "本列表", "": "this list"} {
		if w := request("GET", "/", "Accept-Language", headers); !strings.Contains(w.Body.String(), want) {
			t.Errorf("Accept-Language %q: got %s; want %q", headers, w.Body, want)
		}
	}
	if w := request("GET", "/?lang=zh", "Accept-Language", "en"); !strings.Contains(w.Body.String(), "本列表") {
		t.Errorf("lang=zh: got %s; want Chinese", w.Body)
	}
}

// TestAdminExplain: the verdict, the rule, the filing and what to do next, as the
// Edge would judge.
func TestAdminExplain(t *testing.T) {
	full(t)
	tests := []struct {
		query string
		want  []string // in the text
	}{
		{"host=www.other.test&addr=203.0.113.1", []string{"www.other.test  block  unfiled", "address of aliyun", "product ecs", "What to do next"}},
		{"host=www.filed.test&addr=203.0.113.129", []string{"www.filed.test  pass  filed", "filed.test, ", "decides", "revision"}},
		{"host=x.test&addr=192.0.2.1&addr=203.0.113.1", []string{"block  unfiled", "At each address"}},
		{"host=x.exempt.test&addr=203.0.113.1", []string{"exempt"}},
		{"host=www.filed.test&addr=203.0.113.129&address_provider=aliyun&product=ecs", []string{"address of aliyun", "product ecs", "block  not-accessed"}},
		{"host=www.filed.test&addr=203.0.113.129&provider=tencent", []string{"provider tencent"}},
		{"host=www.other.test&addr=203.0.113.129&cname=a.cdn.other.test", []string{"address of tencent", "product cdn"}},
		{"host=www.other.test&addr=203.0.113.1&lang=zh", []string{"下一步", "网站主办者"}},
		{"host=203.0.113.1&channel=http", []string{"203.0.113.1"}},
	}
	for _, tt := range tests {
		w := request("GET", "/explain?"+tt.query)
		for _, want := range tt.want {
			if w.Code != 200 || !strings.Contains(w.Body.String(), want) {
				t.Errorf("%s: got %d\n%s; want %q in it", tt.query, w.Code, w.Body, want)
			}
		}
	}
}

// TestAdminStatus: a file that has gone bad shows, and what was in force is still.
func TestAdminStatus(t *testing.T) {
	dir := t.TempDir()
	path, bindings := filepath.Join(dir, "r.snap"), filepath.Join(dir, "bindings")
	snapshot(t, path, 7, "example.com")
	write(t, bindings, "bound.test waf\n")
	c := newClock()
	e := open(t, edge.Config{Registry: path, Bindings: bindings, Label: "dns://.:53", Now: c.now})
	write(t, bindings, "??? ??? ???\n")
	e.Refresh()
	for range 2 {
		if _, _, err := e.Find("例子.example.com"); err != nil {
			t.Fatal(err)
		}
	}
	w := request("GET", "/status", "Accept", "application/json")
	var s struct{ Blocks []edge.Status }
	if err := json.Unmarshal(w.Body.Bytes(), &s); err != nil || len(s.Blocks) != 1 {
		t.Fatalf("got %s, %v; want one block", w.Body, err)
	}
	b := s.Blocks[0]
	if b.Label != "dns://.:53" || !b.Ready || b.Mode != "enforce" || b.Fail != "open" || b.Registry.Source != path ||
		b.Registry.Filings != 1 || b.Registry.Revision.Rev != 7 || *b.Registry.Age != 100_000_000 {
		t.Errorf("got %+v; want what the block says and the registry holds", b)
	}
	if b.Registry.Thin != nil || b.Registry.Cache == nil || *b.Registry.Cache != (edge.CacheStatus{Hits: 1, Misses: 1, Entries: 1}) {
		t.Errorf("got cache %+v, thin %+v; want what was looked up, and no service", b.Registry.Cache, b.Registry.Thin)
	}
	results := map[string]string{}
	for _, d := range b.Data {
		results[d.Data] = d.Result
		if d.Result == "error" && !strings.Contains(d.Error, bindings+":1") {
			t.Errorf("got error %q; want file and line", d.Error)
		}
	}
	if results["registry"] != "success" || results["bindings"] != "error" {
		t.Errorf("got results %v; want the registry's a success, the bindings' an error", results)
	}
	text := request("GET", "/status").Body.String()
	for _, want := range []string{"block 1  dns://.:53", "mode         enforce", "cache        1 entries, 1 hits, 1 misses, 0 evictions", bindings + ":1", e.Index().Info().Revision.String()} {
		if !strings.Contains(text, want) {
			t.Errorf("got\n%s; want %q in it", text, want)
		}
	}
	if w := request("GET", "/revision"); !strings.Contains(w.Body.String(), e.Index().Info().Revision.String()+"  "+path) {
		t.Errorf("got %s; want revision and source", w.Body)
	}
}

// sightedBefore counts the runs of TestAdminSightings: sightings are the process's.
var sightedBefore atomic.Int32

func TestAdminSightings(t *testing.T) {
	e := full(t)
	name := fmt.Sprintf("admin-sighted-%d.example", sightedBefore.Add(1))
	e.Blocked(blocked("www."+name, "192.0.2.1"))
	var s struct {
		Sightings []struct {
			Name, Addr, Reason, Channel, Mode string
			Hosts                             []string
			Hits                              int
		}
	}
	if err := json.Unmarshal(request("GET", "/sightings", "Accept", "application/json").Body.Bytes(), &s); err != nil {
		t.Fatal(err)
	}
	found := false
	for _, r := range s.Sightings {
		found = found || r.Name == name && r.Addr == "203.0.113.1" && r.Reason == "unfiled" && r.Channel == "dns" &&
			r.Mode == "enforce" && len(r.Hosts) == 1 && r.Hits == 1
	}
	if !found {
		t.Errorf("got %+v; want the row", s.Sightings)
	}
	rows, err := csv.NewReader(request("GET", "/sightings", "Accept", "text/csv").Body).ReadAll()
	if err != nil || len(rows) != len(s.Sightings)+2 || rows[len(rows)-1][0] != "other" {
		t.Errorf("got %d rows, %v; want a header, %d rows and other", len(rows), err, len(s.Sightings))
	}
}

func TestAdminReady(t *testing.T) {
	if w := request("GET", "/readyz"); w.Code != http.StatusServiceUnavailable {
		t.Errorf("without an Edge: got %d; want 503", w.Code)
	}
	if w := request("GET", "/explain?host=a.test"); w.Code != http.StatusServiceUnavailable {
		t.Errorf("explain without an Edge: got %d; want 503", w.Code)
	}
	full(t)
	if w := request("GET", "/readyz"); w.Code != http.StatusOK {
		t.Errorf("with a ready Edge: got %d; want 200", w.Code)
	}
}

// TestAdminHidesSecrets: the key of the snapshot shows nowhere.
func TestAdminHidesSecrets(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "r.snap")
	snapshot(t, path, 1, "example.com")
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	open(t, edge.Config{Registry: path})
	key := file[32:48] // where the format has it
	for _, page := range []string{"/", "/status", "/revision", "/sightings", "/explain?host=www.example.com"} {
		body := request("GET", page, "Accept", "application/json").Body.String()
		encoded, _ := json.Marshal(key)
		for _, secret := range []string{string(key), strings.Trim(string(encoded), `"`)} {
			if strings.Contains(body, secret) {
				t.Errorf("%s shows the key", page)
			}
		}
	}
}

// TestAdminListens: the listener is there as long as one Edge names it.
func TestAdminListens(t *testing.T) {
	l, err := net.Listen("tcp", loopback.Free(t))
	if err != nil {
		t.Fatal(err)
	}
	addr := netip.MustParseAddrPort(l.Addr().String())
	path := filepath.Join(t.TempDir(), "r.snap")
	snapshot(t, path, 1, "example.com")
	if _, err := edge.Open(edge.Config{Registry: path, Admin: addr}); err == nil || !strings.Contains(err.Error(), "admin: ") {
		t.Errorf("got error %v for a taken address; want one that names admin", err)
	}
	l.Close()
	one := open(t, edge.Config{Registry: path, Admin: addr})
	two := open(t, edge.Config{Registry: path, Admin: addr, Policy: registry.Policy{Mode: registry.Monitor}})
	check := func(want bool) {
		t.Helper()
		resp, err := http.Get("http://" + addr.String() + "/healthz")
		if err == nil {
			resp.Body.Close()
		}
		if (err == nil) != want {
			t.Errorf("got %v; want an answer: %t", err, want)
		}
	}
	check(true)
	one.Close()
	check(true)
	two.Close()
	check(false)
	http.DefaultClient.CloseIdleConnections()
}
