package index

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"net/netip"
	"runtime"
	"slices"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/disk"
)

// Merge writes the snapshot of what base and the changes come to: to the byte the
// one that a Builder makes of the same filings and blacklist with the key of
// base. It replaces path as WriteFile does, and leaves nothing behind when it
// fails or ctx ends.
//
// Options.Key is base's or zero, which means the same. A zero Options.Revision is
// the one after base's. A nil base is an empty registry.
//
// What it takes in memory grows with the changes, not with base: that is read
// from one end to the other, in the order in which the new one is written.
func Merge(ctx context.Context, path string, base *Index, changes Changes, o Options) error {
	return mergeTold(ctx, path, base, changes.told(), o)
}

func mergeTold(ctx context.Context, path string, base *Index, changes told, o Options) error {
	err := merge1(ctx, path, base, changes, o)
	if err != nil {
		return fmt.Errorf("snapshot %q cannot be written: %w", path, err)
	}
	return nil
}

// told is what Merge is told: Changes, without a need to put them into maps.
type told struct {
	size      int // of names and addrs, about
	names     iter.Seq2[registry.Domain, []registry.Filing]
	addrs     iter.Seq2[netip.Addr, []registry.Filing]
	blacklist map[registry.Domain]bool
}

func (c Changes) told() told {
	return told{len(c.Names) + len(c.Addrs), maps.All(c.Names), maps.All(c.Addrs), c.Blacklist}
}

func merge1(ctx context.Context, path string, base *Index, changes told, o Options) (err error) {
	if base == nil {
		if base, err = NewBuilder(o).Build(); err != nil {
			return err
		}
		o.Revision = base.info.Revision
	}
	if o.Key == [16]byte{} {
		o.Key = base.Key()
	}
	if o.Key != base.Key() {
		return errors.New("the key is another than the old snapshot's; a new key needs all filings anew")
	}
	if o.Revision == (registry.Revision{}) {
		o.Revision = base.info.Revision
		o.Revision.Rev++
	}
	m := &merger{ctx: ctx, base: base, changes: changes, options: o}
	if err := m.plan(); err != nil {
		return err
	}
	if err = ctx.Err(); err != nil {
		return err
	}
	err = disk.Replace(path, fileMode, m.write)
	runtime.KeepAlive(base)
	return err
}

// merger makes a snapshot of another one and changes. Most names keep answers
// and records as they are. Others are spots: the changed names, those above them,
// the hosts that filings of theirs single out or did. What lies below a changed
// name gets its answers anew, too, but is found only when it comes by.
type merger struct {
	ctx     context.Context
	base    *Index
	changes told
	options Options

	spots    map[string]*spot // by name
	addrs    map[netip.Addr]*spot
	depths   [maxLabels + 1]bool      // whether there are causes of so many labels
	gov      map[registry.Domain]bool // changes of the section of the same name
	standing map[string]bool          // what it means for government registrable names
	tops     bool

	protos  protos
	answers answers
	copied  []uint32 // node of base → node
	up      map[registry.Domain]level
	levels  []level

	// Scratch: a merge goes through all of base, and must not leave garbage for
	// each name of it.
	text, body, items []byte
	out               []rendered

	counts [4]int // as in the header
	known  int    // names and addresses in the table
}

// spot is a name or an address that is looked at by itself. There is one for every
// change, so it holds nothing that can be made when it is written.
type spot struct {
	sum
	name    registry.Domain   // zero for an address, which is that of the filings
	filings []registry.Filing // if changed
	changed bool              // filings are these, not those of base
	cause   bool              // names below may have other answers
	below   bool              // something known is below
	known   bool              // stands in the table
	was     bool              // stood there
}

// spotAt makes a spot of d and all names above it that a table may know of.
func (m *merger) spotAt(d registry.Domain) *spot {
	if s := m.spots[d.String()]; s != nil {
		return s
	}
	s := &spot{sum: m.base.key.name(d.String()), name: d, below: d.Labels() == 1}
	s.was = m.base.knows(s.sum)
	m.spots[d.String()] = s
	if up := d.Parent(); up.Labels() > 1 {
		m.spotAt(up)
	}
	return s
}

func (x *Index) knows(s sum) bool {
	node, _ := x.table.find(s)
	return node != 0
}

