package index

import (
	"encoding/binary"
	"iter"
	"net/netip"
	"runtime"

	"github.com/icpgate/icpgate/registry"
)

// The first byte of a group, which is what the records section has of one name:
// its slot in the low three bits, and this.
const (
	groupSlot = 1<<3 - 1
	groupAddr = 1 << 3 // of an address
)

// maxGroup bounds the records of one name; it only keeps a length of a hostile
// file from overflowing an int.
const maxGroup = 1 << 40

// kept is what a snapshot has of one name or address. The zero value is nothing.
// Its bytes are part of the snapshot, which must be kept alive.
type kept struct {
	node    *node
	name    registry.Domain // zero for an address
	addr    netip.Addr
	body    []byte // of the group: name and records
	records []byte // no records: the name is known for another reason
}

// groups reads the records of one bucket; false if they are not what they
// should be.
func (x *Index) groups(bucket uint64, visit func(slot int, addr bool, body []byte) bool) bool {
	at := x.recordIndex[bucket*8:]
	from, to := binary.LittleEndian.Uint64(at), binary.LittleEndian.Uint64(at[8:])
	if from > to || to > uint64(len(x.records)) {
		return false
	}
	r := reader{b: x.records[from:to]}
	for len(r.b) > 0 {
		head := r.u8()
		body := r.bytes(int(min(r.uvarint(), maxGroup)))
		if r.bad || head > groupAddr|groupSlot || int(head&groupSlot) >= slots {
			return false
		}
		if !visit(int(head&groupSlot), head&groupAddr != 0, body) {
			return true
		}
	}
	return true
}

// kept returns what stands under a sum.
func (x *Index) kept(s sum) (h kept, ok bool) {
	node, slot := x.table.find(s)
	if node == 0 {
		return h, false
	}
	x.groups(slot/slots, func(in int, addr bool, body []byte) bool {
		if uint64(in) == slot%slots {
			h, ok = x.group(node, addr, body)
			return false
		}
		return true
	})
	return h, ok
}

// keptName is kept for a name, which is compared in full: here nothing rests on a
// fingerprint.
func (x *Index) keptName(d registry.Domain) (h kept, ok bool) {
	node, slot := x.table.find(x.key.name(d.String()))
	if node == 0 {
		return h, false
	}
	x.groups(slot/slots, func(in int, addr bool, body []byte) bool {
		if uint64(in) != slot%slots {
			return true
		}
		r := reader{b: body}
		if !addr && r.isName(d.String()) {
			h, ok = kept{node: &x.nodes[node], name: d, body: body, records: r.b}, true
		}
		return false
	})
	return h, ok
}

func (x *Index) keptAddr(a netip.Addr) (h kept, ok bool) {
	if h, ok = x.kept(x.key.addr(a)); ok && h.addr == a {
		return h, true
	}
	return kept{}, false
}

// group takes the name from the front of a group.
func (x *Index) group(node uint32, addr bool, body []byte) (h kept, ok bool) {
	r := reader{b: body}
	h = kept{node: &x.nodes[node], body: body}
	h.name, h.addr = r.filed(addr)
	h.records = r.b
	return h, !r.bad
}

// each reads the filings of a name, in the order of their coverings. It reports
// false if they are not what they should be.
func (h *kept) each(visit func(c *registry.Covering, rec *stored)) bool {
	if h.node == nil {
		return true
	}
	labels := h.name.Labels()
	own := h.node.self.Filings
	for r := (reader{b: h.records}); len(r.b) > 0; own = own[1:] {
		if len(own) == 0 || int(own[0].Filed) != labels {
			return false
		}
		rec := r.facts(&own[0])
		if r.bad {
			return false
		}
		rec.Domain, rec.Addr = h.name, h.addr
		visit(&own[0], &rec)
	}
	return true
}

// count tells how many filings a name has, and how many of them are counted
// there. Unlike each it makes nothing of them.
func (h *kept) count() (all, first int) {
	if h.node == nil {
		return 0, 0
	}
	own := h.node.self.Filings
	for r := (reader{b: h.records}); len(r.b) > 0 && all < len(own); all++ {
		first += count(!r.skipFacts(len(own[all].Accesses)))
	}
	return all, first
}

// skipFacts is facts for who asks only whether the filing is counted elsewhere.
func (r *reader) skipFacts(accesses int) (elsewhere bool) {
	head := r.u8()
	r.skipNumber()
	if head&recordEntity != 0 {
		r.skipNumber()
	}
	r.skipString()
	if n := r.uvarint(); n > 0 {
		r.bytes(int(min(n-1, maxGroup)))
	}
	times := 2
	if head&recordTimes != 0 {
		times += accesses
	}
	for range times {
		r.uvarint()
	}
	if head&recordMore == 0 {
		return false
	}
	more := r.u8()
	if more&moreCovers != 0 {
		for n := r.uvarint(); n > 0 && !r.bad; n-- {
			r.skipString()
		}
	}
	if more&moreElsewhere != 0 {
		r.front()
	}
	return more&moreElsewhere != 0
}

