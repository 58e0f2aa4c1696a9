package api

import (
	"encoding/json"
	"net/http"

	"github.com/icpgate/icpgate/registry/feed"
)

// Problem is why a request was not done, as RFC 9457 has it.
type Problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
}

// writeProblem answers with a problem.
func writeProblem(w http.ResponseWriter, status int, detail string) {
	text, err := json.Marshal(Problem{http.StatusText(status), status, detail})
	if err != nil { // strings always are JSON
		text = []byte("{}")
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n')) // the client has gone where it fails
}

// refuse is writeProblem for the handlers of package feed.
func refuse(w http.ResponseWriter, _ *http.Request, why *feed.Refusal) {
	writeProblem(w, why.Status, why.Detail)
}
