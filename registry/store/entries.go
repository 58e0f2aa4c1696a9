package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/icpgate/icpgate/registry"
)

// listTable is where a list stands: its columns, the first keys of them the key.
type listTable struct {
	table   string
	columns []string
	keys    int
}

// listEnd is behind the last list.
const listEnd = registry.ListTLDs + 1

// listTables are the lists whose lines are rows. Exemptions and servers say more
// and have functions of their own.
var listTables = [listEnd]listTable{
	registry.ListNetworks: {"network", []string{"prefix", "provider", "product", "region", "place"}, 1},
	registry.ListBindings: {"binding", []string{"name", "product", "acceleration", "origin"}, 1},
	registry.ListSuffixes: {"suffix", []string{"suffix", "provider", "product"}, 1},
	registry.ListProfiles: {"profile", []string{"provider", "product", "demand", "origin_here"}, 2},
	registry.ListTLDs:     {"tld", []string{"name"}, 1},
}

// Set puts an entry into a list of networks, bindings, suffixes, profiles or TLDs,
// in place of the one with its key, or with Gone takes it out. An entry that
// cannot be one is an error.
func (e *Edit) Set(x registry.Entry) error {
	t := e.t
	if x.List >= listEnd || listTables[x.List].table == "" {
		return fmt.Errorf("%w: entries of %s are made in another way", ErrInvalid, x.List)
	}
	fields, err := parseEntry(&x)
	if err == nil {
		err = x.Check()
	}
	if err != nil {
		return fmt.Errorf("%w: entry %q of %s: %w", ErrInvalid, x.Key, x.List, err)
	}
	if check := t.s.o.CheckEntry; check != nil && !x.Gone {
		if err := check(x); err != nil {
			return fmt.Errorf("%w: entry %q of %s: %w", ErrInvalid, x.Key, x.List, err)
		}
	}
	was, err := t.entry(x.List, fields)
	if err != nil {
		return err
	}
	if x.Gone && was == nil {
		return fmt.Errorf("entry %q of %s: %w", x.Key, x.List, ErrNotFound)
	}
	if !x.Gone && was != nil && was.Value == x.Value {
		return nil
	}
	t.set(x)
	var before, after any
	if was != nil {
		before = map[string]string{"says": was.Value}
	}
	if !x.Gone {
		after = map[string]string{"says": x.Value}
	}
	t.note(x.List.String(), x.Key, before, after)
	return t.store(x, fields)
}

// store writes the row of an entry.
func (t *tx) store(x registry.Entry, fields []string) error {
	l := listTables[x.List]
	args := make([]any, len(fields))
	for i, f := range fields {
		args[i] = f
	}
	if err := t.exec("DELETE FROM "+l.table+" WHERE "+l.where(), args[:l.keys]...); err != nil || x.Gone {
		return err
	}
	return t.insert(l.table, append(append([]string{}, l.columns...), "rev"), "", append(args, int64(t.rev())))
}

func (l *listTable) where() string { return strings.Join(l.columns[:l.keys], " = ? AND ") + " = ?" }

// entry returns what a list says now; nil is nothing.
func (t *tx) entry(list registry.List, fields []string) (*registry.Entry, error) {
	l := listTables[list]
	args := make([]any, l.keys)
	for i := range args {
		args[i] = fields[i]
	}
	var found *registry.Entry
	err := t.s.each(t.ctx, t, "SELECT "+strings.Join(l.columns, ", ")+" FROM "+l.table+" WHERE "+l.where(), args, func(rows *sql.Rows) error {
		x, err := scanEntry(rows, list)
		found = &x
		return err
	})
	return found, err
}

func scanEntry(rows *sql.Rows, list registry.List) (registry.Entry, error) {
	l := listTables[list]
	fields := make([]string, len(l.columns))
	into := make([]any, len(fields))
	for i := range fields {
		into[i] = &fields[i]
	}
	err := rows.Scan(into...)
	return entryOf(list, fields), err
}

// entryOf writes the fields of a row as a line.
func entryOf(list registry.List, fields []string) registry.Entry {
	l := listTables[list]
	x := registry.Entry{List: list, Key: strings.Join(fields[:l.keys], " ")}
	rest := fields[l.keys:]
	var says []string
	for i, f := range rest {
		switch {
		case f == "":
		case list == registry.ListBindings && i > 0, list == registry.ListProfiles && i > 0:
			says = append(says, strings.ReplaceAll(l.columns[l.keys+i], "_", "-")+"="+f)
		default:
			says = append(says, f)
		}
	}
	x.Value = strings.Join(says, " ")
	return x
}

// Entries calls f with every entry of every list, by list and then by key.
// Exemptions that have ended are among them: their end stands in them.
func (v *View) Entries(f func(registry.Entry) error) error {
	for list := registry.ListExemptions; list < listEnd; list++ {
		if err := v.s.entries(v.ctx, v.tx, list, f); err != nil {
			return err
		}
	}
	return nil
}

// Entries returns one list, by key.
func (s *Store) Entries(ctx context.Context, list registry.List) (all []registry.Entry, err error) {
	err = s.entries(ctx, s.r, list, func(x registry.Entry) error { all = append(all, x); return nil })
	return all, err
}

func (s *Store) entries(ctx context.Context, q querier, list registry.List, f func(registry.Entry) error) error {
	var query string
	var scan func(*sql.Rows) (registry.Entry, error)
	switch list {
	case registry.ListExemptions:
		query, scan = "SELECT "+exemptionColumns+" FROM exemption ORDER BY name", func(rows *sql.Rows) (registry.Entry, error) {
			x, err := scanExemption(rows)
			return x.entry(), err
		}
	case registry.ListServers:
		query, scan = "SELECT a.prefix, s.provider, s.product, s.region, s.place FROM server_address a JOIN server s ON s.id = a.server_id ORDER BY a.prefix", scanServerEntry
	default:
		l := listTables[list]
		columns := strings.Join(l.columns, ", ")
		query = "SELECT " + columns + " FROM " + l.table + " ORDER BY " + strings.Join(l.columns[:l.keys], ", ")
		scan = func(rows *sql.Rows) (registry.Entry, error) { return scanEntry(rows, list) }
	}
	return s.each(ctx, q, query, nil, func(rows *sql.Rows) error {
		x, err := scan(rows)
		if err != nil {
			return err
		}
		return f(x)
	})
}
