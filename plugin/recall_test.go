package icp_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/pkg/dnstest"
	"github.com/miekg/dns"

	icp "github.com/icpgate/icpgate/plugin"
	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/edge"
	"github.com/icpgate/icpgate/registry/index"
)

// clientAt is a client at an address.
type clientAt struct {
	sink
	addr string
}

func (c *clientAt) RemoteAddr() net.Addr { return &net.UDPAddr{IP: net.ParseIP(c.addr), Port: 53053} }

// asked is one handler over a plugin that says what the test wants.
type asked struct {
	*icp.ICP
	reply *dns.Msg
}

func newAsked(t testing.TB, cfg edge.Config) *asked {
	a := &asked{}
	next := plugin.HandlerFunc(func(_ context.Context, w dns.ResponseWriter, _ *dns.Msg) (int, error) { return 0, w.WriteMsg(a.reply) })
	a.ICP = icp.Open(t, cfg, next, ".")
	return a
}

// passes asks once and reports whether the first address reaches the client.
func (a *asked) passes(t *testing.T, client, name string, lines ...string) bool {
	t.Helper()
	r := new(dns.Msg).SetQuestion(name, dns.TypeA)
	a.reply = new(dns.Msg).SetReply(r)
	a.reply.Answer = rrs(t, lines)
	w := &clientAt{addr: client}
	rec := dnstest.NewRecorder(w)
	if _, err := a.ServeDNS(context.Background(), rec, r); err != nil {
		t.Fatal(err)
	}
	return len(addresses(rec.Msg)) == len(addresses(a.reply))
}

// remembers reports whether the answer would be recalled.
func (a *asked) remembers(t *testing.T, client, name string, lines ...string) bool {
	t.Helper()
	r := new(dns.Msg).SetQuestion(name, dns.TypeA)
	m := new(dns.Msg).SetReply(r)
	m.Answer = rrs(t, lines)
	return a.Remembers(&clientAt{addr: client}, r, m)
}

const (
	someClient = "192.0.2.1"
	watched    = "192.0.2.65" // in mode monitor
	trusted    = "192.0.2.129"
)

// want asks twice, so that the second answer is a recalled one if anything is
// remembered, and checks whether it is.
func (a *asked) want(t *testing.T, what string, pass, remembered bool, client, name string, lines ...string) {
	t.Helper()
	for range 2 {
		if got := a.passes(t, client, name, lines...); got != pass {
			t.Errorf("%s: %s passes %t; want %t", what, name, got, pass)
		}
	}
	if got := a.remembers(t, client, name, lines...); got != remembered {
		t.Errorf("%s: %s is remembered %t; want %t", what, name, got, remembered)
	}
}

func a(name, addr string) string { return name + " 60 IN A " + addr }

