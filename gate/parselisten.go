package gate

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/icpgate/icpgate/registry"
)

// defaultPorts are those of the web; both on one port has none.
var defaultPorts = map[Scheme]uint16{HTTP: 80, TLS: 443, QUIC: 443}

// maxUnixPath is what a socket address holds (sun_path of 108 with its NUL).
const maxUnixPath = 107

const listenerUsage = "expect for example http://:80, tls://192.0.2.1:443, mixed://[2001:db8::1]:8443, quic://:443 or http://unix:/run/web.sock"

// keys reads the listeners of a block.
func (p *parser) keys(keys []string) error {
	for _, key := range keys {
		l, err := p.listener(key)
		if err != nil {
			return fmt.Errorf("listener %q: %w; %s", key, err, listenerUsage)
		}
		for _, other := range p.s.Listeners {
			if overlap(l, other) {
				return fmt.Errorf("listener %q takes the address of %s", key, other)
			}
		}
		p.s.Listeners = append(p.s.Listeners, l)
	}
	return nil
}

func (p *parser) listener(key string) (l Listener, err error) {
	scheme, rest, ok := strings.Cut(key, "://")
	if !ok {
		return l, errors.New("has no scheme")
	}
	i := slices.Index(schemeWords, scheme)
	if i < 0 {
		return l, fmt.Errorf("unknown scheme %q, not %s", scheme, registry.AnyOf(schemeWords))
	}
	l.Scheme = Scheme(i)
	if path, ok := strings.CutPrefix(rest, "unix:"); ok {
		if l.Scheme == QUIC {
			return l, errors.New("QUIC comes on a UDP port, not on a socket of the file system")
		}
		l.Network = "unix"
		l.Address, err = p.socket(path)
		return l, err
	}
	l.Network = "tcp"
	if l.Scheme == QUIC {
		l.Network = "udp"
	}
	l.Addr, err = listenAddr(rest, defaultPorts[l.Scheme])
	l.Address = l.Addr.String()
	if l.Addr.Addr() == netip.IPv6Unspecified() && !strings.HasPrefix(rest, "[") {
		l.Address = ":" + strconv.Itoa(int(l.Addr.Port()))
	}
	return l, err
}

// listenAddr reads [IP][:PORT]. No IP is every address of both families, which
// is the IPv6 unspecified one.
func listenAddr(s string, port uint16) (netip.AddrPort, error) {
	host, digits := s, ""
	if i := strings.LastIndexByte(s, ':'); i >= 0 && !strings.HasSuffix(s, "]") {
		host, digits = s[:i], s[i+1:]
		n, err := strconv.ParseUint(digits, 10, 16)
		if err != nil {
			return netip.AddrPort{}, fmt.Errorf("port %q is no number from 0 to 65535", digits)
		}
		port = uint16(n)
	}
	if digits == "" && port == 0 {
		return netip.AddrPort{}, errors.New("has no port")
	}
	if host == "" {
		return netip.AddrPortFrom(netip.IPv6Unspecified(), port), nil
	}
	bare, bracketed := strings.CutPrefix(host, "[")
	if bracketed {
		bare, bracketed = strings.CutSuffix(bare, "]")
	}
	a, err := netip.ParseAddr(bare)
	if err != nil || a.Is6() != bracketed {
		return netip.AddrPort{}, fmt.Errorf("%q is no IP address", host)
	}
	return netip.AddrPortFrom(a, port), nil
}

// socket reads the path of a unix socket.
func (p *parser) socket(path string) (string, error) {
	if path == "" {
		return "", errors.New("unix: without a path")
	}
	full := p.join(path)
	if len(full) > maxUnixPath {
		return "", fmt.Errorf("path %q has %d bytes; a socket's may have %d", full, len(full), maxUnixPath)
	}
	return full, nil
}

// overlap reports whether two listeners cannot stand beside each other. Port 0
// is always another one.
func overlap(a, b Listener) bool {
	if a.Network != b.Network {
		return false
	}
	if a.Network == "unix" {
		return a.Address == b.Address
	}
	if a.Addr.Port() != b.Addr.Port() || a.Addr.Port() == 0 {
		return false
	}
	x, y := a.Addr.Addr(), b.Addr.Addr()
	return x == y || covers(x, y) || covers(y, x)
}

// covers reports whether listening on all of x's family takes y. The IPv6
// unspecified address takes IPv4 too.
func covers(x, y netip.Addr) bool {
	return x.IsUnspecified() && (x.Is6() || y.Is4())
}

// noConflict refuses a block that takes an address of an earlier one.
func noConflict(earlier []Server, s Server) error {
	for _, e := range earlier {
		for _, old := range e.Listeners {
			for _, l := range s.Listeners {
				if overlap(l, old) {
					return fmt.Errorf("%s - listener %s takes the address of %s at %s; expect another address or port", s.At, l, old, e.At)
				}
			}
		}
	}
	return nil
}

// upstreamAddr reads HOST:PORT or unix:PATH.
func (p *parser) upstreamAddr(s string) (u Upstream, err error) {
	if path, ok := strings.CutPrefix(s, "unix:"); ok {
		u.Network = "unix"
		u.Address, err = p.socket(path)
		return u, err
	}
	u.Network, u.Address = "tcp", s
	host, digits, err := net.SplitHostPort(s)
	if err != nil {
		return u, fmt.Errorf("address %q; expect HOST:PORT or unix:PATH, as in 192.0.2.1:8080", s)
	}
	if port, err := strconv.ParseUint(digits, 10, 16); err != nil || port == 0 {
		return u, fmt.Errorf("port %q of %q; expect a number from 1 to 65535", digits, s)
	}
	if !validHost(host) {
		return u, fmt.Errorf("host %q of %q; expect an IP address or a name", host, s)
	}
	return u, nil
}

// validHost reports whether s is an address that can be dialled, or looks like
// the name of a host.
func validHost(s string) bool {
	if a, err := netip.ParseAddr(s); err == nil {
		return !a.IsUnspecified() && !a.IsMulticast()
	}
	if s == "" || len(s) > 253 || strings.Trim(s, "0123456789.") == "" {
		return false
	}
	for label := range strings.SplitSeq(strings.TrimSuffix(s, "."), ".") {
		if label == "" || len(label) > 63 || strings.Trim(strings.ToLower(label), "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return true
}
