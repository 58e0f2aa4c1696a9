package icp_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/metadata"
	"github.com/coredns/coredns/plugin/pkg/nonwriter"
	"github.com/coredns/coredns/request"
	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"

	icp "github.com/icpgate/icpgate/plugin"
	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/edge"
	"github.com/icpgate/icpgate/registry/index"
)

// TestRecallTwin asks two handlers the same, one that remembers and one that does
// not, while all that they decide by changes under them. What they write, count
// and tell is compared.
func TestRecallTwin(t *testing.T) {
	w := newTwins(t, "twin")
	random := rand.New(rand.NewPCG(20, 27))
	before := sighted()
	var tapes [150][]byte // the same come again and again
	for i := range 30_000 {
		at := random.IntN(len(tapes))
		if tapes[at] == nil || random.IntN(50) == 0 {
			tapes[at] = make([]byte, 10+random.IntN(30))
			for i := range tapes[at] {
				tapes[at][i] = byte(random.Uint32())
			}
		}
		w.ask(t, tapes[at])
		if i%300 == 299 {
			w.change(t, random.IntN(6))
		}
	}
	if w.recalled < 5000 || w.recalled > 25_000 {
		t.Errorf("%d of 30000 answers could be recalled; want a good part, but not all", w.recalled)
	}
	w.sameCounters(t, "twin")
	total := uint64(0)
	for what, hits := range sighted() {
		if hits -= before[what]; hits%2 != 0 {
			t.Errorf("%s was sighted %d times; want twice as often as one of the twins blocked it", what, hits)
		}
		total += hits
	}
	if total < 1000 {
		t.Errorf("%d sightings; want many", total)
	}
}

// FuzzRecallTwin is the same, with the messages of the fuzzer.
func FuzzRecallTwin(f *testing.F) {
	w := newTwins(f, "fuzz")
	f.Add([]byte{}, uint8(0))
	f.Add([]byte{3, 0, 1, 1, 9, 9, 9, 9, 9}, uint8(3))
	f.Fuzz(func(t *testing.T, tape []byte, change uint8) {
		w.ask(t, tape)
		if change < 6 {
			w.change(t, int(change))
		}
		w.ask(t, tape)
	})
}

// twins are pairs of handlers with equal settings.
type twins struct {
	world
	live     *index.Live
	now      *atomic.Int64
	pairs    [][2]*icp.ICP
	contexts [2]context.Context
	reply    *dns.Msg
	nested   plugin.Handler // that is asked the same again before it answers
	recalled int
	turns    int
}

func newTwins(t testing.TB, server string) *twins {
	pending := filing("pending.test", registry.Aliyun)
	pending.Accesses[0].Status, pending.Accesses[0].At = registry.AccessReviewed, 1_700_000_000
	w := &twins{world: newWorld(t), now: new(atomic.Int64), live: newLive(t, pending, filing("accessed.test", registry.Aliyun),
		filing("elsewhere.test", registry.Tencent), cancelled("cancelled.test"), restricted("restricted.test"))}
	w.now.Store(1_700_000_000)
	cfg := w.cfg
	cfg.Registry, cfg.Live = "", w.live
	cfg.Now = func() time.Time { return time.Unix(w.now.Load(), 0) }
	cfg.ExemptFiles = []edge.ExemptFile{{Path: w.file(t, "exempt", "#\n")}}
	cfg.Clients = []edge.Client{{Prefix: prefixOf("192.0.2.64/26"), Treatment: edge.MonitoredClient}, {Prefix: prefixOf("192.0.2.128/26"), Treatment: edge.ExemptClient}}
	next := plugin.HandlerFunc(func(ctx context.Context, out dns.ResponseWriter, r *dns.Msg) (int, error) {
		if p := w.nested; p != nil {
			w.nested = nil
			if _, err := p.ServeDNS(ctx, nonwriter.New(out), r); err != nil {
				return 0, err
			}
		}
		return 0, out.WriteMsg(w.reply)
	})
	for _, edit := range []func(*edge.Config){
		func(*edge.Config) {},
		func(c *edge.Config) { c.Policy.PendingAccess, c.MaxTTL = registry.PendingAccessAllow, 60 },
		func(c *edge.Config) { c.Policy.Mode, c.MaxTTL = registry.Monitor, 60 },
		func(c *edge.Config) { c.Policy.Mixed, c.Block.Action = registry.MixedBlock, edge.NXDomain },
		func(c *edge.Config) { c.Provider, c.StripECH = "", edge.StripECHUnfiled },
		func(c *edge.Config) { c.Block = edge.Block{Action: edge.Redirect, Addrs: addrsOf(notice, nobodys)} },
		func(c *edge.Config) { c.Provider, c.Block.Action = registry.Tencent, edge.Refused },
	} {
		c := cfg
		edit(&c)
		w.pairs = append(w.pairs, [2]*icp.ICP{icp.Open(t, c, next, "."), icp.OpenForgetful(t, c, next, ".")})
	}
	for i, kind := range []string{"remembers", "forgets"} {
		w.contexts[i] = context.WithValue(context.Background(), dnsserver.Key{}, &dnsserver.Server{Addr: server + " " + kind})
	}
	return w
}

