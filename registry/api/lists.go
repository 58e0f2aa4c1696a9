package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/store"
)

// Where exemptions, the blacklist and the other lists are.
const (
	ExemptionsPath = "/v1/exemptions"
	BlacklistPath  = "/v1/blacklist"
	ListsPath      = "/v1/lists"
)

// Exemption is an operator's permission for a name.
type Exemption struct {
	Name      string    `json:"name" doc:"NAME, or *.NAME for all names below it."`
	Until     time.Time `json:"until,omitzero" doc:"Absent: it does not end."`
	Authority bool      `json:"authority,omitempty" doc:"It overrides blacklisted and restricted, too."`
	Why       string    `json:"why" minLength:"1"`
	Who       string    `json:"who,omitempty" readOnly:"true"`
	Made      time.Time `json:"made,omitzero" readOnly:"true"`
}

// Exemptions are all of them.
type Exemptions struct {
	Exemptions []Exemption `json:"exemptions"`
}

// Blacklisting puts a name, or an entity with all of its names, on the blacklist.
type Blacklisting struct {
	Name   string `json:"name,omitempty" doc:"A domain, with all below it."`
	Entity string `json:"entity,omitempty" doc:"The number of an entity, with the domains of all of its filings."`
	Why    string `json:"why" minLength:"1"`
}

// Blacklist is some of what is on the blacklist: names, and then entities.
type Blacklist struct {
	Blacklist []Blacklisting `json:"blacklist"`
	Next      string         `json:"next,omitempty" doc:"Ask again with this as after; absent: that is all."`
}

// Entry is a line of a list.
type Entry struct {
	Key   string `json:"key" minLength:"1" doc:"What it is about, for example a prefix."`
	Value string `json:"value" doc:"What it says, as files of the list do."`
}

// Entries are those of a list.
type Entries struct {
	Entries []Entry `json:"entries"`
}

// SetEntry puts an entry into a list, or takes it out.
type SetEntry struct {
	Entry
	Gone bool   `json:"gone,omitempty" doc:"Take it out."`
	Why  string `json:"why" minLength:"1"`
}

type revisionOutput struct {
	Body struct {
		Revision string `json:"revision" doc:"From this revision on it is in force."`
	}
}

// edit makes a change.
func (s *Service) edit(ctx context.Context, why string, do func(*store.Edit) error) (*revisionOutput, error) {
	rev, err := s.cfg.Store.Edit(ctx, by(ctx, why), do)
	out := &revisionOutput{}
	out.Body.Revision = rev.String()
	return out, err
}

// nameBelow reads NAME or *.NAME.
func nameBelow(text string) (d registry.Domain, below bool, err error) {
	name, below := strings.CutPrefix(text, "*.")
	d, err = registry.ParseDomain(name)
	if err != nil {
		err = unprocessable(err)
	}
	return d, below, err
}

