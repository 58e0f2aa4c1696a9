package api

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/feed"
	"github.com/icpgate/icpgate/registry/store"
)

// Edge is how an edge was when it last said so.
type Edge struct {
	Name   string          `json:"name" doc:"Who reported: the id of its token, or of its certificate; after a slash, whom a relay spoke for."`
	Owner  string          `json:"owner" doc:"Whose the token is."`
	At     time.Time       `json:"at" doc:"When it reported."`
	Status feed.EdgeStatus `json:"status"`
	Epoch  string          `json:"epoch" enum:"same,older,newer" doc:"Its epoch beside the registry's. Unless it is the same, lag tells nothing."`
	Lag    uint64          `json:"lag" doc:"Revisions behind the registry, of the same epoch."`
	Equal  bool            `json:"equal" doc:"Its digests are the registry's; told only where it is at the registry's revision."`
}

// edges are the newest status of each edge, in memory: an edge reports every few
// seconds.
type edges struct {
	mu     sync.Mutex
	byName map[string]Edge
}

// maxEdges bounds them; the one that has been silent longest goes.
const maxEdges = 20_000

func (e *edges) put(x Edge) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, known := e.byName[x.Name]; !known && len(e.byName) >= maxEdges {
		oldest := ""
		for name, y := range e.byName {
			if oldest == "" || y.At.Before(e.byName[oldest].At) {
				oldest = name
			}
		}
		delete(e.byName, oldest)
	}
	e.byName[x.Name] = x
}

// forgetAfter is for how long an edge that is silent is remembered: it may be in need
// of somebody, or was taken down for good.
const forgetAfter = 7 * 24 * time.Hour

func (e *edges) all(now time.Time) []Edge {
	e.mu.Lock()
	defer e.mu.Unlock()
	maps.DeleteFunc(e.byName, func(_ string, x Edge) bool { return now.Sub(x.At) > forgetAfter })
	all := make([]Edge, 0, len(e.byName))
	for _, x := range e.byName {
		all = append(all, x)
	}
	slices.SortFunc(all, func(a, b Edge) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// The epochs of edges, beside the registry's.
const (
	EpochSame  = "same"
	EpochOlder = "older" // it has not followed the registry to its new one
	EpochNewer = "newer" // the registry went back, which the edge refuses, or it is another one
)

func epochOf(edge, at registry.Revision) string {
	switch {
	case edge.Epoch == at.Epoch:
		return EpochSame
	case edge.Compare(at) < 0:
		return EpochOlder
	}
	return EpochNewer
}

type statusInput struct {
	Body feed.EdgeReport
}

// report takes in what an edge reports, and a relay of those behind it.
func (e *edges) report(who Identity, at time.Time, r *feed.EdgeReport) {
	e.put(Edge{Name: who.ID, Owner: who.Owner, At: at, Status: r.EdgeStatus})
	for i := range r.Behind {
		b := &r.Behind[i]
		e.put(Edge{Name: who.ID + "/" + b.Name, Owner: who.Owner, At: at.Add(-time.Duration(b.Ago) * time.Second), Status: b.EdgeStatus})
	}
}

// behindFor is for how long a relay speaks for an edge that it does not hear of.
const behindFor = time.Hour

// Behind are the edges of a relay, for its own reports.
func (s *Service) Behind() (all []feed.EdgeBehind) {
	now := s.cfg.Now()
	for _, e := range s.edges.all(now) {
		if ago := now.Sub(e.At); ago < behindFor && len(all) < feed.MaxBehind {
			all = append(all, feed.EdgeBehind{Name: e.Name, Ago: max(0, int64(ago/time.Second)), EdgeStatus: e.Status})
		}
	}
	return all
}

type edgesOutput struct {
	Body struct {
		Revision string `json:"revision" doc:"Where the registry is."`
		Edges    []Edge `json:"edges"`
	}
}

// edgeRoutes are how edges say how they are, and how people see it.
func (s *Service) edgeRoutes() {
	register(s, store.ScopeStatus, huma.Operation{
		OperationID: "edge-status", Method: http.MethodPost, Path: feed.StatusPath, Summary: "An edge says how it is", DefaultStatus: http.StatusNoContent,
		MaxBodyBytes: feed.MaxStatusBody,
	}, func(ctx context.Context, in *statusInput) (*struct{}, error) {
		if err := in.Body.Check(); err != nil {
			return nil, failure{http.StatusUnprocessableEntity, err}
		}
		s.edges.report(IdentityOf(ctx), s.cfg.Now().UTC(), &in.Body)
		return nil, nil
	})
	register(s, store.ScopeRead, huma.Operation{
		OperationID: "edges", Method: http.MethodGet, Path: "/v1/edges", Summary: "How the edges are",
	}, func(context.Context, *struct{}) (*edgesOutput, error) {
		rev, sums, _ := s.cfg.Hub.Replica().State()
		out := &edgesOutput{}
		out.Body.Revision = rev.String()
		out.Body.Edges = s.edges.all(s.cfg.Now())
		for i := range out.Body.Edges {
			e := &out.Body.Edges[i]
			e.Epoch, e.Lag = epochOf(e.Status.Revision, rev), lagOf(e.Status.Revision, rev)
			e.Equal = e.Status.Revision == rev && e.Status.Filings == fmt.Sprintf("%016x", sums.Filings) && e.Status.Lists == fmt.Sprintf("%016x", sums.Lists)
		}
		return out, nil
	})
}
