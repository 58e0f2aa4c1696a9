package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/icpgate/icpgate/registry"
)

// PSB is a filing with public security (公安联网备案) of a name. Nothing is decided
// by it; audits ask.
type PSB struct {
	Number  registry.PSBNumber `json:"number"`
	Name    registry.Domain    `json:"name"`
	FiledAt time.Time          `json:"filed_at,omitzero"` // zero: unknown
}

// PutPSB records a filing with public security in place of the one of its number.
func (e *Edit) PutPSB(p PSB) error {
	t := e.t
	if p.Number.IsZero() || p.Name.IsZero() {
		return fmt.Errorf("%w PSB filing %q of %q: number and name are needed", ErrInvalid, p.Number, p.Name)
	}
	was, err := t.psb(p.Number)
	if err != nil {
		return err
	}
	if !p.FiledAt.IsZero() {
		if err := tellable(p.FiledAt); err != nil {
			return fmt.Errorf("%w PSB filing %q: %w", ErrInvalid, p.Number, err)
		}
		p.FiledAt = fromUnix(p.FiledAt.Unix())
	}
	if was != nil && shown(was) == shown(p) {
		return nil
	}
	var before any
	if was != nil {
		before = was
	}
	t.note("psb", p.Name.String(), before, p)
	return t.insert("psb", []string{"number", "name", "filed_at"}, "ON CONFLICT (number) DO UPDATE SET name = excluded.name, filed_at = excluded.filed_at",
		[]any{p.Number.String(), p.Name.String(), nullTime(p.FiledAt)})
}

// RemovePSB takes a filing with public security out.
func (e *Edit) RemovePSB(n registry.PSBNumber) error {
	was, err := e.t.psb(n)
	if err != nil {
		return err
	}
	if was == nil {
		return fmt.Errorf("PSB filing %q: %w", n, ErrNotFound)
	}
	e.t.note("psb", was.Name.String(), was, nil)
	return e.t.exec("DELETE FROM psb WHERE number = ?", n.String())
}

func (t *tx) psb(n registry.PSBNumber) (*PSB, error) {
	list, err := t.s.psbs(t.ctx, t, "WHERE number = ?", n.String())
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return &list[0], nil
}

// PSBs returns the filings with public security of a name.
func (s *Store) PSBs(ctx context.Context, d registry.Domain) ([]PSB, error) {
	return s.psbs(ctx, s.r, "WHERE name = ?", d.String())
}

// PSB returns the filing with public security of a number, or ErrNotFound.
func (s *Store) PSB(ctx context.Context, n registry.PSBNumber) (PSB, error) {
	list, err := s.psbs(ctx, s.r, "WHERE number = ?", n.String())
	if err == nil && len(list) == 0 {
		err = fmt.Errorf("PSB filing %q: %w", n, ErrNotFound)
	}
	if err != nil {
		return PSB{}, err
	}
	return list[0], nil
}

// PSBsAfter returns filings with public security by number, at most limit of them,
// after one; the zero number is before all.
func (s *Store) PSBsAfter(ctx context.Context, n registry.PSBNumber, limit int) ([]PSB, error) {
	return s.psbs(ctx, s.r, "WHERE number IN (SELECT number FROM psb WHERE number > ? ORDER BY number LIMIT ?)", n.String(), limit)
}

func (s *Store) psbs(ctx context.Context, q querier, where string, args ...any) (list []PSB, err error) {
	err = s.each(ctx, q, "SELECT number, name, filed_at FROM psb "+where+" ORDER BY number", args, func(rows *sql.Rows) error {
		var number, name string
		var at sql.NullInt64
		if err := rows.Scan(&number, &name, &at); err != nil {
			return err
		}
		p := PSB{FiledAt: timeOf(at)}
		d, err := registry.ParseDomain(name)
		p.Name = d
		err = errors.Join(err, p.Number.UnmarshalText([]byte(number)))
		list = append(list, p)
		return err
	})
	return list, err
}
