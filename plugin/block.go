package icp

import (
	"context"
	"net"
	"time"

	"github.com/coredns/coredns/plugin/pkg/nonwriter"
	"github.com/miekg/dns"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/edge"
)

// reply is a block answer with what nearly every one holds, made at once. The
// writer above may keep a message, so none is used again but where that is known
// not to be so (see lent).
type reply struct {
	dns.Msg
	authority [1]dns.RR
	soa       dns.SOA
}

// blocked returns the answer that takes the place of m. The header is m's, so
// that RA, CD and the like are as the server has them; AD goes, since nobody has
// authenticated this. A truncated message stays so: the client asks again over
// TCP, and is judged on all of it.
func (in *inspector) blocked(m *dns.Msg, reason registry.Reason) *dns.Msg {
	return in.fill(new(reply), nil, m, reason)
}

// fill makes r, which is zero, what blocked returns, with t if the client is told
// why; nil stands for a new one.
func (in *inspector) fill(r *reply, t *told, m *dns.Msg, reason registry.Reason) *dns.Msg {
	b := &r.Msg
	b.MsgHdr, b.Compress, b.Question = m.MsgHdr, true, in.question[:]
	b.Id, b.Response, b.Rcode = in.id, true, dns.RcodeSuccess
	b.AuthenticatedData = false
	switch in.icp.cfg.Block.Action {
	case edge.NXDomain:
		b.Rcode = dns.RcodeNameError
	case edge.Refused:
		b.Rcode, b.Authoritative = dns.RcodeRefused, false
	case edge.Redirect:
		// Who can show the error itself is not to be sent to a host that cannot prove
		// to be the asked one.
		if !in.structured {
			b.Answer = in.notices()
		}
	}
	if len(b.Answer) == 0 && b.Rcode != dns.RcodeRefused {
		r.authority[0] = in.authority(m, &r.soa)
		b.Ns = r.authority[:]
	}
	if opt := m.IsEdns0(); opt != nil && in.edns && len(opt.Option) > 0 {
		b.Extra = []dns.RR{keepOptions(opt)}
	}
	in.explain(b, t, reason)
	if sig := m.IsTsig(); sig != nil {
		b.Extra = append(b.Extra, sig)
	}
	return b
}

// failure returns the answer where nothing of the original can be used.
func (in *inspector) failure() *dns.Msg {
	b := &dns.Msg{Question: in.question[:]}
	b.Id, b.Response, b.Rcode = in.id, true, dns.RcodeServerFailure
	return b
}

// notices returns the addresses of the notice host under the asked name. There
// are none for HTTPS and SVCB: a service record would contradict them.
func (in *inspector) notices() []dns.RR {
	var rrs []dns.RR
	for _, a := range in.icp.cfg.Block.Addrs {
		h := dns.RR_Header{Name: in.question[0].Name, Class: dns.ClassINET, Ttl: in.ttl()}
		switch t := in.question[0].Qtype; {
		case a.Is4() && (t == dns.TypeA || t == dns.TypeANY):
			h.Rrtype = dns.TypeA
			rrs = append(rrs, &dns.A{Hdr: h, A: net.IP(a.AsSlice())})
		case a.Is6() && (t == dns.TypeAAAA || t == dns.TypeANY):
			h.Rrtype = dns.TypeAAAA
			rrs = append(rrs, &dns.AAAA{Hdr: h, AAAA: net.IP(a.AsSlice())})
		}
	}
	return rrs
}

// ttl is that of a block answer.
func (in *inspector) ttl() uint32 {
	if t := in.icp.cfg.TTL; t != 0 {
		return t
	}
	return edge.DefaultTTL
}

// authority returns the record that makes a negative answer one that is kept, and
// for how long. An authoritative answer bears its zone's, or resolvers would take
// the server for one that has lost the zone; any other one of the asked name, which
// is made in made.
func (in *inspector) authority(m *dns.Msg, made *dns.SOA) *dns.SOA {
	if m.Authoritative {
		if soa := in.zoneSOA(m); soa != nil {
			return soa
		}
	}
	*made = in.madeSOA(in.apex(m))
	return made
}