// TestRecallSame: what differs in nothing that counts is recalled, and what
// differs in anything else is not.
func TestRecallSame(t *testing.T) {
	w := newWorld(t)
	cfg := w.cfg
	cfg.Clients = []edge.Client{{Prefix: prefixOf("192.0.2.64/26"), Treatment: edge.MonitoredClient}, {Prefix: prefixOf("192.0.2.128/26"), Treatment: edge.ExemptClient}}
	p := newAsked(t, cfg)
	const unfiled, filed = "www.unfiled.test.", "www.accessed.test."
	p.want(t, "blocked", false, true, someClient, unfiled, a(unfiled, ours))
	p.want(t, "passed", true, true, someClient, filed, a(filed, ours))

	for what, same := range map[string]bool{
		"capitals in the question":   p.remembers(t, someClient, "WwW.uNFiled.TEST.", a(unfiled, ours)),
		"capitals in the record":     p.remembers(t, someClient, unfiled, a("WWW.Unfiled.Test.", ours)),
		"another TTL":                p.remembers(t, someClient, unfiled, unfiled+" 5 IN A "+ours),
		"another client of the kind": p.remembers(t, "192.0.2.2", unfiled, a(unfiled, ours)),
	} {
		if !same {
			t.Errorf("%s: not recalled", what)
		}
	}
	for what, other := range map[string]bool{
		"another address":      p.remembers(t, someClient, unfiled, a(unfiled, nobodys)),
		"another owner":        p.remembers(t, someClient, unfiled, a("x.test.", ours)),
		"one more":             p.remembers(t, someClient, unfiled, a(unfiled, ours), a(unfiled, abroad)),
		"one more before":      p.remembers(t, someClient, unfiled, a(unfiled, abroad), a(unfiled, ours)),
		"twice":                p.remembers(t, someClient, unfiled, a(unfiled, ours), a(unfiled, ours)),
		"another name":         p.remembers(t, someClient, filed, a(unfiled, ours)),
		"an alias":             p.remembers(t, someClient, unfiled, unfiled+" 60 IN CNAME x.test.", a("x.test.", ours)),
		"a signature":          p.remembers(t, someClient, unfiled, a(unfiled, ours), rrsig(unfiled, "A")),
		"a watched client":     p.remembers(t, watched, unfiled, a(unfiled, ours)),
		"an exempt client":     p.remembers(t, trusted, unfiled, a(unfiled, ours)),
		"another type":         p.remembers(t, someClient, unfiled, unfiled+" 60 IN AAAA "+ours6),
		"a text beside":        p.remembers(t, someClient, unfiled, a(unfiled, ours), unfiled+" 60 IN TXT x"),
		"a service record":     p.remembers(t, someClient, unfiled, unfiled+" 60 IN HTTPS 1 . ipv4hint="+ours),
		"a name with a escape": p.remembers(t, someClient, `www.un\102iled.test.`, a(unfiled, ours)),
	} {
		if other {
			t.Errorf("%s: recalled", what)
		}
	}

	p.want(t, "a watched client", true, true, watched, unfiled, a(unfiled, ours))
	p.want(t, "an exempt client", true, false, trusted, unfiled, a(unfiled, ours))
	p.want(t, "still blocked", false, true, someClient, unfiled, a(unfiled, ours))
	p.want(t, "in one order", true, true, someClient, unfiled, a(unfiled, abroad), a(unfiled, private))
	p.want(t, "in the other", true, true, someClient, unfiled, a(unfiled, private), a(unfiled, abroad))
	p.want(t, "stripped", false, false, someClient, unfiled, a(unfiled, abroad), a(unfiled, ours))
	p.want(t, "nothing in it", true, false, someClient, unfiled)
}

// TestRecallOtherBlock: server blocks that share a registry share no outcomes.
func TestRecallOtherBlock(t *testing.T) {
	w := newWorld(t)
	aliyuns := newAsked(t, w.cfg)
	w.cfg.Provider = registry.Tencent
	tencents := newAsked(t, w.cfg)
	w.cfg.Policy.Mode = registry.Monitor
	watching := newAsked(t, w.cfg)
	name := "www.elsewhere.test."
	for range 2 {
		aliyuns.want(t, "filed with another", false, true, someClient, name, a(name, ours))
		tencents.want(t, "its own filing, not its address", true, true, someClient, name, a(name, ours))
		watching.want(t, "only watching", true, true, someClient, name, a(name, ours))
	}
}

