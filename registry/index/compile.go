package index

import (
	"bytes"
	"fmt"
	"iter"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/icpgate/icpgate/registry"
)

// compiler turns what a Builder collected into nodes: what the names of a table
// have for answers, interned. Its steps work on all parts of the table at once;
// each step waits for the one before.
type compiler struct {
	*Builder
	sources  []source
	sorted   [256][]entry // by part
	shares   [256]share
	answers  answers
	nodes    [256][]uint32 // by part and number in its share
	known    int           // names and addresses, with those that only lead to others
	names    int
	addrs    int
	recordsN int // bytes of the records section
}

// share is what one goroutine makes of one part of the table.
type share struct {
	*compiler
	answers  answers           // of this part
	alone    map[uint64]uint32 // proto and labels of a name with one filing and nothing around it → node
	ids      []uint32          // the node of each name, with those that only lead to others
	names    int
	addrs    int
	recordsN int
	levels   []level
}

// Build makes the index. It fails if no random key could be made, or if the
// registry has more than 2²⁴ different answers.
func (b *Builder) Build() (*Index, error) {
	c, err := b.compile()
	if err != nil {
		return nil, err
	}
	if c.filings >= manyFilings {
		// Nearly all memory is what the filings came from. It goes back before the
		// snapshot takes its own; with no pointers in entries and records that is quick.
		debug.FreeOSMemory()
	}
	image, err := c.image()
	if err != nil {
		return nil, err
	}
	return load(image)
}

// compile finds out everything but where names lie.
func (b *Builder) compile() (*compiler, error) {
	if b.err != nil {
		return nil, fmt.Errorf("the secret key of the snapshot could not be made: %w", b.err)
	}
	if b.built {
		return nil, errBuilt
	}
	b.built = true
	c := &compiler{Builder: b}
	c.join()
	c.sort()
	c.assign()
	return c, c.answers.check()
}

// manyFilings take about a hundred megabytes.
const manyFilings = 1_000_000

// eachPart calls f for all parts of the table, several at once.
func eachPart(f func(part int)) {
	var next atomic.Int32
	var group sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), maxBuilders) {
		group.Go(func() {
			for i := int(next.Add(1)) - 1; i < 256; i = int(next.Add(1)) - 1 {
				f(i)
			}
		})
	}
	group.Wait()
}

// maxBuilders bounds the goroutines of a build; memory is the limit before that.
const maxBuilders = 8

// groups goes through the entries of each name.
func groups(list []entry) iter.Seq[[]entry] {
	return func(yield func([]entry) bool) {
		for len(list) > 0 {
			n := 1
			for n < len(list) && list[n].sum == list[0].sum {
				n++
			}
			if !yield(list[:n:n]) {
				return
			}
			list = list[n:]
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

// assign finds the node of every name. Parts intern for themselves; then all is
// interned once more in the order of the table, on which numbers depend.
func (c *compiler) assign() {
	eachPart(func(i int) {
		s := &share{compiler: c, alone: map[uint64]uint32{}, ids: make([]uint32, 0, len(c.sorted[i]))}
		s.answers.init()
		for group := range groups(c.sorted[i]) {
			s.ids = append(s.ids, s.nodeOf(group))
			s.count(group)
		}
		c.shares[i] = *s
	})
	c.answers.init()
	for i := range c.shares {
		s := &c.shares[i]
		c.nodes[i] = c.answers.take(&s.answers)
		s.answers, s.alone = answers{}, nil
		c.known += len(s.ids)
		c.names, c.addrs, c.recordsN = c.names+s.names, c.addrs+s.addrs, c.recordsN+s.recordsN
	}
}

// canonical makes a Domain of a name that was one before.
func canonical(name string) registry.Domain {
	d, _ := registry.ParseDomain(name)
	return d
}

// nodeOf interns the answers of one name.
func (s *share) nodeOf(group []entry) uint32 {
	own := filed(group)
	if len(own) < len(group) {
		sp := s.specials[group[0].sum]
		return s.specialNode(sp.name, own, sp)
	}
	item := s.item(own[0])
	if item[0]&groupAddr != 0 {
		return s.plainNode(own, 0)
	}
	front, suffix := (&reader{b: item[1:]}).front()
	labels := 1 + bytes.Count(front, []byte{'.'}) + strings.Count(suffix, ".")
	if labels == 2 && own[0].gov == 0 && !s.tops {
		return s.plainNode(own, labels)
	}
	return s.specialNode(canonical(string(front)+suffix), own, nil)
}

// plainNode is the node of a name with nothing known above or below it.
func (s *share) plainNode(own []entry, labels int) uint32 {
	at := uint64(own[0].proto)<<8 | uint64(labels)
	if id, ok := s.alone[at]; ok && len(own) == 1 {
		return id
	}
	id := s.answers.plainly(s.facts(own), 0, uint8(labels))
	if len(own) == 1 {
		s.alone[at] = id
	}
	return id
}

// specialNode looks at all names above as well.
func (s *share) specialNode(name registry.Domain, own []entry, sp *special) uint32 {
	s.levels = append(s.levels[:0], level{})
	s.key.walk(name.String(), 1, func(at sum, _ int, whole bool) bool {
		l := level{}
		if up := s.specials[at]; up != nil {
			l = level{s.facts(up.own), up.blacklisted}
		} else if whole {
			l.filings = s.facts(own)
		}
		s.levels = append(s.levels, l)
		return true
	})
	var flags nodeFlags
	if sp != nil && sp.below {
		flags |= hasBelow
	}
	if s.standing[name.GovRegistrable()] {
		flags |= govFiled
	}
	return s.answers.at(name, s.levels, flags)
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
