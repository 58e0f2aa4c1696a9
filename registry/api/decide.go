package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/danielgtaylor/huma/v2"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/edge"
	"github.com/icpgate/icpgate/registry/explain"
	"github.com/icpgate/icpgate/registry/store"
)

// The paths of verdicts.
const (
	ExplainPath = "/v1/explain" // GET: a verdict in words
	DecidePath  = "/v1/decide"  // GET: one; POST: many
)

// MaxQuestions bounds the questions of one request.
const MaxQuestions = 1000

// Question is what may be asked: the words are those of an edge's admin port.
type Question struct {
	Host            string   `query:"host" json:"host" required:"true" maxLength:"1024" doc:"A name or an address."`
	Addrs           []string `query:"addr,explode" json:"addr,omitempty" maxItems:"32" doc:"Where it points. None: judged as if at a mainland address of the provider."`
	Channel         string   `query:"channel" json:"channel,omitempty" doc:"dns, http, https or quic; http without it."`
	Provider        string   `query:"provider" json:"provider,omitempty" doc:"Whose edge asks; the service's own setting without it."`
	AddressProvider string   `query:"address_provider" json:"address_provider,omitempty" doc:"Whose the addresses are; as the lists say without it."`
	Product         string   `query:"product" json:"product,omitempty"`
	Acceleration    string   `query:"acceleration" json:"acceleration,omitempty" doc:"mainland, global or overseas."`
	Origin          string   `query:"origin" json:"origin,omitempty" doc:"this-provider-mainland, other-provider-mainland or overseas."`
	OriginPull      bool     `query:"origin_pull" json:"origin_pull,omitempty" doc:"The request is a CDN's that fetches from the origin."`
	CNAMEs          []string `query:"cname,explode" json:"cname,omitempty" maxItems:"16" doc:"Aliases on the way to the addresses, in order."`
}

// read puts a question into the edge's words.
func (q *Question) read() (edge.Question, error) {
	v := url.Values{"host": {q.Host}, "addr": q.Addrs, "cname": q.CNAMEs}
	for name, s := range map[string]string{
		"channel": q.Channel, "provider": q.Provider, "address_provider": q.AddressProvider, "product": q.Product,
		"acceleration": q.Acceleration, "origin": q.Origin,
	} {
		if s != "" {
			v.Set(name, s)
		}
	}
	if q.OriginPull {
		v.Set("origin_pull", "true")
	}
	return edge.ReadQuestion(v, registry.ChannelHTTP)
}

// Decision is a verdict.
type Decision struct {
	Host       string                `json:"host"`
	Verdict    string                `json:"verdict,omitempty" enum:"pass,block" doc:"The one that counts, of all addresses."`
	Reason     string                `json:"reason,omitempty"`
	Advisories []string              `json:"advisories,omitempty"`
	Filed      string                `json:"filed,omitempty" doc:"The filed name that decided."`
	Addresses  []edge.AddressVerdict `json:"addresses,omitempty" doc:"The verdict at each address that was given."`
	Error      string                `json:"error,omitempty" doc:"Of one among several questions: why it has no verdict."`
}

type decisionOutput struct {
	Body struct {
		Revision string `json:"revision" doc:"Where the registry was."`
		Decision
	}
}

type decisionsInput struct {
	Body struct {
		Questions []Question `json:"questions" minItems:"1" maxItems:"1000"`
	}
}

type decisionsOutput struct {
	Body struct {
		Revision  string     `json:"revision" doc:"Where the registry was when the first was decided."`
		Decisions []Decision `json:"decisions" doc:"In the order of the questions."`
	}
}

type explainInput struct {
	Question
	Lang string `query:"lang" doc:"en or zh; en without it."`
}

type explainOutput struct {
	Body edge.Explained
}

// verdictRoutes decide and explain as an edge with the registry's own lists does.
func (s *Service) verdictRoutes() {
	register(s, store.ScopeCoverage, huma.Operation{
		OperationID: "explain", Method: http.MethodGet, Path: ExplainPath, Summary: "A verdict, its reason and what to do next",
	}, func(_ context.Context, in *explainInput) (*explainOutput, error) {
		l := explain.English
		if in.Lang != "" {
			var err error
			if l, err = explain.ParseLang(in.Lang); err != nil {
				return nil, failure{http.StatusUnprocessableEntity, fmt.Errorf("lang: %w", err)}
			}
		}
		judged, err := s.judge(&in.Question)
		if err != nil {
			return nil, err
		}
		return &explainOutput{edge.Explain(l, judged)}, nil
	})
	register(s, store.ScopeCoverage, huma.Operation{
		OperationID: "decide", Method: http.MethodGet, Path: DecidePath, Summary: "A verdict",
	}, func(_ context.Context, in *struct{ Question }) (*decisionOutput, error) {
		out := &decisionOutput{}
		out.Body.Revision = s.cfg.Edge.View().Revision().String()
		judged, err := s.judge(&in.Question)
		if err == nil {
			out.Body.Decision = decisionOf(in.Host, judged)
		}
		return out, err
	})
	register(s, store.ScopeCoverage, huma.Operation{
		OperationID: "decide-many", Method: http.MethodPost, Path: DecidePath, Summary: "Verdicts, some of them perhaps errors",
	}, func(_ context.Context, in *decisionsInput) (*decisionsOutput, error) {
		out := &decisionsOutput{}
		out.Body.Revision = s.cfg.Edge.View().Revision().String()
		for i := range in.Body.Questions {
			q := &in.Body.Questions[i]
			judged, err := s.judge(q)
			var f failure
			switch {
			case errors.As(err, &f):
				out.Body.Decisions = append(out.Body.Decisions, Decision{Host: q.Host, Error: f.Error()})
			case err != nil:
				return nil, err
			default:
				out.Body.Decisions = append(out.Body.Decisions, decisionOf(q.Host, judged))
			}
		}
		return out, nil
	})
}

// judge decides at every address of a question.
func (s *Service) judge(q *Question) ([]edge.Judged, error) {
	asked, err := q.read()
	if err != nil {
		return nil, failure{http.StatusUnprocessableEntity, err}
	}
	s.cfg.Edge.Refresh() // lists that have changed are in force
	return s.cfg.Edge.Judge(asked), nil
}

func decisionOf(host string, judged []edge.Judged) Decision {
	f := edge.Worst(judged)
	d := Decision{Host: host, Verdict: f.Verdict.String(), Reason: f.Verdict.Reason.String(), Addresses: edge.AddressVerdicts(judged)}
	for _, a := range f.Verdict.Advisories.Slice() {
		d.Advisories = append(d.Advisories, a.String())
	}
	if n := int(f.Verdict.Filed); n > 0 && f.Query.Host.Kind() == registry.NameHost {
		d.Filed = f.Query.Host.Name.Last(n).String()
	}
	return d
}