// TestRecallAfterChange: nothing that was put in force leaves an outcome behind.
func TestRecallAfterChange(t *testing.T) {
	filed, unfiled := "www.accessed.test.", "www.unfiled.test."
	changes := map[string]func(t *testing.T, w world){
		"registry": func(t *testing.T, w world) { w.registry(t, filing("unfiled.test", registry.Aliyun)) },
		"networks": func(t *testing.T, w world) {
			w.file(t, "networks", "203.0.113.0/26 tencent ecs ap-guangzhou mainland\n203.0.113.64/26 aliyun ecs somewhere overseas\n")
		},
		"mainland": func(t *testing.T, w world) { w.file(t, "mainland", "192.0.2.0/24\n") },
		"exempt":   func(t *testing.T, w world) { w.file(t, "exempt", "www.unfiled.test\n") },
		"bindings": func(t *testing.T, w world) { w.file(t, "bindings", "www.elsewhere.test cdn\n") },
		"suffixes": func(t *testing.T, w world) { w.file(t, "suffixes", "cdn.example aliyun ecs\n") },
		"profiles": func(t *testing.T, w world) { w.file(t, "profiles", "aliyun ecs filing\n") },
	}
	questions := map[string]struct {
		name   string
		lines  []string
		before bool
		after  map[string]bool // the data that turn it
	}{
		"filed":     {filed, []string{a(filed, ours)}, true, map[string]bool{"registry": true}},
		"unfiled":   {unfiled, []string{a(unfiled, nobodys)}, false, map[string]bool{"registry": true, "mainland": true, "exempt": true}},
		"elsewhere": {"www.elsewhere.test.", []string{a("www.elsewhere.test.", ours)}, false, map[string]bool{"networks": true, "bindings": true, "profiles": true}},
		"alias": {"www.elsewhere.test.", []string{"www.elsewhere.test. 60 IN CNAME x.cdn.example.", a("x.cdn.example.", nobodys)}, true,
			map[string]bool{"registry": true, "suffixes": true}},
	}
	for data, change := range changes {
		t.Run(data, func(t *testing.T) {
			w := newWorld(t)
			w.cfg.Bindings, w.cfg.Suffixes, w.cfg.Profiles = w.file(t, "bindings", "#\n"), w.file(t, "suffixes", "other.example aliyun ecs\n"), w.file(t, "profiles", "#\n")
			w.cfg.ExemptFiles = []edge.ExemptFile{{Path: w.file(t, "exempt", "#\n")}}
			w.file(t, "networks", networks)
			p := newAsked(t, w.cfg)
			for _, q := range questions {
				p.want(t, "before", q.before, true, someClient, q.name, q.lines...)
			}
			if change(t, w); !p.changed(t) {
				t.Fatal("nothing was put in force")
			}
			for what, q := range questions {
				p.want(t, what, q.before != q.after[data], true, someClient, q.name, q.lines...)
			}
		})
	}
}

// changed makes the handler look at its files and reports whether a name that was
// remembered is no more.
func (a *asked) changed(t *testing.T) bool {
	t.Helper()
	name := "www.probe.test."
	line := name + " 60 IN A " + abroad
	a.want(t, "probe", true, true, someClient, name, line)
	a.Refresh()
	return !a.remembers(t, someClient, name, line)
}

// TestRecallRevisions: each revision of a registry that changes all the time is in
// force at once.
func TestRecallRevisions(t *testing.T) {
	w := newWorld(t)
	live := newLive(t)
	w.cfg.Registry, w.cfg.Live = "", live
	p := newAsked(t, w.cfg)
	name := "www.turn.test."
	for i := range 200 {
		p.want(t, "a revision", i%2 == 1, true, someClient, name, a(name, ours))
		revise(t, live, "turn.test", i%2 == 0)
	}
}

// newLive makes a registry that changes can be applied to.
func newLive(t testing.TB, filings ...registry.Filing) *index.Live {
	t.Helper()
	b := index.NewBuilder(index.Options{MadeAt: time.Unix(1_700_000_000, 0)})
	for _, f := range filings {
		if err := b.Add(f); err != nil {
			t.Fatal(err)
		}
	}
	x, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	live := new(index.Live)
	live.Swap(x)
	return live
}

// revise makes the next revision, in which a name is filed or is not.
func revise(t testing.TB, live *index.Live, name string, filed bool) {
	t.Helper()
	c := registry.Change{Kind: registry.ChangeFilings, Name: registry.MustParseDomain(name), Revision: live.View().Revision()}
	c.Revision.Rev++
	if filed {
		c.Filings = []registry.Filing{filing(name, registry.Aliyun)}
	}
	if err := live.Apply(c); err != nil {
		t.Fatal(err)
	}
}

