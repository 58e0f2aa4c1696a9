package store

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Scopes of tokens: what their holder may do.
const (
	ScopeFeed      = "feed"      // snapshot and feed
	ScopeCoverage  = "coverage"  // ask for coverages, decisions and explanations
	ScopeSightings = "sightings" // hand sightings over
	ScopeStatus    = "status"    // report an edge's status
	ScopeRead      = "read"      // read all but personal data
	ScopePersonal  = "personal"  // read personal data, too
	ScopeWrite     = "write"     // change filings, lists and handling states
	ScopeImport    = "import"    // import and undo
	ScopeApprove   = "approve"   // confirm what another owner has staged
	ScopeAdmin     = "admin"     // tokens, persons, backups
)

// Scopes lists all of them.
func Scopes() []string {
	return []string{ScopeFeed, ScopeCoverage, ScopeSightings, ScopeStatus, ScopeRead, ScopePersonal, ScopeWrite, ScopeImport, ScopeApprove, ScopeAdmin}
}

// Token lets a program or a person use the registry's service. The database holds a
// hash of its secret only.
type Token struct {
	ID      string    `json:"id"`
	Owner   string    `json:"owner"` // edge or person; confirmations need another one
	Note    string    `json:"note,omitempty"`
	Scopes  []string  `json:"scopes"`
	Made    time.Time `json:"made"`
	Until   time.Time `json:"until,omitzero"` // zero: it does not expire
	Revoked time.Time `json:"revoked,omitzero"`
	Used    time.Time `json:"used,omitzero"` // to the minute
}

// Allows reports whether the token has a scope.
func (t *Token) Allows(scope string) bool { return slices.Contains(t.Scopes, scope) }

// Why a token is no good.
var (
	ErrTokenUnknown = errors.New("unknown token")
	ErrTokenExpired = errors.New("the token has expired")
	ErrTokenRevoked = errors.New("the token was revoked")
)

// tokenPrefix makes a secret known for what it is, to people and to scanners.
const tokenPrefix = "icp_"

// NewToken makes a token with the owner, note, scopes and end of k. The secret is
// told this once.
func (s *Store) NewToken(ctx context.Context, by By, k Token) (made Token, secret string, err error) {
	if k.Owner, err = oneName("owner", k.Owner); err != nil {
		return Token{}, "", err
	}
	if k.Note, err = prose("note", k.Note); err != nil {
		return Token{}, "", err
	}
	k.Until = k.Until.Truncate(time.Millisecond)
	if err := k.check(s.o.Now()); err != nil {
		return Token{}, "", err
	}
	var b [32]byte
	rand.Read(b[:]) // never fails, see crypto/rand
	k.ID, k.Revoked, k.Used = randomID(), time.Time{}, time.Time{}
	secret = tokenPrefix + k.ID + "_" + base64.RawURLEncoding.EncodeToString(b[:])
	_, err = s.write(ctx, by, func(t *tx) error {
		k.Made = t.now.UTC().Truncate(time.Millisecond)
		t.note("token", k.ID, nil, k)
		return t.insert("token", []string{"id", "hash", "owner", "note", "scopes", "made_at", "until"}, "",
			[]any{k.ID, tokenHash(secret), k.Owner, k.Note, strings.Join(k.Scopes, " "), k.Made.UnixMilli(), milli(k.Until)})
	})
	if err != nil {
		return Token{}, "", err
	}
	return k, secret, nil
}

func (t *Token) check(now time.Time) error {
	switch {
	case t.Owner == "":
		return fmt.Errorf("%w token: it has no owner", ErrInvalid)
	case len(t.Scopes) == 0:
		return fmt.Errorf("%w token: it has no scope; expect some of %s", ErrInvalid, strings.Join(Scopes(), ", "))
	case !t.Until.IsZero() && !t.Until.After(now):
		return fmt.Errorf("%w token: it expired at %s", ErrInvalid, t.Until.Format(time.RFC3339))
	case tellable(t.Until) != nil:
		return fmt.Errorf("%w token: %w", ErrInvalid, tellable(t.Until))
	}
	for i, scope := range t.Scopes {
		if !slices.Contains(Scopes(), scope) {
			return fmt.Errorf("%w token: unknown scope %q; expect some of %s", ErrInvalid, scope, strings.Join(Scopes(), ", "))
		}
		if slices.Contains(t.Scopes[:i], scope) {
			return fmt.Errorf("%w token: scope %q stands twice", ErrInvalid, scope)
		}
	}
	return nil
}

