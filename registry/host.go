package registry

import (
	"net/netip"
	"strings"
)

// Host is what a query names: a name, an address, or nothing. The zero value is
// no host. Hosts are comparable.
type Host struct {
	Name Domain     // set for a name
	Addr netip.Addr // set for an IP literal
	// ACME reports that the request's path is an ACME HTTP-01 challenge. Only an
	// advisory depends on it.
	ACME bool
}

// HostKind is what a Host turned out to be.
type HostKind uint8

// The kinds of hosts.
const (
	NoHost HostKind = iota
	NameHost
	AddrHost
)

// Kind returns what h is.
func (h Host) Kind() HostKind {
	switch {
	case !h.Name.IsZero():
		return NameHost
	case h.Addr.IsValid():
		return AddrHost
	}
	return NoHost
}

// String returns the name or address, "" for none.
func (h Host) String() string {
	if h.Addr.IsValid() && h.Name.IsZero() {
		return h.Addr.String()
	}
	return h.Name.String()
}

// acmePath is the path of HTTP-01 challenges, RFC 8555 §8.3.
const acmePath = "/.well-known/acme-challenge/"

// ParseHost reads a host as a person or a case gives it: a name or an address,
// perhaps with a port, and perhaps with a path behind it. Empty is no host.
// A URL is refused: its scheme would be read as a name with an empty port. The
// gate has stricter scanners of its own.
func ParseHost(s string) (Host, error) {
	host, path := s, ""
	if i := strings.IndexByte(s, '/'); i >= 0 {
		host, path = s[:i], s[i:]
	}
	switch {
	case s == "":
		return Host{}, nil
	case host == "":
		return Host{}, refuse(s, "has a path but no host")
	case strings.HasSuffix(host, ":") && strings.HasPrefix(path, "//"):
		return Host{}, refuse(s, "is a URL; give the host without the scheme, for example www.example.com")
	}
	// The usual host first: no address reads as a plain name, and to try a name as
	// an address takes memory.
	if name, err := stripPort(host); err == nil {
		if d, ok := plain(name); ok {
			return Host{Name: d, ACME: strings.HasPrefix(path, acmePath)}, nil
		}
	}
	if a, ok := parseAddr(host); ok {
		return Host{Addr: a}, nil
	}
	d, err := ParseDomain(host)
	if err != nil {
		return Host{}, err
	}
	return Host{Name: d, ACME: strings.HasPrefix(path, acmePath)}, nil
}

// parseAddr reads an address, bare or with a port, perhaps with one trailing dot
// as a name may have; IPv6 in brackets or bare. Zones name an interface of the
// asking host and are refused.
func parseAddr(s string) (netip.Addr, bool) {
	if host, port, ok := strings.Cut(s, ".:"); ok {
		s = host + ":" + port
	}
	if ap, err := netip.ParseAddrPort(s); err == nil && ap.Addr().Zone() == "" {
		return ap.Addr(), true
	}
	s = strings.TrimSuffix(s, ".")
	bracketed := len(s) > 2 && s[0] == '[' && s[len(s)-1] == ']'
	if bracketed {
		s = s[1 : len(s)-1]
	}
	a, err := netip.ParseAddr(s)
	return a, err == nil && a.Zone() == "" && (a.Is6() || !bracketed)
}

// neverJudged are the zones whose names are no public sites: reverse zones
// (RFC 1035, RFC 3596), localhost (RFC 6761), home.arpa (RFC 8375) and the
// default zone of Kubernetes clusters.
var neverJudged = []Domain{{"in-addr.arpa"}, {"ip6.arpa"}, {"localhost"}, {"home.arpa"}, {"cluster.local"}}

// NotJudged reports whether d is never judged: the root, a single label, or a
// name in a zone that holds no public sites.
func (d Domain) NotJudged() bool {
	i := strings.LastIndexByte(d.name, '.')
	if i < 0 {
		return true
	}
	switch d.name[i+1:] {
	case "arpa", "local", "localhost":
	default:
		return false // no zone of neverJudged is elsewhere
	}
	for _, zone := range neverJudged {
		if d.Within(zone) {
			return true
		}
	}
	return false
}
