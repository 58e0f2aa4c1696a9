package api

import (
	"context"
	"crypto/x509"
	"io"
	"net/http"
	"reflect"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/edge"
	"github.com/icpgate/icpgate/registry/feed"
	"github.com/icpgate/icpgate/registry/store"
)

// Config is what a service is made of. Tokens must be given, and Store or Upstream.
// Without Hub nothing is served that edges follow.
type Config struct {
	Hub    *feed.Hub
	Tokens Authenticator
	// Store is the registry of record; of a relay it holds the tokens of its edges.
	Store *store.Store
	// Upstream is the service that a relay hands sightings on to.
	Upstream *feed.Client
	// Edge explains and decides; nil: neither is served. It should hold the hub's
	// registry, with its lists.
	Edge *edge.Edge
	// Version is the program's, for the API's description.
	Version string
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// Metrics is where the service registers its metrics. Optional.
	Metrics prometheus.Registerer
	// Connected tells whether revisions come; for the metrics. Optional.
	Connected func() bool
	// Follows tells how a relay follows upstream; for the metrics, and for whether it is
	// ready. Optional.
	Follows func() feed.FollowStatus
	// Dir is where uploads are while they are read, and the rows that were refused;
	// made where there is none. "" is a directory of the system for temporary files.
	Dir string
	// MaxUpload bounds an import in bytes; 0 is 4 GiB.
	MaxUpload int64
	// Frank: who asks is told of errors that are not theirs, such as those of the
	// database. It is for a service within one's own process.
	Frank bool
	// Revoked tells of the verified chains of a client's certificate whether none of
	// them is good any more. Optional.
	Revoked func(chains [][]*x509.Certificate) bool
	// Recheck is how often it is looked whether the tokens of open streams are still
	// good; 0 is DefaultRecheck.
	Recheck time.Duration
	// Failed, if not nil, is told of such errors. It must return soon.
	Failed func(error)
}

// Service is the HTTP service of a registry. It is safe for concurrent use.
type Service struct {
	cfg   Config
	api   huma.API
	guard *guard
	edges edges
	jobs  jobs
	lasts *lasting

	metrics *metrics
}

// limits of requests.
const (
	// maxBody bounds the body of a request that has no limit of its own.
	maxBody = 1 << 20
	// bodyTime is how long a body may take to come, answerTime how long an answer
	// that is no stream may take to go.
	bodyTime   = 30 * time.Second
	answerTime = 30 * time.Second
	// fileTime is how long a snapshot may take to go out: 400 MB at 1 Mbit/s.
	fileTime = time.Hour
)

// New makes the service.
func New(cfg Config) *Service {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	mux := http.NewServeMux()
	s := &Service{cfg: cfg, guard: &guard{by: &known{Authenticator: cfg.Tokens, now: cfg.Now}, routes: mux, scopes: map[string]string{}, free: map[string]bool{}}}
	s.edges.byName = map[string]Edge{}
	s.metrics = newMetrics(s, cfg.Metrics)
	s.guard.denied = func(lack string) { s.metrics.denied.WithLabelValues(lack).Inc() }
	s.jobs.init()
	if cfg.MaxUpload <= 0 {
		s.cfg.MaxUpload = defaultUpload
	}
	if cfg.Failed == nil {
		s.cfg.Failed = func(error) {}
	}
	if cfg.Revoked == nil {
		s.cfg.Revoked = func([][]*x509.Certificate) bool { return false }
	}
	s.guard.revoked = s.cfg.Revoked
	s.lasts = newLasting(&s.cfg, &s.jobs, func() { s.metrics.denied.WithLabelValues("ended").Inc() })
	s.lasts.forget = s.guard.by.forget
	c := huma.DefaultConfig("icp-registry", cfg.Version)
	c.Info.Description = "The registry of ICP filings: what edges follow, and what people ask it."
	c.OpenAPIPath, c.DocsPath, c.SchemasPath, c.CreateHooks = "", "", "", nil
	c.RejectUnknownQueryParameters = true
	c.Formats = map[string]huma.Format{"application/json": plain, "json": plain}
	c.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"token":       {Type: "http", Scheme: "bearer", Description: "A token of icp-registry token; each has scopes."},
		"certificate": {Type: "mutualTLS", Description: "A client's certificate, where the service asks for one: the scopes of an edge."},
	}
	s.api = humago.New(mux, c)
	s.health(mux)
	s.describe(mux)
	if cfg.Hub != nil {
		s.streams(mux)
		s.edgeRoutes()
	}
	if cfg.Edge != nil {
		s.verdictRoutes()
	}
	if cfg.Upstream != nil {
		s.sightingsIn(s.passSightings)
		s.tokenRoutes() // a relay has tokens of its own
		return s        // what follows is the registry of record's
	}
	s.sightingRoutes()
	s.recordRoutes(mux)
	return s
}

