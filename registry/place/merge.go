package place

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/gaissmai/bart"

	"github.com/icpgate/icpgate/registry"
)

// merger makes one table of all sources. The longest prefix of their union that
// contains an address lies within, or is, the prefix by which each of them
// decides for that address; so the answer can be made once a prefix.
type merger struct {
	Sources
	special *bart.Table[special]
	table   *Table
	index   map[entry]uint32 // of table.entries
	// shadowed and carried count list prefixes without effect; first ones to name.
	shadowed, carried tally
}

// tally counts prefixes and keeps one to show.
type tally struct {
	n     int
	first netip.Prefix
}

func (t *tally) add(p netip.Prefix) {
	if t.n == 0 {
		t.first = p
	}
	t.n++
}

func (s Sources) merge(nat64 []netip.Prefix) *Table {
	t := &Table{nat64: nat64, confirm: s.Confirm, unlisted: s.unlisted()}
	m := merger{Sources: s, special: specialTable(), table: t, index: map[entry]uint32{}}
	for p := range m.special.All() {
		m.insert(p)
	}
	if s.Networks != nil {
		for p := range s.Networks.services.All() {
			m.insertListed(p)
		}
		for p := range s.Networks.pulls.All() {
			m.insertListed(p)
		}
	}
	if s.Mainland != nil {
		for p, place := range s.Mainland.prefixes.All() {
			m.insertListed(p)
			m.checkListed(p, place)
		}
	}
	m.warn()
	return t
}

func (m *merger) insert(p netip.Prefix) {
	e := m.judge(p)
	i, ok := m.index[e]
	if !ok {
		i = uint32(len(m.table.entries))
		m.index[e] = i
		m.table.entries = append(m.table.entries, e)
	}
	m.table.nets.Insert(p, i)
}

// insertListed inserts a prefix of a file.
func (m *merger) insertListed(p netip.Prefix) {
	if carrier(p) || slices.ContainsFunc(m.table.nat64, func(c netip.Prefix) bool { return within(p, c) }) {
		m.carried.add(p)
	}
	m.insert(p)
}

// judge answers for all addresses that no longer prefix of the union contains.
func (m *merger) judge(p netip.Prefix) entry {
	at, row, inNetworks := m.Networks.find(p)
	listed, inList := m.Mainland.place(p)
	w := row.where
	block, kind, isSpecial := m.special.LookupPrefixLPM(p)
	switch {
	case isSpecial && kind == specialPrivate:
		// Only a row for this very space can give it a place.
		if !row.written || at.Bits() < block.Bits() || w.Place == registry.PlaceUnknown {
			w.Place = registry.Private
		}
		inList = false
	case inNetworks && w.Place != registry.PlaceUnknown:
	case inList:
		w.Place = listed
	case isSpecial && kind == specialDocumentation:
		w.Place = registry.Private
	default:
		e := m.unlisted()
		e.where = w
		return e
	}
	return m.confirmed(w, inNetworks && row.where.Place == registry.Mainland, inList && listed == registry.Mainland)
}

// unlisted answers for what neither file knows.
func (s Sources) unlisted() entry {
	if s.Mainland != nil && !s.MainlandAdd {
		return entry{ask: askOutside}
	}
	return entry{ask: askPlace}
}

// confirmed counts who says mainland, where a file decided so.
func (m *merger) confirmed(w Where, votes ...bool) entry {
	if w.Place != registry.Mainland {
		return entry{where: w}
	}
	n := 0
	for _, v := range votes {
		if v {
			n++
		}
	}
	switch {
	case n >= m.Confirm:
		return entry{where: w}
	case n+1 == m.Confirm:
		return entry{where: w, ask: askConfirm}
	}
	w.Place = registry.PlaceUnknown
	return entry{where: w}
}

// checkListed notes prefixes of the mainland file that stay private.
func (m *merger) checkListed(p netip.Prefix, place registry.Place) {
	if _, kind, ok := m.special.LookupPrefixLPM(p); ok && kind == specialPrivate && place == registry.Mainland {
		m.shadowed.add(p)
	}
}

func (m *merger) warn() {
	if n := m.shadowed; n.n > 0 {
		m.table.warnings = append(m.table.warnings, fmt.Sprintf(
			"the mainland file lists %d prefixes of private space, such as %s; they stay private: what the public reaches there is named in the networks file, with its place written out", n.n, n.first))
	}
	if n := m.carried; n.n > 0 {
		m.table.warnings = append(m.table.warnings, fmt.Sprintf(
			"%d prefixes, such as %s, are never looked up: addresses there are judged by the IPv4 address they carry", n.n, n.first))
	}
}
