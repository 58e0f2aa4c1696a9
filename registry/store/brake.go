package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// flipsFree is how many filings may flip without a second person, unless one in a
// hundred is more. Only tests change it.
var flipsFree = 10_000

// oneChange is for how long the imports of one owner that nobody else has confirmed
// count as one change: a list that is cut into pieces is still one list. It is also
// for how long an import may be undone without a second person, however much it did:
// afterwards what it brought is no slip any more but what the registry holds.
const oneChange = 24 * time.Hour

// brake reports whether a second person must confirm the import.
func (c *Counts) brake() bool {
	return c.Flips > 0 && c.Flips+c.Lately > max(c.Before/100, flipsFree)
}

// samePerson reports whether two owners are one for the brake: case, width and spaces
// make no other person.
func samePerson(a, b string) bool {
	fold := func(s string) string {
		return strings.Join(strings.Fields(cases.Fold().String(norm.NFKC.String(s))), " ")
	}
	return a == b || fold(a) == fold(b)
}

// lately is how many filings other imports of the same owner have flipped within
// oneChange, without a second person's word.
func (s *Store) lately(ctx context.Context, q querier, i *Import) (n int, err error) {
	list, err := s.imports(ctx, q, "SELECT "+importColumns+` FROM import
		WHERE id <> ? AND confirmed_owner = '' AND undoes = '' AND (SELECT made_at FROM revision WHERE rev = last_rev) >= ?`,
		i.ID, s.o.Now().Add(-oneChange).UnixMilli())
	for _, o := range list {
		if samePerson(o.By.Owner, i.By.Owner) {
			n += o.Counts.Flips
		}
	}
	return n, err
}

// mustWait reports whether an import that is staged may not begin before a second person
// has confirmed it, for what its owner has done since it was staged, which
// i.Counts.Lately is then; or because it takes back what has become old since.
func (s *Store) mustWait(ctx context.Context, q querier, i *Import) (bool, error) {
	if i.State != ImportStaged || i.ConfirmedBy.Owner != "" {
		return false, nil
	}
	if i.Undoes != "" {
		// It may have been staged in time and be published when it is late.
		if !i.Counts.brake() {
			return false, nil
		}
		was, err := s.importOf(ctx, q, i.Undoes)
		if errors.Is(err, ErrNotFound) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
		return s.late(ctx, q, &was)
	}
	var err error
	i.Counts.Lately, err = s.lately(ctx, q, i)
	return err == nil && i.Counts.brake(), err
}

// mayBegin refuses an import that must wait. Others may have begun since Due: what counts
// is what is in force when its own first revision is made.
func (t *tx) mayBegin(i *Import) error {
	wait, err := t.s.mustWait(t.ctx, t, i)
	if err == nil && wait {
		err = i.waits()
	}
	return err
}

// Due returns an import that is to be published. If a second person must confirm it
// first, it waits from now on.
func (s *Store) Due(ctx context.Context, id string) (Import, error) {
	i, err := s.Import(ctx, id)
	if err != nil {
		return i, err
	}
	if wait, err := s.mustWait(ctx, s.r, &i); err != nil || !wait {
		return i, err
	}
	_, err = s.write(ctx, i.By, func(t *tx) error {
		now, err := s.importOf(ctx, t, id)
		if err != nil {
			return err
		}
		wait, err := s.mustWait(ctx, t, &now)
		if i = now; err != nil || !wait {
			return err
		}
		i.State = ImportWaiting
		t.note("import", id, map[string]any{"state": now.State}, map[string]any{"state": i.State, "lately": i.Counts.Lately})
		return t.exec("UPDATE import SET state = ?, counts = ? WHERE id = ?", string(i.State), shown(i.Counts), id)
	})
	return i, err
}

// waits is the error of an import that waits.
func (i *Import) waits() error {
	return fmt.Errorf("import %q changes %s: %w", i.ID, i.Counts.Flipped(), ErrWaiting)
}

// Flipped says how much an import flips.
func (c *Counts) Flipped() string {
	s := fmt.Sprintf("what edges decide of %d filings, where %d were", c.Flips, c.Before)
	if c.Lately > 0 {
		s += fmt.Sprintf(", after %d that the same person's imports have changed within a day", c.Lately)
	}
	return s
}

// late reports whether was is in force for so long that to take it back is a change like
// any other.
func (s *Store) late(ctx context.Context, q querier, was *Import) (bool, error) {
	var at int64
	err := q.QueryRowContext(ctx, s.e.query("SELECT coalesce(max(made_at), 0) FROM revision WHERE rev = ?"), int64(was.Last)).Scan(&at)
	return at < s.o.Now().Add(-oneChange).UnixMilli(), err
}
