package store

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/icpgate/icpgate/registry"
)

// A name is on the blacklist by itself, or because the entity of a filing under
// it is. Edges only know names; so whatever may change either is watched.

// Blacklisted puts a name, with all below it, on the blacklist.
func (e *Edit) Blacklist(d registry.Domain, why string) error {
	if d.IsZero() || d.IsPublicSuffix() {
		return fmt.Errorf("%w: blacklist of %q: name a domain below a public suffix", ErrInvalid, d)
	}
	t := e.t
	if err := t.watch(d); err != nil {
		return err
	}
	was, err := t.listedWhy(d)
	if err != nil {
		return err
	}
	if why, err = prose("reason", why); err != nil {
		return err
	}
	if was != nil && *was == why {
		return nil
	}
	t.note("blacklist", d.String(), reason(was), map[string]string{"why": why})
	return t.insert("blacklist", []string{"name", "why", "rev"}, "ON CONFLICT (name) DO UPDATE SET why = excluded.why, rev = excluded.rev",
		[]any{d.String(), why, int64(t.rev())})
}

// Unblacklist takes a name off the blacklist; ErrNotFound if it is not on it.
func (e *Edit) Unblacklist(d registry.Domain) error {
	t := e.t
	if err := t.watch(d); err != nil {
		return err
	}
	was, err := t.listedWhy(d)
	if err != nil {
		return err
	}
	if was == nil {
		return fmt.Errorf("%q on the blacklist: %w", d, ErrNotFound)
	}
	t.note("blacklist", d.String(), reason(was), nil)
	return t.exec("DELETE FROM blacklist WHERE name = ?", d.String())
}

// Listed is a name, or an entity with all of its names, on the blacklist: one of
// Name and Entity is given.
type Listed struct {
	Name   registry.Domain
	Entity registry.Number
	Why    string
}

// Listed returns what is on the blacklist, at most limit of it, after another one:
// first names and then entities, each in their order. The zero value is before all.
func (s *Store) Listed(ctx context.Context, after Listed, limit int) (list []Listed, err error) {
	kind, key := int64(0), after.Name.String()
	if !after.Entity.IsZero() {
		kind, key = 1, after.Entity.String()
	}
	query := `SELECT kind, key, why FROM (SELECT 0 AS kind, name AS key, why FROM blacklist
		UNION ALL SELECT 1, number, listed_why FROM entity WHERE listed_why IS NOT NULL) AS listed
		WHERE kind > ? OR kind = ? AND key > ? ORDER BY kind, key LIMIT ?`
	err = s.each(ctx, s.r, query, []any{kind, kind, key, limit}, func(rows *sql.Rows) error {
		var kind int64
		var key string
		var one Listed
		err := rows.Scan(&kind, &key, &one.Why)
		if err == nil && kind == 0 {
			one.Name, err = registry.ParseDomain(key)
		} else if err == nil {
			err = one.Entity.UnmarshalText([]byte(key))
		}
		list = append(list, one)
		return err
	})
	return list, err
}

func reason(why *string) any {
	if why == nil {
		return nil
	}
	return map[string]string{"why": *why}
}

func (t *tx) listedWhy(d registry.Domain) (*string, error) {
	var why string
	err := t.row("SELECT why FROM blacklist WHERE name = ?", d.String()).Scan(&why)
	if err == sql.ErrNoRows {
		return nil, nil
	}
	return &why, err
}

