package gate

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/icpgate/icpgate/gate/authz"
	"github.com/icpgate/icpgate/registry"
)

// Page implements authz.Pages: what the gate itself would show a client that is
// refused so.
func (s *service) Page(q *authz.Question, a authz.Answer, r authz.Reader) authz.Page {
	var w pageWriter
	if a.Verdict.Reason == registry.Malformed {
		s.notices.ServeError(&w, q.Cause.Status(), q.Cause.String())
	} else {
		s.notices.ServeNotice(&w, Notice{
			Host: q.Host.String(), Verdict: a.Verdict, RequestID: a.ID, Time: time.Now(),
			Accept: r.Accept, Language: r.Language, Head: r.Head,
		})
	}
	return w.page
}

// pageWriter takes a page for somebody else to send. The zero value is ready.
type pageWriter struct {
	header http.Header
	page   authz.Page
}

// Header implements http.ResponseWriter.
func (w *pageWriter) Header() http.Header {
	if w.header == nil {
		w.header = http.Header{}
	}
	return w.header
}

// WriteHeader implements http.ResponseWriter. What whoever sends the page knows
// better is left to him.
func (w *pageWriter) WriteHeader(status int) {
	w.page.Status = status
	for name, values := range w.header {
		if name == "Date" || name == "Content-Length" {
			continue
		}
		for _, v := range values {
			w.page.Fields = append(w.page.Fields, [2]string{name, v})
		}
	}
	slices.SortFunc(w.page.Fields, func(a, b [2]string) int { return strings.Compare(a[0], b[0]) })
}

// Write implements http.ResponseWriter.
func (w *pageWriter) Write(b []byte) (int, error) {
	w.page.Body = append(w.page.Body, b...)
	return len(b), nil
}
