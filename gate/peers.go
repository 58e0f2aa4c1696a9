package gate

import (
	"net/netip"

	"github.com/gaissmai/bart"
)

// peerSet are peers that are treated in a way of their own. The nil pointer lists
// none. It is immutable and safe for concurrent use.
type peerSet struct{ listed bart.Lite }

func newPeerSet(from []netip.Prefix) *peerSet {
	if len(from) == 0 {
		return nil
	}
	p := &peerSet{}
	for _, f := range from {
		p.listed.Insert(f)
	}
	return p
}

// lists reports whether a peer is listed. The peer of a unix socket has no address
// and is listed where any is: who may connect to the socket is the file system's
// business.
func (p *peerSet) lists(peer netip.Addr) bool {
	switch {
	case p == nil:
		return false
	case !peer.IsValid():
		return true
	}
	return p.listed.Contains(peer.Unmap())
}

// mayAsk reports whether a peer may ask a listener that is asked.
func (s *service) mayAsk(peer netip.Addr) bool { return !peer.IsValid() || s.peers.lists(peer) }
