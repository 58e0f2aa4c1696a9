package bulk

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/icpgate/icpgate/registry"
)

// fact is one thing that rows of a filing may state differently.
type fact struct {
	bit    facts
	column column
	text   func(*registry.Filing) string
	copy   func(to, from *registry.Filing)
}

// mergedFacts are those taken from one row or another. Domains and accesses are
// united instead. A row of kind ip states its address with its kind.
var mergedFacts = []fact{
	{factEntityNumber, colEntityNumber, func(f *registry.Filing) string { return f.Entity.Number.String() },
		func(to, from *registry.Filing) { to.Entity.Number = from.Entity.Number }},
	{factEntityName, colEntityName, func(f *registry.Filing) string { return f.Entity.Name },
		func(to, from *registry.Filing) { to.Entity.Name = from.Entity.Name }},
	{factNature, colNature, func(f *registry.Filing) string { return f.Entity.Nature.String() },
		func(to, from *registry.Filing) { to.Entity.Nature = from.Entity.Nature }},
	{factSiteName, colSiteName, func(f *registry.Filing) string { return f.Site.Name },
		func(to, from *registry.Filing) { to.Site.Name = from.Site.Name }},
	{factKind, colKind, func(f *registry.Filing) string { return kindText(f) },
		func(to, from *registry.Filing) { to.Site.Kind, to.Addr = from.Site.Kind, from.Addr }},
	{factStatus, colStatus, func(f *registry.Filing) string { return f.Status.String() },
		func(to, from *registry.Filing) { to.Status = from.Status }},
	{factFiledAt, colFiledAt, func(f *registry.Filing) string { return dayText(f.Site.FiledAt) },
		func(to, from *registry.Filing) { to.Site.FiledAt = from.Site.FiledAt }},
	{factRestricted, colRestricted, func(f *registry.Filing) string { return fmt.Sprint(f.Restricted) },
		func(to, from *registry.Filing) { to.Restricted = from.Restricted }},
	{factCovers, colCovers, func(f *registry.Filing) string { return strings.Join(f.Covers, " ") },
		func(to, from *registry.Filing) { to.Covers = from.Covers }},
	{factFiledAddr, colFiledIP, func(f *registry.Filing) string { return f.FiledAddr.String() },
		func(to, from *registry.Filing) { to.FiledAddr = from.FiledAddr }},
}

func dayText(t time.Time) string {
	if t.IsZero() {
		return "unknown"
	}
	return t.Format(time.RFC3339)
}

func kindText(f *registry.Filing) string {
	if f.Site.Kind == registry.KindIP {
		return "ip " + f.Addr.String()
	}
	return f.Site.Kind.String()
}

// merger makes one filing of the rows of a key.
type merger struct {
	files    []string
	conflict func(Conflict)
	key      string
	out      registry.Filing
	from     []*row // by mergedFacts: who stated it
	domains  *row   // who stated the domains last
	accesses []*row // by out.Accesses: who stated it
	none     *row   // who said that there is no access
}

// merge returns the filing that rows make. One row is its own filing. The rows
// are put into the order of belief: by updated_at, then as they were read.
func (m *merger) merge(rows []row) registry.Filing {
	if len(rows) == 1 {
		return rows[0].f
	}
	slices.SortFunc(rows, func(a, b row) int {
		return cmp.Or(a.f.UpdatedAt.Compare(b.f.UpdatedAt), cmp.Compare(a.seq, b.seq))
	})
	last := &rows[len(rows)-1]
	m.start(last)
	for i := range rows {
		r := &rows[i]
		m.facts(r)
		m.unite(r)
		m.access(r)
	}
	// Facts of different rows may not go together, for example several domains
	// and a day of filing that allows one. Those of one row do.
	if m.out.Check() != nil {
		m.override(last, factDomains|factKind|factCovers)
	}
	if m.out.Check() != nil {
		m.override(last, factFiledAt)
	}
	return m.out
}

func (m *merger) start(last *row) {
	m.key = keyText(&last.f)
	m.out = registry.Filing{Entity: registry.Entity{Number: last.f.Site.Number.Entity()}, UpdatedAt: last.f.UpdatedAt}
	m.out.Site.Number, m.out.Site.Kind = last.f.Site.Number, last.f.Site.Kind
	m.out.Addr = last.f.Addr
	m.from = append(m.from[:0], make([]*row, len(mergedFacts))...)
	m.domains, m.none, m.accesses = nil, nil, m.accesses[:0]
}

// keyText names a filing in reports.
func keyText(f *registry.Filing) string {
	if !f.Site.Number.IsZero() {
		return f.Site.Number.String()
	}
	return keyName(f) + " (" + f.Site.Kind.String() + ")"
}

// facts takes what r states, over what was taken before.
func (m *merger) facts(r *row) {
	for i, fact := range mergedFacts {
		if r.states&fact.bit == 0 {
			continue
		}
		if old := m.from[i]; old != nil {
			if kept, dropped := fact.text(&r.f), fact.text(&old.f); kept != dropped {
				m.differ(fact.column.String(), kept, dropped, r, old)
			}
		}
		fact.copy(&m.out, &r.f)
		m.from[i] = r
	}
}

