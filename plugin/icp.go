// Package icp is the CoreDNS directive `icp`: it withholds answers that point
// into the Chinese mainland for names whose ICP filing does not allow it.
//
//	. {
//	    icp {
//	        registry /var/lib/icp/registry.snap
//	    }
//	    forward . 192.0.2.53
//	}
//
// A program that builds its own CoreDNS imports the package for its side effect
// and puts "icp" into the directives before "local": above everything that makes
// or alters answers, below what records them. README.md says the rest.
//
// The package reads no zone and keeps no answer; what may be served is decided
// by registry.Decide.
package icp

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"

	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/metrics"
	"github.com/miekg/dns"
	ot "github.com/opentracing/opentracing-go"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/edge"
)

// name is the directive.
const name = "icp"

// ICP is the handler of one server block. It is made by setup, works from its
// start hook on, and is safe for concurrent use. Its zero value refuses service.
type ICP struct {
	// Next is set again for each socket of the block, always to the same handler.
	Next  plugin.Handler
	zones plugin.Zones
	cfg   edge.Config

	edge     atomic.Pointer[edge.Edge]
	memo     *memo // nil: nothing is remembered
	counters counterSets
}

// Name implements plugin.Handler.
func (p *ICP) Name() string { return name }

// Ready implements ready.Readiness. It is one fact of the process, the same for
// all server blocks: the ready plugin remembers only one handler of a name, and
// a block that is ready would hide one that is not.
func (p *ICP) Ready() bool { return edge.Ready() }

// ServeDNS implements plugin.Handler: it lets the others answer and inspects
// what they write. All that can be done before they are called is done in wrap:
// a query has a goroutine of its own, which begins with a small stack, and every
// byte that is held here while the others work may make it grow once more.
func (p *ICP) ServeDNS(ctx context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
	ctx, w = p.wrap(ctx, w, r)
	if w == nil {
		return dns.RcodeServerFailure, nil
	}
	if _, ours := w.(*inspector); !ours || p.Next == nil || ot.SpanFromContext(ctx) != nil {
		return plugin.NextOrFailure(name, p.Next, ctx, w, r)
	}
	// NextOrFailure without a span to follow, and without its writer, which would
	// only tell the inspector who writes.
	return p.Next.ServeDNS(ctx, w, r)
}

// wrap returns context and writer for the plugins below: as they are, or marked
// and inspected. The writer is nil if nothing can be served.
func (p *ICP) wrap(ctx context.Context, w dns.ResponseWriter, r *dns.Msg) (context.Context, dns.ResponseWriter) {
	e := p.edge.Load()
	if e == nil || len(r.Question) == 0 {
		return ctx, nil
	}
	outer, nested := ctx.Value(inspectorKey{}).(*inspector)
	if nested && !strings.EqualFold(outer.question[0].Name, r.Question[0].Name) {
		return ctx, w
	}
	zone := p.zones.Matches(r.Question[0].Name)
	if zone == "" {
		// Still marked: a lookup within this one is no client's question either.
		return context.WithValue(ctx, inspectorKey{}, foreign), w
	}
	mode := p.cfg.Policy.Mode
	if e.TreatsClients() {
		switch e.Treatment(clientAddr(w)) {
		case edge.ExemptClient:
			return ctx, w
		case edge.MonitoredClient:
			mode = registry.Monitor
		}
	}
	in := p.inspector(ctx, e, w, r)
	in.outer, in.zone, in.mode = outer, zone, mode
	in.ctx = context.WithValue(ctx, inspectorKey{}, in)
	return in.ctx, in
}

// inspector makes the writer for one query. Everything of the request that a
// block answer needs is copied now: plugins below alter it in place.
func (p *ICP) inspector(ctx context.Context, e *edge.Edge, w dns.ResponseWriter, r *dns.Msg) *inspector {
	in := &inspector{
		ResponseWriter: w, icp: p, edge: e,
		question: [1]dns.Question{r.Question[0]}, id: r.Id,
		server: metrics.WithServer(ctx), view: metrics.WithView(ctx),
	}
	if opt := r.IsEdns0(); opt != nil {
		in.edns, in.do, in.size = true, opt.Do(), opt.UDPSize()
		in.structured = asksStructured(opt, p.cfg.Structured.Code)
	}
	in.record, _ = ctx.Value(recordKey{}).(*record)
	return in
}

// inspectorKey marks a context as that of a question which is inspected already:
// plugins look up names by asking the server itself, and what they ask is no
// client's question unless it is the same name. The value is its *inspector.
type inspectorKey struct{}

// foreign stands for a question outside the zones; no name is equal to its.
var foreign = &inspector{}

// clientAddr returns the address of the client; the zero Addr where there is
// none, as for a prefetch.
func clientAddr(w dns.ResponseWriter) netip.Addr {
	addr := w.RemoteAddr()
	if u, ok := addr.(interface{ Unwrap() net.Addr }); ok && u.Unwrap() != nil {
		addr = u.Unwrap()
	}
	switch a := addr.(type) {
	case *net.UDPAddr:
		return a.AddrPort().Addr().Unmap()
	case *net.TCPAddr:
		return a.AddrPort().Addr().Unmap()
	case nil:
		return netip.Addr{}
	}
	// DNS over QUIC and gRPC bring types of their own.
	ap, err := netip.ParseAddrPort(addr.String())
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap()
}
