package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/icpgate/icpgate/registry"
)

// KeyOf returns the key of a filing: its site number, else its first domain and
// kind, or its address.
func KeyOf(f *registry.Filing) string {
	switch {
	case !f.Site.Number.IsZero():
		return f.Site.Number.String()
	case f.Site.Kind == registry.KindIP:
		return addrText(f.Addr) + " (ip)"
	case len(f.Site.Domains) == 0:
		return ""
	}
	return unnumbered(f.Site.Domains[0], f.Site.Kind)
}

// unnumbered is the key of a filing whose number is unknown.
func unnumbered(d registry.Domain, k registry.Kind) string {
	return d.String() + " (" + k.String() + ")"
}

func addrText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.Unmap().WithZone("").String()
}

// record is a filing as it stands in the database.
type record struct {
	id     int64
	key    string
	rev    uint64 // that made it so
	f      registry.Filing
	sealed []byte // the entity's name, where it is personal
}

// public is the filing without personal data.
func (r *record) public() registry.Filing { return redact(r.f) }

// redact leaves personal data out of a filing.
func redact(f registry.Filing) registry.Filing {
	if personal(f.Entity.Nature) {
		f.Entity.Name = ""
	}
	return f
}

const siteColumns = "s.id, s.key, s.number, s.kind, s.name, s.entity_number, s.entity_name, s.sealed_name, s.nature, s.status, s.restricted, s.accesses_known, s.filed_at, s.updated_at, s.addr, s.filed_addr, s.covers, s.rev"

// scanSite reads siteColumns.
func scanSite(rows *sql.Rows, r *record) error {
	var (
		number, covers           string
		entity, addr, filedAddr  sql.NullString
		filedAt, updatedAt       sql.NullInt64
		kind, nature, status     uint8
		restricted, known, since int64
	)
	err := rows.Scan(&r.id, &r.key, &number, &kind, &r.f.Site.Name, &entity, &r.f.Entity.Name, &r.sealed, &nature, &status,
		&restricted, &known, &filedAt, &updatedAt, &addr, &filedAddr, &covers, &since)
	if err != nil {
		return err
	}
	f := &r.f
	r.rev = uint64(since)
	f.Site.Kind, f.Entity.Nature, f.Status = registry.Kind(kind), registry.Nature(nature), registry.Status(status)
	f.Restricted, f.AccessesKnown = restricted != 0, known != 0
	f.Site.FiledAt, f.UpdatedAt = timeOf(filedAt), timeOf(updatedAt)
	if covers != "" {
		f.Covers = strings.Split(covers, " ")
	}
	return r.parse(number, entity.String, addr.String, filedAddr.String)
}

func (r *record) parse(number, entity, addr, filedAddr string) (err error) {
	for _, n := range []struct {
		text string
		to   *registry.Number
	}{{number, &r.f.Site.Number}, {entity, &r.f.Entity.Number}} {
		if n.text == "" {
			continue
		}
		if *n.to, _, err = registry.ParseNumber(n.text); err != nil {
			return fmt.Errorf("filing %q: %w", r.key, err)
		}
	}
	for _, a := range []struct {
		text string
		to   *netip.Addr
	}{{addr, &r.f.Addr}, {filedAddr, &r.f.FiledAddr}} {
		if a.text == "" {
			continue
		}
		if *a.to, err = netip.ParseAddr(a.text); err != nil {
			return fmt.Errorf("filing %q: %w", r.key, err)
		}
	}
	return nil
}

func timeOf(sec sql.NullInt64) time.Time {
	if !sec.Valid {
		return time.Time{}
	}
	return fromUnix(sec.Int64)
}

func nullTime(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.Unix()
}

