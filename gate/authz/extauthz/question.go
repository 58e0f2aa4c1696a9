package extauthz

import (
	"net/netip"

	"github.com/icpgate/icpgate/gate/authz"
	"github.com/icpgate/icpgate/gate/sniff"
	"github.com/icpgate/icpgate/registry"
)

// The keys of context_extensions that are read. They are of Envoy's own
// configuration, which clients have no part in.
const (
	extensionAddr    = "addr"    // the judged address, where proxies tell it
	extensionProduct = "product" // what answers there
)

// question reads what is asked. A check with a request is about that, and the name
// in the hello of its connection must pass as well; one without is about a
// connection, by the name in its hello. Nothing of it is in the message's bytes.
func (m *message) question(names *authz.Names) (q authz.Question, r authz.Reader) {
	q.Client, q.Addr = m.source.addr(), m.destination.addr()
	q.Channel = registry.ChannelHTTPS
	if m.http {
		m.readRequest(&q, names)
		r = authz.Reader{Accept: string(m.accept), Language: string(m.language), Head: m.head}
		if len(m.sni) == 0 && string(m.scheme) != "https" {
			q.Channel = registry.ChannelHTTP
		}
	} else {
		q.Host, q.Cause = names.Name(m.sni)
		q.Unread = true
	}
	m.readExtensions(&q)
	return q, r
}

// readRequest sets whom a request is for.
func (m *message) readRequest(q *authz.Question, names *authz.Names) {
	host, agree := m.hostOf()
	q.Host, q.Cause = names.Authority(host)
	switch {
	case !agree:
		q.Host, q.Cause = registry.Host{}, sniff.HostDiffers
	case q.Host.Kind() == registry.NameHost:
		q.Host.ACME = sniff.IsACME(m.path)
	}
	if len(m.sni) > 0 && q.Cause == sniff.NoCause {
		q.SNI, q.Cause = names.Name(m.sni)
	}
}

// hostOf finds the host of a request: its own field, :authority and host among the
// headers, all that are there. It reports false where two of them differ.
func (m *message) hostOf() (host []byte, agree bool) {
	switch {
	case !m.hosts.some:
		return m.host, true
	case len(m.host) == 0:
		return m.hosts.text, !m.hosts.differ
	}
	return m.host, !m.hosts.differ && same(m.host, m.hosts.text)
}

// same compares without regard to the case of letters of ASCII, and of no others:
// a host has none.
func same[T []byte | string](a []byte, b T) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c |= 0x20
	}
	return c
}

func (m *message) readExtensions(q *authz.Question) {
	if m.hasAddr {
		a, err := netip.ParseAddr(string(m.addr))
		if (err != nil || a.Zone() != "") && q.Cause == sniff.NoCause {
			q.Cause = sniff.BadAddress
		}
		q.Addr = a.Unmap()
	}
	q.ReadProduct(string(m.product))
}

// longestAddr is how long an address may be, as text.
const longestAddr = len("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255")

// addr is where the peer is; not valid for a socket of the file system.
func (p *peerAddr) addr() netip.Addr {
	if len(p.text) == 0 || len(p.text) > longestAddr {
		return netip.Addr{}
	}
	a, err := netip.ParseAddr(string(p.text))
	if err != nil || a.Zone() != "" {
		return netip.Addr{}
	}
	return a.Unmap()
}
