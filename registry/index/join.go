package index

import (
	"bytes"
	"cmp"
	"slices"
)

// source is a collector whose entries are still to be brought together with
// those of the Builder, and what its numbers are there.
type source struct {
	*collector
	protos []uint32 // by its own numbers
	gov    uint32   // is added to entry.gov
	refs   [256]ref // are added to entry.record, by part
}

// join takes what the Adders have, but for their entries.
func (c *compiler) join() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sources = []source{{collector: &c.collector}}
	for _, a := range c.adders {
		c.sources = append(c.sources, c.take(&a.collector))
	}
	c.adders = nil
}

func (c *compiler) take(from *collector) source {
	s := source{collector: from, protos: make([]uint32, len(from.protos.list)), gov: uint32(len(c.gov))}
	for i := range from.protos.list {
		s.protos[i] = c.protos.intern(&from.protos.list[i])
	}
	for i := range from.arenas {
		s.refs[i] = c.arenas[i].take(&from.arenas[i])
	}
	c.gov = append(c.gov, from.gov...)
	for d := range from.standing {
		c.standing[d] = true
	}
	for d := range from.govNames {
		c.govNames[d] = true
	}
	for sum, sp := range from.specials {
		if own := c.specials[sum]; own != nil {
			own.below = own.below || sp.below
			continue
		}
		c.specials[sum] = sp
	}
	c.filings += from.filings
	return s
}

// gather returns the entries of a part from all sources, in no order, and takes
// them out of these.
func (c *compiler) gather(i int) []entry {
	n := 0
	for _, s := range c.sources {
		n += s.parts[i].len()
	}
	list := make([]entry, 0, n)
	for _, s := range c.sources {
		for _, piece := range s.parts[i].pieces {
			at := len(list)
			list = append(list, piece...)
			s.move(list[at:], i)
		}
		s.parts[i] = part{}
	}
	return list
}

// move puts the Builder's numbers into entries.
func (s *source) move(list []entry, part int) {
	if s.protos == nil { // it is the Builder's own
		return
	}
	for i := range list {
		e := &list[i]
		e.proto = s.protos[e.proto]
		e.record += s.refs[part]
		if e.gov > 0 {
			e.gov += s.gov
		}
	}
}

// sort brings the entries into the order of the table and hands special names
// their own filings. Special names without a filing get an entry, too.
func (c *compiler) sort() {
	for s := range c.specials {
		c.parts[s.h0>>56].add(entry{sum: s})
	}
	eachPart(func(i int) {
		list := c.gather(i)
		slices.SortFunc(list, c.compareEntries)
		c.sorted[i] = list
		for group := range groups(list) {
			if group[0].record == 0 {
				c.specials[group[0].sum].own = filed(group)
			}
		}
	})
}

// compareEntries orders by name as the table does, and the filings of one name
// by what their coverings say and the rest of what is known of them.
func (c *compiler) compareEntries(x, y entry) int {
	if n := cmp.Compare(x.h0, y.h0); n != 0 {
		return n
	}
	if n := cmp.Compare(x.h1, y.h1); n != 0 {
		return n
	}
	if x.record == 0 || y.record == 0 {
		return cmp.Compare(x.record, y.record)
	}
	if n := cmp.Compare(c.protos.keys[x.proto], c.protos.keys[y.proto]); n != 0 {
		return n
	}
	return bytes.Compare(c.item(x), c.item(y))
}
