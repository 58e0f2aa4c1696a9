package gate_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"github.com/icpgate/icpgate/gate/sniff"
	"github.com/icpgate/icpgate/gate/sniff/initial"
)

// TestQUICUpstreams: of several servers one that is not there, and one that does
// not answer, are passed over; a client does not notice.
func TestQUICUpstreams(t *testing.T) {
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	for what, addr := range map[string]string{"absent": freeUDPPort(t), "silent": silent.LocalAddr().String()} {
		t.Run(what, func(t *testing.T) {
			hasty(t, 200*time.Millisecond, func(t testing.TB, dial time.Duration) {
				o := newQUICOrigin(t, quicOriginConfig{})
				gate, _, reg := startQUICLive(t, fmt.Sprintf("timeouts dial %s", dial), filedLive(t), &quicOrigin{addr: addr}, o)
				for i := range 4 {
					if got := newQUICClient(t, gate, "filed.example").came(t); got != "filed.example filed.example" {
						t.Errorf("client %d: got %s", i, got)
					}
				}
				if got := metric(t, reg, "icp_gate_upstream_failures_total"); got != 1 {
					t.Errorf("%v failures; want 1, and that it is passed over then", got)
				}
			})
		})
	}
}

// TestQUICUpstreamsAtOnce: where a server is not there, the next one hears of a client
// at once, and not when the gate looks after its flows the next time.
func TestQUICUpstreamsAtOnce(t *testing.T) {
	next, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	addr, g, _ := startQUICLive(t, "", filedLive(t), &quicOrigin{addr: freeUDPPort(t)}, &quicOrigin{addr: next.LocalAddr().String()})
	g.Untimed()
	c, err := net.Dial("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write(quicInitial("filed.example", rawID)); err != nil {
		t.Fatal(err)
	}
	_ = next.SetReadDeadline(time.Now().Add(20 * time.Second))
	if n, _, err := next.ReadFrom(make([]byte, 2000)); n != 1200 {
		t.Errorf("the next one got %d bytes, %v; want the hello", n, err)
	}
}

// TestQUICUpstreamsAnswered: a server that does not answer one hello, as it may be made
// to, and answers others is not passed over.
func TestQUICUpstreamsAnswered(t *testing.T) {
	var servers [2]net.PacketConn
	var origins []*quicOrigin
	for i := range servers {
		s, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		_ = s.SetReadDeadline(time.Now().Add(patience))
		servers[i] = s
		origins = append(origins, &quicOrigin{addr: s.LocalAddr().String()})
	}
	addr, g, reg := startQUICLive(t, "", filedLive(t), origins...)
	comes := func(server net.PacketConn, answer bool) {
		t.Helper()
		c, err := net.Dial("udp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		id := binary.BigEndian.AppendUint64(nil, rand.Uint64())
		if _, err := c.Write(quicInitial("filed.example", id)); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 2000)
		_, from, err := server.ReadFrom(b)
		if p, _, cause := sniff.NextQUIC(b, 0); err != nil || cause != sniff.NoCause || !bytes.Equal(p.DCID, id) {
			t.Fatalf("it has not come to the server whose turn it is: %v", err)
		}
		if !answer {
			return
		}
		if _, err := server.WriteTo(quicShort("", 100), from); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(b); err != nil {
			t.Fatal(err)
		}
	}
	comes(servers[0], false)
	comes(servers[1], true)
	comes(servers[0], true)
	g.Older(10 * time.Second)
	b := make([]byte, 2000)
	if n, _, err := servers[1].ReadFrom(b); n != 1200 {
		t.Fatalf("the second one got %d bytes, %v; want the hello that was not answered", n, err)
	}
	if got := metric(t, reg, "icp_gate_upstream_failures_total"); got != 1 {
		t.Errorf("%v failures; want 1", got)
	}
	g.Untimed() // or it would hear of the next one in the end
	_ = servers[0].SetReadDeadline(time.Now().Add(20 * time.Second))
	comes(servers[0], true)
}

// TestQUICUpstreamsNegotiation: where a server does not speak the version of a hello
// that another one has heard and not answered, another hello with its id begins
// nothing: the first may still have a part of it.
func TestQUICUpstreamsNegotiation(t *testing.T) {
	first, second := newSilent(t), newSilent(t)
	addr, g, _ := startQUICLive(t, "", filedLive(t), &quicOrigin{addr: first.LocalAddr().String()}, &quicOrigin{addr: second.LocalAddr().String()})
	c := newSender(t, addr)
	id := []byte("client's")
	hello := initial.Packet{DCID: rawID, SCID: id, Payload: initial.Crypto(0, quicMessage("filed.example")), Size: 1200}
	c.send(hello.Seal())
	arrives(t, first, 1200)
	g.Older(10 * time.Second)
	from := arrives(t, second, 1200)
	answer := binary.BigEndian.AppendUint32(initial.Header(0, 0, id, rawID), sniff.QUICv2)
	if _, err := second.WriteTo(answer, from); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(make([]byte, 2000)); n != len(answer) {
		t.Fatalf("the client got %d bytes, %v; want the answer", n, err)
	}
	hello.Payload = initial.Crypto(0, quicMessage("www.filed.example"))
	hello.Version = sniff.QUICv2
	c.send(hello.Seal())
	other := []byte("another id")
	hello.DCID = other
	c.send(hello.Seal())
	b := make([]byte, 2000)
	_, _, err := second.ReadFrom(b)
	if p, _, cause := sniff.NextQUIC(b, 0); err != nil || cause != sniff.NoCause || !bytes.Equal(p.DCID, other) {
		t.Errorf("the server got the id %q, %v; want %q alone", p.DCID, err, other)
	}
}

// TestQUICCheck: a server that does not answer the check is passed over until it
// does.
func TestQUICCheck(t *testing.T) {
	addr := freeUDPPort(t)
	o := newQUICOrigin(t, quicOriginConfig{})
	gate, _, reg := startQUICLive(t, "upstream "+addr+" check 100ms", filedLive(t), o)
	came := func() string { return newQUICClient(t, gate, "filed.example").came(t) }
	for i := range 4 {
		if got := came(); got != "filed.example filed.example" {
			t.Errorf("client %d: got %s", i, got)
		}
	}
	failed := metric(t, reg, "icp_gate_upstream_failures_total")
	if failed > 1 {
		t.Errorf("%v failures", failed)
	}
	late := newQUICOrigin(t, quicOriginConfig{addr: addr})
	eventually(t, "the server is back", func() bool { return came() == "filed.example filed.example" && late.saw("filed.example") })
}

// TestQUICCheckSilent: a server that is there and does not answer the check is passed
// over too, without a client that waits for it.
func TestQUICCheckSilent(t *testing.T) {
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	addr, g, _ := startQUICLive(t, "upstream "+silent.LocalAddr().String()+" check 100ms", filedLive(t), newQUICOrigin(t, quicOriginConfig{}))
	g.Untimed() // none goes on with the next one
	eventually(t, "four in turn are served", func() bool {
		for range 4 {
			c := newQUICClient(t, addr, "filed.example")
			c.conf.HandshakeIdleTimeout = 300 * time.Millisecond
			if c.came(t) != "filed.example filed.example" {
				return false
			}
		}
		return true
	})
}
