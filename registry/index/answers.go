package index

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/icpgate/icpgate/registry"
)

// answers intern coverings, lists of them and nodes while a snapshot is built.
// Numbers are given in the order of first use, so that they do not depend on
// the order of Add.
type answers struct {
	coverings   []rawCovering
	coveringIDs map[rawCovering]uint32
	lists       [][]uint32 // of coverings; list 0 is empty
	listIDs     map[string]uint32
	nodes       []rawNode // node 0 is that of a TLD of which nothing is known
	nodeIDs     map[rawNode]uint32
	buf         []byte
	self, below []rawCovering // scratch of at
	ids         []uint32      // scratch of list and take
}

type rawCovering struct {
	proto     uint32
	filed     uint8
	inherited bool
}

// rawNode is a node as the snapshot holds it: 12 bytes.
type rawNode struct {
	self, below uint32 // lists
	flags       nodeFlags
	labels      uint8 // of the name; 0 for an address
}

func (a *answers) init() {
	*a = answers{coveringIDs: map[rawCovering]uint32{}, listIDs: map[string]uint32{}, nodeIDs: map[rawNode]uint32{}}
	a.list(nil)
	a.nodes = append(a.nodes, rawNode{flags: hasBelow, labels: 1})
}

func (a *answers) covering(c rawCovering) uint32 {
	id, ok := a.coveringIDs[c]
	if !ok {
		id = uint32(len(a.coverings))
		a.coverings = append(a.coverings, c)
		a.coveringIDs[c] = id
	}
	return id
}

// list interns a list of coverings.
func (a *answers) list(coverings []rawCovering) uint32 {
	a.ids = a.ids[:0]
	for _, c := range coverings {
		id := a.covering(c)
		a.ids = append(a.ids, id)
	}
	return a.listOf(a.ids)
}

// listOf interns a list of coverings by their numbers.
func (a *answers) listOf(ids []uint32) uint32 {
	a.buf = a.buf[:0]
	for _, id := range ids {
		a.buf = binary.LittleEndian.AppendUint32(a.buf, id)
	}
	id, ok := a.listIDs[string(a.buf)]
	if !ok {
		id = uint32(len(a.lists))
		a.lists = append(a.lists, slices.Clone(ids))
		a.listIDs[string(a.buf)] = id
	}
	return id
}

// level is what lies at one name itself.
type level struct {
	filings     []fact
	blacklisted bool
}

// fact is what a filing does to answers.
type fact struct {
	proto uint32
	gov   *govFiling // nil for a name that is no government's
}

// at interns the answers of a name; levels[n] is what lies at its last n labels,
// and flags are what does not follow from that.
func (a *answers) at(name registry.Domain, levels []level, flags nodeFlags) uint32 {
	a.self, a.below = a.self[:0], a.below[:0]
	for n := len(levels) - 1; n > 0; n-- {
		if levels[n].blacklisted {
			flags |= blacklisted
		}
		for _, f := range levels[n].filings {
			a.self = append(a.self, rawCovering{f.proto, uint8(n), f.gov.inherits(name)})
			a.below = append(a.below, rawCovering{f.proto, uint8(n), f.gov.uneven()})
		}
	}
	return a.of(a.self, a.below, flags, uint8(len(levels)-1))
}

// of interns the answers of a name of so many labels.
func (a *answers) of(self, below []rawCovering, flags nodeFlags, labels uint8) uint32 {
	n := rawNode{self: a.list(self), below: a.list(below), flags: flags &^ uneven, labels: labels}
	if n.self != n.below {
		n.flags |= uneven
	}
	return a.node(n)
}

// plainly interns the answers of a name with nothing known above it.
func (a *answers) plainly(filings []fact, flags nodeFlags, labels uint8) uint32 {
	a.self = a.self[:0]
	for _, f := range filings {
		a.self = append(a.self, rawCovering{f.proto, labels, false})
	}
	return a.of(a.self, a.self, flags, labels)
}

