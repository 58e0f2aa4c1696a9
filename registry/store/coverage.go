package store

import (
	"context"

	"github.com/icpgate/icpgate/registry"
)

// Coverage answers as the index of the newest revision would, from the tables:
// some milliseconds, for commands that ask once. Cut is not told.
func (s *Store) Coverage(ctx context.Context, d registry.Domain) (registry.Coverage, error) {
	tx, err := s.r.BeginTx(ctx, s.e.reading())
	if err != nil {
		return registry.Coverage{}, err
	}
	defer tx.Rollback()
	c := registry.Coverage{Loaded: true}
	if c.Revision, _, err = s.where(ctx, tx); err != nil {
		return registry.Coverage{}, err
	}
	names := ancestors(d)
	under, err := s.filingsUnder(ctx, tx, names)
	if err != nil {
		return registry.Coverage{}, err
	}
	for _, filed := range names {
		for _, r := range under[filed] {
			if scope := r.f.Scope(filed, d); scope != registry.ScopeNone {
				c.Filings = append(c.Filings, covering(&r.f, filed, scope))
			}
		}
	}
	listed, err := s.listedNow(ctx, tx, names)
	if err != nil {
		return registry.Coverage{}, err
	}
	c.Blacklisted = len(listed) > 0
	if gov := d.GovRegistrable(); !gov.IsZero() {
		var n int
		err = tx.QueryRowContext(ctx, s.e.query(`SELECT count(*) FROM domain d JOIN site s ON s.id = d.site_id
			WHERE d.gov = ? AND s.kind = ? AND s.status IN (?, ?)`), gov.String(), int64(registry.KindSite),
			int64(registry.StatusNormal), int64(registry.StatusChangePending)).Scan(&n)
		c.GovFiled = n > 0
	}
	return c, err
}

// ancestors returns a name and all above it, the longest first.
func ancestors(d registry.Domain) (names []registry.Domain) {
	for ; !d.IsZero(); d = d.Parent() {
		names = append(names, d)
	}
	return names
}

func covering(f *registry.Filing, filed registry.Domain, scope registry.Scope) registry.Covering {
	return registry.Covering{
		Filed: uint8(filed.Labels()), Kind: f.Site.Kind, Status: f.Status, Inherited: scope == registry.ScopeInherited,
		Restricted: f.Restricted, AccessesKnown: f.AccessesKnown, Accesses: f.Accesses,
	}
}
