package gate_test

import (
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/icpgate/icpgate/gate/authz/spop/peer"
)

// TestSPOEPeers: who is not listed is not even heard; who was, and is no more
// after a reload, is told.
func TestSPOEPeers(t *testing.T) {
	addr := freePort(t)
	conf := func(peers string) string { return "spoe://" + addr + " {\nICP\npeers " + peers + "\n}" }
	p := start(t, 1, conf("127.0.0.9"), nil)
	if c, err := peer.Dial("tcp", addr); err == nil {
		c.Close()
		t.Error("an unlisted peer is served")
	}
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 9)}}
	raw, err := dialer.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	c := &peer.Client{Conn: raw}
	defer c.Close()
	if err := c.Send(peer.HelloFrame(16380)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Next(); err != nil {
		t.Fatal(err)
	}
	if got := asks(t, c, "host", "unfiled.example"); got != "true block unfiled" {
		t.Errorf("a listed peer: %s", got)
	}
	p.write(t, conf("127.0.0.10"))
	_ = p.cmd.Process.Signal(syscall.SIGHUP)
	p.log.await(t, "configuration read anew")
	if a, err := c.Ask(peer.Message("icp", "host", "filed.example")); err == nil || a.Kind != peer.AgentDisconnect || a.Items["status-code"] != "0" {
		t.Errorf("no more listed: %v, %v; want a farewell", a, err)
	}
}

// TestSPOEFollows: connections are older than what they are answered by: a
// registry, and a configuration.
func TestSPOEFollows(t *testing.T) {
	addr := freePort(t)
	conf := func(more string) string {
		return "spoe://" + addr + " {\nicp {\nregistry registry.icp\nprovider aliyun\n" + more + "\n}\nserves mainland\npeers 127.0.0.1\n}"
	}
	p := start(t, 1, conf(""), nil)
	c := dialSPOE(t, "tcp", addr)
	if got := asks(t, c, "host", "unfiled.example"); got != "true block unfiled" {
		t.Errorf("at first: %s", got)
	}
	p.write(t, conf("mode monitor"))
	_ = p.cmd.Process.Signal(syscall.SIGHUP)
	p.log.await(t, "configuration read anew")
	if got := asks(t, c, "host", "unfiled.example"); got != "false block unfiled" {
		t.Errorf("by the configuration read anew: %s", got)
	}
	p.writeRegistry(t, 2, filing("unfiled.example", "aliyun"))
	eventually(t, "the new registry", func() bool { return asks(t, c, "host", "unfiled.example") == "false pass accessed" })
}

// TestSPOEEnds: at the end of the process, and when their listener is gone,
// connections that wait are told.
func TestSPOEEnds(t *testing.T) {
	first, second := freePort(t), freePort(t)
	conf := func(addr string) string { return "spoe://" + addr + " {\nICP\npeers 127.0.0.1\n}" }
	p := start(t, 1, conf(first), nil)
	old := dialSPOE(t, "tcp", first)
	asks(t, old, "host", "filed.example")
	p.write(t, conf(second))
	_ = p.cmd.Process.Signal(syscall.SIGHUP)
	p.log.await(t, "configuration read anew")
	if a, err := old.Next(); err != nil || a.Kind != peer.AgentDisconnect || a.Items["status-code"] != "0" {
		t.Errorf("its listener gone: %v, %v; want a farewell", a, err)
	}
	c := dialSPOE(t, "tcp", second)
	// One question and the beginning of the next come together: with the answer to the
	// first, the gate has read that.
	ask := peer.NotifyFrame(1, 1, peer.Message("icp", "host", "filed.example"))
	if err := c.Send(append(ask, ask[:9]...)); err != nil {
		t.Fatal(err)
	}
	if a, err := c.Next(); err != nil || a.Kind != peer.Ack {
		t.Fatalf("the question before the last: %v, %v; want its answer", a, err)
	}
	idle := dialSPOE(t, "tcp", second)
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	if a, err := idle.Next(); err != nil || a.Kind != peer.AgentDisconnect || a.Items["status-code"] != "0" {
		t.Errorf("at the end: %v, %v; want a farewell", a, err)
	}
	// A question that has begun is answered first.
	if err := c.Send(ask[9:]); err != nil {
		t.Fatal(err)
	}
	if a, err := c.Next(); err != nil || a.Kind != peer.Ack {
		t.Errorf("the last question: %v, %v; want its answer", a, err)
	}
	if a, err := c.Next(); err != nil || a.Kind != peer.AgentDisconnect {
		t.Errorf("after it: %v, %v; want a farewell", a, err)
	}
	c.Close()
	idle.Close()
	old.Close()
	begun := time.Now()
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("%v after %s", err, time.Since(begun))
	}
}
