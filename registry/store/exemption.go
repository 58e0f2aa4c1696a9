package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/icpgate/icpgate/registry"
)

// Exemption is an operator's permission for a name, with who gave it and why.
type Exemption struct {
	Name      registry.Domain
	Below     bool      // *.NAME: all names below Name, and not Name itself
	Until     time.Time // zero: it does not end
	Authority bool      // it also overrides blacklisted and restricted
	Why, Who  string
	Made      time.Time
}

// key writes the name as files of exemptions do.
func (x *Exemption) key() string {
	if x.Below {
		return "*." + x.Name.String()
	}
	return x.Name.String()
}

func (x *Exemption) entry() registry.Entry {
	e := registry.Entry{List: registry.ListExemptions, Key: x.key()}
	var says []string
	if !x.Until.IsZero() {
		says = append(says, "until", x.Until.UTC().Format(time.RFC3339))
	}
	if x.Authority {
		says = append(says, "authority")
	}
	e.Value = strings.Join(says, " ")
	return e
}

const exemptionColumns = "name, until, authority, why, who, made_at"

func scanExemption(rows *sql.Rows) (x Exemption, err error) {
	var name string
	var until, authority, made int64
	if err := rows.Scan(&name, &until, &authority, &x.Why, &x.Who, &made); err != nil {
		return x, err
	}
	name, x.Below = strings.CutPrefix(name, "*.")
	if until != 0 {
		x.Until = fromUnix(until).UTC()
	}
	x.Authority, x.Made = authority != 0, fromMilli(made)
	x.Name, err = registry.ParseDomain(name)
	return x, err
}

// Exemptions returns all exemptions, by name.
func (s *Store) Exemptions(ctx context.Context) (all []Exemption, err error) {
	err = s.each(ctx, s.r, "SELECT "+exemptionColumns+" FROM exemption ORDER BY name", nil, func(rows *sql.Rows) error {
		x, err := scanExemption(rows)
		all = append(all, x)
		return err
	})
	return all, err
}

// Exempt gives an exemption, in place of the one of the same name. Who, Why and
// Made are those of the change. An end that is past is an error.
func (e *Edit) Exempt(x Exemption) error {
	t := e.t
	x.Until, x.Who, x.Why, x.Made = toSecond(x.Until), t.by.Who, t.by.Why, t.now
	switch {
	case x.Name.IsZero():
		return fmt.Errorf("%w exemption without a name", ErrInvalid)
	case !x.Until.IsZero() && !x.Until.After(t.now):
		return fmt.Errorf("%w exemption of %q: it ended at %s", ErrInvalid, x.key(), x.Until.Format(time.RFC3339))
	case tellable(x.Until) != nil:
		return fmt.Errorf("%w exemption of %q: %w", ErrInvalid, x.key(), tellable(x.Until))
	}
	was, err := t.exemption(x.key())
	if err != nil {
		return err
	}
	if was != nil && was.Until.Equal(x.Until) && was.Authority == x.Authority {
		return nil
	}
	if check := t.s.o.CheckEntry; check != nil {
		if err := check(x.entry()); err != nil {
			return fmt.Errorf("%w exemption of %q: %w", ErrInvalid, x.key(), err)
		}
	}
	t.set(x.entry())
	t.note("exemptions", x.key(), saysOf(was), saysOf(&x))
	until := int64(0)
	if !x.Until.IsZero() {
		until = x.Until.Unix()
	}
	return t.insert("exemption", []string{"name", "until", "authority", "why", "who", "made_at", "rev"},
		`ON CONFLICT (name) DO UPDATE SET until = excluded.until, authority = excluded.authority, why = excluded.why, who = excluded.who,
		made_at = excluded.made_at, rev = excluded.rev`,
		[]any{x.key(), until, int64(flag(x.Authority, 1)), x.Why, x.Who, t.now.UnixMilli(), int64(t.rev())})
}

// Unexempt ends an exemption; ErrNotFound if there is none of that name.
func (e *Edit) Unexempt(name registry.Domain, below bool) error {
	x := Exemption{Name: name, Below: below}
	was, err := e.t.exemption(x.key())
	if err != nil {
		return err
	}
	if was == nil {
		return fmt.Errorf("exemption of %q: %w", x.key(), ErrNotFound)
	}
	return e.t.unexempt(was)
}

func (t *tx) unexempt(was *Exemption) error {
	t.set(registry.Entry{List: registry.ListExemptions, Key: was.key(), Gone: true})
	t.note("exemptions", was.key(), saysOf(was), nil)
	return t.exec("DELETE FROM exemption WHERE name = ?", was.key())
}

func saysOf(x *Exemption) any {
	if x == nil {
		return nil
	}
	return map[string]string{"says": x.entry().Value, "why": x.Why}
}

func (t *tx) exemption(key string) (found *Exemption, err error) {
	err = t.s.each(t.ctx, t, "SELECT "+exemptionColumns+" FROM exemption WHERE name = ?", []any{key}, func(rows *sql.Rows) error {
		x, err := scanExemption(rows)
		found = &x
		return err
	})
	return found, err
}
