package feed

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/index"
)

// maxRequest bounds a request: MaxNames of the longest names.
const maxRequest = 512 << 10

// CoverageHandler answers requests for coverages from the registry that view
// returns, one revision a request. Without a registry it answers 503. Who may
// ask is for a handler before it to say; refuse writes why something is refused.
func CoverageHandler(view func() *index.View, refuse Refuser) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/json" {
			refuse.refuse(w, r, &Refusal{http.StatusUnsupportedMediaType, "expect a body of application/json", 0})
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
		var tooLong *http.MaxBytesError
		if errors.As(err, &tooLong) {
			refuse.refuse(w, r, &Refusal{http.StatusRequestEntityTooLarge, "the body is too long", 0})
			return
		} else if err != nil {
			return // the client has gone
		}
		names, err := parseRequest(body)
		if err != nil {
			refuse.refuse(w, r, &Refusal{http.StatusBadRequest, err.Error(), 0})
			return
		}
		v := view()
		if v == nil {
			refuse.refuse(w, r, &Refusal{http.StatusServiceUnavailable, "no registry is loaded", time.Second})
			return
		}
		answers := make([]registry.Coverage, len(names))
		for i, d := range names {
			answers[i] = v.Cover(d)
		}
		text, err := AppendAnswer(nil, v.Revision(), answers)
		if err != nil {
			refuse.refuse(w, r, &Refusal{http.StatusInternalServerError, "the answer could not be written", 0})
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_, _ = w.Write(text) // the client has gone where it fails
	})
}
