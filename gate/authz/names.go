package authz

import (
	"hash/maphash"
	"sync/atomic"

	"github.com/icpgate/icpgate/gate/sniff"
	"github.com/icpgate/icpgate/registry"
)

// nameSlots bounds the names that are remembered: 4,096 of at most 253 bytes are
// 1.5 MB. Most sites of a server have few names, and are asked for again and
// again.
const nameSlots = 1 << 12

// Names remembers how hosts were read lately, so that one that is asked for again
// takes no memory: a name outlives the bytes that it came in. Make one with
// NewNames. It is safe for concurrent use.
type Names struct {
	seed  maphash.Seed
	slots [nameSlots]atomic.Pointer[heardName]
}

// heardName is a text and what it was read as. Immutable.
type heardName struct {
	text      string
	authority bool // with an optional port
	host      registry.Host
	cause     sniff.Cause
}

// NewNames returns one that remembers nothing yet.
func NewNames() *Names { return &Names{seed: maphash.MakeSeed()} }

// Authority reads a name or an address with an optional port, as ReadAuthority.
func (n *Names) Authority(text []byte) (registry.Host, sniff.Cause) { return n.read(text, true) }

// Name reads a name without a port, as ReadName.
func (n *Names) Name(text []byte) (registry.Host, sniff.Cause) { return n.read(text, false) }

func (n *Names) read(text []byte, authority bool) (registry.Host, sniff.Cause) {
	// Either of two places will do, or many of those that are asked for often would
	// displace each other.
	hash := maphash.Bytes(n.seed, text)
	slot, other := &n.slots[hash%nameSlots], &n.slots[hash>>32%nameSlots]
	first := slot.Load()
	if first.is(text, authority) {
		return first.host, first.cause
	}
	if h := other.Load(); h.is(text, authority) {
		return h.host, h.cause
	} else if first != nil && h == nil {
		slot = other
	}
	h := hear(text, authority)
	// What no host is that long for is not worth a place.
	const longest = 253 + len(".:65535")
	if len(text) <= longest {
		slot.Store(h)
	}
	return h.host, h.cause
}

// is reports whether it is what a text was read as.
func (h *heardName) is(text []byte, authority bool) bool {
	return h != nil && h.authority == authority && h.text == string(text)
}

// hear reads a text.
func hear(text []byte, authority bool) *heardName {
	h := &heardName{text: string(text), authority: authority}
	var q Question
	if authority {
		q.ReadAuthority(h.text)
	} else {
		q.ReadName(h.text)
	}
	h.host, h.cause = q.Host, q.Cause
	return h
}
