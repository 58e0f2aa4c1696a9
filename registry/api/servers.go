package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/store"
)

// Where servers and their service numbers are.
const (
	ServersPath        = "/v1/servers"
	ServiceNumbersPath = "/v1/service-numbers"
)

// Server is a provider's resource that answers for domains.
type Server struct {
	ID        string   `json:"id" minLength:"1"`
	Provider  string   `json:"provider" minLength:"1"`
	Product   string   `json:"product" minLength:"1" doc:"For example ecs."`
	Region    string   `json:"region,omitempty" doc:"The provider's word."`
	Place     string   `json:"place,omitempty" doc:"Where it is, for regions that do not tell it: mainland, hong-kong, macao, taiwan or overseas."`
	Addresses []string `json:"addresses,omitempty" doc:"Addresses or CIDRs, which edges are told of."`
	Account   string   `json:"account,omitempty" doc:"Whose it is; edges are not told."`
	Quota     *int     `json:"quota,omitempty" minimum:"0" doc:"How many service numbers it may have in its life; absent: as its product has."`
}

// Servers are some of them, by id.
type Servers struct {
	Servers []Server `json:"servers"`
	Next    string   `json:"next,omitempty" doc:"Ask again with this as after; absent: that is all."`
}

// SetServer records a server.
type SetServer struct {
	Server
	Why string `json:"why" minLength:"1"`
}

// Remove takes out what was entered by mistake, or is no more.
type Remove struct {
	ID  string `json:"id" minLength:"1"`
	Why string `json:"why" minLength:"1"`
}

// PageQuery asks for a page of a list.
type PageQuery struct {
	After string `query:"after" doc:"The next of the page before."`
	Limit int    `query:"limit" default:"1000" minimum:"1" maximum:"10000"`
}

// next cuts what is more than a page, and tells how to go on.
func next[T any](list []T, limit int, key func(T) string) ([]T, string) {
	if len(list) <= limit {
		return append([]T{}, list...), ""
	}
	return list[:limit], key(list[limit-1])
}

// views are what a list shows of what it is about.
func views[T, V any](list []T, view func(T) V) []V {
	out := make([]V, len(list))
	for i, x := range list {
		out[i] = view(x)
	}
	return out
}

func serverView(v registry.Server) Server {
	out := Server{ID: v.ID, Provider: string(v.Provider), Product: v.Product.String(), Region: v.Region, Account: v.Account, Quota: &v.Quota}
	if v.Place != registry.PlaceUnknown {
		out.Place = v.Place.String()
	}
	for _, p := range v.Addresses {
		out.Addresses = append(out.Addresses, registry.PrefixText(p))
	}
	return out
}

// parse reads what a request says.
func (v *Server) parse() (out registry.Server, err error) {
	out = registry.Server{ID: v.ID, Region: v.Region, Account: v.Account}
	if out.Provider, err = registry.ParseProviderID(v.Provider); err != nil {
		return out, unprocessable(err)
	}
	if out.Product, err = registry.ParseProduct(v.Product); err != nil {
		return out, unprocessable(err)
	}
	if v.Place != "" {
		if out.Place, err = registry.ParsePlace(v.Place); err != nil {
			return out, unprocessable(err)
		}
	}
	for _, text := range v.Addresses {
		p, err := registry.ParsePrefix(text)
		if err != nil {
			return out, unprocessable(fmt.Errorf("address %w", err))
		}
		out.Addresses = append(out.Addresses, p)
	}
	out.Quota = registry.ServiceNumberQuota(out.Product)
	if v.Quota != nil {
		out.Quota = *v.Quota
	}
	return out, nil
}

// serverRoutes are how servers are looked up and changed.
func (s *Service) serverRoutes() {
	register(s, store.ScopeRead, huma.Operation{
		OperationID: "servers", Method: http.MethodGet, Path: ServersPath, Summary: "Servers, by id, or one of them",
	}, func(ctx context.Context, in *struct {
		PageQuery
		ID string `query:"id" doc:"This one alone."`
	}) (*struct{ Body Servers }, error) {
		out := &struct{ Body Servers }{}
		if in.ID != "" {
			v, err := s.cfg.Store.Server(ctx, in.ID)
			out.Body.Servers = []Server{serverView(v)}
			return out, err
		}
		list, err := s.cfg.Store.ServersAfter(ctx, in.After, in.Limit+1)
		list, out.Body.Next = next(list, in.Limit, func(v registry.Server) string { return v.ID })
		out.Body.Servers = views(list, serverView)
		return out, err
	})
	register(s, store.ScopeWrite, huma.Operation{
		OperationID: "server-set", Method: http.MethodPut, Path: ServersPath, Summary: "Record a server, in place of the one with its id",
		Description: "The same again changes nothing.",
	}, func(ctx context.Context, in *struct{ Body SetServer }) (*revisionOutput, error) {
		v, err := in.Body.parse()
		if err != nil {
			return nil, err
		}
		return s.edit(ctx, in.Body.Why, func(e *store.Edit) error { return e.PutServer(v) })
	})
	register(s, store.ScopeWrite, huma.Operation{
		OperationID: "server-remove", Method: http.MethodPost, Path: ServersPath + "/remove", Summary: "Take out a server that has no service numbers",
	}, func(ctx context.Context, in *struct{ Body Remove }) (*revisionOutput, error) {
		return s.edit(ctx, in.Body.Why, func(e *store.Edit) error { return gone(e.RemoveServer(in.Body.ID)) })
	})
	s.serviceNumberRoutes()
}

