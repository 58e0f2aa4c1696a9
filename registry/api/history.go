package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/icpgate/icpgate/registry/store"
)

// HistoryPath is where the journal is asked.
const HistoryPath = "/v1/history"

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

// historyRoutes are how the journal is read. Personal data is not in it.
func (s *Service) historyRoutes() {
	register(s, store.ScopeRead, huma.Operation{
		OperationID: "history", Method: http.MethodGet, Path: HistoryPath, Summary: "Who did what to a filing number, a name or an address, and when; oldest first",
	}, func(ctx context.Context, in *ofQuery) (*struct{ Body History }, error) {
		list, err := s.cfg.Store.History(ctx, in.Of)
		out := &struct{ Body History }{History{make([]Event, len(list))}}
		for i, e := range list {
			x := Event{Rev: e.Rev, At: e.At, Who: e.Who, Owner: e.Owner, Why: e.Why, Import: e.Import, What: e.What, Key: e.Key}
			if len(e.Was) > 0 {
				x.Was = e.Was
			}
			if len(e.Is) > 0 {
				x.Is = e.Is
			}
			out.Body.Events[i] = x
		}
		return out, err
	})
}
