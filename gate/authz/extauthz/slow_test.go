package extauthz_test

import (
	"net/netip"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"

	"github.com/icpgate/icpgate/gate/authz"
	"github.com/icpgate/icpgate/gate/sniff"
	"github.com/icpgate/icpgate/registry"
)

// The slow twin: the same question, of a check that the generated types have read.

// slowQuestion reads what is asked. A check with a request is about that, and the name
// in the hello of its connection must pass as well; one without is about a
// connection, by the name in its hello.
func slowQuestion(req *authv3.CheckRequest) (q authz.Question, r authz.Reader) {
	a := req.GetAttributes()
	q.Client = address(a.GetSource())
	q.Addr = address(a.GetDestination())
	q.Channel = registry.ChannelHTTPS
	http := a.GetRequest().GetHttp()
	sni := a.GetTlsSession().GetSni()
	if http == nil {
		q.ReadName(sni)
		q.Unread = true
	} else {
		readRequest(&q, http)
		r = reader(http)
		readSNI(&q, sni)
		if sni == "" && http.GetScheme() != "https" {
			q.Channel = registry.ChannelHTTP
		}
	}
	readExtensions(&q, a.GetContextExtensions())
	return q, r
}

// readRequest sets whom a request is for.
func readRequest(q *authz.Question, http *authv3.AttributeContext_HttpRequest) {
	host, agree := hostOf(http)
	q.ReadAuthority(host)
	switch {
	case !agree:
		q.Host, q.Cause = registry.Host{}, sniff.HostDiffers
	case q.Host.Kind() == registry.NameHost:
		q.Host.ACME = sniff.IsACME([]byte(http.GetPath()))
	}
}

// readSNI sets the name that must pass beside the host.
func readSNI(q *authz.Question, sni string) {
	if sni == "" || q.Cause != sniff.NoCause {
		return
	}
	var other authz.Question
	other.ReadName(sni)
	q.SNI, q.Cause = other.Host, other.Cause
}

func readExtensions(q *authz.Question, ext map[string]string) {
	if s, ok := ext["addr"]; ok {
		a, err := netip.ParseAddr(s)
		if (err != nil || a.Zone() != "") && q.Cause == sniff.NoCause {
			q.Cause = sniff.BadAddress
		}
		q.Addr = a.Unmap()
	}
	q.ReadProduct(ext["product"])
}

// hostOf finds the host of a request: its own field, :authority and host among the
// headers, all that are there. It reports false where two of them differ.
func hostOf(http *authv3.AttributeContext_HttpRequest) (host string, agree bool) {
	host = http.GetHost()
	found, agree := host != "", true
	take := func(s string) {
		if found && lowered(s) != lowered(host) {
			agree = false
		}
		host, found = s, true
	}
	for key, s := range http.GetHeaders() {
		if key := lowered(key); key == ":authority" || key == "host" {
			take(s)
		}
	}
	for _, h := range http.GetHeaderMap().GetHeaders() {
		if key := lowered(h.GetKey()); key == ":authority" || key == "host" {
			take(valueOf(h))
		}
	}
	return host, agree
}

// lowered has the letters of ASCII in lower case.
func lowered(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// valueOf is the value of a header, which comes raw or as a string.
func valueOf(h *corev3.HeaderValue) string {
	if raw := h.GetRawValue(); len(raw) > 0 {
		return string(raw)
	}
	return h.GetValue()
}

// reader is who would read a page.
func reader(http *authv3.AttributeContext_HttpRequest) authz.Reader {
	r := authz.Reader{Accept: http.GetHeaders()["accept"], Language: http.GetHeaders()["accept-language"], Head: http.GetMethod() == "HEAD"}
	for _, h := range http.GetHeaderMap().GetHeaders() {
		switch h.GetKey() {
		case "accept":
			r.Accept = valueOf(h)
		case "accept-language":
			r.Language = valueOf(h)
		}
	}
	return r
}

// address is where a peer of the connection is; not valid for a socket of the file
// system.
func address(p *authv3.AttributeContext_Peer) netip.Addr {
	a, err := netip.ParseAddr(p.GetAddress().GetSocketAddress().GetAddress())
	if err != nil || a.Zone() != "" {
		return netip.Addr{}
	}
	return a.Unmap()
}
