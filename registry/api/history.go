package api

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/icpgate/icpgate/registry/store"
)

// Where the journal is asked, of one thing and as a whole.
const (
	HistoryPath = "/v1/history"
	JournalPath = "/v1/journal"
)

// Event is an entry of the journal.
type Event struct {
	Rev    uint64    `json:"rev,omitempty" doc:"Absent where it is part of no revision."`
	At     time.Time `json:"at"`
	Who    string    `json:"who"`
	Owner  string    `json:"owner,omitempty"`
	Why    string    `json:"why"`
	Import string    `json:"import,omitempty"`
	What   string    `json:"what" doc:"filing, blacklist, exemptions and others."`
	Key    string    `json:"key"`
	Was    any       `json:"was,omitempty" doc:"Absent: there was nothing."`
	Is     any       `json:"is,omitempty" doc:"Absent: it was removed."`
}

// History is what became of something, the oldest first.
type History struct {
	Events []Event `json:"events"`
}

// Journal is some of the journal, the newest first.
type Journal struct {
	Events []Event `json:"events"`
	Next   string  `json:"next,omitempty" doc:"Ask again with this as after; absent: that is all."`
}

// historyRoutes are how the journal is read. Personal data is not in it.
func (s *Service) historyRoutes() {
	register(s, store.ScopeRead, huma.Operation{
		OperationID: "history", Method: http.MethodGet, Path: HistoryPath, Summary: "Who did what to a filing number, a name or an address, and when; oldest first",
	}, func(ctx context.Context, in *ofQuery) (*struct{ Body History }, error) {
		list, err := s.cfg.Store.History(ctx, in.Of)
		return &struct{ Body History }{History{eventsOf(ctx, list)}}, err
	})
	register(s, store.ScopeRead, huma.Operation{
		OperationID: "journal", Method: http.MethodGet, Path: JournalPath, Summary: "Who did what, and when; newest first. Imports stand there as a whole",
		Description: "What tokens and persons were before and after is told with the scope admin only.",
	}, s.journal)
}

// forAdmins are the kinds whose entries tell, before and after, what takes the scope
// admin to list: scopes of tokens and roles of persons.
var forAdmins = map[string]bool{"token": true, "person": true}

func eventsOf(ctx context.Context, list []store.Event) []Event {
	all := IdentityOf(ctx).Has(store.ScopeAdmin)
	events := make([]Event, len(list))
	for i, e := range list {
		x := Event{Rev: e.Rev, At: e.At, Who: e.Who, Owner: e.Owner, Why: e.Why, Import: e.Import, What: e.What, Key: e.Key}
		if !all && forAdmins[e.What] {
			events[i] = x
			continue
		}
		if len(e.Was) > 0 {
			x.Was = e.Was
		}
		if len(e.Is) > 0 {
			x.Is = e.Is
		}
		events[i] = x
	}
	return events
}

func (s *Service) journal(ctx context.Context, in *struct {
	PageQuery
	Since time.Time `query:"since" doc:"Not before this."`
	Until time.Time `query:"until" doc:"Before this."`
	Who   string    `query:"who" doc:"By this token or person, or by what is this owner's."`
	What  string    `query:"what" doc:"Of this kind alone: filing, import, exemptions, blacklist, entity, networks, servers, service-numbers, psb, token, person, sighting and others."`
}) (*struct{ Body Journal }, error) {
	q := store.JournalQuery{Since: in.Since, Until: in.Until, Who: in.Who, What: in.What, Limit: in.Limit + 1}
	if in.After != "" {
		var err error
		if q.Before, err = strconv.ParseInt(in.After, 10, 64); err != nil || q.Before <= 0 {
			return nil, unprocessable(fmt.Errorf("after %q; expect what the page before has as next", in.After))
		}
	}
	list, err := s.cfg.Store.Journal(ctx, q)
	out := &struct{ Body Journal }{}
	list, out.Body.Next = next(list, in.Limit, func(e store.Event) string { return strconv.FormatInt(e.ID, 10) })
	out.Body.Events = eventsOf(ctx, list)
	return out, err
}
