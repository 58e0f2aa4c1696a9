package icp

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/edge"
)

// inspector is the writer that the plugins below get: it looks at every message
// they write. It belongs to one query and is never reused, since a plugin may
// keep it after ServeDNS has returned (a cache that prefetches does).
type inspector struct {
	dns.ResponseWriter
	icp  *ICP
	edge *edge.Edge
	ctx  context.Context

	// What the client asked and can take, copied before anybody could alter it. The
	// question is that of block answers, too.
	question [1]dns.Question
	id       uint16
	edns, do bool
	size     uint16
	// structured: the client asks for structured errors.
	structured bool
	// transferring: a zone transfer has begun, whose messages are one answer.
	transferring bool

	mode   registry.Mode
	outer  *inspector // of the client's question, if this is a lookup within it
	within atomic.Pointer[finding]
	record *record // for the metadata; nil where nobody asks

	server, zone, view string
}

var errNoMessage = errors.New("icp: nothing to write")

// WriteMsg implements dns.ResponseWriter.
func (in *inspector) WriteMsg(m *dns.Msg) error {
	if m == nil {
		return errNoMessage
	}
	out, lent := in.inspect(m)
	err := in.ResponseWriter.WriteMsg(out)
	lent.giveBack()
	return err
}

// Write implements dns.ResponseWriter for plugins that pack messages themselves.
// What passes is written byte for byte; what cannot be read is withheld, since
// a client might read an address in it.
func (in *inspector) Write(b []byte) (int, error) {
	m := new(dns.Msg)
	if err := m.Unpack(b); err != nil {
		unreadableCount.Inc()
		if in.mode == registry.Monitor {
			return in.ResponseWriter.Write(b)
		}
		return len(b), in.ResponseWriter.WriteMsg(in.failure())
	}
	out, lent := in.inspect(m)
	if out == m {
		return in.ResponseWriter.Write(b)
	}
	err := in.ResponseWriter.WriteMsg(out)
	lent.giveBack()
	return len(b), err
}

// sampling is how many messages pass for one whose inspection is timed: reading
// the clock twice costs as much as a look-up.
const sampling = 64

// inspect returns what to write in place of m: m itself, or a changed copy; and what
// is to be given back when that is written.
func (in *inspector) inspect(m *dns.Msg) (*dns.Msg, *lent) {
	if rand.Uint32()%sampling != 0 {
		return in.look(m)
	}
	start := time.Now()
	out, lent := in.look(m)
	inspectDuration.Observe(time.Since(start).Seconds())
	return out, lent
}

// look does with a message what was done with the same one before, if that is
// remembered.
func (in *inspector) look(m *dns.Msg) (*dns.Msg, *lent) {
	if in.transfers(m) {
		return m, nil
	}
	id, ok := in.identify(m)
	if !ok {
		out, _, _ := in.decide(m)
		return out, nil
	}
	if o := in.icp.memo.find(id.fingerprint); o != nil {
		return in.recall(m, o)
	}
	out, f, lasting := in.decide(m)
	if lasting {
		in.remember(id, m, f)
	}
	return out, nil
}

// transfers reports whether a message belongs to a zone transfer, which passes: it is
// for a name server, and no browser asks for one. It begins with the SOA record of
// the zone (RFC 5936 §2.2, RFC 1995 §4); any other answer to such a question is made
// by a plugin that answers whatever is asked, and is judged as one to ANY.
func (in *inspector) transfers(m *dns.Msg) bool {
	if !transfer(in.question[0].Qtype) {
		return false
	}
	if !in.transferring && len(m.Answer) > 0 {
		soa, ok := m.Answer[0].(*dns.SOA)
		in.transferring = ok && m.Opcode == dns.OpcodeQuery && strings.EqualFold(soa.Hdr.Name, in.question[0].Name)
	}
	return in.transferring
}

