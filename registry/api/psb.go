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

// PSBPath is where filings with public security are.
const PSBPath = "/v1/psb"

// PSB is a filing with public security. Nothing is decided by it, and edges are not
// told; audits ask.
type PSB struct {
	Number  string    `json:"number" minLength:"1" doc:"As pages show it, for example 京公网安备11010802020134号."`
	Name    string    `json:"name" minLength:"1" doc:"The domain."`
	FiledAt time.Time `json:"filed_at,omitzero" doc:"Absent: unknown."`
}

// PSBs are some of them, by number.
type PSBs struct {
	PSB  []PSB  `json:"psb"`
	Next string `json:"next,omitempty" doc:"Ask again with this as after; absent: that is all."`
}

// SetPSB records a filing with public security.
type SetPSB struct {
	PSB
	Why string `json:"why" minLength:"1"`
}

func psbNumber(text string) (registry.PSBNumber, error) {
	n, _, err := registry.ParsePSBNumber(text)
	if err != nil {
		err = unprocessable(err)
	}
	return n, err
}

func psbName(text string) (registry.Domain, error) {
	d, err := registry.ParseDomain(text)
	if err != nil {
		err = unprocessable(fmt.Errorf("name: %w", err))
	}
	return d, err
}

// psbRoutes are how filings with public security are looked up and changed.
func (s *Service) psbRoutes() {
	register(s, store.ScopeRead, huma.Operation{
		OperationID: "psb", Method: http.MethodGet, Path: PSBPath, Summary: "Filings with public security, by number; of a name, or one of them",
	}, s.psbs)
	register(s, store.ScopeWrite, huma.Operation{
		OperationID: "psb-set", Method: http.MethodPut, Path: PSBPath, Summary: "Record a filing with public security, in place of the one of its number",
		Description: "The same again changes nothing.",
	}, func(ctx context.Context, in *struct{ Body SetPSB }) (*revisionOutput, error) {
		n, err := psbNumber(in.Body.Number)
		if err != nil {
			return nil, err
		}
		d, err := psbName(in.Body.Name)
		if err != nil {
			return nil, err
		}
		return s.edit(ctx, in.Body.Why, func(e *store.Edit) error { return e.PutPSB(store.PSB{Number: n, Name: d, FiledAt: in.Body.FiledAt}) })
	})
	register(s, store.ScopeWrite, huma.Operation{
		OperationID: "psb-remove", Method: http.MethodPost, Path: PSBPath + "/remove", Summary: "Take out a filing with public security",
	}, func(ctx context.Context, in *struct{ Body Remove }) (*revisionOutput, error) {
		n, err := psbNumber(in.Body.ID)
		if err != nil {
			return nil, err
		}
		return s.edit(ctx, in.Body.Why, func(e *store.Edit) error { return gone(e.RemovePSB(n)) })
	})
}

func (s *Service) psbs(ctx context.Context, in *struct {
	PageQuery
	Name   string `query:"name" doc:"Those of this name."`
	Number string `query:"number" doc:"This one alone."`
}) (*struct{ Body PSBs }, error) {
	var list []store.PSB
	var err error
	out := &struct{ Body PSBs }{}
	switch {
	case in.Number != "":
		n, err := psbNumber(in.Number)
		if err != nil {
			return nil, err
		}
		one, err := s.cfg.Store.PSB(ctx, n)
		if err != nil {
			return nil, err
		}
		list = []store.PSB{one}
	case in.Name != "":
		d, err := psbName(in.Name)
		if err != nil {
			return nil, err
		}
		if list, err = s.cfg.Store.PSBs(ctx, d); err != nil {
			return nil, err
		}
	default:
		var after registry.PSBNumber
		if in.After != "" {
			if after, err = psbNumber(in.After); err != nil {
				return nil, err
			}
		}
		if list, err = s.cfg.Store.PSBsAfter(ctx, after, in.Limit+1); err != nil {
			return nil, err
		}
		list, out.Body.Next = next(list, in.Limit, func(p store.PSB) string { return p.Number.String() })
	}
	out.Body.PSB = views(list, func(p store.PSB) PSB { return PSB{p.Number.String(), p.Name.String(), p.FiledAt} })
	return out, nil
}