// tokenHash: a secret of 256 random bits needs no slow hash.
func tokenHash(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}

const tokenColumns = "id, owner, note, scopes, made_at, until, revoked_at, used_at"

func scanToken(rows *sql.Rows, more ...any) (k Token, err error) {
	var scopes string
	var made, until, revoked, used sql.NullInt64
	err = rows.Scan(append([]any{&k.ID, &k.Owner, &k.Note, &scopes, &made, &until, &revoked, &used}, more...)...)
	k.Scopes = strings.Fields(scopes)
	k.Made, k.Until, k.Revoked, k.Used = unmilli(made), unmilli(until), unmilli(revoked), unmilli(used)
	return k, err
}

// CheckToken returns the token of a secret, or ErrTokenUnknown, ErrTokenExpired or
// ErrTokenRevoked. An expired or revoked one is returned beside its error.
func (s *Store) CheckToken(ctx context.Context, secret string) (Token, error) {
	id, ok := idOf(secret)
	if !ok {
		return Token{}, ErrTokenUnknown
	}
	var k Token
	var hash []byte
	err := s.each(ctx, s.r, "SELECT "+tokenColumns+", hash FROM token WHERE id = ?", []any{id}, func(rows *sql.Rows) (err error) {
		k, err = scanToken(rows, &hash)
		return err
	})
	if err != nil {
		return Token{}, err
	}
	if subtle.ConstantTimeCompare(hash, tokenHash(secret)) != 1 {
		return Token{}, ErrTokenUnknown
	}
	now := s.o.Now()
	switch {
	case !k.Revoked.IsZero():
		return k, ErrTokenRevoked
	case !k.Until.IsZero() && !now.Before(k.Until):
		return k, ErrTokenExpired
	}
	if now.Sub(k.Used) >= usedEvery {
		s.used(ctx, k.ID, now)
	}
	return k, nil
}

// TokensEnded returns those of ids whose tokens are no good any more: revoked,
// expired, or not there.
func (s *Store) TokensEnded(ctx context.Context, ids []string) (map[string]bool, error) {
	ended := make(map[string]bool, len(ids))
	values := make([]any, len(ids))
	for i, id := range ids {
		ended[id], values[i] = true, id
	}
	now := s.o.Now().UnixMilli()
	for from := 0; from < len(values); from += inBatch {
		some := values[from:min(from+inBatch, len(values))]
		query := "SELECT id FROM token WHERE id IN (" + marks(len(some)) + ") AND revoked_at IS NULL AND (until = 0 OR until > ?)"
		err := s.each(ctx, s.r, query, append(slices.Clone(some), now), func(rows *sql.Rows) error {
			var id string
			err := rows.Scan(&id)
			delete(ended, id)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return ended, nil
}

func idOf(secret string) (id string, ok bool) {
	rest, ok := strings.CutPrefix(secret, tokenPrefix)
	id, _, cut := strings.Cut(rest, "_")
	return id, ok && cut && len(id) == 16
}

// usedEvery is how exactly it is known when a token was used.
const usedEvery = time.Minute

// used notes the use of a token. That it cannot be noted is no reason to refuse.
func (s *Store) used(ctx context.Context, id string, now time.Time) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	_, _ = s.w.ExecContext(ctx, s.e.query("UPDATE token SET used_at = ? WHERE id = ?"), now.UnixMilli(), id)
}

// Tokens returns all tokens, also those that are no good any more, by owner.
func (s *Store) Tokens(ctx context.Context) (list []Token, err error) {
	err = s.each(ctx, s.r, "SELECT "+tokenColumns+" FROM token ORDER BY owner, made_at, id", nil, func(rows *sql.Rows) error {
		k, err := scanToken(rows)
		list = append(list, k)
		return err
	})
	return list, err
}

// RevokeToken ends a token for ever; ErrNotFound if there is none. One that was
// revoked before stays as it is.
func (s *Store) RevokeToken(ctx context.Context, by By, id string) error {
	_, err := s.write(ctx, by, func(t *tx) error {
		var revoked sql.NullInt64
		err := t.row("SELECT revoked_at FROM token WHERE id = ?", id).Scan(&revoked)
		if errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("token %q: %w", id, ErrNotFound)
		}
		if err != nil || revoked.Valid {
			return err
		}
		t.note("token", id, map[string]bool{"revoked": false}, map[string]bool{"revoked": true})
		return t.exec("UPDATE token SET revoked_at = ? WHERE id = ?", t.now.UnixMilli(), id)
	})
	return err
}
