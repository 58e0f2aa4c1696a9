package icp

import (
	"net/netip"
	"strings"
	"sync"

	"github.com/miekg/dns"

	"github.com/icpgate/icpgate/registry"
)

// message is one answer that points into the mainland, while it is judged.
type message struct {
	in    *inspector
	m     *dns.Msg
	asked judge

	worst    finding // of the answer section
	found    bool    // worst is set
	others   bool    // an address of the answer section passes
	more     bool    // the answer section holds records that are no addresses of the name
	beside   finding // the worst of the other sections
	besides  bool    // beside is set
	withheld bool    // an address of the asked name is, in whatever section

	// reason is what the client is told if withheld is set.
	reason registry.Reason

	owners  map[string]*judge // of names in the other sections, lower case
	glue    map[string]bool   // names of NS records, lower case
	targets map[string]bool   // to which the answer sends the client, lower case
	moved   map[string]bool   // below which DNAMEs of the answer send it, lower case
}

// judge is the slow path: every address of m gets its decision, and what is
// withheld follows from them.
func (in *inspector) judge(m *dns.Msg) (out *dns.Msg, f finding, lasting bool) {
	msg := messages.Get().(*message)
	defer msg.done()
	msg.in, msg.m = in, m
	name, readable, ends := in.asked(m.Answer)
	msg.asked.init(in, name, readable)
	msg.asked.chain = m.Answer
	msg.judgeAnswer()
	msg.judgeBeside(m.Ns)
	msg.judgeBeside(m.Extra)
	f = msg.finding()
	in.report(f)
	return msg.apply(f.effect), f, f.effect != registry.EffectStrip && !ends && !msg.asked.timeBound()
}

// messages are kept for the next ones: on the stack one would be most of what the
// goroutine of a query has at first.
var messages = sync.Pool{New: func() any { return new(message) }}

// done gives the message up; nothing of it is in use by then.
func (msg *message) done() {
	*msg = message{}
	messages.Put(msg)
}

// judgeAnswer decides on all addresses of the answer section by the asked name.
func (msg *message) judgeAnswer() {
	for _, rr := range msg.m.Answer {
		if !carries(rr.Header().Rrtype) && !chains(rr.Header().Rrtype) {
			msg.more = true
		}
		addresses(rr, func(a netip.Addr) bool {
			f := msg.asked.finding(a)
			msg.others = msg.others || !f.Block
			if msg.found {
				f = msg.worst.worse(f)
			}
			msg.worst, msg.found = f, true
			msg.withheld, msg.reason = f.Block, f.Reason
			return true
		})
	}
}

// chains reports whether records of a type only lead to others, sign them, or
// are about the message.
func chains(rrtype uint16) bool {
	switch rrtype {
	case dns.TypeCNAME, dns.TypeDNAME, dns.TypeRRSIG, dns.TypeOPT, dns.TypeTSIG:
		return true
	}
	return false
}

// judgeBeside decides on the addresses of another section.
func (msg *message) judgeBeside(rrs []dns.RR) {
	for _, rr := range rrs {
		h := rr.Header()
		if !carries(h.Rrtype) {
			continue
		}
		addresses(rr, func(a netip.Addr) bool {
			f, judged := msg.besideAt(h, a)
			if !judged {
				return true
			}
			if msg.besides {
				f = msg.beside.worse(f)
			}
			msg.beside, msg.besides = f, true
			return true
		})
	}
}

// besideAt decides on an address beside the answer: by its owner's name, and by
// the asked name too if that is the one it serves. It reports false for the
// addresses of name servers.
func (msg *message) besideAt(h *dns.RR_Header, a netip.Addr) (finding, bool) {
	if msg.in.edge.Locate(a).Place != registry.Mainland {
		return finding{}, false
	}
	owner := strings.ToLower(h.Name)
	itself := strings.EqualFold(owner, msg.in.question[0].Name)
	sent := itself && msg.asksAddress() || msg.isTarget(owner)
	// Nobody finds a name server by a service record: only its addresses are glue.
	if !sent && !serves(h.Rrtype) && msg.isGlue(owner) {
		return finding{}, false
	}
	if itself {
		return msg.askedAt(a), true
	}
	j := msg.owner(owner)
	f := j.finding(a)
	if sent || msg.servesAsked(j) {
		f = f.worse(msg.askedAt(a))
	}
	return f, true
}

// servesAsked reports whether an address of j's name beside the answer serves
// the asked name, as far as can be told: where addresses were asked for, the
// client takes it for one; and an owner that is never judged, such as the root,
// says nothing of the site that is served.
func (msg *message) servesAsked(j *judge) bool {
	return msg.asksAddress() || j.query.Host.Name.NotJudged()
}

// asksAddress reports whether the client asked for records that carry addresses.
func (msg *message) asksAddress() bool {
	q := msg.in.question[0].Qtype
	return carries(q) || q == dns.TypeANY || transfer(q)
}

