package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/store"
)

// FilingsPath is where filings are looked up and changed.
const FilingsPath = "/v1/filings"

// FilingView is a filing as the service shows it.
type FilingView struct {
	Key string `json:"key" doc:"Names the filing: its number, else its first name and kind, or its address."`
	Rev uint64 `json:"rev" doc:"The revision that made it what it is."`
	Row
}

// Filings are those that a text names.
type Filings struct {
	Filings []FilingView `json:"filings"`
}

// SetFiling sets facts of a filing, or makes it.
type SetFiling struct {
	Of  string `json:"of,omitempty" doc:"Which filing: key, number, name or address. Absent: that of the row's own key, a new one where there is none."`
	Rev uint64 `json:"rev,omitempty" doc:"Only if it still is what this revision made it."`
	Why string `json:"why" minLength:"1" doc:"For the journal."`
	Set Row    `json:"set" doc:"What changes; all else stays."`
}

// SetAccess gives a filing an access, or another state of it.
type SetAccess struct {
	Of     string `json:"of" minLength:"1"`
	Rev    uint64 `json:"rev,omitempty"`
	Why    string `json:"why" minLength:"1"`
	Access Access `json:"access"`
}

// Cancel cancels a filing or, with a provider, the access with it.
type Cancel struct {
	Of       string `json:"of" minLength:"1"`
	Rev      uint64 `json:"rev,omitempty"`
	Why      string `json:"why" minLength:"1"`
	Provider string `json:"provider,omitempty" doc:"Cancel the access with this provider, and not the filing."`
	Remove   bool   `json:"remove,omitempty" doc:"Take the filing out, as if it had never been made; for what was entered by mistake."`
}

// Changed tells what a change made.
type Changed struct {
	Revision string   `json:"revision" doc:"From this revision on it is in force."`
	Key      string   `json:"key"`
	Warnings []string `json:"warnings,omitempty"`
	// Shell: nobody serves the site any more, so that its number may be cancelled.
	Shell bool `json:"shell,omitempty" doc:"That was the last access: it is a shell site now."`
}

type changedOutput struct{ Body Changed }

// by is who changes something, and why.
func by(ctx context.Context, why string) store.By {
	who := IdentityOf(ctx)
	return store.By{Who: who.ID, Owner: who.Owner, Why: why}
}

// unprocessable refuses what a request says.
func unprocessable(err error) error { return failure{http.StatusUnprocessableEntity, err} }

// one returns the key of the only filing that a text names.
func (s *Service) one(ctx context.Context, of string) (string, error) {
	list, err := s.cfg.Store.Find(ctx, of)
	switch {
	case err != nil:
		return "", err
	case len(list) == 0:
		return "", failure{http.StatusNotFound, fmt.Errorf("there is no filing of %q", of)}
	case len(list) > 1:
		keys := make([]string, len(list))
		for i := range list {
			keys[i] = list[i].Key
		}
		return "", failure{http.StatusConflict, fmt.Errorf("%d filings are of %q; name one by its key: %s", len(list), of, strings.Join(keys, ", "))}
	}
	return list[0].Key, nil
}

// still refuses to change what somebody else has changed meanwhile.
func still(r *store.Record, rev uint64) error {
	if rev != 0 && rev != r.Rev {
		return failure{http.StatusConflict, fmt.Errorf("filing %q was changed in revision %d; look at it again", r.Key, r.Rev)}
	}
	return nil
}

// filingRoutes are how filings are looked up and changed.
func (s *Service) filingRoutes() {
	register(s, store.ScopeRead, huma.Operation{
		OperationID: "filings", Method: http.MethodGet, Path: FilingsPath, Summary: "The filings of a number, a name or an address",
	}, s.filings)
	register(s, store.ScopeWrite, huma.Operation{
		OperationID: "filing-set", Method: http.MethodPatch, Path: FilingsPath, Summary: "Set facts of a filing, or make it",
		Description: "The same again changes nothing.",
	}, s.setFiling)
	register(s, store.ScopeWrite, huma.Operation{
		OperationID: "access-set", Method: http.MethodPut, Path: FilingsPath + "/access", Summary: "Give a filing an access, or another state of it",
	}, s.setAccess)
	register(s, store.ScopeWrite, huma.Operation{
		OperationID: "filing-cancel", Method: http.MethodPost, Path: FilingsPath + "/cancel", Summary: "Cancel a filing or an access, or take a filing out",
	}, s.cancel)
}

type ofQuery struct {
	Of string `query:"of" required:"true" minLength:"1" doc:"A filing number, a name or an address."`
}

