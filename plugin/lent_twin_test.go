package icp_test

import (
	"bytes"
	"context"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/request"
	"github.com/miekg/dns"

	icp "github.com/icpgate/icpgate/plugin"
	"github.com/icpgate/icpgate/registry/edge"
)

// lentWire is a wire to which answers are lent in the test below.
type lentWire struct{ wire }

// TestLentTwin: an answer that is used again has the bytes of one made for the
// client alone, whatever the message behind it brings, and however many are written
// at once, to clients of all sizes, in every action of block.
func TestLentTwin(t *testing.T) {
	w := newWorld(t)
	icp.LendTo(t, &lentWire{})
	type replyKey struct{}
	next := plugin.HandlerFunc(func(ctx context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
		m, ok := ctx.Value(replyKey{}).(*dns.Msg)
		if !ok || r.Question[0].Qtype == dns.TypeSOA {
			return dns.RcodeServerFailure, nil
		}
		return 0, w.WriteMsg(m)
	})
	var handlers []*icp.ICP
	for _, block := range []edge.Block{{}, {Action: edge.NXDomain}, {Action: edge.Refused}, {Action: edge.Redirect, Addrs: addrsOf(notice, notice6)}} {
		cfg := w.cfg
		cfg.Block = block
		handlers = append(handlers, icp.Open(t, cfg, next, "."))
	}
	var together sync.WaitGroup
	for g := range 6 {
		together.Go(func() {
			random := rand.New(rand.NewPCG(uint64(g), 48))
			for range 3000 {
				p, at := handlers[random.IntN(len(handlers))], context.WithValue(serving(), replyKey{}, (*dns.Msg)(nil))
				r, m := lentCase(t, random)
				written := func(w dns.ResponseWriter) {
					r := r.Copy() // the server's writer alters both
					p.ServeDNS(context.WithValue(at, replyKey{}, m.Copy()), request.NewScrubWriter(r, w), r)
				}
				own, lent := &wire{}, &lentWire{}
				written(own)
				written(lent)
				if !bytes.Equal(own.bytes, lent.bytes) || len(own.bytes) == 0 {
					t.Errorf("lent\n%x\nwant\n%x\nto\n%s\nbehind which is\n%s", lent.bytes, own.bytes, r, m)
					return
				}
			}
		})
	}
	together.Wait()
}

// lentCase makes a question and the answer to it, one of few: most are recalled.
func lentCase(t *testing.T, random *rand.Rand) (r, m *dns.Msg) {
	one := func(in int) bool { return random.IntN(in) == 0 }
	of := func(all ...string) string { return all[random.IntN(len(all))] }
	q := query{name: of("a", "www", `B`, "sixty-three-octets-are-the-most-that-a-label-of-a-name-can-have") + "." +
		of("unfiled.test.", "UNFILED.test.", "cancelled.test.", "elsewhere.test.", "accessed.test."), qtype: dns.TypeA}
	r = q.msg()
	addr := of(ours, theirs, nobodys, abroad)
	m = new(dns.Msg).SetReply(r)
	if one(3) {
		r.Question[0].Qtype, m.Question[0].Qtype = dns.TypeAAAA, dns.TypeAAAA
		m.Answer = rrs(t, []string{q.name + " 60 IN AAAA " + ours6})
	} else {
		m.Answer = rrs(t, []string{q.name + " 60 IN A " + addr})
	}
	r.Id, r.RecursionDesired, r.CheckingDisabled = uint16(random.Uint32()), one(2), one(2)
	m.Id, m.Authoritative, m.AuthenticatedData, m.Truncated, m.Compress = r.Id, one(3), one(2), one(5), one(2)
	if one(3) {
		m.Ns = rrs(t, []string{of("test.", q.name) + " 60 IN " + of("NS ns.test.", "SOA ns.test. host.test. 1 2 3 4 5")})
	}
	r.Extra = nil
	if !one(3) {
		r.SetEdns0(uint16(random.Uint32()), one(2))
		if one(3) {
			r.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0102030405060708"}}
		}
	}
	if one(2) {
		m.SetEdns0(4096, one(2))
		opt := m.IsEdns0()
		if one(2) {
			opt.Option = append(opt.Option, &dns.EDNS0_EDE{InfoCode: dns.ExtendedErrorCodeStaleAnswer, ExtraText: "stale"})
		}
		if one(2) {
			opt.Option = append(opt.Option, &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "01020304050607080102030405060708"})
		}
	}
	return r, m
}
