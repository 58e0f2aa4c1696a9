package registry

import (
	"fmt"
	"net/netip"
)

// ParsePrefix reads a network as files, options and people write it: a CIDR without
// bits below its length, or an address, which stands for itself alone. The error says
// what would be right. What it returns is in one form, fit for comparing: masked, and
// IPv4 never written as IPv6.
func ParsePrefix(s string) (netip.Prefix, error) {
	// Longer than any prefix, and short enough for a message.
	const most = 80
	if len(s) > most {
		s = s[:most] + "…"
	}
	p, err := netip.ParsePrefix(s)
	if a, addrErr := netip.ParseAddr(s); addrErr == nil {
		if a.Zone() != "" {
			return p, fmt.Errorf("%q has a zone, which names an interface of one host; write %s", s, a.WithZone(""))
		}
		p, err = netip.PrefixFrom(a, a.BitLen()), nil
	}
	switch {
	case err != nil:
		return p, fmt.Errorf("%q is no CIDR and no address; write for example 192.0.2.0/24 or 2001:db8::/32", s)
	case p.Addr().Is4In6() && p.Bits() < 96:
		return p, fmt.Errorf("%q mixes IPv4 and IPv6; write the IPv4 prefix by itself", s)
	case p.Addr().Is4In6():
		return p, fmt.Errorf("%q is IPv4 written as IPv6; write %s", s, netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96).Masked())
	case p != p.Masked():
		return p, fmt.Errorf("%q has bits below its length; write %s, or %s for the one address", s, p.Masked(), p.Addr())
	}
	return p, nil
}

// PrefixText writes a prefix as lists and records have it: an address that stands
// for itself alone without its length. ParsePrefix reads it.
func PrefixText(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}
