package store

import (
	"database/sql"
	"errors"
	"slices"

	"github.com/icpgate/icpgate/registry"
)

// merging makes filings what an import tells, of what they are when it is published:
// that may be long after it was compared, and what others have made of them since is
// newer than what it tells.
type merging struct {
	p      *publisher
	t      *tx
	digest digester
}

// steps make a filing what the import tells; false where that cannot be any more, or
// others have changed the same since.
func (m *merging) steps(x *task, at resolved) ([]step, bool, error) {
	o := &m.p.i.Options
	if at.err != nil || at.old == nil && (o.Part == PartAccesses || x.rev > 0) {
		return nil, false, nil
	}
	if at.old == nil {
		out := x.f
		if o.Part == PartFilings {
			out.Accesses, out.AccessesKnown = nil, false
		}
		return []step{{nil, &out}}, true, nil
	}
	out := o.merge(&at.old.f, &x.f)
	if out.Check() != nil {
		return nil, false, nil
	}
	if moved, err := m.moved(x, at.old, &out); moved || err != nil {
		return nil, false, err
	}
	if KeyOf(&out) != at.old.key {
		return []step{{at.old, nil}, {nil, &out}}, true, nil
	}
	return []step{{at.old, &out}}, true, nil
}

// moved reports whether out would undo what others have made of a filing since the
// import was compared. Facts count as one, accesses by provider. So no filing flips
// that did not when it was compared, and what was confirmed is what is done.
func (m *merging) moved(x *task, now *record, out *registry.Filing) (bool, error) {
	if theirs, err := m.theirs(now.rev); !theirs || err != nil {
		return false, err
	}
	is, becomes := m.digest.of(&now.f), m.digest.of(out)
	if is == becomes {
		return false, nil
	}
	if x.rev == 0 && now.f.UpdatedAt.Before(x.f.UpdatedAt) && !now.f.UpdatedAt.IsZero() && !flips(&now.f, out) {
		return false, nil // they have added what is older, as its date tells
	}
	facts := is.facts != becomes.facts && (x.rev == 0 || head(is.facts[:]) != x.was.facts)
	return facts || accessesMoved(x.was.accesses, now.f.Accesses, out.Accesses), nil
}

// theirs reports whether somebody else than the import has made what a revision made
// since it was compared.
func (m *merging) theirs(rev uint64) (bool, error) {
	if rev <= m.p.i.Base || rev == m.t.rev() {
		return false, nil
	}
	var id sql.NullString
	err := m.t.row("SELECT import_id FROM revision WHERE rev = ?", int64(rev)).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return id.String != m.p.i.ID, err
}

// accessesMoved reports whether of some provider out says another thing than is known
// now, and that is another thing than before.
func accessesMoved(was, now, out []registry.Access) bool {
	for _, a := range slices.Concat(now, out) {
		if is := accessOf(now, a.Provider); is != accessOf(out, a.Provider) && is != accessOf(was, a.Provider) {
			return true
		}
	}
	return false
}

// accessOf is the access with a provider, the zero value where there is none.
func accessOf(list []registry.Access, p registry.ProviderID) (a registry.Access) {
	if i := slices.IndexFunc(list, func(a registry.Access) bool { return a.Provider == p }); i >= 0 {
		return list[i]
	}
	return a
}
