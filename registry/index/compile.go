package index

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/icpgate/icpgate/registry"
)

// compiler turns what a Builder collected into nodes: what the names of a table
// have for answers, interned.
type compiler struct {
	*Builder
	answers  answers
	alone    map[uint64]uint32 // proto and labels of a name with one filing and nothing around it → node
	ids      []uint32          // the node of each name in the table, with those that only lead to others
	names    int
	addrs    int
	recordsN int // bytes of the records section
}

// Build makes the index. It fails if no random key could be made, or if the
// registry has more than 2²⁴ different answers.
func (b *Builder) Build() (*Index, error) {
	if b.err != nil {
		return nil, fmt.Errorf("the secret key of the snapshot could not be made: %w", b.err)
	}
	if b.built {
		return nil, errors.New("the snapshot is built already; make a new Builder")
	}
	b.built = true
	c := &compiler{Builder: b, alone: map[uint64]uint32{}}
	c.answers.init()
	c.sort()
	if err := c.assign(); err != nil {
		return nil, err
	}
	image, err := c.image()
	if err != nil {
		return nil, err
	}
	return load(image)
}

// sort brings the entries into the order of the table and hands special names
// their own filings. Special names without a filing get an entry, too.
func (c *compiler) sort() {
	for s := range c.specials {
		part := &c.parts[s.h0>>56]
		*part = append(*part, entry{sum: s})
	}
	for i := range c.parts {
		slices.SortFunc(c.parts[i], c.compareEntries)
	}
	c.each(func(group []entry) {
		if sp := c.specials[group[0].sum]; sp != nil {
			sp.own = filed(group)
		}
	})
}

// each calls f with the entries of each name, in the order of the table.
func (c *compiler) each(f func(group []entry)) {
	for _, part := range c.parts {
		for len(part) > 0 {
			n := 1
			for n < len(part) && part[n].sum == part[0].sum {
				n++
			}
			f(part[:n:n])
			part = part[n:]
		}
	}
}

// filed leaves out the entry that stands for a special name; it sorts first.
func filed(group []entry) []entry {
	if group[0].record == 0 {
		return group[1:]
	}
	return group
}

// assign finds the node of every name, in the order of the table.
func (c *compiler) assign() error {
	c.each(func(group []entry) {
		c.ids = append(c.ids, c.nodeOf(group))
		c.count(group)
	})
	if n := len(c.answers.nodes); n > maxNode {
		return fmt.Errorf("the registry has %d different answers; a snapshot holds at most %d", n, maxNode)
	}
	return nil
}

// canonical makes a Domain of a name that was one before.
func canonical(name string) registry.Domain {
	d, _ := registry.ParseDomain(name)
	return d
}

// count adds up what the header tells and how long the records section will be.
func (c *compiler) count(group []entry) {
	own := filed(group)
	if len(own) == 0 {
		return
	}
	if c.isAddr(own[0]) {
		c.addrs++
	} else {
		c.names++
	}
	n := c.groupSize(own)
	c.recordsN += 1 + uvarintSize(n) + n
}

// groupSize is how many bytes the records of one name take.
func (c *compiler) groupSize(own []entry) (n int) {
	for _, e := range own {
		size := len(c.arena.get(e.record))
		n += uvarintSize(size) + size
	}
	return n
}

func uvarintSize(n int) int { return len(binary.AppendUvarint(nil, uint64(n))) }

// nodeOf interns the answers of one name.
func (c *compiler) nodeOf(group []entry) uint32 {
	own, sp := filed(group), c.specials[group[0].sum]
	if sp == nil && c.isAddr(own[0]) {
		return c.plainNode(own, 0)
	}
	name := registry.Domain{}
	if sp != nil {
		name = sp.name
	} else {
		name = canonical(filedName(c.arena.get(own[0].record)))
	}
	labels := name.Labels()
	if sp == nil && labels == 2 && own[0].gov == 0 && !c.tops {
		return c.plainNode(own, labels)
	}
	return c.specialNode(name, own, sp)
}

// plainNode is the node of a name with nothing known above or below it.
func (c *compiler) plainNode(own []entry, labels int) uint32 {
	at := uint64(own[0].proto)<<8 | uint64(labels)
	if id, ok := c.alone[at]; ok && len(own) == 1 {
		return id
	}
	list := make([]uint32, len(own))
	for i, e := range own {
		list[i] = c.covering(e, labels, false)
	}
	l := c.answers.list(list)
	id := c.answers.node(rawNode{self: l, below: l, labels: uint8(labels)})
	if len(own) == 1 {
		c.alone[at] = id
	}
	return id
}

// specialNode looks at all names above as well.
func (c *compiler) specialNode(name registry.Domain, own []entry, sp *special) uint32 {
	var self, below []uint32
	n := rawNode{labels: uint8(name.Labels())}
	if sp != nil && sp.below {
		n.flags |= hasBelow
	}
	above := c.above(name)
	for labels := name.Labels(); labels > 0; labels-- {
		filings := own
		if up := above[labels]; up != nil {
			filings = up.own
			if up.blacklisted {
				n.flags |= blacklisted
			}
		}
		for _, e := range filings {
			self = append(self, c.covering(e, labels, c.inherited(e, name)))
			below = append(below, c.covering(e, labels, c.inheritedBelow(e)))
		}
		own = nil
	}
	if c.standing[name.GovRegistrable()] {
		n.flags |= govFiled
	}
	n.self, n.below = c.answers.list(self), c.answers.list(below)
	if n.self != n.below {
		n.flags |= uneven
	}
	return c.answers.node(n)
}

// above finds the special names at and above name, by their labels.
func (c *compiler) above(name registry.Domain) []*special {
	found := []*special{nil}
	c.key.walk(name.String(), 1, func(s sum, _ int, _ bool) bool {
		found = append(found, c.specials[s])
		return true
	})
	return found
}

func (c *compiler) inherited(e entry, name registry.Domain) bool {
	if e.gov == 0 {
		return false
	}
	g := &c.gov[e.gov-1]
	return g.filing.Scope(g.filed, name) == registry.ScopeInherited
}

// inheritedBelow is inherited for a name that nobody singled out.
func (c *compiler) inheritedBelow(e entry) bool {
	return e.gov != 0 && !c.gov[e.gov-1].coversAll()
}

func (c *compiler) covering(e entry, labels int, inherited bool) uint32 {
	return c.answers.covering(rawCovering{proto: e.proto, filed: uint8(labels), inherited: inherited})
}
