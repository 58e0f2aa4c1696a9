package store

import (
	"context"
	"database/sql"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/icpgate/icpgate/registry"
)

// PutServer records a server in place of the one with its id, and tells edges of
// its addresses. A quota below what its service numbers have used is an error, and
// so is an address that another server has.
func (e *Edit) PutServer(v registry.Server) error {
	t := e.t
	if err := checkServer(&v); err != nil {
		return fmt.Errorf("%w server %q: %w", ErrInvalid, v.ID, err)
	}
	was, err := t.server(v.ID)
	if err != nil {
		return err
	}
	if was != nil && shown(was) == shown(&v) {
		return nil
	}
	var used int
	if err := t.row("SELECT count(*) FROM service_number WHERE server_id = ?", v.ID).Scan(&used); err != nil {
		return err
	}
	if used > v.Quota {
		return fmt.Errorf("%w server %q: a quota of %d, but it has %d service numbers", ErrInvalid, v.ID, v.Quota, used)
	}
	if err := t.dropAddresses(was); err != nil {
		return err
	}
	err = t.insert("server", []string{"id", "provider", "product", "region", "place", "account", "quota"},
		`ON CONFLICT (id) DO UPDATE SET provider = excluded.provider, product = excluded.product, region = excluded.region,
		place = excluded.place, account = excluded.account, quota = excluded.quota`,
		[]any{v.ID, string(v.Provider), v.Product.String(), v.Region, placeText(v.Place), v.Account, int64(v.Quota)})
	if err != nil {
		return err
	}
	t.noteServer(was, &v)
	return t.addAddresses(&v)
}

func checkServer(v *registry.Server) error {
	for what, text := range map[string]*string{"id": &v.ID, "region": &v.Region, "account": &v.Account} {
		var err error
		if *text, err = oneName(what, *text); err != nil {
			return err
		}
	}
	if v.ID == "" {
		return fmt.Errorf("it has no id")
	}
	if strings.ContainsAny(v.Region, " \t\n#") {
		return fmt.Errorf("region %q: expect one word, such as cn-hangzhou", v.Region)
	}
	if _, err := registry.ParseProviderID(string(v.Provider)); err != nil {
		return err
	}
	if v.Place == registry.PlaceNone {
		return fmt.Errorf("place %q: expect where it is, or none said where the region tells", v.Place)
	}
	if v.Quota < 0 {
		return fmt.Errorf("a quota of %d", v.Quota)
	}
	for i, p := range v.Addresses {
		if _, err := registry.ParsePrefix(p.String()); err != nil {
			return fmt.Errorf("address %w", err)
		}
		if slices.Contains(v.Addresses[:i], p) {
			return fmt.Errorf("address %s stands twice", p)
		}
	}
	slices.SortFunc(v.Addresses, func(a, b netip.Prefix) int { return strings.Compare(a.String(), b.String()) })
	return nil
}

func (t *tx) addAddresses(v *registry.Server) error {
	for _, p := range v.Addresses {
		text := registry.PrefixText(p)
		var other string
		switch err := t.row("SELECT server_id FROM server_address WHERE prefix = ?", text).Scan(&other); {
		case err == nil:
			return fmt.Errorf("%w server %q: address %s is that of server %q", ErrInvalid, v.ID, text, other)
		case err != sql.ErrNoRows:
			return err
		}
		if err := t.exec("INSERT INTO server_address (prefix, server_id) VALUES (?, ?)", text, v.ID); err != nil {
			return err
		}
		x := serverEntry(text, string(v.Provider), v.Product.String(), v.Region, placeText(v.Place))
		if check := t.s.o.CheckEntry; check != nil {
			if err := check(x); err != nil {
				return fmt.Errorf("%w server %q: %w", ErrInvalid, v.ID, err)
			}
		}
		t.set(x)
	}
	return nil
}

func serverEntry(prefix, provider, product, region, place string) registry.Entry {
	if region == "" {
		region = "-"
	}
	return registry.Entry{List: registry.ListServers, Key: prefix, Value: strings.TrimSuffix(provider+" "+product+" "+region+" "+place, " ")}
}

func scanServerEntry(rows *sql.Rows) (registry.Entry, error) {
	var prefix, provider, product, region, place string
	err := rows.Scan(&prefix, &provider, &product, &region, &place)
	return serverEntry(prefix, provider, product, region, place), err
}