// plan finds the spots, and what becomes of each.
func (m *merger) plan() error {
	m.spots, m.addrs = make(map[string]*spot, m.changes.size), map[netip.Addr]*spot{}
	m.gov, m.standing, m.up = map[registry.Domain]bool{}, map[string]bool{}, map[registry.Domain]level{}
	m.answers.init()
	m.copied = make([]uint32, len(m.base.nodes))
	m.counts = [4]int{m.base.info.Filings, m.base.info.Names, m.base.info.Addresses, m.base.info.Blacklisted}
	m.known = m.base.known
	for d, filings := range m.changes.names {
		if err := m.refile(d, filings); err != nil {
			return err
		}
	}
	for a, filings := range m.changes.addrs {
		if err := m.refileAddr(a, filings); err != nil {
			return err
		}
	}
	m.relist()
	m.regovern()
	if err := m.look(); err != nil {
		return err
	}
	m.settle()
	return nil
}

// cause makes a spot of d, below which there may be other answers.
func (m *merger) cause(d registry.Domain) *spot {
	s := m.spotAt(d)
	s.cause = true
	m.depths[d.Labels()] = true
	return s
}

// refile gives a name its filings.
func (m *merger) refile(d registry.Domain, filings []registry.Filing) error {
	for i := range filings {
		if f := &filings[i]; f.Site.Kind == registry.KindIP || !slices.Contains(f.Site.Domains, d) {
			return fmt.Errorf("a filing of %q is not filed under it", d)
		}
	}
	if d.Labels() < 2 && len(filings) == 0 {
		return nil
	}
	if err := m.cause(d).fill(filings); err != nil {
		return err
	}
	was, _ := m.base.keptName(d)
	m.recount(1, &was, filings, d)
	if !d.IsGov() {
		return nil
	}
	was.each(func(_ *registry.Covering, rec *stored) {
		f := rec.filing()
		m.single(newGovFiling(&f, d))
	})
	m.gov[d] = false
	for i := range filings {
		f := &filings[i]
		m.single(newGovFiling(f, d))
		m.gov[d] = m.gov[d] || f.Site.Kind == registry.KindSite && f.Status.Stands()
	}
	return nil
}

// single makes spots of the hosts that a filing singles out or did.
func (m *merger) single(g govFiling) {
	if g.coversAll() {
		return
	}
	for _, host := range g.hosts() {
		m.spotAt(host)
	}
}

func (m *merger) refileAddr(a netip.Addr, filings []registry.Filing) error {
	for i := range filings {
		if f := &filings[i]; f.Site.Kind != registry.KindIP || plain(f.Addr) != plain(a) {
			return fmt.Errorf("a filing of %s is not filed under it", a)
		}
	}
	a = plain(a)
	if m.addrs[a] != nil {
		return fmt.Errorf("the filings of %s come twice, as IPv4 and within IPv6", a)
	}
	s := &spot{sum: m.base.key.addr(a), known: len(filings) > 0}
	s.was = m.base.knows(s.sum)
	m.addrs[a] = s
	if err := s.fill(filings); err != nil {
		return err
	}
	was, _ := m.base.keptAddr(a)
	m.recount(2, &was, filings, registry.Domain{})
	return nil
}

// recount corrects the counts of filings and of names or addresses.
func (m *merger) recount(which int, was *kept, filings []registry.Filing, d registry.Domain) {
	before, first := was.count()
	m.counts[0] -= first
	for i := range filings {
		m.counts[0] += int(flag(!elsewhere(&filings[i], d)))
	}
	m.counts[which] += int(flag(len(filings) > 0)) - int(flag(before > 0))
}

// fill gives a spot its filings, if they can be.
func (s *spot) fill(filings []registry.Filing) error {
	for i := range filings {
		if err := cmp.Or(filings[i].Check(), checkSize(&filings[i])); err != nil {
			return err
		}
	}
	s.changed, s.filings = true, filings
	return nil
}

// rendered is a filing as a snapshot has it.
type rendered struct {
	fact
	from, to int // of merger.items
}