// Handler serves the service.
func (s *Service) Handler() http.Handler { return s.measured(feed.FeedPath) }

// OpenAPI returns the description of the service, OpenAPI 3.1 as JSON.
func (s *Service) OpenAPI() ([]byte, error) { return s.api.OpenAPI().MarshalJSON() }

// Server returns a server of the service with limits on all that clients may take.
// Its address, TLS and log are the caller's to set. HTTP/2 is spoken over TLS only.
func (s *Service) Server() *http.Server {
	return &http.Server{
		Handler: s.Handler(), ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
	}
}

// route registers what serves a pattern, and under which scope.
func (s *Service) route(mux *http.ServeMux, scope string, op huma.Operation, h http.Handler) {
	pattern := op.Method + " " + op.Path
	s.guard.scopes[pattern] = scope
	s.secure(&op, scope)
	s.api.OpenAPI().AddOperation(&op)
	mux.Handle(pattern, h)
}

// secure writes what a route demands into its description.
func (s *Service) secure(op *huma.Operation, scope string) {
	op.Security = []map[string][]string{{"token": {}}}
	if slices.Contains(EdgeScopes, scope) {
		op.Security = append(op.Security, map[string][]string{"certificate": {}})
	}
	op.Extensions = map[string]any{"x-scope": scope}
	if op.Responses == nil {
		op.Responses = map[string]*huma.Response{}
	}
	for status, what := range map[string]string{"401": "No valid token.", "403": "The token lacks the scope.", "default": "Why it was not done, as RFC 9457 has it."} {
		op.Responses[status] = problemResponse(what)
	}
}

// problemResponse describes the answer of writeProblem.
func problemResponse(what string) *huma.Response {
	text := &huma.Schema{Type: huma.TypeString}
	return &huma.Response{Description: what, Content: map[string]*huma.MediaType{"application/problem+json": {Schema: &huma.Schema{
		Type: huma.TypeObject, Properties: map[string]*huma.Schema{"title": text, "status": {Type: huma.TypeInteger}, "detail": text}, Required: []string{"title", "status"},
	}}}}
}

// also adds what else a route of the feed answers to what it answers.
func also(list map[string]*huma.Response, others ...string) map[string]*huma.Response {
	all := map[string]*huma.Response{
		"206": {Description: "The range that was asked for."},
		"304": {Description: "What the client has is the newest."},
		"404": problemResponse("There is no such file, or no more."),
		"409": problemResponse("The registry is at another revision."),
		"410": problemResponse("The frames after this revision are not kept, or it is of another epoch: fetch a snapshot."),
		"429": problemResponse("Too many downloads are under way; Retry-After says when to come again."),
		"503": problemResponse("No registry is loaded yet."),
	}
	for _, status := range others {
		list[status] = all[status]
	}
	return list
}

// deadlines gives a request that is no stream its time.
func deadlines(h http.Handler, answer time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		to := http.NewResponseController(w)
		_ = to.SetReadDeadline(time.Now().Add(bodyTime)) // where it is not supported there is none to set
		_ = to.SetWriteDeadline(time.Now().Add(answer))
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		h.ServeHTTP(w, r)
	})
}

