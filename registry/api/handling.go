package api

import (
	"context"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/icpgate/icpgate/registry/feed"
	"github.com/icpgate/icpgate/registry/store"
)

// HandlePath is where it is noted what was done about sightings.
const HandlePath = feed.SightingsPath + "/handle"

// Handling is what was done about sightings.
type Handling struct {
	IDs   []string `json:"ids" minItems:"1" maxItems:"1000"`
	State string   `json:"state" enum:"open,notified,filed-since,closed"`
	Note  string   `json:"note,omitempty" maxLength:"2000"`
}

// handlingRoutes are how people handle sightings.
func (s *Service) handlingRoutes() {
	register(s, store.ScopeWrite, huma.Operation{
		OperationID: "sightings-handle", Method: http.MethodPost, Path: HandlePath, Summary: "Note what was done about sightings: of all of them, or of none",
		DefaultStatus: http.StatusNoContent,
	}, func(ctx context.Context, in *struct{ Body Handling }) (*struct{}, error) {
		if len(in.Body.IDs) == 0 {
			return nil, unprocessable(errors.New("ids: name the sightings"))
		}
		return nil, s.cfg.Store.Handle(ctx, by(ctx, "handling of sightings"), store.HandlingState(in.Body.State), in.Body.Note, in.Body.IDs...)
	})
}