// madeSOA is a record that says no more than how long to keep the answer: it names
// neither a server nor anybody to write to. Its numbers are those of BIND's empty
// zones.
func (in *inspector) madeSOA(owner string) dns.SOA {
	return dns.SOA{
		Hdr: dns.RR_Header{Name: owner, Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: in.ttl()},
		Ns:  ".", Mbox: ".", Serial: 1, Refresh: 28800, Retry: 7200, Expire: 604800, Minttl: in.ttl(),
	}
}

// zoneSOA returns the zone's own record with its TTLs lowered; nil if neither
// the message has it nor the plugins below know it.
func (in *inspector) zoneSOA(m *dns.Msg) *dns.SOA {
	soa := in.findSOA(m)
	if soa == nil {
		soa = in.findSOA(in.askSOA(in.inZone(m)))
	}
	if soa == nil {
		return nil
	}
	soa = dns.Copy(soa).(*dns.SOA)
	soa.Hdr.Ttl, soa.Minttl = in.ttl(), in.ttl()
	return soa
}

// findSOA returns the record of a zone that holds the asked name.
func (in *inspector) findSOA(m *dns.Msg) *dns.SOA {
	if m == nil {
		return nil
	}
	for _, section := range [][]dns.RR{m.Ns, m.Answer} {
		for _, rr := range section {
			if soa, ok := rr.(*dns.SOA); ok && dns.IsSubDomain(soa.Hdr.Name, in.question[0].Name) {
				return soa
			}
		}
	}
	return nil
}

// soaPatience is how long the zone's SOA record is waited for: the client waits
// for its answer meanwhile. It is a variable for tests alone, whose machine may
// stand still for as long.
var soaPatience = 200 * time.Millisecond

// inZone returns a name of the asked name's zone whose SOA record can be asked for: at
// an alias every question is answered with the alias. It is never the name of a
// zone (RFC 1034 §3.6.2), so the name above it is in the same one. Below a DNAME all
// are aliases, but not at its owner (RFC 6672 §2.3).
func (in *inspector) inZone(m *dns.Msg) string {
	name := in.question[0].Name
	for _, rr := range m.Answer {
		if d, ok := rr.(*dns.DNAME); ok && dns.IsSubDomain(d.Hdr.Name, name) {
			return d.Hdr.Name
		}
	}
	if _, ok := alias(m.Answer, name); !ok {
		return name
	}
	i, end := dns.NextLabel(name, 0)
	if end {
		return name
	}
	return name[i:]
}

// askSOA asks the plugins below for the zone of a name: who answers with
// authority mostly knows it without asking anybody, but it may be a server behind
// them that does, or does not. nil if the client has gone or nobody answers in
// time.
func (in *inspector) askSOA(name string) *dns.Msg {
	if in.icp.Next == nil || in.ctx.Err() != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(in.ctx, soaPatience)
	w := nonwriter.New(lasting{in.ResponseWriter, in.LocalAddr(), in.RemoteAddr()})
	answered := make(chan *dns.Msg, 1)
	go func() {
		defer cancel()
		var m *dns.Msg
		defer func() {
			// The server catches what panics only where it called itself.
			if recover() != nil {
				m = nil
			}
			answered <- m
		}()
		r := new(dns.Msg)
		r.SetQuestion(name, dns.TypeSOA)
		if _, err := in.icp.Next.ServeDNS(ctx, w, r); err == nil {
			m = w.Msg
		}
	}()
	select {
	case m := <-answered:
		return m
	case <-ctx.Done():
	}
	select {
	case m := <-answered: // both were so at once: the context ends with the answer, too
		return m
	default:
		return nil
	}
}

// lasting is a writer that can be asked for its addresses when the question that
// it was for is long answered.
type lasting struct {
	dns.ResponseWriter
	local, remote net.Addr
}

func (w lasting) LocalAddr() net.Addr  { return w.local }
func (w lasting) RemoteAddr() net.Addr { return w.remote }

// Write takes what a plugin packed itself: it would go to the client otherwise.
func (w lasting) Write([]byte) (int, error) { return 0, errNoMessage }