// transfer reports whether questions of a type ask for a whole zone.
func transfer(qtype uint16) bool { return qtype == dns.TypeAXFR || qtype == dns.TypeIXFR }

// decide returns what to write for a message, what was found in it, and whether
// the same will be found until something else is put in force. A message that
// points nowhere into the mainland is written as it is, and its name is not even
// read.
func (in *inspector) decide(m *dns.Msg) (out *dns.Msg, f finding, lasting bool) {
	nearest := registry.PlaceNone
	if in.outside(m.Answer, &nearest) && in.outside(m.Extra, &nearest) && in.outside(m.Ns, &nearest) {
		f = finding{Verdict: registry.Verdict{Reason: elsewhere(nearest)}, place: nearest}
		in.report(f)
		return in.stripUnfiledECH(m), f, true
	}
	return in.judge(m)
}

// outside reports whether no record points into the mainland; nearest is set to
// the place of the first address.
func (in *inspector) outside(rrs []dns.RR, nearest *registry.Place) bool {
	for _, rr := range rrs {
		switch rr.(type) {
		case *dns.CNAME, *dns.OPT, *dns.NS, *dns.SOA, *dns.RRSIG:
			continue
		}
		ok := addresses(rr, func(a netip.Addr) bool {
			p := in.edge.Locate(a).Place
			if *nearest == registry.PlaceNone {
				*nearest = p
			}
			return p != registry.Mainland
		})
		if !ok {
			return false
		}
	}
	return true
}

// elsewhere is the reason why what points only to a place that is not the
// mainland passes. What else could be said of its name is not looked up.
func elsewhere(p registry.Place) registry.Reason {
	switch {
	case p == registry.PlaceNone:
		return registry.NoAddress
	case p == registry.Private:
		return registry.NotPublic
	case p.Outside():
		return registry.OutsideMainland
	}
	return registry.LocationUnknown
}

// finding is a verdict and what it was made of.
type finding struct {
	registry.Verdict
	name    registry.Domain // as judged; zero where no name was looked at
	addr    netip.Addr
	place   registry.Place
	owner   registry.ProviderID // of the address
	product registry.Product
	effect  registry.Effect // on the whole message
	// registrable is how many labels the registrable one of name has, if known.
	registrable uint8
}

// filed is the name under which the deciding filing was made.
func (f finding) filed() registry.Domain { return f.name.Last(int(f.Filed)) }

// worse returns the finding that counts of two.
func (f finding) worse(g finding) finding {
	if w := f.Verdict.Worse(g.Verdict); w != f.Verdict {
		return g
	}
	return f
}

// report counts the verdict of a message. One on a lookup within a question is
// counted with the question: the client sees one answer.
func (in *inspector) report(f finding) {
	if g := in.within.Load(); g != nil {
		f = f.worse(*g)
	}
	if in.outer != nil {
		if f.Block {
			g := f // only what is kept leaves the stack
			in.outer.within.Store(&g)
		}
		return
	}
	in.icp.counters.of(in.server, in.zone, in.view).count(f.Verdict, in.mode)
	if f.Block {
		in.tell(&f)
	}
	if in.record != nil {
		in.record.finding, in.record.question = f, in.question[0].Name
	}
}

// tell counts what is blocked by its name, and writes it to the block log. Some
// plugins hold addresses of IPv4 in sixteen bytes; nobody is to see that.
func (in *inspector) tell(f *finding) {
	x := edge.Sighted{Host: f.name, Name: f.name.Last(int(f.registrable)), Addr: f.addr.Unmap(), Reason: f.Reason, Channel: registry.ChannelDNS, Mode: in.mode}
	if !in.edge.Sighted(x) {
		return
	}
	in.edge.LogBlocked(edge.Blocked{
		Sighted: x,
		Filed:   f.filed(), Effect: f.effect, Provider: f.owner, Product: f.product, Place: f.place,
		Client: clientAddr(in.ResponseWriter), Server: in.server, Zone: in.zone,
	})
}
