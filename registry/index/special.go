package index

import (
	"strings"

	"github.com/icpgate/icpgate/registry"
)

// special is a name of which more must be known than its own filings: one with
// something below, one on the blacklist, a host that a government's filing
// singles out.
type special struct {
	name        registry.Domain
	below       bool
	blacklisted bool
	own         []entry // filings of the name itself, once they are sorted
}

// single makes d a special name.
func (c *collector) single(d registry.Domain) *special {
	s := c.key.name(d.String())
	sp := c.specials[s]
	if sp == nil {
		if len(c.slab) == cap(c.slab) {
			c.slab = make([]special, 0, slabSize)
		}
		c.slab = append(c.slab, special{name: c.texts.domain(d)})
		sp = &c.slab[len(c.slab)-1]
		c.specials[s] = sp
	}
	return sp
}

// slabSize: what lives as long as the collector is made in lots, or each of them
// would hold a page of what its caller has long forgotten.
const slabSize = 64

// texts copies strings into few large ones.
type texts struct{ b *strings.Builder }

// textsSize is how large those are.
const textsSize = 1 << 13

func (t *texts) clone(s string) string {
	if t.b == nil || t.b.Cap()-t.b.Len() < len(s) {
		t.b = new(strings.Builder)
		t.b.Grow(max(textsSize, len(s)))
	}
	t.b.WriteString(s)
	return t.b.String()[t.b.Len()-len(s):]
}

// domain copies a name, which may be part of a longer string or of a whole
// import file.
func (t *texts) domain(d registry.Domain) registry.Domain { return canonical(t.clone(d.String())) }