// node gives numbers from 1; 0 is an empty slot of the table.
func (a *answers) node(n rawNode) uint32 {
	id, ok := a.nodeIDs[n]
	if !ok {
		id = uint32(len(a.nodes))
		a.nodes = append(a.nodes, n)
		a.nodeIDs[n] = id
	}
	return id
}

// take interns all that others has, in the order of its first use there, and
// returns the numbers that its nodes have here.
func (a *answers) take(others *answers) []uint32 {
	coverings := make([]uint32, len(others.coverings))
	for i, c := range others.coverings {
		coverings[i] = a.covering(c)
	}
	lists := make([]uint32, len(others.lists))
	for i, l := range others.lists {
		a.ids = a.ids[:0]
		for _, c := range l {
			a.ids = append(a.ids, coverings[c])
		}
		lists[i] = a.listOf(a.ids)
	}
	nodes := make([]uint32, len(others.nodes)) // that of node 0 is 0
	for i, n := range others.nodes[1:] {
		n.self, n.below = lists[n.self], lists[n.below]
		nodes[i+1] = a.node(n)
	}
	return nodes
}

// check fails if there are more answers than a table can lead to.
func (a *answers) check() error {
	if n := len(a.nodes); n > maxNode {
		return fmt.Errorf("the registry has %d different answers; a snapshot holds at most %d", n, maxNode)
	}
	return nil
}

// encode writes the sections from sectionProviders to sectionNodes.
func (a *answers) encode(protos []registry.Covering) [][]byte {
	e := encoder{providerIDs: map[registry.ProviderID]uint32{}, accessIDs: map[string]uint32{}}
	le := binary.LittleEndian
	coverings := le.AppendUint32(nil, uint32(len(a.coverings)))
	for _, c := range a.coverings {
		p := protos[c.proto]
		flags := flag(c.inherited) | flag(p.Restricted)<<1 | flag(p.AccessesKnown)<<2
		coverings = append(coverings, c.filed, byte(p.Kind), byte(p.Status), flags)
		coverings = le.AppendUint32(coverings, e.accessSet(p.Accesses))
	}
	lists := le.AppendUint32(nil, uint32(len(a.lists)))
	for _, l := range a.lists {
		lists = le.AppendUint32(lists, uint32(len(l)))
		for _, c := range l {
			lists = le.AppendUint32(lists, c)
		}
	}
	nodes := le.AppendUint32(nil, uint32(len(a.nodes)))
	for _, n := range a.nodes {
		nodes = le.AppendUint32(le.AppendUint32(nodes, n.self), n.below)
		nodes = le.AppendUint32(nodes, uint32(n.flags)|uint32(n.labels)<<8)
	}
	providers := append(le.AppendUint32(nil, uint32(len(e.providerIDs))), e.providers...)
	accesses := append(le.AppendUint32(nil, uint32(len(e.accessIDs))), e.accesses...)
	return [][]byte{providers, accesses, coverings, lists, nodes}
}

// encoder interns providers and sets of accesses in the order of first use.
type encoder struct {
	providerIDs map[registry.ProviderID]uint32
	providers   []byte
	accessIDs   map[string]uint32
	accesses    []byte
}

func (e *encoder) accessSet(as []registry.Access) uint32 {
	b := binary.LittleEndian.AppendUint32(nil, uint32(len(as)))
	for _, a := range as {
		b = binary.LittleEndian.AppendUint32(b, e.provider(a.Provider))
		b = binary.LittleEndian.AppendUint32(b, uint32(a.Status))
		b = binary.LittleEndian.AppendUint64(b, uint64(a.At))
	}
	id, ok := e.accessIDs[string(b)]
	if !ok {
		id = uint32(len(e.accessIDs))
		e.accessIDs[string(b)] = id
		e.accesses = append(e.accesses, b...)
	}
	return id
}

func (e *encoder) provider(p registry.ProviderID) uint32 {
	id, ok := e.providerIDs[p]
	if !ok {
		id = uint32(len(e.providerIDs))
		e.providerIDs[p] = id
		e.providers = appendString(e.providers, string(p))
	}
	return id
}
