package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/icpgate/icpgate/registry/store"
)

// TokensPath is where tokens are made, listed and revoked.
const TokensPath = "/v1/tokens"

// NewToken is a token to be made.
type NewToken struct {
	Owner  string    `json:"owner" minLength:"1" doc:"An edge or a person; confirmations need another one."`
	Note   string    `json:"note,omitempty"`
	Scopes []string  `json:"scopes" minItems:"1"`
	Until  time.Time `json:"until,omitzero" doc:"Absent: until it is revoked."`
}

// MadeToken is a token with its secret.
type MadeToken struct {
	Token  store.Token `json:"token"`
	Secret string      `json:"secret" doc:"Shown this once. If the answer was lost, make another one and revoke this."`
}

// TokenList are all tokens, without their secrets.
type TokenList struct {
	Tokens []store.Token `json:"tokens"`
}

// tokenRoutes are how tokens are made, listed and revoked.
func (s *Service) tokenRoutes() {
	register(s, store.ScopeAdmin, huma.Operation{
		OperationID: "tokens", Method: http.MethodGet, Path: TokensPath, Summary: "All tokens, without their secrets",
	}, func(ctx context.Context, _ *struct{}) (*struct{ Body TokenList }, error) {
		list, err := s.cfg.Store.Tokens(ctx)
		return &struct{ Body TokenList }{TokenList{append([]store.Token{}, list...)}}, err
	})
	register(s, store.ScopeAdmin, huma.Operation{
		OperationID: "token-make", Method: http.MethodPost, Path: TokensPath, Summary: "Make a token", DefaultStatus: http.StatusCreated,
	}, func(ctx context.Context, in *struct{ Body NewToken }) (*struct{ Body MadeToken }, error) {
		k := store.Token{Owner: in.Body.Owner, Note: in.Body.Note, Scopes: in.Body.Scopes, Until: in.Body.Until}
		made, secret, err := s.cfg.Store.NewToken(ctx, by(ctx, "token made"), k)
		return &struct{ Body MadeToken }{MadeToken{made, secret}}, err
	})
	register(s, store.ScopeAdmin, huma.Operation{
		OperationID: "token-revoke", Method: http.MethodDelete, Path: TokensPath + "/{id}", Summary: "End a token for ever", DefaultStatus: http.StatusNoContent,
	}, func(ctx context.Context, in *struct {
		ID string `path:"id"`
	}) (*struct{}, error) {
		err := s.cfg.Store.RevokeToken(ctx, by(ctx, "token revoked"), in.ID)
		if err == nil {
			s.guard.by.forget(in.ID)
			s.lasts.endAll(in.ID)
		}
		return nil, err
	})
}
