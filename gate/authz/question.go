package authz

import (
	"net/netip"

	"github.com/icpgate/icpgate/gate/sniff"
	"github.com/icpgate/icpgate/registry"
)

// Question is what a proxy asks: may this host be served here, to this client?
// The zero value asks for no host. It is a value.
type Question struct {
	// Host is whom the client means; the zero Host is nobody.
	Host registry.Host
	// Cause is set where that cannot be read in one way. The answer is a refusal
	// then, in every mode, and Host says nothing.
	Cause sniff.Cause
	// SNI is the name in the hello of the connection that a request came over. It
	// must pass as well; the zero Host is none.
	SNI registry.Host
	// Unread: it is asked about a connection of TLS whose requests nobody reads. In
	// mode monitor it is no refusal then where Cause is set.
	Unread bool
	// Product is what answers, as the proxy's configuration has it. Unknown: what
	// the listener's says.
	Product registry.Product
	// Channel is how the proxy saw the client.
	Channel registry.Channel
	// Addr is the address that the client has come to, as the proxy tells. It is
	// looked at only where the configuration says that proxies tell it. Not valid:
	// they have not.
	Addr netip.Addr
	// Client is where the client is. Not valid: nobody knows, and it is treated as
	// usual.
	Client netip.Addr
}

// Kind is what the question turned out to name.
func (q *Question) Kind() sniff.Kind {
	host := q.Host
	if host.Kind() == registry.NoHost {
		host = q.SNI
	}
	switch {
	case q.Cause != sniff.NoCause:
		return sniff.Malformed
	case host.Kind() == registry.NameHost:
		return sniff.Name
	case host.Kind() == registry.AddrHost:
		return sniff.Literal
	}
	return sniff.NoName
}

// Answer is what becomes of the question.
type Answer struct {
	Verdict registry.Verdict
	// Refused: the proxy must not serve the client. In mode monitor, and for
	// clients that are exempt or monitored, a verdict that blocks is no refusal.
	Refused bool
	// ID is what the client and the log name the refusal by; "" for none.
	ID string
}

// Judge answers questions, counts them and tells of what is blocked. It is used
// concurrently.
type Judge interface {
	Ask(q *Question) Answer
}

// ReadAuthority sets whom the client means: a name or an address with an optional
// port, as in the header Host.
func (q *Question) ReadAuthority(s string) {
	kind, host, cause := sniff.Authority(s)
	q.read(kind, []byte(host), cause)
}

// ReadName sets whom the client means: a name without a port, as in the SNI.
func (q *Question) ReadName(s string) {
	q.read(sniff.KindOf([]byte(s)), []byte(s), sniff.BadName)
}

// ReadProduct sets what answers, by its word; none is unknown.
func (q *Question) ReadProduct(word string) {
	if word == "" {
		return
	}
	product, err := registry.ParseProduct(word)
	if err != nil && q.Cause == sniff.NoCause {
		q.Cause = sniff.BadProduct
	}
	q.Product = product
}

func (q *Question) read(kind sniff.Kind, text []byte, cause sniff.Cause) {
	host, ok := HostOf(kind, text)
	if kind == sniff.Malformed || !ok {
		q.Host, q.Cause = registry.Host{}, cause
		if cause == sniff.NoCause {
			q.Cause = sniff.BadHost
		}
		return
	}
	q.Host, q.Cause = host, sniff.NoCause
}

// HostOf makes a host of what package sniff found; text is copied. It reports
// false for a name that sniff took and the registry refuses.
func HostOf(kind sniff.Kind, text []byte) (h registry.Host, ok bool) {
	switch kind {
	case sniff.Name:
		d, err := registry.ParseDomain(string(text))
		h.Name = d
		return h, err == nil
	case sniff.Literal:
		s := string(text)
		if n := len(s); s[n-1] == '.' {
			s = s[:n-1]
		}
		addr, err := netip.ParseAddr(s)
		h.Addr = addr
		return h, err == nil
	}
	return h, true
}
