package icp_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coredns/caddy"
	_ "github.com/coredns/coredns/plugin/any"
	_ "github.com/coredns/coredns/plugin/autopath"
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/chaos"
	_ "github.com/coredns/coredns/plugin/dns64"
	_ "github.com/coredns/coredns/plugin/dnssec"
	_ "github.com/coredns/coredns/plugin/dynupdate"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/file"
	_ "github.com/coredns/coredns/plugin/forward"
	_ "github.com/coredns/coredns/plugin/header"
	_ "github.com/coredns/coredns/plugin/hosts"
	_ "github.com/coredns/coredns/plugin/loadbalance"
	_ "github.com/coredns/coredns/plugin/log"
	_ "github.com/coredns/coredns/plugin/metadata"
	_ "github.com/coredns/coredns/plugin/metrics"
	_ "github.com/coredns/coredns/plugin/minimal"
	_ "github.com/coredns/coredns/plugin/multisocket"
	_ "github.com/coredns/coredns/plugin/ready"
	_ "github.com/coredns/coredns/plugin/rewrite"
	_ "github.com/coredns/coredns/plugin/root"
	_ "github.com/coredns/coredns/plugin/template"
	_ "github.com/coredns/coredns/plugin/tls"
	_ "github.com/coredns/coredns/plugin/transfer"
	_ "github.com/coredns/coredns/plugin/tsig"
	_ "github.com/coredns/coredns/plugin/view"
	_ "github.com/coredns/coredns/plugin/whoami"
	"github.com/miekg/dns"

	"github.com/icpgate/icpgate/deploy/loopback"
)

// server is a CoreDNS in this process.
type server struct {
	instance *caddy.Instance
	stopped  bool
}

// icpBlock is the directive as most tests have it.
const icpBlock = `icp {
		registry r.snap
		provider aliyun
		mainland mainland
		networks networks
		OPTIONS
	}`

// start runs a Corefile in a world's directory. In it ICP stands for the usual
// directive and ICP(lines) for the same with more lines; every block is bound to
// this process's own loopback address: CoreDNS shares its ports with whoever asks for
// the same of the same address.
func (w world) start(t testing.TB, corefile string) *server {
	t.Helper()
	s := w.startUnsettled(t, corefile)
	s.settle(t)
	return s
}

// startUnsettled is start for servers of other transports than UDP and TCP.
func (w world) startUnsettled(t testing.TB, corefile string) *server {
	t.Helper()
	inst, err := caddy.Start(w.corefile(corefile))
	if err != nil {
		t.Fatal(err)
	}
	s := &server{instance: inst}
	t.Cleanup(s.stop)
	return s
}