// gone takes "it is not there" for done: who asks again has lost the answer.
func gone(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

// listRoutes are how exemptions, blacklist and lists are read and changed.
func (s *Service) listRoutes() {
	register(s, store.ScopeRead, huma.Operation{
		OperationID: "exemptions", Method: http.MethodGet, Path: ExemptionsPath, Summary: "All exemptions",
	}, s.exemptions)
	register(s, store.ScopeWrite, huma.Operation{
		OperationID: "exempt", Method: http.MethodPut, Path: ExemptionsPath, Summary: "Exempt a name, in place of its exemption before",
	}, func(ctx context.Context, in *struct{ Body Exemption }) (*revisionOutput, error) {
		d, below, err := nameBelow(in.Body.Name)
		if err != nil {
			return nil, err
		}
		return s.edit(ctx, in.Body.Why, func(e *store.Edit) error {
			return e.Exempt(store.Exemption{Name: d, Below: below, Until: in.Body.Until, Authority: in.Body.Authority})
		})
	})
	register(s, store.ScopeWrite, huma.Operation{
		OperationID: "unexempt", Method: http.MethodPost, Path: ExemptionsPath + "/end", Summary: "End an exemption, if there is one of exactly this name",
	}, func(ctx context.Context, in *struct {
		Body struct {
			Name string `json:"name"`
			Why  string `json:"why" minLength:"1"`
		}
	}) (*revisionOutput, error) {
		d, below, err := nameBelow(in.Body.Name)
		if err != nil {
			return nil, err
		}
		return s.edit(ctx, in.Body.Why, func(e *store.Edit) error { return gone(e.Unexempt(d, below)) })
	})
	register(s, store.ScopeRead, huma.Operation{
		OperationID: "blacklisted", Method: http.MethodGet, Path: BlacklistPath, Summary: "What is on the blacklist: names, and then entities",
	}, s.blacklisted)
	register(s, store.ScopeWrite, huma.Operation{
		OperationID: "blacklist", Method: http.MethodPut, Path: BlacklistPath, Summary: "Put a name or an entity on the blacklist",
	}, func(ctx context.Context, in *struct{ Body Blacklisting }) (*revisionOutput, error) {
		return s.blacklist(ctx, &in.Body, true)
	})
	register(s, store.ScopeWrite, huma.Operation{
		OperationID: "unblacklist", Method: http.MethodPost, Path: BlacklistPath + "/end", Summary: "Take a name or an entity off the blacklist",
	}, func(ctx context.Context, in *struct{ Body Blacklisting }) (*revisionOutput, error) {
		return s.blacklist(ctx, &in.Body, false)
	})
	s.entryRoutes()
}

func (s *Service) entryRoutes() {
	type query struct {
		List string `path:"list" doc:"networks, bindings, suffixes, profiles, tlds; exemptions and servers are made in other ways."`
	}
	list := func(word string) (registry.List, error) {
		l, err := registry.ParseList(word)
		if err != nil {
			err = failure{http.StatusNotFound, err}
		}
		return l, err
	}
	register(s, store.ScopeRead, huma.Operation{
		OperationID: "list", Method: http.MethodGet, Path: ListsPath + "/{list}", Summary: "One of the lists that edges decide by",
	}, func(ctx context.Context, in *query) (*struct{ Body Entries }, error) {
		l, err := list(in.List)
		if err != nil {
			return nil, err
		}
		all, err := s.cfg.Store.Entries(ctx, l)
		out := &struct{ Body Entries }{Entries{make([]Entry, len(all))}}
		for i, x := range all {
			out.Body.Entries[i] = Entry{x.Key, x.Value}
		}
		return out, err
	})
	register(s, store.ScopeWrite, huma.Operation{
		OperationID: "list-set", Method: http.MethodPut, Path: ListsPath + "/{list}", Summary: "Put an entry into a list, or take it out",
	}, func(ctx context.Context, in *struct {
		List string `path:"list"`
		Body SetEntry
	}) (*revisionOutput, error) {
		l, err := list(in.List)
		if err != nil {
			return nil, err
		}
		return s.edit(ctx, in.Body.Why, func(e *store.Edit) error {
			err := e.Set(registry.Entry{List: l, Key: in.Body.Key, Value: in.Body.Value, Gone: in.Body.Gone})
			if in.Body.Gone {
				err = gone(err)
			}
			return err
		})
	})
}

func (s *Service) exemptions(ctx context.Context, _ *struct{}) (*struct{ Body Exemptions }, error) {
	all, err := s.cfg.Store.Exemptions(ctx)
	out := &struct{ Body Exemptions }{Exemptions{make([]Exemption, len(all))}}
	for i, x := range all {
		name := x.Name.String()
		if x.Below {
			name = "*." + name
		}
		out.Body.Exemptions[i] = Exemption{Name: name, Until: x.Until, Authority: x.Authority, Why: x.Why, Who: x.Who, Made: x.Made}
	}
	return out, err
}

func (s *Service) blacklisted(ctx context.Context, in *PageQuery) (*struct{ Body Blacklist }, error) {
	var after store.Listed
	if n, _, err := registry.ParseNumber(in.After); err == nil {
		after.Entity = n
	} else if in.After != "" {
		if after.Name, err = registry.ParseDomain(in.After); err != nil {
			return nil, unprocessable(fmt.Errorf("after: %w", err))
		}
	}
	list, err := s.cfg.Store.Listed(ctx, after, in.Limit+1)
	out := &struct{ Body Blacklist }{}
	list, out.Body.Next = next(list, in.Limit, func(l store.Listed) string { return l.Name.String() + l.Entity.String() })
	out.Body.Blacklist = views(list, func(l store.Listed) Blacklisting {
		return Blacklisting{Name: l.Name.String(), Entity: l.Entity.String(), Why: l.Why}
	})
	return out, err
}

func (s *Service) blacklist(ctx context.Context, b *Blacklisting, on bool) (*revisionOutput, error) {
	if (b.Name == "") == (b.Entity == "") {
		return nil, unprocessable(errors.New("give a name or an entity"))
	}
	if b.Entity != "" {
		n, err := entityNumber(b.Entity)
		if err != nil {
			return nil, err
		}
		why := ""
		if on {
			why = b.Why
		}
		return s.edit(ctx, b.Why, func(e *store.Edit) error { return e.BlacklistEntity(n, why) })
	}
	d, err := registry.ParseDomain(b.Name)
	if err != nil {
		return nil, unprocessable(fmt.Errorf("name: %w", err))
	}
	return s.edit(ctx, b.Why, func(e *store.Edit) error {
		if on {
			return e.Blacklist(d, b.Why)
		}
		return gone(e.Unblacklist(d))
	})
}
