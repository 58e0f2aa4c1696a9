package place

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
)

// carried returns the IPv4 address that a stands for, else a itself. The result
// is never an IPv4-mapped address and has no zone.
//
// A NAT64 gateway, a 6to4 relay or a Teredo client leads to the IPv4 host, so
// that is what is judged.
func (t *Table) carried(a netip.Addr) netip.Addr {
	if a.Is4() {
		return a
	}
	if a.Is4In6() {
		return a.Unmap()
	}
	a = a.WithZone("")
	b := a.As16()
	if p, ok := t.configured(a); ok {
		return embedded(&b, p.Bits())
	}
	switch [2]byte(b[:2]) {
	case [2]byte{}:
		// :: and ::1 are in no IPv4 network; the rest of 0.0.0.0/8 is not either.
		if compatible.Contains(a) && b[12] != 0 || translated.Contains(a) {
			return netip.AddrFrom4([4]byte(b[12:]))
		}
	case [2]byte{0x20, 0x02}: // 6to4, RFC 3056 §2
		return netip.AddrFrom4([4]byte(b[2:6]))
	case [2]byte{0x20, 0x01}:
		if teredo.Contains(a) { // RFC 4380 §4: the client's address, inverted
			return netip.AddrFrom4([4]byte{^b[12], ^b[13], ^b[14], ^b[15]})
		}
	case [2]byte{0x00, 0x64}:
		if wellKnownNAT64.Contains(a) || localNAT64.Contains(a) {
			return embedded(&b, 96)
		}
	}
	return a
}

// configured returns the prefix of the operator's own translators that a is in.
func (t *Table) configured(a netip.Addr) (netip.Prefix, bool) {
	for _, p := range t.nat64 {
		if p.Contains(a) {
			return p, true
		}
	}
	return netip.Prefix{}, false
}

// tunnelled returns the IPv4 address of the host behind an ISATAP router: the last
// half of a, as in RFC 5214 §6.1, says 5efe and where to tunnel to. Anybody may
// give a host of any network such an address, so it can only add to what is known
// of a, never take its place.
func tunnelled(a netip.Addr) (netip.Addr, bool) {
	if a.Is4() {
		return a, false
	}
	b := a.As16()
	if b[8]&^0x03 != 0 || [3]byte(b[9:12]) != [3]byte{0, 0x5e, 0xfe} {
		return a, false
	}
	return netip.AddrFrom4([4]byte(b[12:])), true
}

var (
	// compatible are the IPv4-compatible addresses of RFC 4291 §2.5.5.1, which
	// automatic tunnels took, and translated those of RFC 2765 §2.1 (SIIT).
	compatible = netip.MustParsePrefix("::/96")
	translated = netip.MustParsePrefix("::ffff:0:0:0/96")
	sixToFour  = netip.MustParsePrefix("2002::/16")
	teredo     = netip.MustParsePrefix("2001::/32")
	// wellKnownNAT64 is the Well-Known Prefix of RFC 6052 §2.1.
	wellKnownNAT64 = netip.MustParsePrefix("64:ff9b::/96")
	// localNAT64 is set aside for local use by RFC 8215; most networks take /96 prefixes
	// out of it. The others that RFC 6052 has room for are localNAT64Bits.
	localNAT64     = netip.MustParsePrefix("64:ff9b:1::/48")
	localNAT64Bits = [...]int{48, 56, 64}
)

// carrier reports whether all addresses of p carry an IPv4 one by themselves, so
// that p is never looked up.
func carrier(p netip.Prefix) bool {
	return p.Addr().Is4In6() || within(p, translated) || within(p, sixToFour) || within(p, teredo) || within(p, wellKnownNAT64) || within(p, localNAT64)
}

func within(p, around netip.Prefix) bool {
	return around.Bits() <= p.Bits() && around.Contains(p.Addr())
}

// embedded reads the IPv4 address behind a prefix of RFC 6052 §2.2. The eighth
// byte is skipped and not checked: translators do not check it either.
func embedded(b *[16]byte, bits int) netip.Addr {
	var v4 [4]byte
	i := bits / 8
	for n := range v4 {
		if i == 8 {
			i++
		}
		v4[n] = b[i]
		i++
	}
	return netip.AddrFrom4(v4)
}

// checkNAT64 checks configured prefixes and puts the longest first.
func checkNAT64(prefixes []netip.Prefix) ([]netip.Prefix, error) {
	for _, p := range prefixes {
		switch {
		case !p.IsValid() || !p.Addr().Is6() || p.Addr().Is4In6():
			return nil, fmt.Errorf("NAT64 prefix %q is no IPv6 prefix; write for example 2001:db8:64::/96", p)
		case !slices.Contains([]int{32, 40, 48, 56, 64, 96}, p.Bits()):
			return nil, fmt.Errorf("NAT64 prefix %q has length %d; RFC 6052 has 32, 40, 48, 56, 64 and 96", p, p.Bits())
		case p != p.Masked():
			return nil, fmt.Errorf("NAT64 prefix %q has bits below its length; write %s", p, p.Masked())
		}
	}
	sorted := slices.Clone(prefixes)
	slices.SortStableFunc(sorted, func(p, q netip.Prefix) int { return cmp.Compare(q.Bits(), p.Bits()) })
	return sorted, nil
}
