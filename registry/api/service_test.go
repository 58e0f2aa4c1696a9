package api_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/feed"
	"github.com/icpgate/icpgate/registry/store"
)

// TestEveryRoute asks every route of the description without a token, with one
// that is malformed, unknown, or of every other scope, and at paths and with
// methods that are not quite it: only the right token gets beyond the guard.
func TestEveryRoute(t *testing.T) {
	w := newWorld(t)
	routes := w.described(t)
	for route, scope := range routes {
		method, template, _ := strings.Cut(route, " ")
		path := strings.NewReplacer("{sha256}", strings.Repeat("0", 64), "{id}", "0123456789abcdef", "{list}", "tlds").Replace(template)
		body := ""
		if method == http.MethodPost || method == http.MethodPut || method == http.MethodPatch {
			body = "{}"
		}
		want := func(what string, header http.Header, method, path string, statuses ...int) {
			t.Helper()
			got, kind, text := w.ask(t, method, path, header, body)
			for _, s := range statuses {
				if got == s {
					if got >= 400 && kind != "application/problem+json" {
						t.Errorf("%s %s, %s: a refusal of type %q: %s", method, path, what, kind, text)
					}
					return
				}
			}
			t.Errorf("%s %s, %s: %d %s; want %v", method, path, what, got, text, statuses)
		}
		if scope == "" {
			want("without a token", nil, method, path, 200)
			continue
		}
		for what, header := range map[string]http.Header{
			"without a token":    nil,
			"an unknown token":   w.bearer("unknown"),
			"an empty token":     {"Authorization": {"Bearer "}},
			"two tokens":         {"Authorization": {"Bearer " + w.secret["all"], "Bearer " + w.secret["all"]}},
			"two in one":         {"Authorization": {"Bearer " + w.secret["all"] + ", Bearer " + w.secret["all"]}},
			"another scheme":     {"Authorization": {"Basic YWxsOmFsbA=="}},
			"no scheme":          {"Authorization": {w.secret["all"]}},
			"in another header":  {"X-Authorization": {"Bearer " + w.secret["all"]}, "Cookie": {"token=" + w.secret["all"]}},
			"a long token":       w.bearer(strings.Repeat("a", 4000)),
			"another case of it": w.bearer(strings.ToUpper(w.secret["all"])),
			"an expired token":   w.bearer("expired"),
			"a revoked token":    w.bearer("revoked"),
			"another end of it":  w.bearer(w.secret["all"] + "A"),
		} {
			want(what, header, method, path, 401)
		}
		want("in the query", nil, method, path+"?access_token="+w.secret["all"], 401)
		for _, other := range store.Scopes() {
			if other != scope {
				want("scope "+other, w.bearer(other), method, path, 403)
			}
		}
		if got, _, text := w.ask(t, method, path, w.bearer(scope), body); got == 401 || got == 403 || got == 405 || got >= 500 {
			t.Errorf("%s %s with scope %s: %d %s", method, path, scope, got, text)
		}
		for _, odd := range []string{
			path + "/", "/" + path, "/." + path, "/x/.." + path, strings.Replace(path, "/v1", "/V1", 1) + "x", path + "%2f", path + "%00",
			"/%2e" + path, strings.Replace(path, "v", "%76", 1), path + ";x",
		} {
			want("an odd path", nil, method, odd, 401)
			if odd != path && !strings.HasPrefix(odd, path+"?") {
				want("an odd path with all scopes", w.bearer("all"), method, odd, 404, 405)
			}
		}
		for _, other := range []string{"GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"} {
			if _, served := routes[other+" "+template]; !served {
				want("another method without a token", nil, other, path, 401)
				want("another method", w.bearer("all"), other, path, 405, 404, 400, 415, 422)
			}
		}
		want("a method to override", http.Header{"X-Http-Method-Override": {method}}, method, path, 401)
	}
}