// TestRecallInTime: what hangs on the time is not remembered, and so ends when it
// does.
func TestRecallInTime(t *testing.T) {
	w := newWorld(t)
	var now atomic.Int64
	now.Store(1_700_000_000)
	w.cfg.Now = func() time.Time { return time.Unix(now.Load(), 0) }
	w.cfg.Policy.PendingAccess = registry.PendingAccessAllow
	pending := filing("pending.test", registry.Aliyun)
	pending.Accesses[0].Status, pending.Accesses[0].At = registry.AccessReviewed, now.Load()
	w.registry(t, pending, filing("accessed.test", registry.Aliyun), restricted("restricted.test"))
	domain := registry.MustParseDomain
	w.cfg.Exempt = []edge.Exempted{
		{Name: domain("until.test"), Exemption: registry.Exemption{Granted: true, Until: now.Load() + 100}},
		{Name: domain("ever.test"), Exemption: registry.Exemption{Granted: true}},
		{Name: domain("x.restricted.test"), Exemption: registry.Exemption{Granted: true}},
		{Name: domain("restricted.test"), Below: true, Exemption: registry.Exemption{Granted: true, Until: now.Load() + 100, Authority: true}},
		{Name: domain("below.test"), Below: true, Exemption: registry.Exemption{Granted: true, Until: now.Load() + 100}},
	}
	p := newAsked(t, w.cfg)
	names := []struct {
		name              string
		now, later, lasts bool
		alsoAfterTheGrace bool
	}{
		{name: "pending.test.", now: true, later: true},
		{name: "until.test.", now: true},
		{name: "x.below.test.", now: true},
		{name: "x.restricted.test.", now: true}, // what is left then does not do
		{name: "ever.test.", now: true, later: true, lasts: true, alsoAfterTheGrace: true},
		{name: "accessed.test.", now: true, later: true, lasts: true, alsoAfterTheGrace: true},
		{name: "unfiled.test.", lasts: true},
	}
	for _, n := range names {
		p.want(t, "now", n.now, n.lasts, someClient, n.name, a(n.name, ours))
	}
	now.Add(100)
	for _, n := range names {
		p.want(t, "exemptions ended", n.later, n.lasts, someClient, n.name, a(n.name, ours))
	}
	now.Add(int64(registry.Grace / time.Second))
	for _, n := range names {
		p.want(t, "the grace has ended, too", n.alsoAfterTheGrace, n.lasts, someClient, n.name, a(n.name, ours))
	}
	now.Add(-50 - int64(registry.Grace/time.Second))
	for _, n := range names {
		p.want(t, "the clock is set back", n.now, n.lasts, someClient, n.name, a(n.name, ours))
	}
}

// TestSearchListInTime: out of an exempt zone the alias of a search list is followed
// as long as the exemption holds. Later the asked name counts, also where the
// outcome was found before, and that its target is filed is no help.
func TestSearchListInTime(t *testing.T) {
	w := newWorld(t)
	var now atomic.Int64
	now.Store(1_700_000_000)
	w.cfg.Now = func() time.Time { return time.Unix(now.Load(), 0) }
	for zone, until := range map[string]int64{"search.test": now.Load() + 100, "ever.test": 0} {
		w.cfg.Exempt = append(w.cfg.Exempt, edge.Exempted{
			Name: registry.MustParseDomain(zone), Below: true, Exemption: registry.Exemption{Granted: true, Until: until},
		})
	}
	p := newAsked(t, w.cfg)
	const filed, unfiled = "www.accessed.test.", "www.unfiled.test."
	want := func(what, target, zone string, pass, remembered bool) {
		t.Helper()
		name := target + zone
		p.want(t, what, pass, remembered, someClient, name, name+" 60 IN CNAME "+target, a(target, ours))
	}
	want("now", filed, "search.test.", true, false)
	want("now", unfiled, "search.test.", false, false)
	want("for ever", filed, "ever.test.", true, true)
	want("from one to the other", filed, "ever.test.search.test.", true, false)
	now.Add(100)
	want("the exemption has ended", filed, "search.test.", false, false)
	want("the exemption has ended", unfiled, "search.test.", false, false)
	want("for ever", filed, "ever.test.", true, true)
}

// TestRecallChangedMeanwhile: a revision that comes while a message is judged
// leaves nothing behind under the number of the one before, which may come back.
func TestRecallChangedMeanwhile(t *testing.T) {
	w := newWorld(t)
	live := newLive(t)
	first, armed := live.Load(), false
	w.cfg.Registry, w.cfg.Live = "", live
	w.cfg.Now = func() time.Time { // is asked for by every judgement
		if armed {
			armed = false
			revise(t, live, "turn.test", true)
		}
		return time.Unix(1_700_000_000, 0)
	}
	p := newAsked(t, w.cfg)
	name := "www.turn.test."
	if armed = true; !p.passes(t, someClient, name, a(name, ours)) {
		t.Fatal("the revision was not in force while it was judged")
	}
	live.Swap(nil)
	live.Swap(first)
	p.want(t, "the first again", false, true, someClient, name, a(name, ours))
}

