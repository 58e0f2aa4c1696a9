package authz

import (
	"bytes"
	"net/netip"

	"github.com/icpgate/icpgate/gate/sniff"
	"github.com/icpgate/icpgate/registry"
)

// Preset is the way in which a kind of proxy asks over HTTP. The zero value is
// Nginx.
type Preset uint8

// The presets.
const (
	// Nginx is auth_request: it knows no answers but 2xx, 401 and 403, and shows the
	// client nothing of them.
	Nginx Preset = iota
	// Forward is forward authentication of Traefik, Caddy and APISIX: what is no 2xx
	// goes to the client as it is.
	Forward
	// Envoy is ext_authz over HTTP: the same, with the client's own request, whose
	// path stands behind the prefix.
	Envoy
)

// presetPaths are where the presets are asked.
var presetPaths = [...]string{"/auth/nginx", "/auth/forward", "/auth/envoy"}

// PresetOf tells by the path of a request which way it comes; rest is what stands
// behind the preset's own path.
func PresetOf(path []byte) (p Preset, rest []byte, ok bool) {
	for i, own := range presetPaths {
		if len(path) < len(own) || string(path[:len(own)]) != own {
			continue
		}
		rest = path[len(own):]
		if len(rest) == 0 || rest[0] == '?' || rest[0] == '/' && Preset(i) == Envoy {
			return Preset(i), rest, true
		}
	}
	return 0, nil, false
}

// Read reads the question of a request; b is what the request was read from, and
// rest what PresetOf returned. told says whether the proxy tells the judged
// address: only then X-ICP-Addr is looked at, which clients can send as well.
//
// One field decides: X-Forwarded-Host, and Host for Envoy. It must be there once,
// and no other field that names the host may name another one.
func (p Preset) Read(r *sniff.Request, b, rest []byte, names *Names, told bool) (q Question) {
	var f fields
	f.read(r, b)
	q.Channel = f.channel()
	q.Client = f.client(p)
	q.Host, q.Cause = f.host(p, r, b, names)
	if told && q.Cause == sniff.NoCause {
		q.Addr, q.Cause = f.addr()
	}
	switch {
	case q.Cause != sniff.NoCause:
		q.Host = registry.Host{}
	case q.Host.Kind() == registry.NameHost:
		q.Host.ACME = sniff.IsACME(f.path(p, rest))
	}
	return q
}

// host finds whom the client means. Where two fields name two hosts, who served
// the one would serve somebody else than was asked about.
func (f *fields) host(p Preset, r *sniff.Request, b []byte, names *Names) (host registry.Host, cause sniff.Cause) {
	decisive := forwardedHost
	if p == Envoy {
		if decisive = fieldCount; !r.HostField {
			return host, sniff.BadHost
		}
		if host, cause = names.Name(r.Host.Of(b)); cause != sniff.NoCause {
			return host, sniff.BadHost
		}
	}
	for _, i := range [...]field{forwardedHost, originalHost} {
		switch {
		case f.count[i] > 1, f.count[i] == 0 && i == decisive:
			return host, sniff.BadHost
		case f.count[i] == 0:
			continue
		}
		also, cause := names.Authority(f.value[i])
		switch {
		case cause != sniff.NoCause:
			return host, cause
		case i != decisive && also != host:
			return host, sniff.HostDiffers
		}
		host = also
	}
	return host, sniff.NoCause
}

// channel is how the proxy says that it saw the client.
func (f *fields) channel() registry.Channel {
	switch v := f.value[forwardedProto]; {
	case bytes.EqualFold(v, []byte("https")), bytes.EqualFold(v, []byte("wss")):
		return registry.ChannelHTTPS
	}
	return registry.ChannelHTTP
}

// client is the address that the proxy itself has seen: what stands before it in
// X-Forwarded-For is hearsay. Not valid if it cannot be read.
func (f *fields) client(p Preset) netip.Addr {
	switch {
	case p != Nginx || f.count[realIP] == 0:
	case f.count[realIP] == 1:
		return parseAddr(f.value[realIP])
	default:
		return netip.Addr{}
	}
	list := f.value[forwardedFor] // the last of several lines
	if i := bytes.LastIndexByte(list, ','); i >= 0 {
		list = bytes.TrimLeft(list[i+1:], " \t")
	}
	return parseAddr(list)
}

// addr is the address that the proxy tells; not valid if it does not.
func (f *fields) addr() (netip.Addr, sniff.Cause) {
	if f.count[icpAddr] == 0 {
		return netip.Addr{}, sniff.NoCause
	}
	a := parseAddr(f.value[icpAddr])
	if f.count[icpAddr] > 1 || !a.IsValid() {
		return netip.Addr{}, sniff.BadAddress
	}
	return a, sniff.NoCause
}

// path is what the client asks for.
func (f *fields) path(p Preset, rest []byte) []byte {
	switch p {
	case Nginx:
		return f.value[originalURI]
	case Forward:
		return f.value[forwardedURI]
	}
	return rest
}

// parseAddr reads an address with or without a port; not valid if it is none, or
// has a zone, which says nothing elsewhere.
func parseAddr(b []byte) netip.Addr {
	if len(b) == 0 || len(b) > len("[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:65535") {
		return netip.Addr{}
	}
	if a, ok := parseIPv4(b); ok {
		return a
	}
	a, err := netip.ParseAddr(string(b))
	if err != nil {
		ap, err := netip.ParseAddrPort(string(b))
		if err != nil {
			return netip.Addr{}
		}
		a = ap.Addr()
	}
	if a.Zone() != "" {
		return netip.Addr{}
	}
	return a.Unmap()
}

// parseIPv4 reads the usual form, without the copy that netip.ParseAddr wants.
func parseIPv4(b []byte) (netip.Addr, bool) {
	var a [4]byte
	for i := range a {
		n, digits := 0, 0
		for digits < len(b) && '0' <= b[digits] && b[digits] <= '9' && digits < 3 {
			n = n*10 + int(b[digits]-'0')
			digits++
		}
		last := i == len(a)-1
		if digits == 0 || n > 255 || digits > 1 && b[0] == '0' || last != (digits == len(b)) || !last && b[digits] != '.' {
			return netip.Addr{}, false
		}
		if a[i] = byte(n); !last {
			b = b[digits+1:]
		}
	}
	return netip.AddrFrom4(a), true
}
