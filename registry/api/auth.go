package api

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/icpgate/icpgate/registry/store"
)

// EdgeScopes are those of an edge: of a client that shows a certificate.
var EdgeScopes = []string{store.ScopeFeed, store.ScopeCoverage, store.ScopeSightings, store.ScopeStatus}

// Identity is who asks. The zero value is nobody.
type Identity struct {
	ID     string   // of the token, or "cert:" and the certificate's common name
	Owner  string   // whose it is: two people confirm what two owners do
	Scopes []string // of the store's
	// Until is when it ends by itself; zero is never.
	Until time.Time

	chains [][]*x509.Certificate // the verified chains of what was shown; nil: a token was
	unsure bool                  // it was good, and cannot be looked up at the moment
}

// Has reports whether who asks may be served under a scope.
func (i Identity) Has(s string) bool { return slices.Contains(i.Scopes, s) }

// ErrToken: a token is not known, has ended or was revoked. Which of these is not
// told to who shows it.
var ErrToken = errors.New("the token is not valid")

// Authenticator tells whose a token is. It returns ErrToken for one that is not
// valid, and another error where it cannot tell. It compares without telling by
// its time how far a guess was right. Ended tells, by ID, which of the identities
// that it or a certificate made are not valid any more.
type Authenticator interface {
	Authenticate(ctx context.Context, token string) (Identity, error)
	Ended(ctx context.Context, who []Identity) (map[string]bool, error)
}

// Tokens authenticates by the tokens of a store.
type Tokens struct{ Store *store.Store }

// Authenticate implements Authenticator. Why a token is not valid is not told.
func (t Tokens) Authenticate(ctx context.Context, token string) (Identity, error) {
	k, err := t.Store.CheckToken(ctx, token)
	switch {
	case errors.Is(err, store.ErrTokenUnknown), errors.Is(err, store.ErrTokenExpired), errors.Is(err, store.ErrTokenRevoked):
		return Identity{}, ErrToken
	case err != nil:
		return Identity{}, err
	}
	return Identity{ID: k.ID, Owner: k.Owner, Scopes: k.Scopes, Until: k.Until}, nil
}

// Ended implements Authenticator.
func (t Tokens) Ended(ctx context.Context, who []Identity) (map[string]bool, error) {
	var ids []string
	for _, i := range who {
		if !strings.HasPrefix(i.ID, certPrefix) {
			ids = append(ids, i.ID)
		}
	}
	return t.Store.TokensEnded(ctx, ids)
}

// certPrefix begins the ID of who shows a certificate; that of no token does.
const certPrefix = "cert:"

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
	errRevoked    = errors.New("the certificate was revoked")
	errManyTokens = errors.New("more than one Authorization header, or one that is no \"Bearer TOKEN\"")
)

// identify tells who asks: by a token or, without one, by the certificate that the
// server has verified.
func identify(r *http.Request, by Authenticator, revoked func([][]*x509.Certificate) bool) (Identity, error) {
	headers := r.Header.Values("Authorization")
	if len(headers) == 0 {
		if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
			cert := r.TLS.VerifiedChains[0][0]
			if revoked(r.TLS.VerifiedChains) { // since the connection began
				return Identity{}, errRevoked
			}
			if name := cert.Subject.CommonName; name != "" {
				return Identity{ID: certPrefix + name, Owner: name, Scopes: EdgeScopes, Until: cert.NotAfter, chains: r.TLS.VerifiedChains}, nil
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
	by      *known
	revoked func([][]*x509.Certificate) bool
	routes  *http.ServeMux
	scopes  map[string]string // by the pattern of the route
	free    map[string]bool   // patterns that need no token
	denied  func(reason string)
}

// odd reports whether a path is written in a way that whatever stands before the
// service may have read otherwise: such a one is no path here.
func odd(r *http.Request) bool {
	return r.URL.EscapedPath() != r.URL.Path || strings.ContainsAny(r.URL.Path, `;\`) || strings.Contains(r.URL.Path, "//") || strings.Contains(r.URL.Path, "/.")
}

// pattern is the route that a request leads to; "" for none.
func (g *guard) pattern(r *http.Request) string {
	if odd(r) {
		return ""
	}
	_, pattern := g.routes.Handler(r)
	return pattern
}

// serve serves or refuses a request that leads to a route.
func (g *guard) serve(w http.ResponseWriter, r *http.Request, pattern string) {
	unfit := problemOfQuery(r.URL.RawQuery)
	if g.free[pattern] {
		if unfit != nil {
			writeProblem(w, unfit.Status, unfit.Detail)
			return
		}
		g.routes.ServeHTTP(w, r)
		return
	}
	who, err := identify(r, g.by, g.revoked)
	switch {
	case errors.Is(err, errNoToken), errors.Is(err, errManyTokens), errors.Is(err, errRevoked), errors.Is(err, ErrToken):
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
	case !known && pattern == "" && !odd(r) && len(g.methods(r)) > 0:
		w.Header().Set("Allow", strings.Join(g.methods(r), ", ")) // RFC 9110, 15.5.6
		writeProblem(w, http.StatusMethodNotAllowed, r.Method+" is not served here")
	case !known:
		writeProblem(w, http.StatusNotFound, "nothing is served at this path")
	case !who.Has(scope) && who.unsure:
		writeProblem(w, http.StatusServiceUnavailable, "tokens cannot be looked up at the moment")
	case !who.Has(scope):
		g.denied("scope")
		writeProblem(w, http.StatusForbidden, fmt.Sprintf("the token does not have the scope %q", scope))
	case unfit != nil:
		writeProblem(w, unfit.Status, unfit.Detail)
	default:
		g.routes.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), identityKey{}, who)))
	}
}

// methods are those that are served at the path of a request.
func (g *guard) methods(r *http.Request) (list []string) {
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodPatch} {
		other := r.Clone(r.Context())
		other.Method = method
		if _, pattern := g.routes.Handler(other); pattern != "" {
			list = append(list, method)
		}
	}
	return list
}
