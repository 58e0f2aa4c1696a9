package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/feed"
	"github.com/icpgate/icpgate/registry/store"
)

type sightingsInput struct {
	Body feed.SightingBatch
}

type sightingsQuery struct {
	State string    `query:"state" enum:"open,notified,filed-since,closed" doc:"All without it."`
	Name  string    `query:"name" doc:"A registrable name."`
	Since time.Time `query:"since" doc:"Last seen at it or later."`
	Limit int       `query:"limit" default:"100" minimum:"1" maximum:"1000"`
	After string    `query:"after" doc:"What the answer before said is next."`
}

type sightingsOutput struct {
	Body struct {
		Sightings []SightingView `json:"sightings"`
		Next      string         `json:"next,omitempty" doc:"There may be more: ask again with this as after."`
	}
}

// SightingView is a sighting as it is shown.
type SightingView struct {
	ID string `json:"id"`
	feed.Sighting
	State string    `json:"state"`
	Who   string    `json:"who,omitempty" doc:"Who set the state."`
	At    time.Time `json:"at,omitzero"`
	Note  string    `json:"note,omitempty"`
}

// sightingsIn is how sightings come in; take keeps a batch.
func (s *Service) sightingsIn(take func(context.Context, *sightingsInput, []feed.Seen) error) {
	register(s, store.ScopeSightings, huma.Operation{
		OperationID: "sightings-add", Method: http.MethodPost, Path: feed.SightingsPath, Summary: "An edge hands over what it blocked, or would have",
		DefaultStatus: http.StatusNoContent, MaxBodyBytes: feed.MaxSightingsBody,
	}, func(ctx context.Context, in *sightingsInput) (*struct{}, error) {
		if len(in.Body.Rows) > registry.MaxSightings {
			return nil, failure{http.StatusUnprocessableEntity, fmt.Errorf("%d rows; at most %d, the surplus counts as other", len(in.Body.Rows), registry.MaxSightings)}
		}
		rows := make([]feed.Seen, len(in.Body.Rows))
		for i := range in.Body.Rows {
			var err error
			if rows[i], err = in.Body.Rows[i].Read(); err != nil {
				return nil, failure{http.StatusUnprocessableEntity, fmt.Errorf("row %d: %w", i+1, err)}
			}
		}
		return nil, take(ctx, in, rows)
	})
}

// sender is whose batch it is.
func (in *sightingsInput) sender(ctx context.Context) string {
	if in.Body.Behind == "" {
		return IdentityOf(ctx).Owner
	}
	return IdentityOf(ctx).Owner + "/" + in.Body.Behind
}

// keepSightings keeps a batch in the store.
func (s *Service) keepSightings(ctx context.Context, in *sightingsInput, rows []feed.Seen) error {
	b := store.SightingBatch{Edge: in.sender(ctx), Boot: in.Body.Boot, Seq: in.Body.Seq, Other: in.Body.Other}
	for _, r := range rows {
		b.Rows = append(b.Rows, store.Sighting{
			Name: r.Name, Hosts: r.Hosts, Addr: r.Addr, Reason: r.Reason, Channel: r.Channel, Mode: r.Mode, First: r.First, Last: r.Last, Hits: r.Hits,
		})
	}
	_, err := s.cfg.Store.AddSightings(ctx, b)
	if errors.Is(err, store.ErrInvalid) {
		err = failure{http.StatusUnprocessableEntity, err}
	}
	return err
}

// passSightings hands a batch on to upstream: it is taken when upstream has taken it.
func (s *Service) passSightings(ctx context.Context, in *sightingsInput, _ []feed.Seen) error {
	out := in.Body
	out.Behind = in.sender(ctx)
	text, err := out.Marshal()
	if err != nil {
		return err
	}
	err = s.cfg.Upstream.Sightings(ctx, text)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, feed.ErrRefused):
		return failure{http.StatusUnprocessableEntity, err}
	}
	return failure{http.StatusServiceUnavailable, errors.New("upstream does not take it at the moment; hand it over again")}
}

// sightingRoutes take sightings in and show them.
func (s *Service) sightingRoutes() {
	s.sightingsIn(s.keepSightings)
	register(s, store.ScopeRead, huma.Operation{
		OperationID: "sightings", Method: http.MethodGet, Path: feed.SightingsPath, Summary: "What edges blocked, or would have; last seen first",
	}, func(ctx context.Context, in *sightingsQuery) (*sightingsOutput, error) {
		q := store.SightingQuery{State: store.HandlingState(in.State), Since: in.Since, Limit: in.Limit}
		if in.Name != "" {
			var err error
			if q.Name, err = registry.ParseDomain(in.Name); err != nil {
				return nil, failure{http.StatusUnprocessableEntity, err}
			}
		}
		if in.After != "" {
			at, id, ok := strings.Cut(in.After, "-")
			last, err := strconv.ParseInt(at, 10, 64)
			if err != nil || !ok {
				return nil, failure{http.StatusUnprocessableEntity, fmt.Errorf("after %q; expect what an answer called next", in.After)}
			}
			q.After = &store.Sighting{ID: id, Last: time.Unix(last, 0)}
		}
		list, err := s.cfg.Store.Sightings(ctx, q)
		if err != nil {
			return nil, err
		}
		out := &sightingsOutput{}
		out.Body.Sightings = make([]SightingView, len(list))
		for i := range list {
			out.Body.Sightings[i] = viewOf(&list[i])
		}
		if n := len(list); n == in.Limit {
			out.Body.Next = fmt.Sprintf("%d-%s", list[n-1].Last.Unix(), list[n-1].ID)
		}
		return out, nil
	})
}

func viewOf(x *store.Sighting) SightingView {
	v := SightingView{ID: x.ID, State: string(x.State), Who: x.Who, At: x.At, Note: x.Note, Sighting: feed.Sighting{
		Name: x.Name.String(), Hosts: make([]string, len(x.Hosts)), Reason: x.Reason.String(), Channel: x.Channel.String(), Mode: x.Mode.String(),
		First: x.First, Last: x.Last, Hits: x.Hits,
	}}
	for i, h := range x.Hosts {
		v.Hosts[i] = h.String()
	}
	if x.Addr.IsValid() {
		v.Addr = x.Addr.String()
	}
	return v
}
