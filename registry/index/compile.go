package index

import (
	"bytes"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"

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
	levels   []level
	part     []entry // the part that is looked at
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
	if b.filings >= manyFilings {
		// Nearly all memory is what the filings came from. It goes back before the
		// snapshot takes its own; with no pointers in entries and records that is quick.
		debug.FreeOSMemory()
	}
	c := &compiler{Builder: b, alone: map[uint64]uint32{}}
	c.answers.init()
	c.sort()
	c.assign()
	if err := c.answers.check(); err != nil {
		return nil, err
	}
	image, err := c.image()
	if err != nil {
		return nil, err
	}
	return load(image)
}

// manyFilings take about a hundred megabytes.
const manyFilings = 1_000_000

// sort brings the entries into the order of the table and hands special names
// their own filings. Special names without a filing get an entry, too.
func (c *compiler) sort() {
	for s := range c.specials {
		c.parts[s.h0>>56].add(entry{sum: s})
	}
	n := 0
	for i := range c.parts {
		c.part = c.parts[i].appendTo(c.part[:0])
		slices.SortFunc(c.part, c.compareEntries)
		c.parts[i].set(c.part)
		n += len(c.part)
	}
	c.ids = make([]uint32, 0, n)
	c.each(func(group []entry) {
		if sp := c.specials[group[0].sum]; sp != nil {
			sp.own = slices.Clone(filed(group))
		}
	})
}

// each calls f with the entries of each name, in the order of the table. They are
// f's until it returns.
func (c *compiler) each(f func(group []entry)) {
	for i := range c.parts {
		c.part = c.parts[i].appendTo(c.part[:0])
		for part := c.part; len(part) > 0; {
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
func (c *compiler) assign() {
	c.each(func(group []entry) {
		c.ids = append(c.ids, c.nodeOf(group))
		c.count(group)
	})
}

// canonical makes a Domain of a name that was one before.
func canonical(name string) registry.Domain {
	d, _ := registry.ParseDomain(name)
	return d
}

// count adds up what the header tells and how long the records section will be.
func (c *compiler) count(group []entry) {
	if own := filed(group); len(own) == 0 {
	} else if c.isAddr(own[0]) {
		c.addrs++
	} else {
		c.names++
	}
	_, c.scratch = c.body(c.scratch[:0], group)
	c.recordsN += groupSize(len(c.scratch))
}

// body puts together what the records section has of one name: the name, and a
// record for each filing.
func (c *compiler) body(b []byte, group []entry) (addr bool, body []byte) {
	own := filed(group)
	if len(own) == 0 {
		return false, appendName(b, c.specials[group[0].sum].name.String())
	}
	for i, e := range own {
		item := c.item(e)
		if i == 0 {
			b = append(b, item[1:]...)
			continue
		}
		b = append(b, item[itemHead(item):]...)
	}
	return c.isAddr(own[0]), b
}

// itemHead is how long kind and name at the front of an item are.
func itemHead(item []byte) int {
	r := reader{b: item[1:]}
	if item[0]&groupAddr != 0 {
		r.bytes(16)
	} else {
		r.front()
	}
	return len(item) - len(r.b)
}

// nodeOf interns the answers of one name.
func (c *compiler) nodeOf(group []entry) uint32 {
	own, sp := filed(group), c.specials[group[0].sum]
	if sp != nil {
		return c.specialNode(sp.name, own, sp)
	}
	if c.isAddr(own[0]) {
		return c.plainNode(own, 0)
	}
	front, suffix := (&reader{b: c.item(own[0])[1:]}).front()
	labels := 1 + bytes.Count(front, []byte{'.'}) + strings.Count(suffix, ".")
	if labels == 2 && own[0].gov == 0 && !c.tops {
		return c.plainNode(own, labels)
	}
	return c.specialNode(canonical(string(front)+suffix), own, nil)
}

// plainNode is the node of a name with nothing known above or below it.
func (c *compiler) plainNode(own []entry, labels int) uint32 {
	at := uint64(own[0].proto)<<8 | uint64(labels)
	if id, ok := c.alone[at]; ok && len(own) == 1 {
		return id
	}
	id := c.answers.plainly(c.facts(own), 0, uint8(labels))
	if len(own) == 1 {
		c.alone[at] = id
	}
	return id
}

// specialNode looks at all names above as well.
func (c *compiler) specialNode(name registry.Domain, own []entry, sp *special) uint32 {
	c.levels = append(c.levels[:0], level{})
	c.key.walk(name.String(), 1, func(s sum, _ int, whole bool) bool {
		l := level{}
		if up := c.specials[s]; up != nil {
			l = level{c.facts(up.own), up.blacklisted}
		} else if whole {
			l.filings = c.facts(own)
		}
		c.levels = append(c.levels, l)
		return true
	})
	var flags nodeFlags
	if sp != nil && sp.below {
		flags |= hasBelow
	}
	if c.standing[name.GovRegistrable()] {
		flags |= govFiled
	}
	return c.answers.at(name, c.levels, flags)
}

func (c *compiler) facts(own []entry) []fact {
	if len(own) == 0 {
		return nil
	}
	facts := make([]fact, len(own))
	for i, e := range own {
		facts[i].proto = e.proto
		if e.gov > 0 {
			facts[i].gov = &c.gov[e.gov-1]
		}
	}
	return facts
}
