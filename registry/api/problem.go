package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/icpgate/icpgate/registry/feed"
	"github.com/icpgate/icpgate/registry/store"
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

// failure is an error of an operation with the status that it stands for.
type failure struct {
	status int
	error
}

// Unwrap returns the error.
func (f failure) Unwrap() error { return f.error }

// statuses are those of the store's errors, whose texts are for who asks.
var statuses = []struct {
	err    error
	status int
}{
	{store.ErrInvalid, http.StatusUnprocessableEntity},
	{store.ErrRefused, http.StatusUnprocessableEntity},
	{store.ErrNotFound, http.StatusNotFound},
	{store.ErrWaiting, http.StatusConflict},
	{store.ErrUnfinished, http.StatusConflict},
	{store.ErrFull, http.StatusInsufficientStorage},
	{store.ErrUnknown, http.StatusInternalServerError},
	{store.ErrClosed, http.StatusServiceUnavailable},
}

// explained is what who asks is told of an error. What is an error of ours is not
// told but to those of this machine; it goes to who keeps the service.
func (s *Service) explained(err error) Problem {
	var f failure
	if errors.As(err, &f) {
		return problemOf(f.status, f.Error())
	}
	for _, x := range statuses {
		if errors.Is(err, x.err) {
			if x.status >= http.StatusInternalServerError {
				s.cfg.Failed(err)
			}
			return problemOf(x.status, err.Error())
		}
	}
	if errors.Is(err, context.Canceled) {
		return problemOf(http.StatusServiceUnavailable, "it was ended before it was done")
	}
	s.cfg.Failed(err)
	if s.cfg.Frank {
		return problemOf(http.StatusInternalServerError, err.Error())
	}
	return problemOf(http.StatusInternalServerError, "it could not be done; the log of the service says why")
}

func problemOf(status int, detail string) Problem {
	return Problem{http.StatusText(status), status, strings.ToValidUTF8(detail, "?")}
}

// asProblem turns an error into what huma writes as a problem.
func (s *Service) asProblem(err error) error {
	if err == nil {
		return nil
	}
	p := s.explained(err)
	return huma.NewError(p.Status, p.Detail)
}