// TestH2C: HTTP/2 in plaintext is not spoken, neither at once nor by Upgrade.
func TestH2C(t *testing.T) {
	w := newWorld(t)
	status, _, _ := w.ask(t, "GET", "/healthz", http.Header{"Connection": {"Upgrade, HTTP2-Settings"}, "Upgrade": {"h2c"}, "Http2-Settings": {"AAMAAABkAAQAoAAAAAIAAAAA"}}, "")
	if status != http.StatusOK {
		t.Errorf("an Upgrade to h2c: %d; want it ignored", status)
	}
	conn, err := net.Dial("tcp", strings.TrimPrefix(w.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(2 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(conn, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
	answer, _ := io.ReadAll(conn) // it may also be reset
	if len(answer) > 0 && !strings.HasPrefix(string(answer), "HTTP/1.") {
		t.Errorf("HTTP/2 in plaintext is answered with %q", answer)
	}
}

// TestEdges: what edges say of themselves is seen, with what they lack.
func TestEdges(t *testing.T) {
	w := newWorld(t)
	c, err := feed.NewClient(w.url, func() (string, error) { return w.secret["status"], nil })
	if err != nil {
		t.Fatal(err)
	}
	rev := registry.Revision{Epoch: registry.Epoch{Made: 1, Random: 2}, Rev: 3}
	if err := c.Report(context.Background(), feed.EdgeReport{EdgeStatus: feed.EdgeStatus{Revision: rev, Age: 2, Program: "coredns", Error: strings.Repeat("é", 400)}}); err != nil {
		t.Fatal(err)
	}
	status, _, text := w.ask(t, "GET", "/v1/edges", w.bearer("read"), "")
	if status != 200 || !strings.Contains(text, `"ann"`) || !strings.Contains(text, rev.String()) || !strings.Contains(text, `"equal":false`) {
		t.Errorf("%d %s", status, text)
	}
	at := w.hub.Replica().Revision()
	newer, next := at, at
	newer.Epoch.Made++
	next.Rev++ // of an edge that heard of a revision before its registry restarted
	for want, rev := range map[string]registry.Revision{"older": rev, "newer": newer, "same": next} {
		if err := c.Report(context.Background(), feed.EdgeReport{EdgeStatus: feed.EdgeStatus{Revision: rev}}); err != nil {
			t.Fatal(err)
		}
		if _, _, text := w.ask(t, "GET", "/v1/edges", w.bearer("read"), ""); !strings.Contains(text, `"epoch":"`+want+`"`) {
			t.Errorf("an edge at %s, the registry at %s: %s; want the epoch %s", rev, at, text, want)
		}
	}
	// One that was taken down is forgotten after a week.
	w.clock.seconds.Add(7 * 24 * 60 * 60)
	if _, _, text := w.ask(t, "GET", "/v1/edges", w.bearer("read"), ""); !strings.Contains(text, `"ann"`) || w.values(t)["icp_registry_edges{state=silent}"] != 1 {
		t.Errorf("after a week: %s, %v; want the edge, silent", text, w.values(t)["icp_registry_edges{state=silent}"])
	}
	w.clock.seconds.Add(1)
	if _, _, text := w.ask(t, "GET", "/v1/edges", w.bearer("read"), ""); !strings.Contains(text, `"edges":[]`) || w.values(t)["icp_registry_edges{state=silent}"] != 0 {
		t.Errorf("after more than a week: %s, %v; want no edge", text, w.values(t)["icp_registry_edges{state=silent}"])
	}
	for _, body := range []string{`{}`, `{"revision":"x"}`, `{"revision":"1-2:3","age_seconds":-1}`, `{"revision":"1-2:3","age_seconds":1,"more":1}`, `[]`, `{`} {
		if status, kind, text := w.ask(t, "POST", feed.StatusPath, w.bearer("status"), body); status < 400 || status >= 500 || kind != "application/problem+json" {
			t.Errorf("status %s: %d %s %s", body, status, kind, text)
		}
	}
	if status, _, text := w.ask(t, "GET", "/v1/edges?x=1", w.bearer("read"), ""); status != 422 && status != 400 {
		t.Errorf("an unknown parameter: %d %s", status, text)
	}
}

// TestThroughService: an edge follows through the guard.
func TestThroughService(t *testing.T) {
	w := newWorld(t)
	for token, ok := range map[string]bool{"feed": true, "coverage": false} {
		c, err := feed.NewClient(w.url, func() (string, error) { return w.secret[token], nil })
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := c.Manifest(context.Background(), feed.Trust(w.signer)); (err == nil) != ok {
			t.Errorf("the manifest with a token of scope %s: %v", token, err)
		}
	}
	c, err := feed.NewClient(w.url, func() (string, error) { return w.secret["coverage"], nil })
	if err != nil {
		t.Fatal(err)
	}
	answers, err := c.Coverage(context.Background(), []registry.Domain{registry.MustParseDomain("www.a.test"), registry.MustParseDomain("b.test")})
	if err != nil || len(answers) != 2 || len(answers[0].Filings) != 1 || len(answers[1].Filings) != 0 {
		t.Errorf("coverages: %+v, %v", answers, err)
	}
	if status, _, text := w.ask(t, "POST", feed.CoveragePath, w.bearer("coverage"), fmt.Sprintf(`{"names":[%s"a"]}`, strings.Repeat(`"a.test",`, 200_000))); status != 413 {
		t.Errorf("a body without end: %d %.80s", status, text)
	}
}

// TestSightings: a batch counts once, however often it comes, and is seen.
func TestSightings(t *testing.T) {
	w := newWorld(t)
	c, err := feed.NewClient(w.url, func() (string, error) { return w.secret["sightings"], nil })
	if err != nil {
		t.Fatal(err)
	}
	at := time.Unix(1_790_000_000, 0).UTC()
	batch := feed.SightingBatch{Boot: "b1", Seq: 1, Other: 2, Rows: []feed.Sighting{{
		Name: "b.test", Hosts: []string{"www.b.test"}, Addr: "192.0.2.1", Reason: "unfiled", Channel: "https", Mode: "enforce", First: at, Last: at.Add(time.Minute), Hits: 7,
	}}}
	for range 3 {
		text, err := batch.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Sightings(context.Background(), text); err != nil {
			t.Fatal(err)
		}
	}
	status, _, text := w.ask(t, "GET", feed.SightingsPath+"?name=b.test&state=open", w.bearer("read"), "")
	if status != 200 || !strings.Contains(text, `"hits":7`) || !strings.Contains(text, `"www.b.test"`) {
		t.Errorf("%d %s", status, text)
	}
	for name, spoil := range map[string]func(*feed.SightingBatch){
		"no boot":    func(b *feed.SightingBatch) { b.Boot = "" },
		"no number":  func(b *feed.SightingBatch) { b.Seq = 0 },
		"a name":     func(b *feed.SightingBatch) { b.Rows[0].Name = "b..test" },
		"an address": func(b *feed.SightingBatch) { b.Rows[0].Addr = "192.0.2" },
		"a reason":   func(b *feed.SightingBatch) { b.Rows[0].Reason = "because" },
		"a channel":  func(b *feed.SightingBatch) { b.Rows[0].Channel = "fax" },
		"a mode":     func(b *feed.SightingBatch) { b.Rows[0].Mode = "off" },
		"times":      func(b *feed.SightingBatch) { b.Rows[0].Last = at.Add(-time.Hour) },
		"hosts":      func(b *feed.SightingBatch) { b.Rows[0].Hosts = make([]string, 11) },
	} {
		bad := batch
		bad.Seq, bad.Rows = 2, []feed.Sighting{batch.Rows[0]}
		spoil(&bad)
		text, err := bad.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Sightings(context.Background(), text); !errors.Is(err, feed.ErrRefused) {
			t.Errorf("%s: %v; want %v", name, err, feed.ErrRefused)
		}
	}
}
