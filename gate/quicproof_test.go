package gate_test

import (
	"encoding/binary"
	"net"
	"testing"

	"github.com/icpgate/icpgate/gate/internal/hello"
	"github.com/icpgate/icpgate/gate/sniff/initial"
)

// TestQUICForged: connections of a filed name that nobody means do not keep others
// out, and end none that somebody has.
func TestQUICForged(t *testing.T) {
	o := newQUICOrigin(t, quicOriginConfig{})
	addr, g, reg := startQUICLive(t, "limits connections 8", filedLive(t), o)
	kept, err := newQUICClient(t, addr, "filed.example").dial(t)
	if err != nil {
		t.Fatal(err)
	}
	defer kept.CloseWithError(0, "")
	h3 := h3(kept)
	if got := get3(t, h3, "filed.example", "/?bulk=300000"); got != "300000 bytes" {
		t.Fatalf("got %s", got)
	}
	const forged = 100
	h := hello.Spec{Extensions: [][]byte{hello.SNI("filed.example")}}.Message()
	for i := range forged {
		c, err := net.Dial("udp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		id := binary.BigEndian.AppendUint64(nil, uint64(i))
		if _, err := c.Write(initial.Packet{DCID: id, Payload: initial.Crypto(0, h), Size: 1200}.Seal()); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "forged connections have made room for each other", func() bool {
		return metric(t, reg, "icp_gate_quic_dropped_total", "pushed-out") >= forged-8 && g.Open() < 8
	})
	if got := newQUICClient(t, addr, "filed.example").came(t); got != "filed.example filed.example" {
		t.Errorf("a new connection: got %s", got)
	}
	if got := get3(t, h3, "filed.example", "/"); got != "filed.example filed.example" {
		t.Errorf("a connection that was open: got %s", got)
	}
	if n := metric(t, reg, "icp_gate_quic_moved_total"); n != 0 {
		t.Errorf("%v connections were ended and began anew", n)
	}
}