// TestRecallTooOld: while the registry is too old nothing is recalled, and what
// was is right again afterwards.
func TestRecallTooOld(t *testing.T) {
	w := newWorld(t)
	var now atomic.Int64
	now.Store(1_700_000_000)
	w.cfg.Now = func() time.Time { return time.Unix(now.Load(), 0) }
	w.cfg.MaxStale, w.cfg.OnStale = time.Hour, edge.StaleAllow
	p := newAsked(t, w.cfg)
	name := "unfiled.test."
	p.want(t, "fresh", false, true, someClient, name, a(name, ours))
	now.Add(7200)
	p.Refresh()
	p.want(t, "too old", true, false, someClient, name, a(name, ours))
	now.Add(-7200)
	p.Refresh()
	p.want(t, "fresh again", false, true, someClient, name, a(name, ours))
}

// TestRecallTells: a recalled block is counted, sighted and logged as the first
// one was.
func TestRecallTells(t *testing.T) {
	w := newWorld(t)
	w.cfg.Log = edge.Log{On: true, Sample: 1, File: filepath.Join(w.dir, "log"), ClientV4: 24, ClientV6: 48}
	w.cfg.Now = func() time.Time { return time.Unix(1_700_000_000, 0) }
	name := "_8443._https.tells.cancelled.test."
	labels := map[string]string{"zone": ".", "verdict": "block", "reason": "cancelled", "mode": "enforce"}
	row := fmt.Sprint(registry.MustParseDomain("cancelled.test"), addrOf(theirs), registry.Cancelled)
	before, seen := count(t, labels), sighted()[row]
	lines := []string{name + " 60 IN CNAME x.test.", a("x.test.", abroad), a("x.test.", theirs), a("x.test.", ours)}
	w.cfg.Policy.Mixed = registry.MixedBlock
	p := newAsked(t, w.cfg)
	p.want(t, "blocked", false, true, someClient, name, lines...)
	p.passes(t, someClient, name, lines...)
	if n := count(t, labels) - before; n != 3 {
		t.Errorf("counted %v; want 3", n)
	}
	if hits := sighted()[row] - seen; hits != 3 {
		t.Errorf("sighted %d times; want 3", hits)
	}
	var logged []string
	for deadline := time.Now().Add(2 * time.Minute); len(logged) < 3 && time.Now().Before(deadline); {
		b, _ := os.ReadFile(w.cfg.Log.File)
		logged = strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
	}
	if len(logged) != 3 || logged[1] != logged[0] || logged[2] != logged[0] || !strings.Contains(logged[0], "tells.cancelled.test") {
		t.Errorf("got the log\n%s\nwant the same line three times", strings.Join(logged, "\n"))
	}
}

// TestRecallUnderChange: many ask while the registry turns. Who begins to ask after
// a turn and is answered before the next one gets what the turn made.
func TestRecallUnderChange(t *testing.T) {
	w := newWorld(t)
	live := newLive(t)
	w.cfg.Registry, w.cfg.Live = "", live
	name := "turn.test."
	line := a(name, ours)
	var turns atomic.Int64 // even: an even number of turns is done; odd: one is under way
	done := make(chan struct{})
	next := replies{new(dns.Msg).SetReply(new(dns.Msg).SetQuestion(name, dns.TypeA))}
	next.m.Answer = rrs(t, []string{line})
	p := icp.Open(t, w.cfg, next, ".")
	var checked atomic.Int64
	var asking sync.WaitGroup
	for range 4 {
		asking.Go(func() {
			client, r := &sink{}, new(dns.Msg).SetQuestion(name, dns.TypeA)
			for {
				select {
				case <-done:
					return
				default:
				}
				before := turns.Load()
				p.ServeDNS(context.Background(), client, r)
				if after := turns.Load(); before != after || before%2 != 0 {
					continue
				}
				checked.Add(1)
				if filed := before/2%2 == 1; filed != (len(client.last.Answer) > 0) {
					t.Errorf("after %d turns: got\n%s", before/2, client.last)
					return
				}
			}
		})
	}
	// So many turns, and more where hardly anybody ran between two of them.
	for i := 0; i < 2000 || checked.Load() < 1000 && !t.Failed(); i++ {
		turns.Add(1)
		revise(t, live, "turn.test", i%2 == 0)
		turns.Add(1)
		for range 20 {
			p.ServeDNS(context.Background(), &sink{}, new(dns.Msg).SetQuestion(name, dns.TypeA))
		}
	}
	close(done)
	asking.Wait()
}
