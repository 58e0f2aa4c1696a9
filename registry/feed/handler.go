package feed

import (
	"errors"
	"io"
	"mime"
	"net/http"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/index"
)

// maxRequest bounds a request: MaxNames of the longest names.
const maxRequest = 512 << 10

// CoverageHandler answers requests for coverages from the registry that view
// returns, one revision a request. Without a registry it answers 503. Who may
// ask is for a handler before it to say.
func CoverageHandler(view func() *index.View) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/json" {
			http.Error(w, "expect a body of application/json", http.StatusUnsupportedMediaType)
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
		var tooLong *http.MaxBytesError
		if errors.As(err, &tooLong) {
			http.Error(w, "the body is too long", http.StatusRequestEntityTooLarge)
			return
		} else if err != nil {
			return // the client has gone
		}
		names, err := ParseRequest(body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		v := view()
		if v == nil {
			http.Error(w, "no registry is loaded", http.StatusServiceUnavailable)
			return
		}
		answers := make([]registry.Coverage, len(names))
		for i, d := range names {
			answers[i] = v.Cover(d)
		}
		text, err := AppendAnswer(nil, v.Revision(), answers)
		if err != nil {
			http.Error(w, "the answer could not be written", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_, _ = w.Write(text) // the client has gone where it fails
	})
}
