package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

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

// parseEntry reads the fields of an entry and makes its key and value canonical.
func parseEntry(x *registry.Entry) ([]string, error) {
	l := listTables[x.List]
	key := strings.Fields(x.Key)
	if len(key) != l.keys {
		return nil, fmt.Errorf("the key has %d words; expect %d", len(key), l.keys)
	}
	fields := make([]string, len(l.columns))
	copy(fields, key)
	if err := parseKey(x.List, fields); err != nil {
		return nil, err
	}
	if x.Gone {
		x.Key, x.Value = strings.Join(fields[:l.keys], " "), ""
		return fields, nil
	}
	if err := parseValue(x.List, strings.Fields(x.Value), fields); err != nil {
		return nil, err
	}
	*x = entryOf(x.List, fields)
	return fields, nil
}

func parseKey(list registry.List, fields []string) error {
	switch list {
	case registry.ListNetworks:
		p, err := registry.ParsePrefix(fields[0])
		fields[0] = registry.PrefixText(p)
		return err
	case registry.ListProfiles:
		if fields[0] != "*" {
			id, err := registry.ParseProviderID(fields[0])
			if err != nil {
				return err
			}
			fields[0] = string(id)
		}
		_, err := registry.ParseProduct(fields[1])
		return err
	case registry.ListTLDs:
		d, err := registry.ParseDomain(fields[0])
		if err == nil && d.Labels() != 1 {
			err = fmt.Errorf("%q has more than one label", fields[0])
		}
		fields[0] = d.String()
		return err
	}
	name, below := strings.CutPrefix(fields[0], "*.")
	d, err := registry.ParseDNSName(name)
	if err == nil && d.IsZero() {
		err = fmt.Errorf("%q is the root; expect a name such as example.com", fields[0])
	}
	fields[0] = d.String()
	if below {
		fields[0] = "*." + fields[0]
		if list == registry.ListSuffixes {
			return fmt.Errorf("%q: a suffix stands without *", fields[0])
		}
	}
	return err
}

// productOfNetwork is what a network is besides the products of filings: where a
// CDN fetches from origins.
const productOfNetwork = "origin-pull"

func parseValue(list registry.List, says []string, fields []string) error {
	least, most := 1, 3
	switch list {
	case registry.ListNetworks:
		least, most = 3, 4
	case registry.ListSuffixes:
		least, most = 2, 2
	case registry.ListProfiles:
		most = 2
	case registry.ListTLDs:
		least, most = 0, 0
	}
	if len(says) < least || len(says) > most {
		return fmt.Errorf("it says %d words; expect %d to %d", len(says), least, most)
	}
	switch list {
	case registry.ListNetworks:
		return parseNetwork(says, fields)
	case registry.ListSuffixes:
		return parseOwned(says, fields, 1)
	case registry.ListBindings:
		return parseBinding(says, fields)
	case registry.ListProfiles:
		return parseProfile(says, fields)
	}
	return nil
}

// parseOwned reads PROVIDER PRODUCT into fields from at on. "-" is unknown.
func parseOwned(says, fields []string, at int) error {
	fields[at], fields[at+1] = says[0], says[1]
	if says[0] != "-" {
		id, err := registry.ParseProviderID(says[0])
		if err != nil {
			return err
		}
		fields[at] = string(id)
	}
	if says[1] == "-" || says[1] == productOfNetwork {
		return nil
	}
	_, err := registry.ParseProduct(says[1])
	return err
}

func parseNetwork(says, fields []string) error {
	if err := parseOwned(says, fields, 1); err != nil {
		return err
	}
	fields[3] = says[2]
	if len(says) < 4 {
		return nil
	}
	fields[4] = says[3]
	_, err := registry.ParsePlace(says[3])
	return err
}

func parseBinding(says, fields []string) error {
	fields[1] = says[0]
	if _, err := registry.ParseProduct(says[0]); err != nil {
		return err
	}
	for _, s := range says[1:] {
		what, value, _ := strings.Cut(s, "=")
		switch {
		case what == "acceleration" && oneOf(value, "mainland", "global", "overseas"):
			fields[2] = value
		case what == "origin" && oneOf(value, "here", "elsewhere", "overseas"):
			fields[3] = value
		default:
			return fmt.Errorf("unexpected %q; expect acceleration=mainland|global|overseas or origin=here|elsewhere|overseas", s)
		}
	}
	return nil
}

func parseProfile(says, fields []string) error {
	if fields[2] = says[0]; !oneOf(says[0], "access", "filing") {
		return fmt.Errorf("unknown demand %q; expect access or filing", says[0])
	}
	if len(says) == 1 {
		return nil
	}
	value, ok := strings.CutPrefix(says[1], "origin-here=")
	if fields[3] = value; !ok || !oneOf(value, "access", "filing") {
		return fmt.Errorf("unexpected %q; expect origin-here=access or origin-here=filing", says[1])
	}
	return nil
}

func oneOf(s string, words ...string) bool {
	for _, w := range words {
		if s == w {
			return true
		}
	}
	return false
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
		x.Until = time.Unix(until, 0).UTC()
	}
	x.Authority, x.Made = authority != 0, time.UnixMilli(made).UTC()
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