func nullText(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// digests are what tells whether a filing is another one than before.
type digests struct{ facts, accesses [16]byte }

// digester computes digests; for one goroutine.
type digester struct {
	e    encoder
	seal *sealer
}

func (d *digester) of(f *registry.Filing) (sums digests) {
	d.e.b = d.e.b[:0]
	g := *f
	g.AccessesKnown = false // that is told by the accesses
	if d.seal != nil {
		d.e.b = append(d.e.b, d.seal.digest...)
	} else {
		g = redact(g) // what is not kept does not count
	}
	d.e.facts(&g)
	return d.sum(f)
}

func (d *digester) sum(f *registry.Filing) (sums digests) {
	all := sha256.Sum256(d.e.b)
	copy(sums.facts[:], all[:])
	d.e.b = d.e.b[:0]
	d.e.byte(flag(f.AccessesKnown, 1))
	d.e.accesses(sortedAccesses(f.Accesses))
	all = sha256.Sum256(d.e.b)
	copy(sums.accesses[:], all[:])
	return sums
}

// sortedAccesses returns the accesses by provider, since their order says nothing.
func sortedAccesses(list []registry.Access) []registry.Access {
	byProvider := func(a, b registry.Access) int { return strings.Compare(string(a.Provider), string(b.Provider)) }
	if slices.IsSortedFunc(list, byProvider) {
		return list
	}
	list = slices.Clone(list)
	slices.SortFunc(list, byProvider)
	return list
}

var siteTable = []string{"id", "key", "number", "kind", "name", "entity_number", "entity_name", "sealed_name", "nature", "status",
	"restricted", "accesses_known", "filed_at", "updated_at", "addr", "filed_addr", "covers", "rev", "facts", "accesses"}

// siteRow makes the row of a filing.
func (s *Store) siteRow(id int64, rev uint64, f *registry.Filing, sums digests) []any {
	key, name := KeyOf(f), f.Entity.Name
	var sealed []byte
	if personal(f.Entity.Nature) {
		sealed, name = s.seal.seal("site "+key, name), ""
	}
	return []any{id, key, f.Site.Number.String(), int64(f.Site.Kind), f.Site.Name, nullText(f.Entity.Number.String()), name, sealed,
		int64(f.Entity.Nature), int64(f.Status), int64(flag(f.Restricted, 1)), int64(flag(f.AccessesKnown, 1)),
		nullTime(f.Site.FiledAt), nullTime(f.UpdatedAt), nullText(addrText(f.Addr)), nullText(addrText(f.FiledAddr)),
		strings.Join(f.Covers, " "), int64(rev), sums.facts[:], sums.accesses[:]}
}

// makeSite makes the row of a new filing for a load, as siteRow does.
func (s *Store) makeSite(m rowMaker, id int64, rev uint64, key string, f *registry.Filing, sums digests) {
	name := f.Entity.Name
	var sealed []byte
	if personal(f.Entity.Nature) {
		sealed, name = s.seal.seal("site "+key, name), ""
	}
	number := key
	if f.Site.Number.IsZero() {
		number = ""
	}
	m.row()
	m.big(id)
	m.text(key)
	m.text(number)
	m.small(int64(f.Site.Kind))
	m.text(f.Site.Name)
	orNull(m, f.Entity.Number.String())
	m.text(name)
	m.bytes(sealed)
	m.small(int64(f.Entity.Nature))
	m.small(int64(f.Status))
	m.small(int64(flag(f.Restricted, 1)))
	m.small(int64(flag(f.AccessesKnown, 1)))
	makeTime(m, f.Site.FiledAt)
	makeTime(m, f.UpdatedAt)
	orNull(m, addrText(f.Addr))
	orNull(m, addrText(f.FiledAddr))
	m.text(strings.Join(f.Covers, " "))
	m.big(int64(rev))
	m.bytes(sums.facts[:])
	m.bytes(sums.accesses[:])
}

func makeTime(m rowMaker, t time.Time) {
	if t.IsZero() {
		m.null()
		return
	}
	m.big(t.Unix())
}

func makeDomains(m rowMaker, id int64, f *registry.Filing) {
	for i, d := range f.Site.Domains {
		m.row()
		m.big(id)
		m.small(int64(i))
		m.text(d.String())
		if d.IsGov() {
			orNull(m, d.GovRegistrable().String())
		} else {
			m.null()
		}
	}
}

func makeAccesses(m rowMaker, id int64, f *registry.Filing) {
	for i, a := range f.Accesses {
		m.row()
		m.big(id)
		m.text(string(a.Provider))
		m.small(int64(a.Status))
		m.big(a.At)
		m.small(int64(i))
	}
}

// tidyFiling makes the texts of a filing fit for the database, and its accesses
// and addresses canonical.
func tidyFiling(f *registry.Filing) {
	f.Site.Name, f.Entity.Name = tidy(f.Site.Name), tidy(f.Entity.Name)
	f.Addr, f.FiledAddr = f.Addr.Unmap().WithZone(""), f.FiledAddr.Unmap().WithZone("")
	f.Accesses = sortedAccesses(f.Accesses)
	f.Site.FiledAt, f.UpdatedAt = toSecond(f.Site.FiledAt), toSecond(f.UpdatedAt)
}

func toSecond(t time.Time) time.Time {
	if t.IsZero() || t.Nanosecond() == 0 {
		return t
	}
	return t.Truncate(time.Second)
}

var (
	domainTable = []string{"site_id", "pos", "name", "gov"}
	accessTable = []string{"site_id", "provider", "status", "at", "pos"}
	entityTable = []string{"number", "nature", "name", "sealed_name", "updated_at"}
)

func domainRows(rows [][]any, id int64, f *registry.Filing) [][]any {
	for i, d := range f.Site.Domains {
		var gov any
		if d.IsGov() {
			gov = nullText(d.GovRegistrable().String())
		}
		rows = append(rows, []any{id, int64(i), d.String(), gov})
	}
	return rows
}

func accessRows(rows [][]any, id int64, f *registry.Filing) [][]any {
	for i, a := range f.Accesses {
		rows = append(rows, []any{id, string(a.Provider), int64(a.Status), a.At, int64(i)})
	}
	return rows
}

// entityConflict: what was updated later is believed, and nobody comes back who
// was erased.
const entityConflict = `ON CONFLICT (number) DO UPDATE SET nature = excluded.nature, name = excluded.name,
	sealed_name = CASE WHEN entity.erased_at IS NULL THEN excluded.sealed_name END, updated_at = excluded.updated_at
	WHERE excluded.updated_at >= entity.updated_at`

func (s *Store) entityRow(f *registry.Filing) []any {
	number, name, updated := f.Entity.Number.String(), f.Entity.Name, int64(0)
	var sealed []byte
	if personal(f.Entity.Nature) {
		sealed, name = s.seal.seal("entity "+number, name), ""
	}
	if !f.UpdatedAt.IsZero() {
		updated = f.UpdatedAt.Unix()
	}
	return []any{number, int64(f.Entity.Nature), name, sealed, updated}
}

// inBatch is how many values a query names at most.
const inBatch = 400

// loadSites reads filings with their domains and accesses. where is a condition on
// the site s with one "?" list, which "%s" stands for.
func (s *Store) loadSites(ctx context.Context, q querier, where string, values []any) (list []*record, err error) {
	for from := 0; from < len(values); from += inBatch {
		some := values[from:min(from+inBatch, len(values))]
		query := "SELECT " + siteColumns + " FROM site s WHERE " + fmt.Sprintf(where, marks(len(some)))
		part, err := s.querySites(ctx, q, query, some)
		if err != nil {
			return nil, err
		}
		list = append(list, part...)
	}
	return list, s.complete(ctx, q, list)
}

func marks(n int) string { return strings.Repeat("?,", n-1) + "?" }

func (s *Store) querySites(ctx context.Context, q querier, query string, args []any) (list []*record, err error) {
	rows, err := q.QueryContext(ctx, s.e.query(query), args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		r := &record{}
		if err := scanSite(rows, r); err != nil {
			return nil, err
		}
		if r.f.Entity.Name == "" {
			if r.f.Entity.Name, err = s.seal.open("site "+r.key, r.sealed); err != nil {
				return nil, err
			}
		}
		list = append(list, r)
	}
	return list, rows.Err()
}

// complete adds domains and accesses.
func (s *Store) complete(ctx context.Context, q querier, list []*record) error {
	byID := make(map[int64]*record, len(list))
	ids := make([]any, 0, len(list))
	for _, r := range list {
		byID[r.id] = r
		ids = append(ids, r.id)
	}
	for from := 0; from < len(ids); from += inBatch {
		some := ids[from:min(from+inBatch, len(ids))]
		err := s.each(ctx, q, "SELECT site_id, name FROM domain WHERE site_id IN ("+marks(len(some))+") ORDER BY site_id, pos", some, func(rows *sql.Rows) error {
			var id int64
			var name string
			if err := rows.Scan(&id, &name); err != nil {
				return err
			}
			return byID[id].addDomain(name)
		})
		if err != nil {
			return err
		}
		err = s.each(ctx, q, "SELECT site_id, provider, status, at FROM access WHERE site_id IN ("+marks(len(some))+") ORDER BY site_id, pos", some, func(rows *sql.Rows) error {
			var id int64
			var a registry.Access
			err := scanAccess(rows, &id, &a)
			if err == nil {
				byID[id].f.Accesses = append(byID[id].f.Accesses, a)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func scanAccess(rows *sql.Rows, id *int64, a *registry.Access) error {
	var provider string
	var status uint8
	err := rows.Scan(id, &provider, &status, &a.At)
	a.Provider, a.Status, a.At = registry.ProviderID(provider), registry.AccessStatus(status), told(a.At)
	return err
}

func (r *record) addDomain(name string) error {
	d, err := registry.ParseDomain(name)
	if err != nil {
		return fmt.Errorf("filing %q: %w", r.key, err)
	}
	r.f.Site.Domains = append(r.f.Site.Domains, d)
	return nil
}

// each runs a query and calls f for every row.
func (s *Store) each(ctx context.Context, q querier, query string, args []any, f func(*sql.Rows) error) error {
	rows, err := q.QueryContext(ctx, s.e.query(query), args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := f(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