// unite takes the domains of r: beside those of a row with the same updated_at,
// in place of an older row's.
func (m *merger) unite(r *row) {
	if r.states&factDomains == 0 {
		return
	}
	old := m.domains
	m.domains = r
	if old == nil {
		m.out.Site.Domains = slices.Clone(r.f.Site.Domains)
		return
	}
	if !old.f.UpdatedAt.Equal(r.f.UpdatedAt) {
		if !sameDomains(m.out.Site.Domains, r.f.Site.Domains) {
			m.differ(colDomain.String(), domainText(r.f.Site.Domains), domainText(m.out.Site.Domains), r, old)
		}
		m.out.Site.Domains = slices.Clone(r.f.Site.Domains)
		return
	}
	for _, d := range r.f.Site.Domains {
		switch {
		case slices.Contains(m.out.Site.Domains, d):
		case len(m.out.Site.Domains) < maxDomains:
			m.out.Site.Domains = append(m.out.Site.Domains, d)
		default:
			m.differ(colDomain.String(), "the 500 domains before", d.String(), old, r)
		}
	}
}

func sameDomains(a, b []registry.Domain) bool {
	for _, d := range a {
		if !slices.Contains(b, d) {
			return false
		}
	}
	return len(a) == len(b)
}

func domainText(list []registry.Domain) string {
	var b strings.Builder
	for i, d := range list {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(d.String())
	}
	return cutText(b.String(), maxReason)
}

// access unites the accesses of r with those before, by provider.
func (m *merger) access(r *row) {
	m.out.AccessesKnown = m.out.AccessesKnown || r.f.AccessesKnown
	if r.none {
		if len(m.out.Accesses) > 0 {
			m.differ(colProvider.String(), "none", string(m.out.Accesses[0].Provider), r, m.accesses[0])
		}
		m.out.Accesses, m.accesses, m.none = nil, m.accesses[:0], r
		return
	}
	if len(r.f.Accesses) > 0 && m.none != nil {
		m.differ(colProvider.String(), string(r.f.Accesses[0].Provider), "none", r, m.none)
		m.none = nil
	}
	for _, a := range r.f.Accesses {
		i := slices.IndexFunc(m.out.Accesses, func(b registry.Access) bool { return b.Provider == a.Provider })
		switch {
		case i >= 0:
			m.sameProvider(i, a, r)
		case len(m.out.Accesses) < maxAccesses:
			m.out.Accesses, m.accesses = append(m.out.Accesses, a), append(m.accesses, r)
		default:
			m.differ("access "+string(a.Provider), "the 200 accesses before", accessText(a), m.accesses[0], r)
		}
	}
}

// sameProvider settles which of two states of one access counts: that of the
// newer updated_at, then of the newer day where both are known, then of the
// later row.
func (m *merger) sameProvider(i int, a registry.Access, r *row) {
	b, old := m.out.Accesses[i], m.accesses[i]
	tie := old.f.UpdatedAt.Equal(r.f.UpdatedAt)
	differ := a.Status != b.Status || a.At != 0 && b.At != 0 && a.At != b.At
	if tie && a.At != 0 && a.At < b.At {
		if differ {
			m.differ("access "+string(a.Provider), accessText(b), accessText(a), old, r)
		}
		return
	}
	if differ {
		m.differ("access "+string(a.Provider), accessText(a), accessText(b), r, old)
	}
	if a.Status == b.Status && a.At == 0 {
		a.At = b.At // the day on which it came into the state they agree on
	}
	m.out.Accesses[i], m.accesses[i] = a, r
}

func accessText(a registry.Access) string {
	if a.At == 0 {
		return a.Status.String()
	}
	return a.Status.String() + " " + unixTime(a.At).Format(time.RFC3339)
}

// override takes some facts from last, whether it states them or not. Others
// stay: a filing must not stop being cancelled because its domains are unclear.
func (m *merger) override(last *row, which facts) {
	if which&factDomains != 0 {
		if kept, was := domainText(last.f.Site.Domains), domainText(m.out.Site.Domains); kept != was && m.domains != nil {
			m.differ(colDomain.String(), kept, was, last, m.domains)
		}
		m.out.Site.Domains = last.f.Site.Domains
	}
	for i, fact := range mergedFacts {
		if fact.bit&which == 0 {
			continue
		}
		if kept, was := fact.text(&last.f), fact.text(&m.out); kept != was && m.from[i] != nil {
			m.differ(fact.column.String(), kept, was, last, m.from[i])
		}
		fact.copy(&m.out, &last.f)
	}
}

// differ reports a conflict of two rows.
func (m *merger) differ(column, kept, dropped string, keep, drop *row) {
	m.conflict(Conflict{
		Key: m.key, Column: column, Kept: kept, Dropped: dropped,
		KeptFile: m.files[keep.file], KeptLine: int(keep.line),
		DroppedFile: m.files[drop.file], DroppedLine: int(drop.line),
		Newer: keep.f.UpdatedAt.After(drop.f.UpdatedAt),
	})
}
