package store

import (
	"slices"

	"github.com/icpgate/icpgate/registry"
)

// step is a filing that becomes another one: old is nil for a new one, f for one
// that is removed. Their keys are the same.
type step struct {
	old *record
	f   *registry.Filing
}

// apply takes steps of different keys, with as few statements as they need.
func (t *tx) apply(steps []step) error {
	w := &writing{t: t, digest: digester{seal: t.s.seal}}
	for _, st := range steps {
		if err := w.step(st); err != nil {
			return err
		}
	}
	if err := t.beforeSites(w.before...); err != nil {
		return err
	}
	for _, f := range w.before {
		t.touch(f)
	}
	return w.write()
}

// writing collects the rows of many steps.
type writing struct {
	t      *tx
	digest digester
	before []*registry.Filing // that become others, and what they become

	entities, sites, domains, accesses, past, names [][]any

	entityAt    map[registry.Number]int // into entities
	parts, gone []any                   // ids of sites whose parts, or which themselves, go
}

func (w *writing) step(st step) error {
	if st.f == nil {
		w.t.noteFiling(st.old, nil)
		w.before = append(w.before, &st.old.f)
		w.keep(st.old, nil)
		w.parts, w.gone = append(w.parts, st.old.id), append(w.gone, st.old.id)
		w.t.filings--
		return nil
	}
	sums := w.digest.of(st.f)
	id := int64(0)
	if st.old != nil {
		if sums == w.digest.of(&st.old.f) {
			return nil
		}
		w.before = append(w.before, &st.old.f)
		w.keep(st.old, st.f)
		id = st.old.id
		w.parts = append(w.parts, id)
	} else {
		id = w.t.id()
		w.t.filings++
	}
	w.t.noteFiling(st.old, st.f)
	w.before = append(w.before, st.f)
	w.add(id, st.f, sums)
	return nil
}

// noteFiling writes into the journal what somebody made of a filing; imports stand
// there as a whole. Personal data is left out.
func (t *tx) noteFiling(old *record, f *registry.Filing) {
	if t.importID != "" {
		return
	}
	var was, is any
	key := ""
	if old != nil {
		public := old.public()
		was, key = ViewOf(&public), old.key
	}
	if f != nil {
		public := redact(*f)
		is, key = ViewOf(&public), KeyOf(f)
	}
	if was != nil && is != nil && shown(was) == shown(is) {
		return // only what is personal has changed
	}
	t.note(whatFiling, key, was, is)
}

// whatFiling is what entries of filings are about.
const whatFiling = "filing"

// add makes the rows of a filing.
func (w *writing) add(id int64, f *registry.Filing, sums digests) {
	s := w.t.s
	if !f.Entity.Number.IsZero() {
		w.entity(f)
	}
	w.sites = append(w.sites, s.siteRow(id, w.t.rev(), f, sums))
	w.domains = domainRows(w.domains, id, f)
	w.accesses = accessRows(w.accesses, id, f)
}

// entity makes one row an entity: a statement must not meet itself.
func (w *writing) entity(f *registry.Filing) {
	row := w.t.s.entityRow(f)
	i, known := w.entityAt[f.Entity.Number]
	switch {
	case known && row[entityUpdated].(int64) >= w.entities[i][entityUpdated].(int64):
		w.entities[i] = row
	case !known:
		if w.entityAt == nil {
			w.entityAt = map[registry.Number]int{}
		}
		w.entityAt[f.Entity.Number] = len(w.entities)
		w.entities = append(w.entities, row)
	}
}

// entityUpdated is where entityTable has updated_at.
const entityUpdated = 4

var (
	pastTable     = []string{"key", "until", "since", "state"}
	pastNameTable = []string{"name", "key"}
)

// keep keeps what a filing was, and the names that lead to it no more. Of several
// states within one revision only the last counts.
func (w *writing) keep(old *record, next *registry.Filing) {
	for _, d := range old.f.Site.Domains {
		if next == nil || !slices.Contains(next.Site.Domains, d) {
			w.names = append(w.names, []any{d.String(), old.key})
		}
	}
	if old.f.Addr.IsValid() && next == nil {
		w.names = append(w.names, []any{addrText(old.f.Addr), old.key})
	}
	if old.rev == w.t.rev() {
		return
	}
	var e encoder
	f := old.public()
	e.filing(&f)
	w.past = append(w.past, []any{old.key, int64(w.t.rev()), int64(old.rev), e.b})
}

// siteConflict: the row of an id takes all of what is new.
var siteConflict = func() string {
	set := "ON CONFLICT (id) DO UPDATE SET "
	for i, c := range siteTable[1:] {
		if i > 0 {
			set += ", "
		}
		set += c + " = excluded." + c
	}
	return set
}()

func (w *writing) write() error {
	t := w.t
	if err := t.insert("past_name", pastNameTable, "ON CONFLICT (name, key) DO NOTHING", w.names...); err != nil {
		return err
	}
	if err := t.insert("past", pastTable, "ON CONFLICT (key, until) DO NOTHING", w.past...); err != nil {
		return err
	}
	for _, query := range []string{"DELETE FROM domain WHERE site_id IN (%s)", "DELETE FROM access WHERE site_id IN (%s)"} {
		if err := t.execIn(query, w.parts); err != nil {
			return err
		}
	}
	if err := t.execIn("DELETE FROM site WHERE id IN (%s)", w.gone); err != nil {
		return err
	}
	if err := t.insert("entity", entityTable, entityConflict, w.entities...); err != nil {
		return err
	}
	conflict := ""
	if len(w.parts) > 0 {
		conflict = siteConflict
	}
	if err := t.insert("site", siteTable, conflict, w.sites...); err != nil {
		return err
	}
	if err := t.insert("domain", domainTable, "", w.domains...); err != nil {
		return err
	}
	return t.insert("access", accessTable, "", w.accesses...)
}
