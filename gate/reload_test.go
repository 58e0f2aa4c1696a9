package gate_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/icpgate/icpgate/gate"
	"github.com/icpgate/icpgate/gate/internal/hello"
	"github.com/icpgate/icpgate/gate/sniff/initial"
	"github.com/icpgate/icpgate/registry"
)

// keptAsk sends a request with a name on a connection that is kept and returns the
// status of the answer, of which the body is read.
func keptAsk(t *testing.T, c net.Conn, r *bufio.Reader, name string) string {
	t.Helper()
	fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", name)
	status, _, _ := strings.Cut(answered(t, r, "GET"), " ")
	return status
}

// TestReloadJudgesAnew: a connection that was kept over a reload is judged by what
// is in force, and not by what was when it began: a revision after the reload
// counts for it, and so does a policy that came with the reload.
func TestReloadJudgesAnew(t *testing.T) {
	filings := func(last registry.Status) []registry.Filing {
		f := filing("other.example", registry.Aliyun)
		f.Status = last
		return []registry.Filing{filing("filed.example", registry.Aliyun), f}
	}
	block := func(policy string) string {
		return "http://127.0.0.1:0 {\n" + strings.Replace(icpBlock, "}", policy+"\n}", 1) + "\nupstream " + newOrigin(t, new(seen)) + "\n}"
	}
	p := start(t, 1, block("exempt exempted.example."), nil)
	p.writeRegistry(t, 2, filings(registry.StatusNormal)...)
	addr := p.addr(t, "http:")
	keep := func() (net.Conn, *bufio.Reader) {
		c := dialTCP(t, addr)
		r := bufio.NewReader(c)
		if got := keptAsk(t, c, r, "exempted.example"); got != "200" {
			t.Fatalf("an exempted name: got %s", got)
		}
		return c, r
	}
	eventually(t, "the second registry is in force", func() bool {
		c := dialTCP(t, addr)
		defer c.Close()
		return keptAsk(t, c, bufio.NewReader(c), "other.example") == "200"
	})
	revision, revisionReader := keep()
	if got := keptAsk(t, revision, revisionReader, "filed.example"); got != "200" {
		t.Fatalf("got %s", got)
	}
	exemption, exemptionReader := keep()
	if got := keptAsk(t, exemption, exemptionReader, "filed.example"); got != "200" {
		t.Fatalf("got %s", got)
	}
	p.write(t, block(""))
	p.signal(t, syscall.SIGHUP)
	p.log.await(t, `msg="configuration read anew"`)
	if got := keptAsk(t, exemption, exemptionReader, "exempted.example"); got != "403" {
		t.Errorf("a name whose exemption ended with the reload: got %s; want 403", got)
	}
	p.writeRegistry(t, 3, filings(registry.StatusCancelled)...)
	eventually(t, "the third registry is in force", func() bool {
		c := dialTCP(t, addr)
		defer c.Close()
		return keptAsk(t, c, bufio.NewReader(c), "other.example") == "403"
	})
	if got := keptAsk(t, revision, revisionReader, "other.example"); got != "403" {
		t.Errorf("a name that was cancelled after the reload: got %s; want 403", got)
	}
}

// TestReloadEndsTunnels: a reload that has a name blocked ends its tunnels, and one
// that takes a listener away ends those to it when their time is over.
func TestReloadEndsTunnels(t *testing.T) {
	echo := newEcho(t)
	block := func(addr, policy string) string {
		return "tls://" + addr + " {\n" + strings.Replace(icpBlock, "}", policy+"\n}", 1) + "\ntimeouts drain 1s\nupstream " + echo + "\n}\n"
	}
	stays, goes := freePort(t), freePort(t)
	p := start(t, 2, block(stays, "exempt exempted.example.")+block(goes, ""), nil)
	exempted, filed, gone := newTunnel(t, stays, "exempted.example"), newTunnel(t, stays, "filed.example"), newTunnel(t, goes, "filed.example")
	p.write(t, block(stays, ""))
	p.signal(t, syscall.SIGHUP)
	for what, c := range map[string]tunnel{"of a name that is not exempted any more": exempted, "to a listener that is gone": gone} {
		if _, err := c.Read(make([]byte, 1)); err == nil || !ended(err) {
			t.Errorf("the tunnel %s: got %v; want the end", what, err)
		}
	}
	if got := filed.echo(t, "still here"); got != "still here" {
		t.Errorf("the tunnel of a filed name: got %s", got)
	}
}

// TestReloadEndsMalformed: what nobody can read, and was let through since verdicts
// were only counted, ends with a reload by which they are acted on.
func TestReloadEndsMalformed(t *testing.T) {
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	answer := []byte("come")
	lax := newRawOrigin(t, func(c net.Conn, r *bufio.Reader) {
		if _, err := r.ReadByte(); err == nil {
			_, _ = c.Write(answer)
			_, _ = io.Copy(io.Discard, r)
		}
	})
	live := filedLive(t)
	config := func(mode string) gate.Config {
		icp := "{\nicp {\nregistry r.snap\nmode " + mode + "\n}\nserves mainland\nupstream "
		return liveConfig(t, live, "tls://127.0.0.1:0 "+icp+lax+"\n}\nquic://127.0.0.1:0 "+icp+server.LocalAddr().String()+"\n}\n")
	}
	reg := prometheus.NewRegistry()
	g, err := gate.Start(config("monitor"), gate.Options{Metrics: reg})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	two := hello.Spec{Extensions: [][]byte{hello.SNI("filed.example"), hello.SNI("unfiled.example")}}.Message()
	var tunnel net.Conn
	for _, a := range g.Listeners() {
		if a.Network() == "udp" {
			c, err := net.Dial("udp", a.String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_, _ = c.Write(initial.Packet{DCID: rawID, Payload: initial.Crypto(0, two), Size: 1200}.Seal())
			continue
		}
		tunnel = dialTCP(t, a.String())
		_, _ = tunnel.Write(hello.Records(two))
	}
	if _, err := io.CopyN(io.Discard, tunnel, int64(len(answer))); err != nil {
		t.Fatal(err)
	}
	if _, _, err := server.ReadFrom(make([]byte, 1500)); err != nil {
		t.Fatal(err)
	}
	if err := g.Reload(config("enforce")); err != nil {
		t.Fatal(err)
	}
	if _, err := tunnel.Read(make([]byte, 1)); err == nil || !ended(err) {
		t.Errorf("the tunnel: got %v; want the end", err)
	}
	eventually(t, "both are ended", func() bool { return g.Open() == 0 && metric(t, reg, "icp_gate_ended_total") == 2 })
}

// ended reports whether an error is that of a connection that the other side ended.
func ended(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET)
}

// TestReloadQUICBack: a listener of QUIC that is taken away and comes back at once,
// before anybody has looked whether its flows have ended, serves.
func TestReloadQUICBack(t *testing.T) {
	o := newQUICOrigin(t, quicOriginConfig{})
	addr := freeUDPPort(t)
	other := "http://" + freePort(t) + " {\nICP\nupstream 127.0.0.1:1\n}\n"
	both := "quic://" + addr + " {\nICP\nupstream " + o.addr + "\n}\n" + other
	p := start(t, 2, both, nil)
	for i, config := range []string{other, both} {
		p.write(t, config)
		p.signal(t, syscall.SIGHUP)
		p.log.await(t, fmt.Sprintf(`(?s)(?:configuration read anew.*?){%d}`, i+1))
	}
	if got := newQUICClient(t, addr, "filed.example").came(t); got != "filed.example filed.example" {
		t.Errorf("got %s", got)
	}
}
