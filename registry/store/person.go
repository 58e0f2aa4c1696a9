package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"
)

// Person is somebody who uses the registry by name. The database holds a hash of
// the password only, which the caller makes and checks.
type Person struct {
	Name  string    `json:"name"`
	Hash  string    `json:"-"` // of the password; empty: none is good
	Roles []string  `json:"roles"`
	Made  time.Time `json:"made"`
	Ended time.Time `json:"ended,omitzero"` // zero: may use it
}

// PutPerson records a person in place of the one of the same name.
func (s *Store) PutPerson(ctx context.Context, by By, p Person) error {
	var err error
	if p.Name, err = oneName("name of a person", p.Name); err != nil {
		return err
	}
	if p.Name == "" {
		return fmt.Errorf("%w person without a name", ErrInvalid)
	}
	for _, r := range p.Roles {
		if word, err := oneName("role", r); err != nil || word != r || r == "" || strings.Contains(r, " ") {
			return fmt.Errorf("%w person %q: role %q is no word", ErrInvalid, p.Name, r)
		}
	}
	if !p.Ended.IsZero() {
		p.Ended = p.Ended.UTC().Truncate(time.Millisecond)
	}
	_, err = s.write(ctx, by, func(t *tx) error {
		was, err := s.persons(t.ctx, t, "WHERE name = ?", p.Name)
		if err != nil {
			return err
		}
		p.Made = t.now.UTC()
		var before any
		if len(was) > 0 {
			p.Made, before = was[0].Made, was[0]
			if p.Hash == was[0].Hash && shown(p) == shown(was[0]) {
				return nil
			}
		}
		t.note("person", p.Name, before, p)
		var ended any
		if !p.Ended.IsZero() {
			ended = p.Ended.UnixMilli()
		}
		return t.insert("person", []string{"name", "secret", "roles", "made_at", "ended"},
			"ON CONFLICT (name) DO UPDATE SET secret = excluded.secret, roles = excluded.roles, ended = excluded.ended",
			[]any{p.Name, p.Hash, strings.Join(p.Roles, " "), p.Made.UnixMilli(), ended})
	})
	return err
}

// Persons returns all persons, by name, those who have ended too.
func (s *Store) Persons(ctx context.Context) ([]Person, error) { return s.persons(ctx, s.r, "") }

// Person returns the person of a name, or ErrNotFound.
func (s *Store) Person(ctx context.Context, name string) (Person, error) {
	list, err := s.persons(ctx, s.r, "WHERE name = ?", name)
	if err == nil && len(list) == 0 {
		err = fmt.Errorf("person %q: %w", name, ErrNotFound)
	}
	if err != nil {
		return Person{}, err
	}
	return list[0], nil
}

func (s *Store) persons(ctx context.Context, q querier, where string, args ...any) (list []Person, err error) {
	err = s.each(ctx, q, "SELECT name, secret, roles, made_at, ended FROM person "+where+" ORDER BY name", args, func(rows *sql.Rows) error {
		var p Person
		var roles string
		var made int64
		var ended sql.NullInt64
		err := rows.Scan(&p.Name, &p.Hash, &roles, &made, &ended)
		p.Roles, p.Made, p.Ended = strings.Fields(roles), fromMilli(made), unmilli(ended)
		list = append(list, p)
		return err
	})
	return list, err
}
