package api

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// Mismatch tells where an answer to a GET is not as the description says.
func (s *Service) Mismatch(path string, answer any) (problems []string, err error) {
	doc := s.api.OpenAPI()
	item := doc.Paths[path]
	if item == nil || item.Get == nil {
		return nil, fmt.Errorf("GET %s is not described", path)
	}
	schema := item.Get.Responses["200"].Content["application/json"].Schema
	result := huma.ValidateResult{}
	huma.Validate(doc.Components.Schemas, schema, huma.NewPathBuffer(nil, 0), huma.ModeReadFromServer, answer, &result)
	for _, e := range result.Errors {
		problems = append(problems, e.Error())
	}
	return problems, nil
}

// Take begins something of which only one may be under way; release ends it.
func (s *Service) Take(what string) (release func(), err error) { return s.jobs.take(what, 1) }

// Publishing has the service publish an import, by what is done until it is let go.
func (s *Service) Publishing(t testing.TB, id string) (end func()) {
	held := make(chan struct{})
	if err := s.jobs.begin(id, func(context.Context) error { <-held; return nil }, s.explained); err != nil {
		t.Fatal(err)
	}
	end = sync.OnceFunc(func() { close(held) })
	t.Cleanup(end)
	return end
}

// Moves serves what takes long to anybody, and SetLeast lets a test do with less of it.
func (s *Service) Moves(do func(http.ResponseWriter, *http.Request) error) http.Handler {
	return s.moves(do)
}

func SetLeast(t testing.TB, rate int, d time.Duration) {
	r, l := leastRate, leastTime
	leastRate, leastTime = rate, d
	t.Cleanup(func() { leastRate, leastTime = r, l })
}

// SetPatience lets a test wait less for a database.
func SetPatience(t testing.TB, d time.Duration) {
	p := patience
	patience = d
	t.Cleanup(func() { patience = p })
}

// LeastRate is leastRate of the program.
const LeastRate = 125_000
