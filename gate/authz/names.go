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

// authority reads a name or an address with an optional port, as ReadAuthority.
func (n *Names) authority(text []byte) (registry.Host, sniff.Cause) { return n.read(text, true) }

// name reads a name without a port, as ReadName.
func (n *Names) name(text []byte) (registry.Host, sniff.Cause) { return n.read(text, false) }

func (n *Names) read(text []byte, authority bool) (registry.Host, sniff.Cause) {
	slot := &n.slots[maphash.Bytes(n.seed, text)%nameSlots]
	if h := slot.Load(); h != nil && h.authority == authority && h.text == string(text) {
		return h.host, h.cause
	}
	h := &heardName{text: string(text), authority: authority}
	var q Question
	if authority {
		q.ReadAuthority(h.text)
	} else {
		q.ReadName(h.text)
	}
	h.host, h.cause = q.Host, q.Cause
	// What no host is that long for is not worth a place.
	const longest = 253 + len(".:65535")
	if len(text) <= longest {
		slot.Store(h)
	}
	return h.host, h.cause
}
