package store

import (
	"database/sql"
	"errors"

	"github.com/icpgate/icpgate/registry"
)

// do does tasks and returns how many of them were not done because of others.
func (p *publisher) do(t *tx, tasks []task) (skipped int, err error) {
	var fresh, all []*registry.Filing
	var told []*task
	var rest []task
	for i := range tasks {
		switch x := &tasks[i]; {
		case x.kind == taskFresh && p.stillFresh(x):
			fresh, all = append(fresh, &x.f), append(all, &x.f)
		case x.kind == taskFresh || x.kind == taskTell:
			told, all = append(told, x), append(all, &x.f)
		default:
			rest = append(rest, *x)
		}
	}
	if err := t.forget(all...); err != nil {
		return 0, err
	}
	if err := t.addFresh(fresh); err != nil {
		return 0, err
	}
	if skipped, err = p.tell(t, told); err != nil {
		return 0, err
	}
	more, err := p.change(t, rest)
	return skipped + more, err
}

// addFresh adds filings of whose keys and names there is nothing: nothing has to
// be looked up for them.
func (t *tx) addFresh(list []*registry.Filing) error {
	if len(list) == 0 {
		return nil
	}
	if err := t.beforeSites(list...); err != nil {
		return err
	}
	w := &writing{t: t, digest: digester{seal: t.s.seal}}
	for _, f := range list {
		t.filings++
		w.add(t.id(), f, w.digest.of(f))
		public := []registry.Filing{redact(*f)}
		if f.Addr.IsValid() {
			t.changes = append(t.changes, registry.Change{Kind: registry.ChangeFilings, Addr: f.Addr, Filings: public})
		}
		for _, d := range f.Site.Domains {
			t.changes = append(t.changes, registry.Change{Kind: registry.ChangeFilings, Name: d, Filings: public})
		}
	}
	return w.write()
}

// tell merges filings with what is there. Those of one filing, or of one name, are
// told one after the other.
func (p *publisher) tell(t *tx, list []*task) (skipped int, err error) {
	m := &merging{p: p, t: t, digest: digester{seal: t.s.seal}}
	for len(list) > 0 {
		copies := make([]registry.Filing, len(list))
		for i, x := range list {
			copies[i] = x.f
		}
		found, err := t.s.resolve(t.ctx, t, copies)
		if err != nil {
			return skipped, err
		}
		var steps []step
		var later []*task
		taken := map[string]bool{}
		for i, x := range list {
			claims := claimsOf(&x.f, found[i].old)
			if anyOf(taken, claims) {
				later = append(later, x)
				continue
			}
			for _, c := range claims {
				taken[c] = true
			}
			more, ok, err := m.steps(x, found[i])
			if err != nil {
				return skipped, err
			}
			if !ok {
				skipped++
			}
			steps = append(steps, more...)
		}
		if err := t.apply(steps); err != nil {
			return skipped, err
		}
		list = later
	}
	return skipped, nil
}

// claimsOf are what no other filing of the same step may be about.
func claimsOf(f *registry.Filing, old *record) (claims []string) {
	claims = append(claims, KeyOf(f))
	if len(f.Site.Domains) > 0 {
		claims = append(claims, unnumbered(f.Site.Domains[0], f.Site.Kind))
	}
	if old != nil {
		claims = append(claims, old.key)
	}
	return claims
}

func anyOf(set map[string]bool, keys []string) bool {
	for _, k := range keys {
		if set[k] {
			return true
		}
	}
	return false
}

// change does the tasks that concern filings by their keys.
func (p *publisher) change(t *tx, tasks []task) (skipped int, err error) {
	var keys []any
	for i := range tasks {
		keys = append(keys, tasks[i].key)
	}
	if len(keys) == 0 {
		return 0, nil
	}
	list, err := t.s.loadSites(t.ctx, t, "s.key IN (%s)", keys)
	if err != nil {
		return 0, err
	}
	byKey := make(map[string]*record, len(list))
	for _, r := range list {
		byKey[r.key] = r
	}
	var steps []step
	for i := range tasks {
		x := &tasks[i]
		st, ok, err := p.changed(t, x, byKey[x.key])
		if err != nil {
			return skipped, err
		}
		if !ok {
			skipped++
			continue
		}
		steps = append(steps, st)
	}
	return skipped, t.apply(steps)
}

// changed is the step of a task; false where somebody else has changed the filing.
func (p *publisher) changed(t *tx, x *task, old *record) (step, bool, error) {
	if x.kind == taskRestore {
		return p.restored(t, x, old)
	}
	if old == nil || old.rev != x.rev {
		return step{}, false, nil
	}
	f := old.f
	switch x.kind {
	case taskRemove:
		return step{old, nil}, true, nil
	case taskCancel:
		f.Status = registry.StatusCancelled
	case taskAccess:
		setAccess(&f, registry.Access{Provider: p.i.Options.Provider, Status: registry.AccessCancelled, At: p.i.Made.Unix()})
	}
	return step{old, &f}, true, nil
}

// restored brings a filing back as it was. Its past is without personal data: that
// is taken from what is known of the entity now.
func (p *publisher) restored(t *tx, x *task, old *record) (step, bool, error) {
	if (old == nil) != (x.rev == 0) || old != nil && old.rev != x.rev {
		return step{}, false, nil
	}
	f := x.f
	if !personal(f.Entity.Nature) {
		return step{old, &f}, true, nil
	}
	if old != nil && old.f.Entity.Number == f.Entity.Number && personal(old.f.Entity.Nature) {
		f.Entity.Name = old.f.Entity.Name
		return step{old, &f}, true, nil
	}
	number := f.Entity.Number.String()
	var sealed []byte
	err := t.row("SELECT sealed_name FROM entity WHERE number = ?", number).Scan(&sealed)
	if err == nil {
		f.Entity.Name, err = t.s.seal.open("entity "+number, sealed)
	}
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return step{old, &f}, true, err
}