// askedAt decides on an address beside the answer by the asked name.
func (msg *message) askedAt(a netip.Addr) finding {
	f := msg.asked.finding(a)
	if f.Block && !msg.withheld {
		msg.withheld, msg.reason = true, f.Reason
	}
	return f
}

// owner returns the judge of a name beside the answer.
func (msg *message) owner(owner string) *judge {
	if j, ok := msg.owners[owner]; ok {
		return j
	}
	if msg.owners == nil {
		msg.owners = map[string]*judge{}
	}
	j := new(judge)
	name, err := hostName(msg.in.edge, owner)
	j.init(msg.in, name, err == nil)
	msg.owners[owner] = j
	return j
}

// isGlue reports whether a name is one of a name server in this message. Without
// the addresses of name servers nothing of a zone can be found, mail and proofs
// of ownership included, so they are left alone.
func (msg *message) isGlue(owner string) bool {
	if msg.glue == nil {
		msg.glue = map[string]bool{}
		for _, section := range [][]dns.RR{msg.m.Answer, msg.m.Ns} {
			for _, rr := range section {
				if ns, ok := rr.(*dns.NS); ok {
					msg.glue[strings.ToLower(ns.Ns)] = true
				}
			}
		}
	}
	return msg.glue[owner]
}

// isTarget reports whether a service or alias record sends the client to a name.
func (msg *message) isTarget(owner string) bool {
	if msg.targets == nil {
		msg.targets = map[string]bool{}
		msg.addTargets(msg.m.Answer)
		if msg.asksAddress() { // otherwise they lead on from another name
			msg.addTargets(msg.m.Ns)
			msg.addTargets(msg.m.Extra)
		}
	}
	return msg.targets[owner] || msg.isMoved(owner)
}

// isMoved reports whether a DNAME of the answer leads to a name at or below which
// owner is: the alias that follows is the client's to make (RFC 6672 §3.4). A
// message may hold thousands of both, so no list of one is walked for each of the
// other.
func (msg *message) isMoved(owner string) bool {
	if msg.moved == nil {
		msg.moved = map[string]bool{}
		for _, rr := range msg.m.Answer {
			if d, ok := rr.(*dns.DNAME); ok {
				msg.moved[strings.ToLower(d.Target)] = true
			}
		}
	}
	if len(msg.moved) == 0 {
		return false
	}
	for i, end := 0, false; !end; i, end = dns.NextLabel(owner, i) {
		if msg.moved[owner[i:]] {
			return true
		}
	}
	return msg.moved["."]
}

// addTargets gathers where records send the client.
func (msg *message) addTargets(rrs []dns.RR) {
	for _, rr := range rrs {
		if u, ok := rr.(*dns.RFC3597); ok {
			rr = typed(u)
		}
		if svcb := service(rr); svcb != nil {
			msg.targets[strings.ToLower(svcb.Target)] = true
		} else if c, ok := rr.(*dns.CNAME); ok {
			msg.targets[strings.ToLower(c.Target)] = true
		}
	}
}

// service returns what SVCB and HTTPS records have in common; nil for others.
func service(rr dns.RR) *dns.SVCB {
	switch rr := rr.(type) {
	case *dns.HTTPS:
		return &rr.SVCB
	case *dns.SVCB:
		return rr
	}
	return nil
}

// finding is the worst that was found in the message, and what becomes of it.
func (msg *message) finding() finding {
	f := msg.worst
	switch {
	case !msg.found && !msg.besides:
		f = finding{Verdict: registry.Verdict{Reason: registry.NoAddress}, place: registry.PlaceNone}
	case !msg.found:
		f = msg.beside
	case msg.besides:
		f = f.worse(msg.beside)
	}
	f.effect = msg.effect()
	return f
}

// effect is what becomes of the message: in mode monitor it passes, whatever is
// in it.
func (msg *message) effect() registry.Effect {
	if msg.in.mode == registry.Monitor {
		return registry.EffectPass
	}
	effect := registry.EffectPass
	if msg.found {
		effect = msg.in.icp.cfg.Policy.EffectOf(msg.worst.Verdict, msg.others)
	}
	switch {
	case effect == registry.EffectBlock && (msg.more || msg.m.Opcode != dns.OpcodeQuery):
		// Records that are no addresses stay, whatever was asked for (ANY). So does what
		// became of an UPDATE: a block answer would say that it was done.
		return registry.EffectStrip
	case effect == registry.EffectPass && msg.besides && msg.beside.Block:
		return registry.EffectStrip
	}
	return effect
}

// apply returns what to write for the message.
func (msg *message) apply(effect registry.Effect) *dns.Msg {
	switch {
	case msg.in.mode == registry.Monitor:
		return msg.m
	case effect == registry.EffectBlock:
		return msg.in.blocked(msg.m, msg.worst.Reason)
	case effect == registry.EffectStrip:
		return msg.strip()
	}
	return msg.in.capped(msg.m)
}
