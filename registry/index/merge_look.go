package index

import (
	"errors"

	"github.com/icpgate/icpgate/registry"
)

// errBase: the old snapshot passed its checksums but is not what a Builder makes.
var errBase = errors.New("the old snapshot holds records that do not belong to its table; " + hintDamaged)

// look finds out which spots have something below them. Most are settled by the
// spots themselves, or had nothing before; only for the others base is read.
func (m *merger) look() error {
	for _, s := range m.spots {
		if m.filed(s) || m.listed(s.name) || m.singled(s.name) {
			s.known = true
			m.above(s.name, func(up *spot) { up.below = true })
		}
	}
	open := map[string]*spot{}
	for d, s := range m.spots {
		if node, _ := m.base.table.find(s.sum); !s.below && node != 0 && m.base.nodes[node].flags&hasBelow != 0 {
			open[d] = s
		}
	}
	if len(open) == 0 {
		return nil
	}
	settle := func(d registry.Domain) {
		for up := d.Parent(); !up.IsZero(); up = up.Parent() {
			if s := open[up.String()]; s != nil {
				s.below = true
				delete(open, up.String())
			}
		}
	}
	for name := range m.base.blacklist.changed(m.changes.blacklist) {
		settle(canonical(name))
	}
	return m.scanFor(open, settle)
}

// scanFor shows the filed names of base that did not change, and the hosts that
// their filings single out, until nothing is open.
func (m *merger) scanFor(open map[string]*spot, settle func(registry.Domain)) error {
	n, err := 0, error(nil)
	ok := m.base.eachKept(func(k kept) bool {
		if n++; n%checkEvery == 0 {
			err = m.ctx.Err()
		}
		if s := m.spots[k.name.String()]; k.addr.IsValid() || len(k.records) == 0 || s != nil && s.changed {
			return err == nil && len(open) > 0
		}
		settle(k.name)
		if k.name.IsGov() {
			k.each(func(_ *registry.Covering, rec *stored) {
				f := rec.filing()
				g := newGovFiling(&f, k.name)
				for _, host := range g.hosts() {
					if !g.coversAll() {
						settle(host)
					}
				}
			})
		}
		return err == nil && len(open) > 0
	})
	if !ok {
		return errBase
	}
	return err
}

// checkEvery so many names it is asked whether to go on.
const checkEvery = 4096

// above calls f with the spots above d.
func (m *merger) above(d registry.Domain, f func(*spot)) {
	for up := d.Parent(); !up.IsZero(); up = up.Parent() {
		if s := m.spots[up.String()]; s != nil {
			f(s)
		}
	}
}

// filed reports whether a spot has filings of its own.
func (m *merger) filed(s *spot) bool {
	if s.changed {
		return len(s.filings) > 0
	}
	k, ok := m.base.keptName(s.name)
	return ok && len(k.records) > 0
}

// singled reports whether a filing above d singles it out.
func (m *merger) singled(d registry.Domain) bool {
	if !d.IsGov() {
		return false
	}
	for up := d.Parent(); up.IsGov(); up = up.Parent() {
		for _, f := range m.level(up).filings {
			if !f.gov.coversAll() && !f.gov.inherits(d) {
				return true
			}
		}
	}
	return false
}

// settle counts what the new table will know.
func (m *merger) settle() {
	for _, s := range m.spots {
		s.known = s.known || s.below && (s.name.Labels() > 1 || m.listed(s.name))
		m.known += int(flag(s.known)) - int(flag(s.was))
	}
	for _, s := range m.addrs {
		m.known += int(flag(s.known)) - int(flag(s.was))
	}
}

// level is what lies at d itself from now on.
func (m *merger) level(d registry.Domain) level {
	if s := m.spots[d.String()]; s != nil && s.changed {
		return level{m.factsOf(s), m.listed(d)}
	}
	if l, ok := m.up[d]; ok {
		return l
	}
	l := level{blacklisted: m.listed(d)}
	if k, ok := m.base.keptName(d); ok {
		l.filings = m.factsBefore(&k)
	}
	if len(m.up) >= maxLevels {
		clear(m.up)
	}
	m.up[d] = l
	return l
}

// maxLevels bounds what is remembered of the names above others; most filed
// names lie directly below a few suffixes.
const maxLevels = 4096

func (m *merger) factsBefore(k *kept) (facts []fact) {
	k.each(func(_ *registry.Covering, rec *stored) {
		f := rec.filing()
		facts = append(facts, m.fact(&f, k.name))
	})
	return facts
}
