package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/icpgate/icpgate/registry/store"
)

// PersonsPath is where those who use the registry by name are.
const PersonsPath = "/v1/persons"

// Person is somebody who uses the registry by name.
type Person struct {
	Name  string    `json:"name" minLength:"1"`
	Roles []string  `json:"roles,omitempty" doc:"Words; what they let do is for who logs people in to say."`
	Made  time.Time `json:"made,omitzero" readOnly:"true"`
	Ended time.Time `json:"ended,omitzero" doc:"Since when the person may not use it any more; absent: may."`
}

// Persons are all of them, by name.
type Persons struct {
	Persons []Person `json:"persons"`
}

// SetPerson records a person.
type SetPerson struct {
	Name  string   `json:"name" minLength:"1"`
	Roles []string `json:"roles,omitempty"`
	Ended bool     `json:"ended,omitempty" doc:"May not use it any more; false again: may."`
	Why   string   `json:"why" minLength:"1"`
}

// personRoutes are how persons are looked up and recorded. Passwords do not pass
// here: what was set stays.
func (s *Service) personRoutes() {
	register(s, store.ScopeAdmin, huma.Operation{
		OperationID: "persons", Method: http.MethodGet, Path: PersonsPath, Summary: "Those who use the registry by name, also those who do no more",
	}, func(ctx context.Context, _ *struct{}) (*struct{ Body Persons }, error) {
		list, err := s.cfg.Store.Persons(ctx)
		return &struct{ Body Persons }{Persons{views(list, func(p store.Person) Person { return Person{p.Name, p.Roles, p.Made, p.Ended} })}}, err
	})
	register(s, store.ScopeAdmin, huma.Operation{
		OperationID: "person-set", Method: http.MethodPut, Path: PersonsPath, Summary: "Record a person with these roles, or end that person's use", DefaultStatus: http.StatusNoContent,
		Description: "The same again changes nothing. A person is never taken out: the journal names who did what.",
	}, func(ctx context.Context, in *struct{ Body SetPerson }) (*struct{}, error) {
		b := &in.Body
		p, err := s.cfg.Store.Person(ctx, b.Name)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
		p.Name, p.Roles = b.Name, b.Roles
		switch {
		case !b.Ended:
			p.Ended = time.Time{}
		case p.Ended.IsZero():
			p.Ended = s.cfg.Now()
		}
		return nil, s.cfg.Store.PutPerson(ctx, by(ctx, b.Why), p)
	})
}
