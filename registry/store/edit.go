package store

import (
	"cmp"
	"context"
	"database/sql"
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

// Record returns the filing of a key with the revision that made it what it is,
// within the change, or ErrNotFound.
func (e *Edit) Record(key string) (Record, error) {
	r, err := e.t.mustFind(key)
	if err != nil {
		return Record{}, err
	}
	return Record{Key: r.key, Rev: r.rev, Filing: r.f}, nil
}

// PutFiling records a filing as it is now, all of it, in the place of the one
// with the same key. What Filing.Check refuses is an error.
func (e *Edit) PutFiling(f registry.Filing) error {
	tidyFiling(&f)
	if err := cmp.Or(f.Check(), f.CheckTimes()); err != nil {
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
	if old == nil {
		// A number that becomes known is that of the filing without one.
		if key := keyWithoutNumber(f); key != "" {
			before, err := t.find(key)
			if err != nil {
				return err
			}
			if before != nil {
				if err := t.remove(before); err != nil {
					return err
				}
			}
		}
	}
	return t.apply([]step{{old, f}})
}

// keyWithoutNumber is the key that a filing had before its number was known; empty
// if it has none or is by address.
func keyWithoutNumber(f *registry.Filing) string {
	if f.Site.Number.IsZero() || len(f.Site.Domains) == 0 {
		return ""
	}
	return unnumbered(f.Site.Domains[0], f.Site.Kind)
}

func (t *tx) remove(old *record) error { return t.apply([]step{{old, nil}}) }

// forget drops the names of persons who were erased.
func (t *tx) forget(filings ...*registry.Filing) error {
	if t.erased == nil {
		t.erased = map[string]bool{}
		err := t.s.each(t.ctx, t, "SELECT number FROM entity WHERE erased_at IS NOT NULL", nil, func(rows *sql.Rows) error {
			var number string
			err := rows.Scan(&number)
			t.erased[number] = true
			return err
		})
		if err != nil {
			return err
		}
	}
	for _, f := range filings {
		if len(t.erased) > 0 && personal(f.Entity.Nature) && t.erased[f.Entity.Number.String()] {
			f.Entity.Name = ""
		}
	}
	return nil
}
