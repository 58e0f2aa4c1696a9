package gate_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/icpgate/icpgate/gate"
	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/edge"
	"github.com/icpgate/icpgate/registry/index"
)

// newEdge opens an edge of aliyun's by which filed.example is filed and accessed
// here, elsewhere.example filed and accessed with tencent.
func newEdge(t testing.TB, change func(*edge.Config)) *edge.Edge {
	t.Helper()
	live := new(index.Live)
	live.Swap(newIndex(t, 1, filing("filed.example", registry.Aliyun), filing("elsewhere.example", registry.Tencent)))
	cfg := edge.Config{Provider: registry.Aliyun, Live: live}
	if change != nil {
		change(&cfg)
	}
	e, err := edge.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

func newIndex(t testing.TB, rev uint64, filings ...registry.Filing) *index.Index {
	t.Helper()
	b := index.NewBuilder(index.Options{Revision: registry.Revision{Rev: rev}})
	for _, f := range filings {
		if err := b.Add(f); err != nil {
			t.Fatal(err)
		}
	}
	x, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func filing(name string, provider registry.ProviderID) registry.Filing {
	return registry.Filing{
		Site:     registry.Site{Domains: []registry.Domain{registry.MustParseDomain(name)}},
		Accesses: []registry.Access{{Provider: provider}}, AccessesKnown: true,
	}
}

// plainNotices answer in one line.
type plainNotices struct{}

func (plainNotices) AppendHTTP1(b []byte, n gate.Notice) []byte {
	body := fmt.Sprintf("%s: %s\n", n.Host, n.Verdict.Reason)
	b = fmt.Appendf(b, "HTTP/1.1 403 Forbidden\r\nContent-Length: %d\r\nConnection: close\r\nX-ICP-Reason: %s\r\n\r\n", len(body), n.Verdict.Reason)
	if n.Head {
		return b
	}
	return append(b, body...)
}

func (plainNotices) RedirectURL(string, registry.Reason) string { return "" }

func (plainNotices) AppendError1(b []byte, status int, cause string) []byte {
	return fmt.Appendf(b, "HTTP/1.1 %d Refused\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", status, len(cause), cause)
}

func (plainNotices) ServeNotice(w http.ResponseWriter, n gate.Notice) {
	w.Header().Set("X-ICP-Reason", n.Verdict.Reason.String())
	w.WriteHeader(http.StatusForbidden)
}

func (plainNotices) ServeError(w http.ResponseWriter, status int, cause string) {
	http.Error(w, cause, status)
}

func serve(t testing.TB, s gate.TestService) *gate.TestListener {
	t.Helper()
	if s.Edge == nil {
		s.Edge = newEdge(t, nil)
	}
	if s.Notices == nil {
		s.Notices = plainNotices{}
	}
	if s.Kind == "" {
		s.Kind = "http"
	}
	l, err := gate.ServeForTest(s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}
