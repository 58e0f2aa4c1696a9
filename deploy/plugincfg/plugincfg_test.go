// Package plugincfg tests CoreDNS with all of its plugins and the directive, as
// an operator builds it by plugin.cfg.
package plugincfg

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/icpgate/icpgate/deploy/loopback"
	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/index"
)

const inMainland = "203.0.113.1" // as the networks of the tests have it

// program is the CoreDNS under test. ICP_PLUGINCFG names it, which `make check`
// sets; it takes minutes to build for the first time.
func program(t *testing.T) string {
	t.Helper()
	path := os.Getenv("ICP_PLUGINCFG")
	if path == "" {
		t.Skip("ICP_PLUGINCFG is not set; `make check` builds CoreDNS by plugin.cfg and sets it")
	}
	return path
}

// TestReadme starts the second Corefile of the documentation and asks.
func TestReadme(t *testing.T) {
	coredns, dir := program(t), t.TempDir()
	text, err := os.ReadFile("../../plugin/README.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := regexp.MustCompile("(?ms)^~~~ corefile\n(.*?)^~~~$").FindAllStringSubmatch(string(text), -1)
	i := slices.IndexFunc(examples, func(e []string) bool { return strings.Contains(e[1], "networks networks.txt") })
	if i < 0 {
		t.Fatal("no example with networks in plugin/README.md")
	}
	up := startUpstream(t, "unfiled.test. 60 IN A "+inMainland, "www.accessed.test. 60 IN A "+inMainland)
	writeRegistry(t, filepath.Join(dir, "registry.snap"), "accessed.test")
	writeFile(t, filepath.Join(dir, "networks.txt"), "203.0.113.0/24 aliyun ecs cn-hangzhou mainland\n")
	addr := start(t, coredns, dir, strings.ReplaceAll(examples[i][1], "127.0.0.1:9053", up))
	if m := ask(t, addr, "unfiled.test.", dns.TypeA); !strings.Contains(m.String(), "192.0.2.80") || !strings.Contains(m.String(), "EDE: 4") {
		t.Errorf("got\n%s; want the notice host and EDE 4", m)
	}
	wantAddress(t, ask(t, addr, "www.accessed.test.", dns.TypeA), inMainland)
}

// TestAllPlugins: the directive is one among all of CoreDNS's.
func TestAllPlugins(t *testing.T) {
	out, err := exec.Command(program(t), "-plugins").CombinedOutput()
	if err != nil {
		t.Fatalf("-plugins: %v\n%s", err, out)
	}
	for _, name := range []string{"icp", "kubernetes", "forward"} {
		if !slices.Contains(strings.Fields(string(out)), name) {
			t.Errorf("got\n%s; want %s among the plugins", out, name)
		}
	}
}

// TestKubernetes: names of a cluster, those that lead out of it, and zones that
// k8s_external serves from it.
func TestKubernetes(t *testing.T) {
	coredns, dir := program(t), t.TempDir()
	up := startUpstream(t,
		"www.unfiled.test. 60 IN A "+inMainland,
		"www.accessed.test. 60 IN CNAME x.cdn.unfiled.test.", "x.cdn.unfiled.test. 60 IN A "+inMainland,
	)
	api := startCluster(t)
	writeRegistry(t, filepath.Join(dir, "r.snap"), "accessed.test")
	writeFile(t, filepath.Join(dir, "mainland"), "203.0.113.0/24\n")
	addr := start(t, coredns, dir, `. {
	icp {
		registry r.snap
		mainland mainland
	}
	autopath @kubernetes
	cache
	k8s_external ext.unfiled.test ext.accessed.test
	kubernetes cluster.local {
		endpoint `+api+`
		pods verified
	}
	forward . `+up+`
}
`)
	tests := []struct{ name, addr string }{
		{"lead.default.svc.cluster.local.", ""},                         // ExternalName, to an unfiled name
		{"cdn.default.svc.cluster.local.", inMainland},                  // ExternalName, to a filed name that a CDN serves
		{"target.default.svc.cluster.local.", ""},                       // ExternalName, to the CDN's own name
		{"pod.default.svc.cluster.local.", "203.0.113.7"},               // a service of the cluster's own
		{"web.default.ext.unfiled.test.", ""},                           // k8s_external
		{"web.default.ext.accessed.test.", "203.0.113.8"},               // k8s_external
		{"www.unfiled.test.default.svc.cluster.local.", ""},             // autopath
		{"www.accessed.test.default.svc.cluster.local.", inMainland},    // autopath
		{"www.accessed.test.", inMainland}, {"x.cdn.unfiled.test.", ""}, // what stands in the cache by now
		{"WWW.Accessed.Test.default.svc.Cluster.Local.", inMainland}, // autopath
		{"www.unfiled.test.DEFAULT.svc.cluster.local.", ""},          // autopath
	}
	for range 2 {
		for _, tt := range tests {
			m := ask(t, addr, tt.name, dns.TypeA)
			if tt.addr != "" {
				wantAddress(t, m, tt.addr)
			} else if strings.Contains(m.String(), "203.0.113.") || !strings.Contains(m.String(), "icp: not filed") {
				t.Errorf("got\n%s; want it withheld", m)
			}
		}
	}
	if m := ask(t, addr, "_http._tcp.web.default.ext.unfiled.test.", dns.TypeSRV); len(m.Answer) == 0 || strings.Contains(m.String(), "203.0.113.") {
		t.Errorf("got\n%s; want the service without its address", m)
	}
}

func wantAddress(t *testing.T, m *dns.Msg, addr string) {
	t.Helper()
	if len(m.Answer) == 0 || !strings.HasSuffix(m.Answer[len(m.Answer)-1].String(), "\t"+addr) || strings.Contains(m.String(), "EDE") {
		t.Errorf("got\n%s; want %s", m, addr)
	}
}

// start runs CoreDNS with a Corefile of one block "." and returns its address
// once that very process answers.
func start(t *testing.T, coredns, dir, corefile string) string {
	t.Helper()
	addr, token := loopback.Free(t), filepath.Base(dir)+"-"+filepath.Base(filepath.Dir(dir))
	host, port, _ := net.SplitHostPort(addr) // it has both
	writeFile(t, filepath.Join(dir, "Corefile"), strings.Replace(corefile, ". {", ".:"+port+" {\n\tbind "+host+"\n\tchaos "+token, 1))
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, coredns, "-quiet")
	cmd.Dir = dir
	var logs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &logs, &logs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() { cancel(); <-ended })
	for {
		q := new(dns.Msg).SetQuestion("version.bind.", dns.TypeTXT)
		q.Question[0].Qclass = dns.ClassCHAOS
		if m, _, err := (&dns.Client{Timeout: time.Second}).Exchange(q, addr); err == nil && strings.Contains(m.String(), token) {
			return addr
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("CoreDNS ended: %v\n%s", err, logs.String())
		default:
		}
	}
}

