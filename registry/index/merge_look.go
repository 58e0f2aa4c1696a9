package index

import (
	"bytes"
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
	open := unsettled{}
	for d, s := range m.spots {
		if node, _ := m.base.table.find(s.sum); !s.below && node != 0 && m.base.nodes[node].flags&hasBelow != 0 {
			open[d] = s
		}
	}
	if len(open) == 0 {
		return nil
	}
	for name := range m.base.blacklist.changed(m.changes.blacklist) {
		open.settle([]byte(name))
	}
	return m.scanFor(open)
}

// unsettled are the spots of which it is not known whether something lies below.
type unsettled map[string]*spot

// settle notes that something lies at a name.
func (open unsettled) settle(name []byte) {
	for i, c := range name {
		if c != '.' {
			continue
		}
		if s := open[string(name[i+1:])]; s != nil {
			s.below = true
			delete(open, string(name[i+1:]))
		}
	}
}

// scanFor shows the filed names of base that did not change, and the hosts that
// their filings single out, until nothing is open.
func (m *merger) scanFor(open unsettled) error {
	n, err := 0, error(nil)
	ok := m.base.eachGroup(func(node uint32, addr bool, body []byte) bool {
		if n++; n%checkEvery == 0 {
			err = m.ctx.Err()
		}
		r := reader{b: body}
		if !addr {
			m.text = r.appendText(m.text[:0])
		}
		if addr || len(r.b) == 0 || m.changed(m.text) {
			return err == nil && len(open) > 0
		}
		open.settle(m.text)
		if mayBeGov(m.text) {
			m.settleHosts(open, node, body)
		}
		return err == nil && len(open) > 0
	})
	if !ok {
		return errBase
	}
	return err
}

func (m *merger) changed(name []byte) bool {
	s := m.spots[string(name)]
	return s != nil && s.changed
}

// mayBeGov tells names that are no government's from those that IsGov is to be
// asked about, without making a Domain of each.
func mayBeGov(name []byte) bool {
	return bytes.HasSuffix(name, []byte(".gov.cn")) || bytes.HasSuffix(name, []byte(".xn--zfr164b"))
}

// settleHosts settles what lies above the hosts that the filings of a government's
// name single out.
func (m *merger) settleHosts(open unsettled, node uint32, body []byte) {
	k, ok := m.base.group(node, false, body)
	if !ok || !k.name.IsGov() {
		return
	}
	k.each(func(_ *registry.Covering, rec *stored) {
		f := rec.filing()
		g := newGovFiling(&f, k.name)
		for _, host := range g.hosts() {
			if !g.coversAll() {
				open.settle([]byte(host.String()))
			}
		}
	})
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