// apex returns the best name for a made SOA record: for an authoritative answer
// the owner of the zone's NS records, or the server block's zone; else the asked
// name.
func (in *inspector) apex(m *dns.Msg) string {
	if !m.Authoritative {
		return in.question[0].Name
	}
	for _, rr := range m.Ns {
		if h := rr.Header(); h.Rrtype == dns.TypeNS && dns.IsSubDomain(h.Name, in.question[0].Name) {
			return h.Name
		}
	}
	if in.zone != "" && in.zone != "." {
		return in.zone
	}
	return in.question[0].Name
}

// keepOptions returns an OPT record with the options of another, less the
// extended errors: they were about an answer that is gone.
func keepOptions(opt *dns.OPT) *dns.OPT {
	kept := &dns.OPT{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeOPT}}
	for _, o := range opt.Option {
		if o.Option() != dns.EDNS0EDE {
			kept.Option = append(kept.Option, o)
		}
	}
	return kept
}

// told is what explain adds to most messages, made at once.
type told struct {
	opt    dns.OPT
	ede    dns.EDNS0_EDE
	extra  [1]dns.RR
	option [1]dns.EDNS0
}

// explain adds the extended error for a reason to a message that is ours to
// change, if the client speaks EDNS: one that does not must get no OPT record
// (RFC 6891 §7). Size and DO are as the client had them. t is zero, or nil for a new
// one.
func (in *inspector) explain(m *dns.Msg, t *told, reason registry.Reason) {
	if !in.edns {
		return
	}
	if t == nil {
		t = new(told)
	}
	opt := m.IsEdns0()
	if opt == nil {
		opt = &t.opt
		m.Extra = beforeTSIG(m.Extra, opt, t.extra[:0])
	}
	opt.Hdr = dns.RR_Header{Name: ".", Rrtype: dns.TypeOPT, Ttl: opt.Hdr.Ttl & 0xff00ffff}
	opt.SetUDPSize(in.size)
	opt.SetDo(in.do)
	if in.structured {
		in.structuredEDE(m, opt, reason)
		return
	}
	t.ede = dns.EDNS0_EDE{InfoCode: in.code(), ExtraText: in.text(reason)}
	if len(opt.Option) == 0 {
		opt.Option = t.option[:0]
	}
	opt.Option = append(opt.Option, &t.ede)
}

// beforeTSIG appends a record; a signature stays the last one. room is for what is
// the only one.
func beforeTSIG(extra []dns.RR, rr dns.RR, room []dns.RR) []dns.RR {
	n := len(extra)
	if n == 0 {
		return append(room, rr)
	}
	if extra[n-1].Header().Rrtype == dns.TypeTSIG {
		return append(extra[:n-1:n-1], rr, extra[n-1])
	}
	return append(extra, rr)
}

// code is that of the extended error.
func (in *inspector) code() uint16 {
	switch {
	case in.icp.cfg.EDE != 0:
		return in.icp.cfg.EDE
	case in.icp.cfg.Block.Action == edge.Redirect:
		return edge.RedirectEDE
	}
	return edge.DefaultEDE
}

// text is the extended error's text for people: short, since it takes room in
// the packet, and ASCII.
func (in *inspector) text(reason registry.Reason) string {
	if reason != registry.Undecided {
		return text(reason)
	}
	switch in.edge.Lack() {
	case registry.LackFreshness:
		return "icp: registry too old"
	case registry.LackAnswer:
		return "icp: registry does not answer"
	}
	return text(reason)
}

// text is that of a reason.
func text(reason registry.Reason) string {
	switch reason {
	case registry.Unfiled:
		return "icp: not filed"
	case registry.GovUnitUnfiled:
		return "icp: not filed by this unit"
	case registry.Cancelled:
		return "icp: filing cancelled"
	case registry.NotAccessed:
		return "icp: not accessed here"
	case registry.AccessCancelledHere:
		return "icp: access cancelled here"
	case registry.Shell:
		return "icp: not accessed anywhere"
	case registry.Restricted:
		return "icp: restricted"
	case registry.Blacklisted:
		return "icp: blacklisted"
	case registry.Undecided:
		return "icp: no registry loaded"
	}
	return "icp: " + reason.String()
}
