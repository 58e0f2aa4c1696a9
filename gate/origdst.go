package gate

import (
	"fmt"
	"net/netip"
	"slices"
)

// originalGuard says which original destinations may be dialled: those in the
// configured networks and never the gate itself. It is immutable and safe for
// concurrent use.
type originalGuard struct {
	within []netip.Prefix
	listen []netip.AddrPort // of all listeners of the process
	hosts  []netip.Addr     // of the machine, for listeners on every address
}

// newOriginalGuard returns the guard of a server block. listen are the addresses
// of all listeners of the process as they are bound, hosts those of the machine.
func newOriginalGuard(within []netip.Prefix, listen []netip.AddrPort, hosts []netip.Addr) *originalGuard {
	return &originalGuard{within, listen, hosts}
}

// check refuses a destination outside the networks (the gate would be an open
// proxy) and the gate's own (it would talk to itself, without end). The latter
// also is what a client gets that connects to the gate itself.
func (g *originalGuard) check(dst netip.AddrPort) error {
	a := dst.Addr().Unmap()
	for _, l := range g.listen {
		if l.Port() == dst.Port() && g.isOwn(l.Addr().Unmap(), a) {
			return fmt.Errorf("original destination %s is the gate itself", dst)
		}
	}
	if dst.Port() == 0 || !slices.ContainsFunc(g.within, func(p netip.Prefix) bool { return p.Contains(a) }) {
		return fmt.Errorf("original destination %s is outside the networks of original-dst", dst)
	}
	return nil
}

// isOwn reports whether a connection to a arrives at a listener on l.
func (g *originalGuard) isOwn(l, a netip.Addr) bool {
	if !l.IsUnspecified() {
		return l == a
	}
	return a.IsLoopback() || a.IsUnspecified() || slices.Contains(g.hosts, a)
}