func ask(t *testing.T, addr, name string, qtype uint16) *dns.Msg {
	t.Helper()
	q := new(dns.Msg).SetQuestion(name, qtype)
	q.SetEdns0(1232, false)
	m, _, err := (&dns.Client{Timeout: time.Minute}).Exchange(q, addr)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return m
}

// startUpstream answers from records, along aliases.
func startUpstream(t *testing.T, lines ...string) string {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &dns.Server{PacketConn: conn, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, r *dns.Msg) {
		m := new(dns.Msg).SetRcode(r, dns.RcodeNameError)
		name := r.Question[0].Name
		for _, line := range lines { // an alias stands before its target
			rr, err := dns.NewRR(line)
			if err != nil || !strings.EqualFold(rr.Header().Name, name) {
				continue
			}
			m.Rcode = dns.RcodeSuccess
			if c, ok := rr.(*dns.CNAME); ok {
				name = c.Target
			}
			m.Answer = append(m.Answer, rr)
		}
		_ = w.WriteMsg(m)
	})}
	done := make(chan struct{})
	go func() { _ = srv.ActivateAndServe(); close(done) }()
	t.Cleanup(func() { conn.Close(); <-done })
	return conn.LocalAddr().String()
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// writeRegistry writes a snapshot in which a name is filed and accessed.
func writeRegistry(t *testing.T, path, name string) {
	t.Helper()
	b := index.NewBuilder(index.Options{MadeAt: time.Unix(1_700_000_000, 0)})
	if err := b.Add(registry.Filing{
		Site:          registry.Site{Domains: []registry.Domain{registry.MustParseDomain(name)}},
		Accesses:      []registry.Access{{Provider: registry.Aliyun}},
		AccessesKnown: true,
	}); err != nil {
		t.Fatal(err)
	}
	x, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	if err := index.WriteFile(path, x); err != nil {
		t.Fatal(err)
	}
}
