package gate_test

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"github.com/icpgate/icpgate/gate"
	"github.com/icpgate/icpgate/gate/authz/spop/peer"
	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/edge"
	"github.com/icpgate/icpgate/registry/index"
)

// dialSPOE connects to a listener as HAProxy does.
func dialSPOE(t testing.TB, network, addr string) *peer.Client {
	t.Helper()
	c, err := peer.Dial(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// asks asks with a message and returns the variables as block, verdict, reason and
// what else there is but the id.
func asks(t testing.TB, c *peer.Client, args ...any) string {
	t.Helper()
	a, err := c.Ask(peer.Message("icp", args...))
	if err != nil {
		t.Fatalf("%v: %v", args, err)
	}
	blocked := a.Items["block"] == "true"
	if (a.Items["id"] != "") != blocked {
		t.Errorf("%v: id %q; want one with a refusal", args, a.Items["id"])
	}
	said := fmt.Sprintf("%s %s %s", a.Items["block"], a.Items["verdict"], a.Items["reason"])
	if url := a.Items["url"]; url != "" {
		said += " to " + url
	}
	if kind := a.Items["type"]; kind != "" {
		said += " " + kind
	}
	return said
}

var (
	client    = netip.MustParseAddr("198.51.100.7")
	exempt    = netip.MustParseAddr("198.51.100.99")
	mainland  = netip.MustParseAddr("223.5.5.5")
	overseas  = netip.MustParseAddr("8.8.8.8")
	container = netip.MustParseAddr("10.0.0.5")
)

func TestSPOE(t *testing.T) {
	p := start(t, 4, `
spoe://127.0.0.1:0 {
	ICP
	peers 127.0.0.1
}
spoe://127.0.0.2:0 {
	icp {
		registry registry.icp
		provider aliyun
		mode monitor
	}
	serves mainland
	peers 127.0.0.0/8
}
spoe://127.0.0.3:0 {
	icp {
		registry registry.icp
		provider aliyun
		clients exempt 198.51.100.99
		policy no-host block
		policy ip-literal block
	}
	serves asked mainland
	peers 127.0.0.0/8
	block redirect https://notice.example.net/
}
spoe://127.0.0.4:0 {
	icp {
		registry registry.icp
		provider aliyun
	}
	serves asked
	peers 127.0.0.0/8
}
`, nil)
	for name, tests := range map[string][]struct {
		args []any
		want string
	}{
		"spoe://127.0.0.1:": {
			{[]any{"host", "www.filed.example"}, "false pass accessed"},
			{[]any{"host", "WWW.Filed.Example.:8443", "src", client}, "false pass accessed"},
			{[]any{"host", []byte("filed.example")}, "false pass accessed"},
			{[]any{"host", "unfiled.example"}, "true block unfiled"},
			{[]any{"host", "elsewhere.example"}, "true block not-accessed"},
			{[]any{"host", "unfiled.example", "page", true}, "true block unfiled text/html; charset=utf-8"},
			{[]any{"host", "unfiled.example", "page", true, "accept", "application/json"}, "true block unfiled application/json"},
			{[]any{"host", "192.0.2.1"}, "false pass ip-literal"},
			{[]any{"host", "[2001:db8::1]:80"}, "false pass ip-literal"},
			{[]any{"host", nil}, "false pass no-host"},
			{[]any{"host", ""}, "false pass no-host"},
			{[]any{"sni", nil}, "false pass no-host"},
			{[]any{"sni", "filed.example"}, "false pass accessed"},
			{[]any{"sni", "unfiled.example", "page", true}, "true block unfiled"}, // nobody can be shown a page
			// Both must pass.
			{[]any{"host", "filed.example", "sni", "filed.example"}, "false pass accessed"},
			{[]any{"host", "unfiled.example", "sni", "filed.example"}, "true block unfiled"},
			{[]any{"host", "filed.example", "sni", "unfiled.example"}, "true block unfiled"},
			{[]any{"host", "filed.example", "sni", nil}, "false pass accessed"},
			// Exactly one name, and never two that differ.
			{[]any{"host", "filed.example, unfiled.example"}, "true block malformed"},
			{[]any{"host", "filed.example:80@unfiled.example"}, "true block malformed"},
			{[]any{"host", "filed.example", "host", "unfiled.example"}, "true block malformed"},
			{[]any{"host", "filed.example", "host", "FILED.example:80"}, "false pass accessed"},
			{[]any{"sni", "filed.example\x00.unfiled.example"}, "true block malformed"},
			{[]any{"host", "filed.example", "sni", "filed example"}, "true block malformed"},
			{[]any{"host", 7}, "true block malformed"},
			{[]any{"host", true}, "true block malformed"},
			// A message that asks for nobody is a mistake of whoever wrote it.
			{[]any{}, "true block malformed"},
			{[]any{"Host", "filed.example"}, "true block malformed"},
			{[]any{"", "filed.example"}, "true block malformed"},
			{[]any{"host", "filed.example", "src", "198.51.100.7"}, "true block malformed"},
			{[]any{"host", "filed.example", "src", nil, "dst", nil, "path", nil, "product", nil, "more", 7}, "false pass accessed"},
			// What answers is the proxy's to say: a CDN needs no access.
			{[]any{"host", "elsewhere.example", "product", "cdn"}, "false pass filed"},
			{[]any{"host", "elsewhere.example", "product", "something"}, "true block malformed"},
			{[]any{"host", "filed.example", "product", 7}, "true block malformed"},
			// The address is not, where the configuration does not say so.
			{[]any{"host", "unfiled.example", "dst", overseas}, "true block unfiled"},
		},
		"spoe://127.0.0.2:": {
			{[]any{"host", "unfiled.example"}, "false block unfiled"},
			{[]any{"sni", "unfiled.example"}, "false block unfiled"},
			{[]any{"host", "two, names"}, "true block malformed"},
			{[]any{"sni", "two, names"}, "false block malformed"}, // as TLS passes through
		},
		"spoe://127.0.0.3:": {
			{[]any{"host", "unfiled.example", "src", client}, "true block unfiled to https://notice.example.net/?host=unfiled.example&reason=unfiled"},
			{[]any{"host", "unfiled.example", "src", exempt}, "false pass exempt"},
			{[]any{"host", nil}, "true block no-host-refused to https://notice.example.net/?host=&reason=no-host-refused"},
			{[]any{"host", "203.0.113.1"}, "true block ip-refused to https://notice.example.net/?host=203.0.113.1&reason=ip-refused"},
			{[]any{"host", "unfiled.example", "dst", overseas}, "false pass outside-mainland"},
			{[]any{"host", "unfiled.example", "dst", mainland, "sni", "filed.example"}, "true block unfiled to https://notice.example.net/?host=unfiled.example&reason=unfiled"},
			{[]any{"host", "unfiled.example", "dst", container}, "true block unfiled to https://notice.example.net/?host=unfiled.example&reason=unfiled"},
		},
		"spoe://127.0.0.4:": {
			{[]any{"host", "unfiled.example", "dst", mainland}, "true block unfiled"},
			{[]any{"host", "unfiled.example", "dst", overseas}, "false pass outside-mainland"},
			{[]any{"host", "filed.example"}, "true block malformed"},
			{[]any{"host", "filed.example", "dst", container}, "true block malformed"},
		},
	} {
		c := dialSPOE(t, "tcp", p.addr(t, name))
		for _, tt := range tests {
			if got := asks(t, c, tt.args...); got != tt.want {
				t.Errorf("%s %v: %s; want %s", name, tt.args, got, tt.want)
			}
		}
	}
}

// TestSPOEUndecided: without a registry it is as the configuration says.
func TestSPOEUndecided(t *testing.T) {
	for fail, want := range map[registry.FailPolicy]string{registry.FailOpen: "false pass undecided", registry.FailClosed: "true block undecided"} {
		l := serve(t, gate.TestService{Kind: "spoe", Edge: newEdge(t, func(c *edge.Config) {
			c.Live = new(index.Live)
			c.Policy.Fail = fail
		})})
		c := dialSPOE(t, "tcp", l.Addr())
		if got := asks(t, c, "host", "filed.example"); got != want {
			t.Errorf("%v: %s; want %s", fail, got, want)
		}
	}
}

// TestSPOEAllocatesNothing: a question that passes takes no memory.
func TestSPOEAllocatesNothing(t *testing.T) {
	take := gate.SPOEForTest(newEdge(t, nil))
	var b []byte
	for i := range 10 {
		b = append(b, peer.NotifyFrame(uint64(i), 1, peer.Message("icp", "host", fmt.Sprintf("www%d.filed.example", i), "sni", "www.filed.example", "src", client, "dst", mainland))...)
	}
	take(b)
	if n := testing.AllocsPerRun(100, func() { take(b) }); n != 0 {
		t.Errorf("%v allocations for ten questions; want none", n)
	}
}

// BenchmarkSPOE is what a question costs beside what the system does for it.
func BenchmarkSPOE(b *testing.B) {
	take := gate.SPOEForTest(newEdge(b, nil))
	frame := peer.NotifyFrame(1, 1, peer.Message("icp", "host", "www.filed.example", "sni", nil, "src", client, "dst", mainland))
	b.ReportAllocs()
	for b.Loop() {
		take(frame)
	}
}

// TestSPOEPage: the page is the one that the gate shows itself, in the language
// that is asked for, and left out where it is longer than a frame may be.
func TestSPOEPage(t *testing.T) {
	p := start(t, 1, "spoe://127.0.0.1:0 {\nICP\npeers 127.0.0.1\nnotice provider \"Example Cloud\"\n}", nil)
	c := dialSPOE(t, "tcp", p.addr(t, "spoe:"))
	for lang, want := range map[string]string{"zh-CN,zh": "该网站未完成备案", "en": "has no ICP filing"} {
		a, err := c.Ask(peer.Message("icp", "host", "unfiled.example", "page", true, "language", lang))
		if err != nil {
			t.Fatal(err)
		}
		page := a.Items["page"]
		if !strings.Contains(page, want) || !strings.Contains(page, "Example Cloud") || !strings.Contains(page, a.Items["id"]) {
			t.Errorf("%s: page without %q, the provider or the id %q:\n%s", lang, want, a.Items["id"], page)
		}
	}
	raw, err := net.Dial("tcp", p.addr(t, "spoe:"))
	if err != nil {
		t.Fatal(err)
	}
	small := &peer.Client{Conn: raw}
	defer small.Close()
	if err := small.Send(peer.HelloFrame(300)); err != nil {
		t.Fatal(err)
	}
	if a, err := small.Next(); err != nil || a.Items["max-frame-size"] != "300" {
		t.Fatalf("%v, %v", a, err)
	}
	if got := asks(t, small, "host", "unfiled.example", "page", true); got != "true block unfiled" {
		t.Errorf("in frames of 300 bytes: %s; want the verdict alone", got)
	}
}

// TestSPOEPipelined: what came together is answered together, in order.
func TestSPOEPipelined(t *testing.T) {
	p := start(t, 1, "spoe://unix:spoe.sock {\nICP\n}", nil)
	c := dialSPOE(t, "unix", filepath.Join(p.dir, "spoe.sock"))
	const n = 150
	var b []byte
	for i := range n {
		host := map[bool]string{true: "filed.example", false: "unfiled.example"}[i%3 > 0]
		b = append(b, peer.NotifyFrame(uint64(i), uint64(i+7), peer.Message("icp", "host", host, "src", client))...)
	}
	if err := c.Send(b); err != nil {
		t.Fatal(err)
	}
	answers := make([]byte, 64<<10)
	size, err := c.Read(answers) // one write comes whole over a unix socket
	if err != nil {
		t.Fatal(err)
	}
	answers = answers[:size]
	for i := range n {
		a, used, err := peer.ReadAnswer(answers)
		if err != nil || used == 0 {
			t.Fatalf("answer %d of %d bytes: %v, %d", i, size, err, used)
		}
		if want := fmt.Sprint(i%3 == 0); a.Stream != uint64(i) || a.ID != uint64(i+7) || a.Items["block"] != want {
			t.Errorf("answer %d: %v; want block %s", i, a, want)
		}
		answers = answers[used:]
	}
	if len(answers) > 0 {
		t.Errorf("%d bytes more", len(answers))
	}
}

// TestSPOEHealthCheck: a check gets its hello and the end.
func TestSPOEHealthCheck(t *testing.T) {
	p := start(t, 1, "spoe://127.0.0.1:0 {\nICP\npeers 127.0.0.1\n}", nil)
	raw, err := net.Dial("tcp", p.addr(t, "spoe:"))
	if err != nil {
		t.Fatal(err)
	}
	c := &peer.Client{Conn: raw}
	defer c.Close()
	if err := c.Send(peer.Frame(peer.Hello, peer.FIN, 0, 0, peer.Items("supported-versions", "2.0", "max-frame-size", 16380, "capabilities", "", "healthcheck", true))); err != nil {
		t.Fatal(err)
	}
	if a, err := c.Next(); err != nil || a.Kind != peer.AgentHello {
		t.Fatalf("%v, %v", a, err)
	}
	if a, err := c.Next(); err != io.EOF {
		t.Errorf("%v, %v; want the end", a, err)
	}
}