// render puts the filings of a changed spot into the order of a snapshot and
// encodes them. What it returns holds until it is called again.
func (m *merger) render(s *spot) []rendered {
	m.out, m.items = m.out[:0], m.items[:0]
	for i := range s.filings {
		from := len(m.items)
		m.items = appendItem(m.items, &s.filings[i], s.name)
		m.out = append(m.out, rendered{m.fact(&s.filings[i], s.name), from, len(m.items)})
	}
	if len(m.out) > 1 {
		slices.SortFunc(m.out, func(a, b rendered) int {
			return cmp.Or(cmp.Compare(m.protos.keys[a.proto], m.protos.keys[b.proto]),
				slices.Compare(m.items[a.from:a.to], m.items[b.from:b.to]))
		})
	}
	return m.out
}

// bodyOf is the group of a spot that is changed or new: name and records. It
// holds until the next one is made.
func (m *merger) bodyOf(s *spot) []byte {
	if s.name.IsZero() {
		a := plain(s.filings[0].Addr).As16()
		m.body = append(m.body[:0], a[:]...)
	} else {
		m.body = appendName(m.body[:0], s.name.String())
	}
	for _, r := range m.render(s) {
		item := m.items[r.from:r.to]
		m.body = append(m.body, item[itemHead(item):]...)
	}
	return m.body
}

// factsOf are the facts of a changed spot, in the order of its records.
func (m *merger) factsOf(s *spot) (facts []fact) {
	for _, r := range m.render(s) {
		facts = append(facts, r.fact)
	}
	return facts
}

// fact is what a filing under d, which is zero for an address, does to answers.
func (m *merger) fact(f *registry.Filing, d registry.Domain) fact {
	x := fact{proto: m.protos.of(f)}
	if d.IsGov() {
		g := newGovFiling(f, d)
		x.gov = &g
	}
	return x
}

// relist takes in what changes on the blacklist.
func (m *merger) relist() {
	for d, on := range m.changes.blacklist {
		if was := m.base.blacklists(d); d.IsZero() || on == was {
			continue
		}
		m.counts[3] += 2*int(flag(on)) - 1
		m.cause(d)
	}
	for name := range m.base.blacklist.changed(m.changes.blacklist) {
		m.tops = m.tops || canonical(name).Labels() == 1
	}
}

func (m *merger) listed(d registry.Domain) bool {
	if on, ok := m.changes.blacklist[d]; ok {
		return on
	}
	return m.base.blacklists(d)
}

// regovern finds the government registrable names under which something stands
// that did not, or no more.
func (m *merger) regovern() {
	regs := map[registry.Domain]bool{}
	for d, stands := range m.gov {
		reg := d.GovRegistrable()
		regs[reg] = regs[reg] || stands
	}
	for reg, stands := range regs {
		was := m.base.govFilings(reg)
		for _, d := range was {
			_, changed := m.gov[d]
			stands = stands || !changed
		}
		if stands != (len(was) > 0) {
			m.standing[reg.String()] = stands
		}
	}
}

func (m *merger) stands(reg registry.Domain) bool {
	if reg.IsZero() {
		return false
	}
	if stands, ok := m.standing[reg.String()]; ok {
		return stands
	}
	for range m.base.gov.within(reg) {
		return true
	}
	return false
}

// write makes the file.
func (m *merger) write(f *disk.File) error {
	for buckets := homes(m.known); ; buckets += buckets/16 + 1 {
		w := newFileWriter(f, buckets)
		err := m.stream(w.placer)
		if errors.Is(err, errSpill) {
			m.answers.init()
			clear(m.copied)
			if err := f.Truncate(0); err != nil {
				return err
			}
			continue
		}
		if err := cmp.Or(err, m.answers.check()); err != nil {
			return err
		}
		return w.finish(m)
	}
}

// newcomers are the spots that were not in the table before, in its order.
func (m *merger) newcomers() (list []*spot) {
	fresh := func(yield func(*spot)) {
		for _, s := range m.spots {
			if s.known && !s.was {
				yield(s)
			}
		}
		for _, s := range m.addrs {
			if s.known && !s.was {
				yield(s)
			}
		}
	}
	n := 0
	fresh(func(*spot) { n++ })
	list = make([]*spot, 0, n)
	fresh(func(s *spot) { list = append(list, s) })
	slices.SortFunc(list, func(a, b *spot) int { return a.sum.compare(b.sum) })
	return list
}

func (s sum) compare(t sum) int { return cmp.Or(cmp.Compare(s.h0, t.h0), cmp.Compare(s.h1, t.h1)) }