var twinClients = []string{someClient, watched, trusted, "192.0.2.3"}

// ask makes a message of the tape and has it written by all handlers.
func (w *twins) ask(t *testing.T, tape []byte) {
	t.Helper()
	s := &simple{maker{tape: tape}}
	client, told, edns := pick(&s.maker, twinClients), s.n(4) == 0, s.n(2) == 0
	q, m, _ := s.message()
	r := new(dns.Msg).SetQuestion(q.Name, q.Qtype)
	m.Id, m.AuthenticatedData, m.Authoritative = r.Id, s.n(2) == 0, s.n(4) == 0
	if edns {
		r.SetEdns0(1232, true)
		m.SetEdns0(1232, true)
	}
	w.reply = m
	original := m.String()
	pair, nested := w.pairs[s.n(len(w.pairs))], s.n(8) == 7
	if pair[0].Remembers(&wireAt{client: client}, r, m) {
		w.recalled++
	}
	var got [2]string
	for i, p := range pair {
		out := &wireAt{client: client}
		if nested {
			w.nested = p
		}
		got[i] = w.askOne(t, p, w.contexts[i], out, r, told)
		if m.String() != original {
			t.Fatalf("the plugin's own message was altered:\n%s\nwas\n%s", m, original)
		}
	}
	if got[0] != got[1] {
		t.Fatalf("for %s: who remembers writes\n%s\nwho does not\n%s\nof\n%s", client, got[0], got[1], original)
	}
}

// askOne returns all that one handler does with the message.
func (w *twins) askOne(t *testing.T, p *icp.ICP, ctx context.Context, out *wireAt, r *dns.Msg, told bool) string {
	t.Helper()
	if told {
		ctx = p.Metadata(metadata.ContextWithMetadata(ctx), request.Request{Req: r, W: out})
	}
	if _, err := p.ServeDNS(ctx, out, r.Copy()); err != nil {
		t.Fatal(err)
	}
	m := new(dns.Msg)
	if err := m.Unpack(out.bytes); err != nil {
		return fmt.Sprintf("%x", out.bytes) // as unreadable for both
	}
	text := m.String()
	for _, label := range []string{"verdict", "reason", "name", "filed", "product", "place"} {
		if f := metadata.ValueFunc(ctx, "icp/"+label); f != nil {
			text += "\n" + label + " " + f()
		}
	}
	return text
}

// wireAt is a client at an address that keeps what it is sent.
type wireAt struct {
	wire
	client string
}

func (w *wireAt) RemoteAddr() net.Addr { return &net.UDPAddr{IP: net.ParseIP(w.client), Port: 53053} }

// change puts something else in force.
func (w *twins) change(t *testing.T, what int) {
	t.Helper()
	w.turns++
	turned := w.turns%2 == 0
	either := func(one, other string) string {
		if turned {
			return one
		}
		return other
	}
	switch what {
	case 0, 1:
		revise(t, w.live, pick(&maker{tape: []byte{byte(w.turns)}}, []string{"turn.test", "unfiled.test", "accessed.test"}), turned)
	case 2:
		w.file(t, "networks", either(networks, strings.ReplaceAll(networks, "aliyun   ecs", "tencent  cdn")))
	case 3:
		w.file(t, "mainland", either(mainland, mainland+"198.51.100.0/24\n"))
	case 4:
		until := time.Unix(w.now.Load()+3600, 0).UTC().Format(time.RFC3339)
		w.file(t, "exempt", either("#\n", "until.test until "+until+"\n*.unfiled.test\nrestricted.test authority\n"))
	case 5:
		w.now.Add(1800 + int64(w.turns%7)*86400)
	}
	for _, pair := range w.pairs {
		pair[0].Refresh()
		pair[1].Refresh()
	}
}

// sameCounters compares what the twins have counted.
func (w *twins) sameCounters(t *testing.T, server string) {
	t.Helper()
	families, err := prometheus.DefaultGatherer.Gather()
	if err != nil {
		t.Fatal(err)
	}
	counts := [2]map[string]float64{{}, {}}
	for _, f := range families {
		if f.GetName() != "coredns_icp_verdicts_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			var key bytes.Buffer
			twin := -1
			for _, l := range m.GetLabel() {
				switch {
				case l.GetValue() == server+" remembers":
					twin = 0
				case l.GetValue() == server+" forgets":
					twin = 1
				default:
					fmt.Fprintf(&key, "%s=%s ", l.GetName(), l.GetValue())
				}
			}
			if twin >= 0 {
				counts[twin][key.String()] = m.GetCounter().GetValue()
			}
		}
	}
	counted := 0
	for labels, n := range counts[0] {
		if n > 0 {
			counted++
		}
		if n != counts[1][labels] {
			t.Errorf("%s: %v are counted by who remembers, %v by who does not", labels, n, counts[1][labels])
		}
	}
	if counted < 12 {
		t.Errorf("only %d kinds of verdicts were counted", counted)
	}
}

// sighted returns the hits of all that the process has sighted.
func sighted() map[string]uint64 {
	all := map[string]uint64{}
	for _, s := range edge.ProcessSightings().Rows() {
		all[fmt.Sprint(s.Name, s.Addr, s.Reason)] = s.Hits
	}
	return all
}