// streams are what edges follow.
func (s *Service) streams(mux *http.ServeMux) {
	hub := s.cfg.Hub.Handler(refuse)
	octets := func(what string, kind string) map[string]*huma.Response {
		return map[string]*huma.Response{"200": {Description: what, Content: map[string]*huma.MediaType{kind: {}}}}
	}
	query := func(name, what string) *huma.Param {
		return &huma.Param{Name: name, In: "query", Required: true, Description: what, Schema: &huma.Schema{Type: "string"}}
	}
	const frames, revision = "application/vnd.icpgate.frames", "A revision, MILLISECONDS-RANDOM:NUMBER."
	s.route(mux, store.ScopeFeed, huma.Operation{
		OperationID: "snapshot", Method: http.MethodGet, Path: feed.SnapshotPath, Summary: "The signed manifest of the newest snapshot",
		Responses: also(octets("The manifest.", "application/json"), "304", "503"),
	}, deadlines(hub, answerTime))
	s.route(mux, store.ScopeFeed, huma.Operation{
		OperationID: "snapshot-file", Method: http.MethodGet, Path: feed.SnapshotPath + "/{sha256}", Summary: "A file of a snapshot, whole or a range",
		Parameters: []*huma.Param{{Name: "sha256", In: "path", Required: true, Description: "As the manifest has it.", Schema: &huma.Schema{Type: "string"}}},
		Responses:  also(octets("The file, which never changes.", "application/octet-stream"), "206", "304", "404", "429"),
	}, deadlines(s.lasts.handler(hub, false), fileTime))
	s.route(mux, store.ScopeFeed, huma.Operation{
		OperationID: "feed", Method: http.MethodGet, Path: feed.FeedPath, Summary: "The frames after a revision, without end",
		Parameters: []*huma.Param{query("from", revision)}, Responses: also(octets("Frames and heartbeats.", frames), "410", "503"),
		Description: "It ends when the token that it is asked with is revoked or expires.",
	}, s.lasts.handler(hub, true))
	s.route(mux, store.ScopeFeed, huma.Operation{
		OperationID: "digest", Method: http.MethodGet, Path: feed.DigestPath, Summary: "The digests of the registry",
		Responses: also(octets("A heartbeat and the digests at its revision.", frames), "503"),
	}, deadlines(hub, answerTime))
	s.route(mux, store.ScopeFeed, huma.Operation{
		OperationID: "repair", Method: http.MethodGet, Path: feed.RepairPath, Summary: "All that lies in some buckets of the digest",
		Parameters: []*huma.Param{query("at", revision), query("buckets", "Numbers of buckets between commas.")},
		Responses:  also(octets("Frames of repair.", frames), "409", "429", "503"),
	}, deadlines(s.lasts.handler(hub, false), fileTime))
	coverage := feed.CoverageHandler(s.cfg.Hub.Replica().Live().View, refuse)
	s.route(mux, store.ScopeCoverage, huma.Operation{
		OperationID: "coverage", Method: http.MethodPost, Path: feed.CoveragePath, Summary: "What is filed of some names",
		RequestBody: &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"application/json": {}}},
		Responses:   octets("The coverages, in the order of the names.", "application/json"),
	}, deadlines(coverage, answerTime))
}

// health is for who watches the service. It tells nothing of what the registry
// holds and needs no token.
func (s *Service) health(mux *http.ServeMux) {
	for _, path := range []string{"/healthz", "/readyz"} {
		pattern := http.MethodGet + " " + path
		s.guard.free[pattern] = true
		s.api.OpenAPI().AddOperation(&huma.Operation{
			OperationID: path[1:], Method: http.MethodGet, Path: path, Summary: "Whether the service lives, or can serve",
			Security: []map[string][]string{}, Responses: map[string]*huma.Response{
				"200": {Description: "It does."}, "503": {Description: "No registry is loaded yet, or a relay is still behind upstream."},
			},
		})
		mux.Handle(pattern, deadlines(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if why := s.unready(); r.URL.Path == "/readyz" && why != "" {
				writeProblem(w, http.StatusServiceUnavailable, why)
				return
			}
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			w.Header().Set("Cache-Control", "no-store")
			_, _ = io.WriteString(w, "ok\n") // the client has gone where it fails
		}), answerTime))
	}
}

// unready is why the service is not ready; "" if it is. A relay that has begun and is
// still behind upstream is not: whoever came to it would be held back. One that cannot
// reach upstream serves what it has.
func (s *Service) unready() string {
	if s.cfg.Hub == nil {
		return ""
	}
	if s.cfg.Hub.Replica().Revision() == (registry.Revision{}) {
		return "no registry is loaded yet"
	}
	if s.cfg.Follows != nil {
		if f := s.cfg.Follows(); !f.Current && f.Failing == nil {
			return "this relay has not come yet to where upstream is"
		}
	}
	return ""
}

// describe serves the description of the service.
func (s *Service) describe(mux *http.ServeMux) {
	s.route(mux, store.ScopeRead, huma.Operation{
		OperationID: "openapi", Method: http.MethodGet, Path: "/openapi.json", Summary: "This description",
		Responses: map[string]*huma.Response{"200": {Description: "OpenAPI 3.1.", Content: map[string]*huma.MediaType{"application/openapi+json": {}}}},
	}, deadlines(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		text, err := s.OpenAPI()
		if err != nil {
			writeProblem(w, http.StatusInternalServerError, "the description cannot be written")
			return
		}
		w.Header().Set("Content-Type", "application/openapi+json")
		_, _ = w.Write(text) // the client has gone where it fails
	}), answerTime))
}

// register adds an operation whose input and output huma reads and writes.
func register[I, O any](s *Service, scope string, op huma.Operation, do func(context.Context, *I) (*O, error)) {
	s.guard.scopes[op.Method+" "+op.Path] = scope
	s.secure(&op, scope)
	if op.MaxBodyBytes == 0 {
		op.MaxBodyBytes = maxBody
	}
	op.BodyReadTimeout = bodyTime
	huma.Register(s.api, op, func(ctx context.Context, in *I) (*O, error) {
		if err := unfitIn(reflect.ValueOf(in), "the request"); err != nil {
			return nil, s.asProblem(err)
		}
		out, err := do(ctx, in)
		return out, s.asProblem(err)
	})
}