func (s *Service) filings(ctx context.Context, in *ofQuery) (*struct{ Body Filings }, error) {
	list, err := s.cfg.Store.Find(ctx, in.Of)
	if err != nil {
		return nil, err
	}
	personal := IdentityOf(ctx).Has(store.ScopePersonal)
	out := &struct{ Body Filings }{Filings{make([]FilingView, len(list))}}
	for i := range list {
		v := &out.Body.Filings[i]
		v.Key, v.Rev = list[i].Key, list[i].Rev
		if v.Row, err = rowOf(&list[i].Filing); err != nil {
			return nil, err
		}
		if n := list[i].Filing.Entity.Nature; !personal && (n == registry.Individual || n == registry.NatureUnknown) {
			v.EntityName = nil
		}
	}
	return out, nil
}

func (s *Service) setFiling(ctx context.Context, in *struct{ Body SetFiling }) (*changedOutput, error) {
	out := &changedOutput{}
	key := ""
	if in.Body.Of != "" {
		var err error
		if key, err = s.one(ctx, in.Body.Of); err != nil {
			return nil, err
		}
	} else {
		f, _, err := in.Body.Set.over(ctx, nil, s.cfg.Now())
		if err != nil {
			return nil, err
		}
		key = store.KeyOf(&f)
	}
	rev, err := s.cfg.Store.Edit(ctx, by(ctx, in.Body.Why), func(e *store.Edit) error {
		var was *registry.Filing
		switch r, err := e.Record(key); {
		case err == nil:
			if err := still(&r, in.Body.Rev); err != nil {
				return err
			}
			was = &r.Filing
		case !errors.Is(err, store.ErrNotFound) || in.Body.Of != "":
			return err
		}
		f, warnings, err := in.Body.Set.over(ctx, was, s.cfg.Now())
		if err != nil {
			return err
		}
		out.Body.Warnings, out.Body.Key = warnings, store.KeyOf(&f)
		if was != nil && out.Body.Key != key {
			// It has another number or name now: not a second filing beside the first.
			if err := e.RemoveFiling(key); err != nil {
				return err
			}
		}
		return e.PutFiling(f)
	})
	out.Body.Revision = rev.String()
	return out, err
}

func (s *Service) setAccess(ctx context.Context, in *struct{ Body SetAccess }) (*changedOutput, error) {
	return s.change(ctx, in.Body.Of, in.Body.Rev, in.Body.Why, func(e *store.Edit, r *store.Record, _ *Changed) error {
		// An import's reading of it; the other accesses stay.
		said := Row{Accesses: &[]Access{in.Body.Access}}
		f, _, err := said.over(ctx, &r.Filing, s.cfg.Now())
		if err != nil {
			return err
		}
		if len(f.Accesses) != 1 {
			return unprocessable(fmt.Errorf("provider %q is none", in.Body.Access.Provider))
		}
		a := f.Accesses[0]
		if i := slices.IndexFunc(r.Filing.Accesses, func(b registry.Access) bool { return a.Provider == b.Provider }); i >= 0 {
			if b := r.Filing.Accesses[i]; a.Status == b.Status && a.At == 0 {
				return nil // the day of the change is known, and nothing changes
			}
		}
		return e.SetAccess(r.Key, a)
	})
}

func (s *Service) cancel(ctx context.Context, in *struct{ Body Cancel }) (*changedOutput, error) {
	b := &in.Body
	if b.Provider != "" && b.Remove {
		return nil, unprocessable(errors.New("remove is of filings, and provider of accesses; give one of them"))
	}
	return s.change(ctx, b.Of, b.Rev, b.Why, func(e *store.Edit, r *store.Record, out *Changed) (err error) {
		switch {
		case b.Remove:
			return e.RemoveFiling(r.Key)
		case b.Provider == "":
			return e.CancelFiling(r.Key)
		}
		p, err := registry.ParseProviderID(b.Provider)
		if err != nil {
			return unprocessable(err)
		}
		i := slices.IndexFunc(r.Filing.Accesses, func(a registry.Access) bool { return a.Provider == p })
		if i >= 0 && r.Filing.Accesses[i].Status == registry.AccessCancelled {
			return nil // the same again: the day of the cancellation stays
		}
		out.Shell, err = e.CancelAccess(r.Key, p)
		return err
	})
}

// change changes the filing that a text names.
func (s *Service) change(ctx context.Context, of string, ifRev uint64, why string, do func(*store.Edit, *store.Record, *Changed) error) (*changedOutput, error) {
	key, err := s.one(ctx, of)
	if err != nil {
		return nil, err
	}
	out := &changedOutput{}
	rev, err := s.cfg.Store.Edit(ctx, by(ctx, why), func(e *store.Edit) error {
		r, err := e.Record(key)
		if err != nil {
			return err
		}
		if err := still(&r, ifRev); err != nil {
			return err
		}
		out.Body = Changed{Key: key}
		return do(e, &r, &out.Body)
	})
	out.Body.Revision = rev.String()
	return out, err
}
