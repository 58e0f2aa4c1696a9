package store

import (
	"context"
	"fmt"
	"slices"

	"github.com/icpgate/icpgate/registry"
)

// Edit is a change of the registry that is being made: all that is done with it
// is one revision, or nothing. It is valid during the call that it is made for,
// for one goroutine.
type Edit struct{ t *tx }

// Edit makes a change, for which do is called; do must not use the store, and may
// be called again if another program was in the way. An error of do ends the
// change without a trace. The revision is the one that was made, or the newest if
// do changed nothing that edges follow.
func (s *Store) Edit(ctx context.Context, by By, do func(*Edit) error) (registry.Revision, error) {
	return s.write(ctx, by, func(t *tx) error { return do(&Edit{t}) })
}

// Revision is the number that the revision will have.
func (e *Edit) Revision() registry.Revision {
	return registry.Revision{Epoch: e.t.at.Epoch, Rev: e.t.rev()}
}

// Filing returns the filing of a key as it is within the change, or ErrNotFound.
func (e *Edit) Filing(key string) (registry.Filing, error) {
	r, err := e.t.mustFind(key)
	if err != nil {
		return registry.Filing{}, err
	}
	return r.f, nil
}

// PutFiling records a filing as it is now, all of it, in the place of the one
// with the same key. What Filing.Check refuses is an error.
func (e *Edit) PutFiling(f registry.Filing) error {
	tidyFiling(&f)
	if err := f.Check(); err != nil {
		return fmt.Errorf("%w filing %q: %w", ErrInvalid, KeyOf(&f), err)
	}
	return e.t.put(&f)
}

// CancelFiling marks a filing as cancelled (注销). Its accesses stay as they are.
func (e *Edit) CancelFiling(key string) error {
	return e.with(key, func(f *registry.Filing) error { f.Status = registry.StatusCancelled; return nil })
}

// RemoveFiling takes a filing out of the registry, as if it had never been made;
// the journal keeps it.
func (e *Edit) RemoveFiling(key string) error {
	r, err := e.t.mustFind(key)
	if err != nil {
		return err
	}
	return e.t.remove(r)
}

// SetAccess gives a filing an access with a provider, or another state of it.
func (e *Edit) SetAccess(key string, a registry.Access) error {
	if _, err := registry.ParseProviderID(string(a.Provider)); err != nil {
		return fmt.Errorf("%w access: %w", ErrInvalid, err)
	}
	return e.with(key, func(f *registry.Filing) error {
		f.AccessesKnown = true
		setAccess(f, a)
		return nil
	})
}

// setAccess gives f the access in place of the one with its provider.
func setAccess(f *registry.Filing, a registry.Access) {
	i := slices.IndexFunc(f.Accesses, func(b registry.Access) bool { return a.Provider == b.Provider })
	f.Accesses = slices.Clone(f.Accesses)
	if i < 0 {
		f.Accesses = append(f.Accesses, a)
		return
	}
	f.Accesses[i] = a
}

// CancelAccess cancels the access with a provider (取消接入). It reports whether
// that was the last active one, which leaves a shell site behind.
func (e *Edit) CancelAccess(key string, p registry.ProviderID) (shell bool, err error) {
	err = e.with(key, func(f *registry.Filing) error {
		i := slices.IndexFunc(f.Accesses, func(a registry.Access) bool { return a.Provider == p })
		if i < 0 {
			return fmt.Errorf("filing %q has no access with provider %q: %w", key, p, ErrNotFound)
		}
		f.Accesses = slices.Clone(f.Accesses)
		was := f.Accesses[i].Status
		f.Accesses[i] = registry.Access{Provider: p, Status: registry.AccessCancelled, At: e.t.now.Unix()}
		shell = was == registry.AccessActive && !active(f)
		return nil
	})
	return shell, err
}

// active reports whether a provider serves the site.
func active(f *registry.Filing) bool {
	return slices.ContainsFunc(f.Accesses, func(a registry.Access) bool { return a.Status == registry.AccessActive })
}

// with changes a filing that is there.
func (e *Edit) with(key string, change func(*registry.Filing) error) error {
	r, err := e.t.mustFind(key)
	if err != nil {
		return err
	}
	f := r.f
	if err := change(&f); err != nil {
		return err
	}
	return e.PutFiling(f)
}

// find returns the filing of a key, nil if there is none.
func (t *tx) find(key string) (*record, error) {
	list, err := t.s.loadSites(t.ctx, t, "s.key IN (%s)", []any{key})
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return list[0], nil
}

func (t *tx) mustFind(key string) (*record, error) {
	r, err := t.find(key)
	if err == nil && r == nil {
		err = fmt.Errorf("filing %q: %w", key, ErrNotFound)
	}
	return r, err
}

