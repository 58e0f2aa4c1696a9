package gate_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// standIn asks and answers as a proxy does that the tests do not have: for each
// request of a client's it makes a question, and acts on the answer.
type standIn struct {
	site *url.URL
	// question makes the question. Its headers are all that is sent.
	question func(client *http.Request) *http.Request
	// passes tells by the status whether the client is served.
	passes func(status int) bool
	// shown are the headers of the answer that the client gets; nil is all but those
	// of the connection.
	shown   []string
	timeout time.Duration
	failed  int // the client's status while nobody answers; 0: it is served
}

// hopByHop are the headers of a connection (RFC 9110 §7.6.1) and what is counted
// anew.
var hopByHop = []string{"Connection", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Content-Length"}

// serve serves clients, and returns where.
func (s standIn) serve(t *testing.T) string {
	t.Helper()
	site := httputil.NewSingleHostReverseProxy(s.site)
	client := &http.Client{
		Timeout: s.timeout, Transport: &http.Transport{},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := s.question(r)
		resp, err := client.Do(q.WithContext(r.Context()))
		if err != nil && s.failed != 0 {
			w.WriteHeader(s.failed)
			return
		}
		if err == nil {
			defer resp.Body.Close()
		}
		if err != nil || s.passes(resp.StatusCode) {
			site.ServeHTTP(w, r)
			return
		}
		for name, values := range resp.Header {
			if !slices.Contains(hopByHop, name) && (s.shown == nil || slices.ContainsFunc(s.shown, func(h string) bool { return strings.EqualFold(h, name) })) {
				w.Header()[name] = values
			}
		}
		w.WriteHeader(resp.StatusCode)
		_, _ = io.Copy(w, resp.Body)
	}))
	t.Cleanup(func() {
		client.CloseIdleConnections()
		server.Close()
	})
	return server.Listener.Addr().String()
}

// is2xx is what Traefik and Caddy take for a pass.
func is2xx(status int) bool { return status >= 200 && status < 300 }

// take copies headers of a client's by their names.
func take(to http.Header, client *http.Request, names []string) {
	for _, name := range names {
		if values := client.Header.Values(name); len(values) > 0 {
			to[http.CanonicalHeaderKey(name)] = values
		}
	}
}

// clientIP is where a client comes from.
func clientIP(r *http.Request) string {
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	return host
}

// nginxHost is $host of nginx, as APISIX and Kong have it: without all that stands
// behind a colon, in lower case.
func nginxHost(r *http.Request) string {
	host, _, _ := strings.Cut(r.Host, ":")
	return strings.ToLower(host)
}

// newQuestion makes a question to a URL of a document.
func newQuestion(t *testing.T, method, to string) *http.Request {
	t.Helper()
	q, err := http.NewRequest(method, to, nil)
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set("User-Agent", "") // or net/http has one of its own
	return q
}

// tryStandIn tries a stand-in with the page, then without the gate.
func tryStandIn(t *testing.T, s standIn, p *program, seen *seen, failed int) {
	t.Helper()
	web := s.serve(t)
	for _, w := range frontedPage {
		w.try(t, web, "Accept", "text/html", "Accept-Language", "en")
	}
	wanted{"unfiled.example", 403, "该网站未完成备案"}.try(t, web, "Accept-Language", "zh-CN")
	wanted{"unfiled.example", 403, `"reason":"unfiled"`}.try(t, web, "Accept", "application/json")
	trick(t, web, seen)
	s.timeout = 200 * time.Millisecond // the document's, or less
	whenGone(t, p, s.serve(t), failed, failed)
}