// ServiceNumber ties one filing to one server.
type ServiceNumber struct {
	Number  string            `json:"number" minLength:"1"`
	Server  string            `json:"server" minLength:"1"`
	State   store.NumberState `json:"state" readOnly:"true" doc:"free, given or spent."`
	Account string            `json:"account,omitempty" doc:"Whose it is; that of its server, unless it was given away."`
	Filing  string            `json:"filing,omitempty" doc:"The key of the filing that it was spent for."`
}

// ServiceNumbers are some of them.
type ServiceNumbers struct {
	Numbers []ServiceNumber `json:"numbers"`
	Next    string          `json:"next,omitempty" doc:"Ask again with this as after; absent: that is all."`
}

// SetServiceNumber makes a service number, gives it to an account, or spends it.
type SetServiceNumber struct {
	Number  string `json:"number" minLength:"1"`
	Server  string `json:"server,omitempty" doc:"Of a new one: whose it is, within its quota."`
	Account string `json:"account,omitempty" doc:"Give it to this account."`
	Filing  string `json:"filing,omitempty" doc:"Spend it, for ever, for the filing of this key, number or name."`
	Why     string `json:"why" minLength:"1"`
}

func (s *Service) serviceNumberRoutes() {
	register(s, store.ScopeRead, huma.Operation{
		OperationID: "service-numbers", Method: http.MethodGet, Path: ServiceNumbersPath, Summary: "Service numbers, of a server or all",
	}, func(ctx context.Context, in *struct {
		PageQuery
		Server string `query:"server" doc:"Of this one alone."`
	}) (*struct{ Body ServiceNumbers }, error) {
		out := &struct{ Body ServiceNumbers }{}
		var list []store.ServiceNumber
		var err error
		if in.Server != "" {
			list, err = s.cfg.Store.ServiceNumbers(ctx, in.Server)
		} else {
			list, err = s.cfg.Store.ServiceNumbersAfter(ctx, in.After, in.Limit+1)
			list, out.Body.Next = next(list, in.Limit, func(n store.ServiceNumber) string { return n.Number })
		}
		out.Body.Numbers = views(list, func(n store.ServiceNumber) ServiceNumber { return ServiceNumber(n) })
		return out, err
	})
	register(s, store.ScopeWrite, huma.Operation{
		OperationID: "service-number-set", Method: http.MethodPut, Path: ServiceNumbersPath, Summary: "Make a service number, give it to an account, or spend it for a filing",
		Description: "The same again changes nothing.",
	}, s.setServiceNumber)
	register(s, store.ScopeWrite, huma.Operation{
		OperationID: "service-number-remove", Method: http.MethodPost, Path: ServiceNumbersPath + "/remove", Summary: "Take out a service number that was not spent",
	}, func(ctx context.Context, in *struct{ Body Remove }) (*revisionOutput, error) {
		return s.edit(ctx, in.Body.Why, func(e *store.Edit) error { return gone(e.RemoveServiceNumber(in.Body.ID)) })
	})
}

func (s *Service) setServiceNumber(ctx context.Context, in *struct{ Body SetServiceNumber }) (*revisionOutput, error) {
	b := &in.Body
	key := ""
	if b.Filing != "" {
		var err error
		if key, err = s.one(ctx, b.Filing); err != nil {
			return nil, err
		}
	}
	return s.edit(ctx, b.Why, func(e *store.Edit) error {
		n, err := e.ServiceNumber(b.Number)
		switch {
		case errors.Is(err, store.ErrNotFound):
			if b.Server == "" {
				return failure{http.StatusNotFound, fmt.Errorf("there is no service number %q; name the server to make it", b.Number)}
			}
			if err := e.AddServiceNumber(b.Number, b.Server, b.Account); err != nil {
				return err
			}
		case err != nil:
			return err
		case b.Server != "" && b.Server != n.Server:
			return unprocessable(fmt.Errorf("service number %q is one of server %q", b.Number, n.Server))
		case n.State == store.NumberSpent && n.Filing == key && n.Account == cmp.Or(b.Account, n.Account):
			return nil
		case b.Account != "" && b.Account != n.Account:
			if err := e.GiveServiceNumber(b.Number, b.Account); err != nil {
				return err
			}
		}
		if key == "" {
			return nil
		}
		return e.SpendServiceNumber(b.Number, key)
	})
}