// put records a filing that was checked.
func (t *tx) put(f *registry.Filing) error {
	if err := t.forget(f); err != nil {
		return err
	}
	old, err := t.find(KeyOf(f))
	if err != nil {
		return err
	}
	if old != nil {
		return t.replace(old, f)
	}
	// A number that becomes known is that of the filing without one.
	if !f.Site.Number.IsZero() && len(f.Site.Domains) > 0 {
		before, err := t.find(unnumbered(f.Site.Domains[0], f.Site.Kind))
		if err != nil {
			return err
		}
		if before != nil {
			if err := t.remove(before); err != nil {
				return err
			}
		}
	}
	return t.add(f)
}

// forget drops the name of a person who was erased.
func (t *tx) forget(f *registry.Filing) error {
	if !personal(f.Entity.Nature) || f.Entity.Number.IsZero() || f.Entity.Name == "" {
		return nil
	}
	var n int
	err := t.row("SELECT count(*) FROM entity WHERE number = ? AND erased_at IS NOT NULL", f.Entity.Number.String()).Scan(&n)
	if n > 0 {
		f.Entity.Name = ""
	}
	return err
}

func (t *tx) add(f *registry.Filing) error {
	if err := t.beforeSite(f); err != nil {
		return err
	}
	id := t.id()
	t.filings++
	t.touch(f)
	d := digester{seal: t.s.seal}
	if err := t.addEntity(f); err != nil {
		return err
	}
	if err := t.insert("site", siteTable, "", t.s.siteRow(id, t.rev(), f, d.of(f))); err != nil {
		return err
	}
	return t.addParts(id, f)
}

func (t *tx) addEntity(f *registry.Filing) error {
	if f.Entity.Number.IsZero() {
		return nil
	}
	return t.insert("entity", entityTable, entityConflict, t.s.entityRow(f))
}

func (t *tx) addParts(id int64, f *registry.Filing) error {
	if err := t.insert("domain", domainTable, "", domainRows(nil, id, f)...); err != nil {
		return err
	}
	return t.insert("access", accessTable, "", accessRows(nil, id, f)...)
}

// replace makes another filing of one with the same key.
func (t *tx) replace(old *record, f *registry.Filing) error {
	d := digester{seal: t.s.seal}
	sums := d.of(f)
	if sums == d.of(&old.f) {
		return nil
	}
	if err := t.beforeSite(&old.f, f); err != nil {
		return err
	}
	t.touch(&old.f)
	t.touch(f)
	if err := t.keepPast(old, f); err != nil {
		return err
	}
	if err := t.dropParts(old.id); err != nil {
		return err
	}
	if err := t.addEntity(f); err != nil {
		return err
	}
	row := t.s.siteRow(old.id, t.rev(), f, sums)
	set := ""
	for i, c := range siteTable[1:] {
		if i > 0 {
			set += ", "
		}
		set += c + " = ?"
	}
	if err := t.exec("UPDATE site SET "+set+" WHERE id = ?", append(row[1:], old.id)...); err != nil {
		return err
	}
	return t.addParts(old.id, f)
}

func (t *tx) dropParts(id int64) error {
	if err := t.exec("DELETE FROM domain WHERE site_id = ?", id); err != nil {
		return err
	}
	return t.exec("DELETE FROM access WHERE site_id = ?", id)
}

func (t *tx) remove(old *record) error {
	if err := t.beforeSite(&old.f); err != nil {
		return err
	}
	t.touch(&old.f)
	t.filings--
	if err := t.keepPast(old, nil); err != nil {
		return err
	}
	if err := t.dropParts(old.id); err != nil {
		return err
	}
	return t.exec("DELETE FROM site WHERE id = ?", old.id)
}

var (
	pastTable     = []string{"key", "until", "since", "state"}
	pastNameTable = []string{"name", "key"}
)

// keepPast keeps what a filing was, and the names that lead to it no more. next is
// what it becomes, nil for nothing. Of several states within one revision only the
// last counts.
func (t *tx) keepPast(old *record, next *registry.Filing) error {
	names, rows := pastRows(old, next, t.rev())
	if err := t.insert("past_name", pastNameTable, "ON CONFLICT (name, key) DO NOTHING", names...); err != nil {
		return err
	}
	if old.rev == t.rev() {
		return nil
	}
	return t.insert("past", pastTable, "ON CONFLICT (key, until) DO NOTHING", rows)
}

func pastRows(old *record, next *registry.Filing, until uint64) (names [][]any, row []any) {
	for _, d := range old.f.Site.Domains {
		if next == nil || !slices.Contains(next.Site.Domains, d) {
			names = append(names, []any{d.String(), old.key})
		}
	}
	if old.f.Addr.IsValid() && next == nil {
		names = append(names, []any{addrText(old.f.Addr), old.key})
	}
	var e encoder
	f := old.public()
	e.filing(&f)
	return names, []any{old.key, int64(until), int64(old.rev), e.b}
}