// settle waits until all listeners serve: one that is stopped before it has
// begun to would go on for ever. A question of an unknown
// EDNS version reaches no plugin.
func (s *server) settle(t testing.TB) {
	t.Helper()
	for _, l := range s.instance.Servers() {
		for network, addr := range map[string]net.Addr{"udp": l.LocalAddr(), "tcp": l.Addr()} {
			m := new(dns.Msg).SetQuestion("settle.test.", dns.TypeA)
			m.SetEdns0(1232, false)
			m.IsEdns0().SetVersion(1)
			c := &dns.Client{Net: network, Timeout: time.Minute}
			if _, _, err := c.Exchange(m, addr.String()); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func (w world) corefile(text string) caddy.Input {
	for {
		before, after, ok := strings.Cut(text, "ICP(")
		if !ok {
			break
		}
		lines, rest, _ := strings.Cut(after, ")")
		text = before + strings.ReplaceAll(icpBlock, "OPTIONS", lines) + rest
	}
	text = strings.ReplaceAll(text, "ICP", strings.ReplaceAll(icpBlock, "OPTIONS", ""))
	text = strings.ReplaceAll(text, "SERVER", "bind "+loopback.Host()+"\nroot "+w.dir)
	return caddy.CaddyfileInput{Filepath: "Corefile", Contents: []byte(text), ServerTypeName: "dns"}
}

// reload replaces the Corefile of the running server.
func (s *server) reload(t testing.TB, in caddy.Input) error {
	t.Helper()
	next, err := s.instance.Restart(in)
	s.instance = next
	s.settle(t)
	return err
}

// stop ends the server; a second time it does nothing.
func (s *server) stop() {
	if s.stopped {
		return
	}
	s.stopped = true
	err := errors.Join(s.instance.ShutdownCallbacks()...)
	if err = errors.Join(err, s.instance.Stop()); err != nil {
		panic(err)
	}
	s.instance.Wait()
}

func (s *server) udp() string { return s.instance.Servers()[0].LocalAddr().String() }
func (s *server) tcp() string { return s.instance.Servers()[0].Addr().String() }

// ask sends a question over UDP.
func (s *server) ask(t testing.TB, q query) *dns.Msg {
	t.Helper()
	return exchange(t, "udp", s.udp(), q.msg())
}

// stoodStill reports whether an answer says that the upstream, which is in this process,
// was waited for in vain: forward tries it twice for two seconds each.
func stoodStill(r *dns.Msg, took time.Duration) bool {
	return r.Rcode == dns.RcodeServerFailure && took > 3*time.Second
}

func exchange(t testing.TB, network, addr string, m *dns.Msg) *dns.Msg {
	t.Helper()
	c := &dns.Client{Net: network, Timeout: 20 * time.Second, UDPSize: 1232}
	r, took, err := c.Exchange(m, addr)
	for tries := 1; tries < 6; tries++ {
		// A datagram may be lost.
		if lost := err != nil && network == "udp"; !lost && (err != nil || !stoodStill(r, took)) {
			break
		}
		r, took, err = c.Exchange(m, addr)
	}
	if err != nil {
		t.Fatalf("%s: %v", m.Question[0].String(), err)
	}
	if len(r.Question) != 1 || r.Question[0] != m.Question[0] {
		t.Errorf("got question %v; want %v", r.Question, m.Question)
	}
	if m.IsEdns0() == nil && r.IsEdns0() != nil {
		t.Errorf("%s: got an OPT record; the client sent none", m.Question[0].String())
	}
	return r
}

// upstream is a name server outside: it answers from records, NXDOMAIN for
// names without any, NODATA for other types.
type upstream struct {
	addr    string
	queries atomic.Int64
}

func newUpstream(t testing.TB, lines ...string) *upstream {
	t.Helper()
	records := rrs(t, lines)
	u := &upstream{}
	u.serve(t, func(w dns.ResponseWriter, r *dns.Msg) {
		u.queries.Add(1)
		w.WriteMsg(lookup(records, r))
	})
	return u
}

// serve listens on one port of UDP and TCP.
func (u *upstream) serve(t testing.TB, h dns.HandlerFunc) {
	t.Helper()
	var (
		l   net.Listener
		pc  net.PacketConn
		err error
	)
	for range 10 { // the port may be taken on the other protocol
		if l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		if pc, err = net.ListenPacket("udp", l.Addr().String()); err == nil {
			break
		}
		l.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	u.addr = l.Addr().String()
	for _, s := range []*dns.Server{{Listener: l, Handler: h}, {PacketConn: pc, Handler: h}} {
		started := make(chan struct{})
		s.NotifyStartedFunc = func() { close(started) }
		go s.ActivateAndServe()
		<-started
		t.Cleanup(func() { s.ShutdownContext(context.Background()) })
	}
}

// lookup answers as a recursive server does.
func lookup(records []dns.RR, r *dns.Msg) *dns.Msg {
	m := new(dns.Msg).SetReply(r)
	m.RecursionAvailable = true
	if opt := r.IsEdns0(); opt != nil {
		m.SetEdns0(1232, opt.Do())
	}
	name, known := r.Question[0].Name, false
	for hops := 0; hops < 8; hops++ {
		next := ""
		for _, rr := range records {
			h := rr.Header()
			if !strings.EqualFold(h.Name, name) {
				continue
			}
			known = true
			c, isAlias := rr.(*dns.CNAME)
			if q := r.Question[0].Qtype; h.Rrtype == q || q == dns.TypeANY || isAlias {
				m.Answer = append(m.Answer, dns.Copy(rr))
			}
			if isAlias {
				next = c.Target
			}
		}
		if next == "" {
			break
		}
		name = next
	}
	if !known {
		m.Rcode = dns.RcodeNameError
	}
	if len(m.Answer) == 0 {
		m.Ns = []dns.RR{&dns.SOA{
			Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: 60},
			Ns:  "ns.", Mbox: "host.", Serial: 1, Refresh: 1, Retry: 1, Expire: 1, Minttl: 60,
		}}
	}
	return m
}

// wantBlocked fails unless m tells that all addresses were withheld.
func wantBlocked(t *testing.T, m *dns.Msg, reason string) {
	t.Helper()
	if len(addresses(m)) != 0 || len(addressesOf(m.Extra)) != 0 || len(addressesOf(m.Ns)) != 0 {
		t.Errorf("got\n%s; want no address", m)
	}
	if code, text := ede(m); code != 16 || text != "icp: "+reason {
		t.Errorf("got\n%s; want EDE 16 %q", m, "icp: "+reason)
	}
}

// wantAddresses fails unless m has just these addresses and no EDE.
func wantAddresses(t *testing.T, m *dns.Msg, want ...string) {
	t.Helper()
	if got := addresses(m); !equal(got, want) || m.Rcode != dns.RcodeSuccess {
		t.Errorf("got\n%s; want addresses %v", m, want)
	}
	if code, text := ede(m); code != -1 {
		t.Errorf("got EDE %d %q; want none", code, text)
	}
}