// BlacklistEntity puts an entity, with the domains of all of its filings, on the
// blacklist, or with an empty reason takes it off.
func (e *Edit) BlacklistEntity(number registry.Number, why string) error {
	t, key := e.t, number.Entity().String()
	why, err := prose("reason", why)
	if err != nil {
		return err
	}
	var was sql.NullString
	err = t.row("SELECT listed_why FROM entity WHERE number = ?", key).Scan(&was)
	if err == sql.ErrNoRows {
		return fmt.Errorf("entity %q: %w", key, ErrNotFound)
	}
	if err != nil || was.String == why {
		return err
	}
	names, err := t.namesOf("SELECT d.name FROM domain d JOIN site s ON s.id = d.site_id WHERE s.entity_number = ?", key)
	if err != nil {
		return err
	}
	if err := t.watch(names...); err != nil {
		return err
	}
	var before, after any
	if was.Valid {
		before = map[string]string{"blacklisted": was.String}
	}
	if why != "" {
		after = map[string]string{"blacklisted": why}
	}
	t.note("entity", key, before, after)
	return t.exec("UPDATE entity SET listed_why = ? WHERE number = ?", nullText(why), key)
}

func (t *tx) namesOf(query string, args ...any) ([]registry.Domain, error) {
	return t.s.namesOf(t.ctx, t, query, args)
}

func (s *Store) namesOf(ctx context.Context, q querier, query string, args []any) (names []registry.Domain, err error) {
	err = s.each(ctx, q, query, args, func(rows *sql.Rows) error {
		var name string
		if err := rows.Scan(&name); err != nil {
			return err
		}
		d, err := registry.ParseDomain(name)
		names = append(names, d)
		return err
	})
	return names, err
}

// beforeSites watches the names of filings that become others, where an entity is
// on the blacklist.
func (t *tx) beforeSites(filings ...*registry.Filing) error {
	if !t.askedLists {
		var n int
		if err := t.row("SELECT count(*) FROM entity WHERE listed_why IS NOT NULL").Scan(&n); err != nil {
			return err
		}
		t.askedLists, t.lists = true, n > 0
	}
	if !t.lists {
		return nil
	}
	var names []registry.Domain
	for _, f := range filings {
		names = append(names, f.Site.Domains...)
	}
	return t.watch(names...)
}

// watch notes whether names are on the blacklist now. It is called before that may
// change.
func (t *tx) watch(names ...registry.Domain) error {
	var fresh []registry.Domain
	for _, d := range names {
		if _, known := t.listed[d]; !known {
			fresh = append(fresh, d)
		}
	}
	now, err := t.listedNow(fresh)
	if err != nil {
		return err
	}
	if t.listed == nil {
		t.listed = map[registry.Domain]bool{}
	}
	for _, d := range fresh {
		t.listed[d] = now[d]
	}
	return nil
}

// listedNow tells which of the names are on the blacklist.
func (t *tx) listedNow(names []registry.Domain) (map[registry.Domain]bool, error) {
	return t.s.listedNow(t.ctx, t, names)
}

func (s *Store) listedNow(ctx context.Context, q querier, names []registry.Domain) (map[registry.Domain]bool, error) {
	listed := map[registry.Domain]bool{}
	for from := 0; from < len(names); from += inBatch {
		var some []any
		for _, d := range names[from:min(from+inBatch, len(names))] {
			some = append(some, d.String())
		}
		found, err := s.namesOf(ctx, q, "SELECT name FROM blacklist WHERE name IN ("+marks(len(some))+`) UNION
			SELECT d.name FROM domain d JOIN site s ON s.id = d.site_id JOIN entity e ON e.number = s.entity_number
			WHERE e.listed_why IS NOT NULL AND d.name IN (`+marks(len(some))+")", append(some, some...))
		if err != nil {
			return nil, err
		}
		for _, d := range found {
			listed[d] = true
		}
	}
	return listed, nil
}

// relisted returns the changes of the blacklist.
func (t *tx) relisted() (changes []registry.Change, err error) {
	names := slices.SortedFunc(maps.Keys(t.listed), func(a, b registry.Domain) int { return strings.Compare(a.String(), b.String()) })
	now, err := t.listedNow(names)
	for _, d := range names {
		switch {
		case now[d] && !t.listed[d]:
			changes = append(changes, registry.Change{Kind: registry.ChangeListed, Name: d})
		case !now[d] && t.listed[d]:
			changes = append(changes, registry.Change{Kind: registry.ChangeUnlisted, Name: d})
		}
	}
	return changes, err
}