func (r *reader) skipString() { r.bytes(int(min(r.uvarint(), maxGroup))) }

func (r *reader) skipNumber() {
	switch r.u8() {
	case numberNone:
	case numberText:
		r.skipString()
	default:
		r.uvarint()
		r.uvarint()
	}
}

// appendText takes a name and appends it as text, without a look at whether it is
// canonical.
func (r *reader) appendText(b []byte) []byte {
	front, suffix := r.front()
	return append(append(b, front...), suffix...)
}

// isName takes a name and reports whether it is d's.
func (r *reader) isName(name string) bool {
	front, suffix := r.front()
	n := len(front)
	return !r.bad && len(name) == n+len(suffix) && name[:n] == string(front) && name[n:] == suffix
}

func (h *kept) list() (recs []Record) {
	h.each(func(_ *registry.Covering, rec *stored) { recs = append(recs, rec.Record) })
	return recs
}

// Records returns what the snapshot keeps of the filings of Cover(d).Filings,
// in the same order; nil on a nil Index. It allocates and reads parts of the
// snapshot that decisions leave alone.
func (x *Index) Records(d registry.Domain) []Record {
	if x == nil {
		return nil
	}
	var recs []Record
	for n := d.Labels(); n >= 2; n-- {
		if h, ok := x.keptName(d.Last(n)); ok {
			recs = append(recs, h.list()...)
		}
	}
	runtime.KeepAlive(x)
	return recs
}

// RecordsAddr is Records for CoverAddr.
func (x *Index) RecordsAddr(a netip.Addr) (recs []Record) {
	if x == nil || !a.IsValid() {
		return nil
	}
	if h, ok := x.keptAddr(plain(a)); ok {
		recs = h.list()
	}
	runtime.KeepAlive(x)
	return recs
}

// All goes through all filings, under each of their names by itself, in no order
// that means anything: Site.Domains has the first name of the filing and, where it
// is another, that one. The bool is true under the first, so that it is true
// Info.Filings times. A filing
// is as Records has it, with Covers: names of individuals, FiledAddr and what
// times have beyond a second are not there. On a nil Index there are none.
func (x *Index) All() iter.Seq2[registry.Filing, bool] {
	return func(yield func(registry.Filing, bool) bool) {
		if x == nil {
			return
		}
		more := true
		x.eachKept(func(h kept) bool {
			h.each(func(_ *registry.Covering, rec *stored) {
				more = more && yield(rec.filing(), rec.first.IsZero())
			})
			return more
		})
		runtime.KeepAlive(x)
	}
}

// eachKept goes through all that the table holds, in the order of its buckets.
// It reports false if something is not what it should be.
func (x *Index) eachKept(visit func(h kept) bool) bool {
	good := true
	return x.eachGroup(func(node uint32, addr bool, body []byte) bool {
		h, ok := x.group(node, addr, body)
		good = ok
		return ok && visit(h)
	}) && good
}

// eachGroup is eachKept for who makes nothing of most names.
func (x *Index) eachGroup(visit func(node uint32, addr bool, body []byte) bool) bool {
	ok, more := true, true
	for b := uint64(0); b < x.table.total() && ok && more; b++ {
		ok = x.groups(b, func(slot int, addr bool, body []byte) bool {
			node, _ := x.table.entry(b, slot)
			if node == 0 {
				ok = false
				return false
			}
			more = visit(node, addr, body)
			return more
		}) && ok
	}
	return ok
}

// Blacklisted goes through the names on the blacklist themselves. On a nil Index
// there are none.
func (x *Index) Blacklisted() iter.Seq[registry.Domain] {
	return func(yield func(registry.Domain) bool) {
		if x == nil {
			return
		}
		for name := range x.blacklist.all() {
			if d := canonical(name); !d.IsZero() && !yield(d) {
				return
			}
		}
		runtime.KeepAlive(x)
	}
}

// blacklists reports whether d itself is on the blacklist.
func (x *Index) blacklists(d registry.Domain) bool {
	if x == nil {
		return false
	}
	has := x.blacklist.has(d)
	runtime.KeepAlive(x)
	return has
}

// govFilings returns the names at and below a government registrable name under
// which a site's filing stands, without reading records.
func (x *Index) govFilings(registrable registry.Domain) (names []registry.Domain) {
	if x == nil {
		return nil
	}
	for d := range x.gov.within(registrable) {
		names = append(names, d)
	}
	runtime.KeepAlive(x)
	return names
}
