package api

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/store"
)

// EntitiesPath is where entities are, with their personal data.
const EntitiesPath = "/v1/entities"

// Entity is what is kept of the one who filed, personal data included.
type Entity struct {
	Number      string        `json:"number"`
	Name        string        `json:"name"`
	Nature      string        `json:"nature"`
	Blacklisted string        `json:"blacklisted,omitempty" doc:"Why it is on the blacklist."`
	Erased      time.Time     `json:"erased,omitzero" doc:"Since when no personal data is kept."`
	Contact     store.Contact `json:"contact"`
}

// SetContact records personal data of an entity.
type SetContact struct {
	Number  string        `json:"number" minLength:"1"`
	Contact store.Contact `json:"contact" doc:"All of it: what is absent is not kept."`
	Why     string        `json:"why" minLength:"1"`
}

func entityNumber(text string) (registry.Number, error) {
	n, _, err := registry.ParseNumber(text)
	if err != nil {
		err = unprocessable(err)
	}
	return n, err
}

// entityRoutes are how personal data is looked up, recorded and erased.
func (s *Service) entityRoutes() {
	register(s, store.ScopePersonal, huma.Operation{
		OperationID: "entity", Method: http.MethodGet, Path: EntitiesPath, Summary: "What is kept of an entity, personal data included",
	}, func(ctx context.Context, in *struct {
		Number string `query:"number" required:"true"`
	}) (*struct{ Body Entity }, error) {
		n, err := entityNumber(in.Number)
		if err != nil {
			return nil, err
		}
		e, err := s.cfg.Store.Entity(ctx, n)
		if err != nil {
			return nil, err
		}
		return &struct{ Body Entity }{Entity{e.Number.String(), e.Name, e.Nature.String(), e.Blacklisted, e.Erased, e.Contact}}, nil
	})
	register(s, store.ScopeAdmin, huma.Operation{
		OperationID: "entity-erase", Method: http.MethodPost, Path: EntitiesPath + "/erase", Summary: "Remove the personal data of an entity, for ever",
	}, func(ctx context.Context, in *struct {
		Body struct {
			Number string `json:"number"`
			Why    string `json:"why" minLength:"1"`
		}
	}) (*revisionOutput, error) {
		n, err := entityNumber(in.Body.Number)
		if err != nil {
			return nil, err
		}
		return s.edit(ctx, in.Body.Why, func(e *store.Edit) error { return e.Erase(n) })
	})
	register(s, store.ScopePersonal, huma.Operation{
		OperationID: "entity-contact", Method: http.MethodPut, Path: EntitiesPath + "/contact", Summary: "Record the contact of an entity, encrypted; it takes the scope write as well",
	}, func(ctx context.Context, in *struct{ Body SetContact }) (*revisionOutput, error) {
		if !IdentityOf(ctx).Has(store.ScopeWrite) {
			s.guard.denied("scope")
			return nil, failure{http.StatusForbidden, fmt.Errorf("the token does not have the scope %q", store.ScopeWrite)}
		}
		n, err := entityNumber(in.Body.Number)
		if err != nil {
			return nil, err
		}
		return s.edit(ctx, in.Body.Why, func(e *store.Edit) error { return e.SetContact(n, in.Body.Contact) })
	})
}
