package index

import (
	"bytes"
	"net/netip"
	"runtime"
	"slices"

	"github.com/icpgate/icpgate/registry"
)

// refiled are the filings that a name or an address has from a revision on. It
// is immutable and does not depend on the snapshot beneath.
type refiled struct {
	name    registry.Domain // or
	addr    netip.Addr
	rev     uint64
	filings []registry.Filing // in the order of a snapshot
	records [][]byte          // of filings, encoded
	self    []registry.Covering
	below   []registry.Covering // for names below that no filing singles out; self itself where they are alike
	hosts   []registry.Domain   // that the filings single out
	first   int                 // how many of the filings count here, and not under another name
	uneven  bool                // self and below differ
	stands  bool                // counts for the government registrable name
}

// newRefiled prepares the answers from filings that have been checked.
func newRefiled(name registry.Domain, addr netip.Addr, filings []registry.Filing, rev uint64) *refiled {
	f := &refiled{name: name, rev: rev}
	if addr.IsValid() {
		f.addr = plain(addr)
	}
	if len(filings) == 0 {
		return f
	}
	f.order(filings)
	var p protos
	for i := range f.filings {
		c := p.list0(&f.filings[i])
		c.Filed = uint8(name.Labels())
		f.self = append(f.self, c)
		f.first += count(!elsewhere(&f.filings[i], name))
	}
	f.below = f.self
	if name.IsGov() {
		f.govern()
	}
	return f
}

// byName reports whether a name is refiled, not an address.
func (f *refiled) byName() bool { return !f.addr.IsValid() }

// filedBefore returns what a snapshot has under the name or address of f, as far
// as it counts.
func (x *Index) filedBefore(f *refiled) *refiled {
	was := &refiled{}
	h, _ := x.keptOf(f)
	h.each(func(c *registry.Covering, rec *stored) {
		was.self = append(was.self, *c)
		was.first += count(rec.first.IsZero())
		was.stands = was.stands || f.name.IsGov() && c.Kind == registry.KindSite && c.Status.Stands()
	})
	runtime.KeepAlive(x)
	return was
}

// keptOf returns what a snapshot has under the name or address of f.
func (x *Index) keptOf(f *refiled) (kept, bool) {
	if f.byName() {
		return x.keptName(f.name)
	}
	return x.keptAddr(f.addr)
}

// order copies the filings in the order in which a snapshot would hold them.
func (f *refiled) order(filings []registry.Filing) {
	type one struct {
		record []byte
		at     int
	}
	all := make([]one, len(filings))
	for i := range filings {
		all[i] = one{appendRecord(nil, &filings[i], f.name), i}
	}
	slices.SortFunc(all, func(a, b one) int { return bytes.Compare(a.record, b.record) })
	for _, a := range all {
		f.filings = append(f.filings, filings[a.at])
		f.records = append(f.records, a.record)
	}
}

// list0 is of, as a value.
func (p *protos) list0(f *registry.Filing) registry.Covering { return p.list[p.of(f)] }

// govern finds what is different under a government suffix.
func (f *refiled) govern() {
	for i := range f.filings {
		g := govFiling{filing: f.filings[i], filed: f.name}
		f.stands = f.stands || g.filing.Site.Kind == registry.KindSite && g.filing.Status.Stands()
		if g.coversAll() {
			continue
		}
		f.hosts = append(f.hosts, g.hosts()...)
		if !f.uneven {
			f.uneven, f.below = true, slices.Clone(f.self)
		}
		f.below[i].Inherited = true
	}
}

// reach returns the coverings of the filings for d, a name at or below theirs.
// Where d is no item of the overlay, nothing singles it out.
func (f *refiled) reach(d registry.Domain, isItem bool) []registry.Covering {
	switch {
	case !f.uneven, d == f.name:
		return f.self
	case !isItem:
		return f.below
	}
	list := slices.Clone(f.below)
	for i := range list {
		list[i].Inherited = f.filings[i].Scope(f.name, d) == registry.ScopeInherited
	}
	return list
}

// read returns the records, as a snapshot would.
func (f *refiled) read() (recs []Record) {
	for _, b := range f.records {
		if rec, ok := parseRecord(b); ok {
			recs = append(recs, rec)
		}
	}
	return recs
}