// placeText is the word of a place; "" for PlaceUnknown, which the region tells.
func placeText(p registry.Place) string {
	if p == registry.PlaceUnknown {
		return ""
	}
	return p.String()
}

func (t *tx) dropAddresses(was *registry.Server) error {
	if was == nil {
		return nil
	}
	for _, p := range was.Addresses {
		t.set(registry.Entry{List: registry.ListServers, Key: registry.PrefixText(p), Gone: true})
	}
	return t.exec("DELETE FROM server_address WHERE server_id = ?", was.ID)
}

func (t *tx) noteServer(was, is *registry.Server) {
	var before, after any
	id := ""
	if was != nil {
		before, id = was, was.ID
	}
	if is != nil {
		after, id = is, is.ID
	}
	t.note("servers", id, before, after)
}

// RemoveServer takes a server out; one that has service numbers stays.
func (e *Edit) RemoveServer(id string) error {
	t := e.t
	was, err := t.server(id)
	if err != nil {
		return err
	}
	if was == nil {
		return fmt.Errorf("server %q: %w", id, ErrNotFound)
	}
	var used int
	if err := t.row("SELECT count(*) FROM service_number WHERE server_id = ?", id).Scan(&used); err != nil {
		return err
	}
	if used > 0 {
		return fmt.Errorf("%w: server %q has %d service numbers; it stays as long as they tie filings to it", ErrInvalid, id, used)
	}
	if err := t.dropAddresses(was); err != nil {
		return err
	}
	t.noteServer(was, nil)
	return t.exec("DELETE FROM server WHERE id = ?", id)
}

func (t *tx) server(id string) (*registry.Server, error) {
	list, err := t.s.servers(t.ctx, t, "WHERE id = ?", id)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return &list[0], nil
}

// Servers returns all servers, by id.
func (s *Store) Servers(ctx context.Context) ([]registry.Server, error) {
	return s.servers(ctx, s.r, "")
}

// ServersAfter returns servers by id, at most limit of them, of ids after one; "" is
// before all.
func (s *Store) ServersAfter(ctx context.Context, id string, limit int) ([]registry.Server, error) {
	return s.servers(ctx, s.r, "WHERE id IN (SELECT id FROM server WHERE id > ? ORDER BY id LIMIT ?)", id, limit)
}

// Server returns the server of an id, or ErrNotFound.
func (s *Store) Server(ctx context.Context, id string) (registry.Server, error) {
	list, err := s.servers(ctx, s.r, "WHERE id = ?", id)
	if err == nil && len(list) == 0 {
		err = fmt.Errorf("server %q: %w", id, ErrNotFound)
	}
	if err != nil {
		return registry.Server{}, err
	}
	return list[0], nil
}

// servers reads servers; where is a condition that begins with their id.
func (s *Store) servers(ctx context.Context, q querier, where string, args ...any) (list []registry.Server, err error) {
	err = s.each(ctx, q, "SELECT id, provider, product, region, place, account, quota FROM server "+where+" ORDER BY id", args, func(rows *sql.Rows) error {
		var v registry.Server
		var provider, product, place string
		if err := rows.Scan(&v.ID, &provider, &product, &v.Region, &place, &v.Account, &v.Quota); err != nil {
			return err
		}
		v.Provider = registry.ProviderID(provider)
		if place != "" {
			if v.Place, err = registry.ParsePlace(place); err != nil {
				return err
			}
		}
		v.Product, err = registry.ParseProduct(product)
		list = append(list, v)
		return err
	})
	if err != nil || len(list) == 0 {
		return nil, err
	}
	at := make(map[string]int, len(list))
	for i := range list {
		at[list[i].ID] = i
	}
	byServer := strings.Replace(where, "id", "server_id", 1)
	err = s.each(ctx, q, "SELECT server_id, prefix FROM server_address "+byServer+" ORDER BY prefix", args, func(rows *sql.Rows) error {
		var id, text string
		if err := rows.Scan(&id, &text); err != nil {
			return err
		}
		p, err := registry.ParsePrefix(text)
		list[at[id]].Addresses = append(list[at[id]].Addresses, p)
		return err
	})
	return list, err
}
