package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Scope is what a token, or a client's certificate, may be used for.
type Scope string

// The scopes.
const (
	ScopeFeed     Scope = "feed"     // follow: snapshots, frames, digests
	ScopeCoverage Scope = "coverage" // ask name by name, as thin edges do
	ScopeReport   Scope = "report"   // tell of oneself: status and sightings
	ScopeRead     Scope = "read"     // see what the registry holds and how the edges do
	ScopeWrite    Scope = "write"    // change filings, accesses, exemptions; import
	ScopeApprove  Scope = "approve"  // confirm what another one has prepared
	ScopeAdmin    Scope = "admin"    // make and revoke tokens
)

// Scopes are all scopes.
var Scopes = []Scope{ScopeFeed, ScopeCoverage, ScopeReport, ScopeRead, ScopeWrite, ScopeApprove, ScopeAdmin}

// EdgeScopes are those of an edge: of a client that shows a certificate.
var EdgeScopes = []Scope{ScopeFeed, ScopeCoverage, ScopeReport}

// ParseScope reads the word of a scope.
func ParseScope(s string) (Scope, error) {
	if slices.Contains(Scopes, Scope(s)) {
		return Scope(s), nil
	}
	words := make([]string, len(Scopes))
	for i, scope := range Scopes {
		words[i] = string(scope)
	}
	return "", fmt.Errorf("unknown scope %q; expect %s", s, strings.Join(words, ", "))
}

// Identity is who asks. The zero value is nobody.
type Identity struct {
	ID     string // of the token, or "cert:" and the certificate's common name
	Owner  string // whose it is: two people confirm what two owners do
	Scopes []Scope
}

// Has reports whether who asks may be served under a scope.
func (i Identity) Has(s Scope) bool { return slices.Contains(i.Scopes, s) }

// ErrToken: a token is not known, has ended or was revoked. Which of these is not
// told to who shows it.
var ErrToken = errors.New("the token is not valid")

// Authenticator tells whose a token is. It returns ErrToken for one that is not
// valid, and another error where it cannot tell. It compares without telling by
// its time how far a guess was right.
type Authenticator interface {
	Authenticate(ctx context.Context, token string) (Identity, error)
}

type identityKey struct{}

// IdentityOf is who asks, in a handler of the service.
func IdentityOf(ctx context.Context) Identity {
	who, _ := ctx.Value(identityKey{}).(Identity)
	return who
}

// maxToken bounds what is looked up.
const maxToken = 512

// errNoToken and errManyTokens are told apart from ErrToken: they say what to do.
var (
	errNoToken    = errors.New("no token; send \"Authorization: Bearer TOKEN\"")
	errManyTokens = errors.New("more than one Authorization header, or one that is no \"Bearer TOKEN\"")
)

// identify tells who asks: by a token or, without one, by the certificate that the
// server has verified.
func identify(r *http.Request, by Authenticator) (Identity, error) {
	headers := r.Header.Values("Authorization")
	if len(headers) == 0 {
		if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
			name := r.TLS.VerifiedChains[0][0].Subject.CommonName
			if name != "" {
				return Identity{"cert:" + name, name, EdgeScopes}, nil
			}
		}
		return Identity{}, errNoToken
	}
	scheme, token, ok := strings.Cut(headers[0], " ")
	if len(headers) > 1 || !ok || !strings.EqualFold(scheme, "Bearer") || token == "" || len(token) > maxToken || strings.ContainsAny(token, " ,\t") {
		return Identity{}, errManyTokens
	}
	return by.Authenticate(r.Context(), token)
}

// guard lets through who may use the route that a request leads to, and nobody
// else: without a valid token nothing is told, not even which routes there are.
type guard struct {
	by     Authenticator
	routes *http.ServeMux
	scopes map[string]Scope // by the pattern of the route
	free   map[string]bool  // patterns that need no token
	denied func(reason string)
}

// ServeHTTP serves or refuses a request.
func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// A path that is written in two ways is none: whatever stands before the service
	// may have read it otherwise.
	odd := r.URL.EscapedPath() != r.URL.Path || strings.Contains(r.URL.Path, "//") || strings.Contains(r.URL.Path, "/.")
	pattern := ""
	if !odd {
		_, pattern = g.routes.Handler(r)
	}
	if g.free[pattern] {
		g.routes.ServeHTTP(w, r)
		return
	}
	who, err := identify(r, g.by)
	switch {
	case errors.Is(err, errNoToken), errors.Is(err, errManyTokens), errors.Is(err, ErrToken):
		g.denied("token")
		w.Header().Set("WWW-Authenticate", `Bearer realm="icp-registry"`)
		writeProblem(w, http.StatusUnauthorized, err.Error())
		return
	case err != nil:
		writeProblem(w, http.StatusServiceUnavailable, "tokens cannot be looked up at the moment")
		return
	}
	scope, known := g.scopes[pattern]
	switch {
	case !known && pattern == "" && !odd && g.knows(r):
		writeProblem(w, http.StatusMethodNotAllowed, r.Method+" is not served here")
	case !known:
		writeProblem(w, http.StatusNotFound, "nothing is served at this path")
	case !who.Has(scope):
		g.denied("scope")
		writeProblem(w, http.StatusForbidden, fmt.Sprintf("the token does not have the scope %q", scope))
	default:
		g.routes.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), identityKey{}, who)))
	}
}

// knows reports whether another method is served at the path of a request.
func (g *guard) knows(r *http.Request) bool {
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodPatch} {
		other := r.Clone(r.Context())
		other.Method = method
		if _, pattern := g.routes.Handler(other); pattern != "" {
			return true
		}
	}
	return false
}
