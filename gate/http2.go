//lint:file-ignore SA1019 net/http serves no single connection of which bytes were read already; x/net/http2 does.

package gate

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"golang.org/x/net/http2"

	"github.com/icpgate/icpgate/gate/sniff"
	"github.com/icpgate/icpgate/registry"
)

// h2 serves HTTP/2: every stream is judged for itself, and goes on to the
// upstream as HTTP/1.1, over connections that clients share unless these tell the
// upstream of one client. It belongs to a service.
type h2 struct {
	s     *service
	proxy *httputil.ReverseProxy
	// server bounds what a client may make us hold.
	server *http2.Server
	base   *http.Server
}

// Limits of HTTP/2 that no option sets: those of net/http and nginx.
const (
	maxStreams = 128
	maxFrame   = 16 << 10
)

func newH2(s *service, shared bool) *h2 {
	h := &h2{s: s}
	quiet := log.New(io.Discard, "", 0) // what clients do wrong is counted, not told
	transport := &http.Transport{
		DialContext:           h.dial,
		DisableKeepAlives:     !shared,
		MaxIdleConnsPerHost:   64,
		IdleConnTimeout:       upstreamIdle,
		ResponseHeaderTimeout: s.response,
		DisableCompression:    true,
	}
	h.proxy = &httputil.ReverseProxy{Rewrite: h.rewrite, Transport: transport, ErrorHandler: h.failed, ErrorLog: quiet, FlushInterval: -1}
	h.server = &http2.Server{MaxConcurrentStreams: maxStreams, MaxReadFrameSize: maxFrame, IdleTimeout: s.timeouts.idle}
	h.base = &http.Server{MaxHeaderBytes: h.maxHead(), ErrorLog: quiet, ReadHeaderTimeout: s.timeouts.head}
	return h
}

func (h *h2) maxHead() int {
	if h.s.limits.Head > 0 {
		return h.s.limits.Head
	}
	return 64 << 10
}

// h2Conn is the key of a request's *conn in its context.
type h2Conn struct{}

// serveH2 serves a connection with HTTP/2. sni is the name in its hello, where
// there was TLS.
func (c *conn) serveH2(nc net.Conn, sni asked, hasSNI bool) {
	end := func() { nc.Close() }
	c.onEnd(end)
	defer end()
	ctx := context.WithValue(context.Background(), h2Conn{}, c)
	c.s.h2.server.ServeConn(nc, &http2.ServeConnOpts{
		Context: ctx, BaseConfig: c.s.h2.base,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { c.stream(w, r, sni, hasSNI) }),
	})
}

// stream judges one request and has it answered.
func (c *conn) stream(w http.ResponseWriter, r *http.Request, sni asked, hasSNI bool) {
	kind, host, cause := sniff.Authority(r.Host)
	fields := r.Header["Host"]
	switch {
	case r.Method == http.MethodConnect:
		kind, cause = sniff.Malformed, sniff.Connect
	case !sniff.PathTarget(r.Method, r.RequestURI):
		kind, cause = sniff.Malformed, sniff.BadTarget
	case len(fields) > 1 || len(fields) == 1 && fields[0] != r.Host:
		kind, cause = sniff.Malformed, sniff.HostDiffers
	case kind == sniff.NoName:
		kind, cause = sniff.Malformed, sniff.BadHost // RFC 9113 §8.3.1 wants one
	}
	channel := registry.ChannelHTTP
	if hasSNI {
		channel = registry.ChannelHTTPS
	}
	c.s.metrics.sniffed(kind, cause)
	if kind == sniff.Malformed {
		c.s.malformed(&c.route, channel, cause, "")
		c.s.notices.ServeError(w, cause.Status(), cause.String())
		return
	}
	a := hostOf(kind, []byte(host), channel)
	a.host.ACME = sniff.IsACME([]byte(r.URL.Path))
	if enforces, exempt := c.s.treatment(c.from.Addr()); !exempt {
		v := c.s.judge(a, &c.route)
		if hasSNI && sni != a && sni.host.Kind() != registry.NoHost {
			v = v.Worse(c.s.judge(sni, &c.route))
		}
		id := ""
		if v.Block && enforces {
			id = newRequestID()
		}
		c.s.report(&c.route, a, v, enforces, cause, id)
		if id != "" {
			c.s.notices.ServeNotice(w, Notice{
				Host: a.host.String(), Verdict: v, RequestID: id, Time: time.Now(),
				Accept: r.Header.Get("Accept"), Language: r.Header.Get("Accept-Language"), Head: r.Method == http.MethodHead,
			})
			return
		}
	}
	c.note(a, false)
	c.s.h2.proxy.ServeHTTP(w, r)
}

// rewrite makes the request for the upstream: as it came, for the same host.
func (h *h2) rewrite(r *httputil.ProxyRequest) {
	r.Out.URL.Scheme = "http"
	r.Out.Host = r.In.Host
	asItCame(r.Out.URL, r.In.RequestURI)
	c, _ := r.In.Context().Value(h2Conn{}).(*conn)
	// Connections are kept by this; dial knows what is meant.
	r.Out.URL.Host = "upstream"
	if d := c.dest.addrPort(); d.IsValid() {
		r.Out.URL.Host = d.String()
	}
	scheme := "http"
	if r.In.TLS != nil {
		scheme = "https"
	}
	forwardFields(r.Out.Header, r.In.Header, h.s.forwarded, c.from.Addr(), scheme)
}

// asItCame has the target be written as the client wrote it: package url would
// escape it anew, and the proxy take out what it does not understand of a query.
func asItCame(u *url.URL, target string) {
	path, query, has := strings.Cut(target, "?")
	u.RawQuery, u.ForceQuery = query, has
	// With two slashes an opaque target would be taken for one with an authority.
	if path != "*" && !strings.HasPrefix(path, "//") {
		u.Opaque = path
	}
}

// forwardFields tells an upstream of the client, as appendHead does.
func forwardFields(out, in http.Header, how Forwarded, from netip.Addr, scheme string) {
	const addr, proto, element = "X-Forwarded-For", "X-Forwarded-Proto", "Forwarded"
	names := []string{addr, proto, element, "X-Forwarded-Host", "X-Forwarded-Port", "X-Real-Ip"}
	for _, name := range names {
		// The proxy has taken some of them out, which is ours to say.
		if v := in[name]; len(v) > 0 && how != ForwardedReplace {
			out[name] = append([]string(nil), v...)
		} else {
			out.Del(name)
		}
	}
	if how == ForwardedOff {
		return
	}
	out.Add(addr, string(appendAddr(nil, from)))
	out.Add(element, string(appendElement(nil, from, scheme)))
	if out.Get(proto) == "" {
		out.Set(proto, scheme)
	}
}

// dial connects to the upstream for some client.
func (h *h2) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, h.s.dial)
	defer cancel()
	c, _ := ctx.Value(h2Conn{}).(*conn)
	if c == nil {
		return nil, errors.New("a connection for nobody")
	}
	return h.s.upstream.dial(ctx, c.origin())
}

// failed answers where the upstream did not.
func (h *h2) failed(w http.ResponseWriter, _ *http.Request, err error) {
	h.s.metrics.upstreamFailed()
	status := http.StatusBadGateway
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		status = http.StatusGatewayTimeout
	}
	h.s.notices.ServeError(w, status, "")
}
