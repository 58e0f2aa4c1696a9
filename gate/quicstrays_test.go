package gate_test

import (
	"net"
	"testing"
	"time"

	"github.com/icpgate/icpgate/gate"
	"github.com/icpgate/icpgate/gate/sniff/initial"
	"github.com/icpgate/icpgate/registry"
)

// TestQUICStrayUnproven: a connection whose client has gone on with the handshake, and
// whose flow is over before the server has, may go on from another port by an id that
// nobody has seen. It ends with its name all the same.
func TestQUICStrayUnproven(t *testing.T) {
	server := newSilent(t)
	live := filedLive(t)
	addr, g, reg := startQUICLive(t, "timeouts head 1h", live, &quicOrigin{addr: server.LocalAddr().String()})
	c := newSender(t, addr)
	c.send(quicInitial("cancelled.example", rawID))
	from := arrives(t, server, 1200)
	// An id without a byte, by which the client cannot prove itself.
	answer := initial.Packet{Payload: initial.Crypto(0, quicMessage("cancelled.example")), Size: 1200}
	if _, err := server.WriteTo(answer.Seal(), from); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(make([]byte, 2000)); n != 1200 {
		t.Fatalf("the client got %d bytes, %v; want the answer", n, err)
	}
	on := quicHandshake(rawID)
	c.send(on)
	arrives(t, server, len(on))
	g.Older(gate.LateQUIC + time.Second)
	eventually(t, "its flow is over", func() bool { return g.Open() == 0 })
	newSender(t, addr).send(quicShort("nobody has seen it", 1200))
	arrives(t, server, 1200)
	live.Swap(newIndex(t, 2, filing("filed.example", registry.Aliyun)))
	eventually(t, "what goes on is ended", func() bool { return metric(t, reg, "icp_gate_ended_total") == 1 && g.Open() == 0 })
}

// quicHandshake is a datagram with a Handshake packet that bears an id (RFC 9000
// §17.2.4).
func quicHandshake(id []byte) []byte {
	b := append([]byte{0xe0, 0, 0, 0, 1, byte(len(id))}, id...)
	return append(append(b, 0, 0x40, 100), make([]byte, 100)...)
}

// newSilent is a server that does what the test has it do.
func newSilent(t *testing.T) net.PacketConn {
	t.Helper()
	s, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	_ = s.SetReadDeadline(time.Now().Add(patience))
	return s
}

// arrives waits for a datagram of so many bytes, and tells where it came from.
func arrives(t *testing.T, server net.PacketConn, size int) net.Addr {
	t.Helper()
	n, from, err := server.ReadFrom(make([]byte, 2000))
	if n != size {
		t.Fatalf("the server got %d bytes, %v; want %d", n, err, size)
	}
	return from
}

// quicSender is a port that sends datagrams as they are.
type quicSender struct {
	net.Conn
	t *testing.T
}

func newSender(t *testing.T, addr string) quicSender {
	t.Helper()
	c, err := net.Dial("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetReadDeadline(time.Now().Add(patience))
	return quicSender{c, t}
}

func (c quicSender) send(datagrams ...[]byte) {
	c.t.Helper()
	for _, d := range datagrams {
		if _, err := c.Write(d); err != nil {
			c.t.Fatal(err)
		}
	}
}
