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

// TestQUICPushedOut: a client whose flow had to make room before its server has
// answered goes on when it repeats itself, with the same hello and from the same
// port alone.
func TestQUICPushedOut(t *testing.T) {
	q := newQUICRaw(t, "limits connections 4")
	first, hello := q.client, quicInitial("filed.example", rawID)
	others := byte(0)
	pushOut := func() {
		for range 8 {
			others++
			if got := q.from("127.0.0.1").sent(quicInitial("filed.example", []byte{others, 'a', 'n', 'o', 't', 'h', 'e', 'r'})); got != "passed 1" {
				t.Fatalf("another: %s", got)
			}
		}
	}
	for _, tt := range []struct {
		name     string
		datagram []byte
		again    bool // from the same port
		want     string
	}{
		{"the same", hello, true, "passed 1"},
		{"the same from elsewhere", hello, false, "nothing"},
		{"and then from the same port", hello, true, "passed 1"},
		{"another name", quicInitial("unfiled.example", rawID), true, "nothing"},
		{"the same after another name", hello, true, "nothing"},
		{"the same from elsewhere, after another name", hello, false, "nothing"}, // its server may still wait for the rest
	} {
		if tt.name == "the same" {
			q.client = first
			if got := q.sent(hello); got != "passed 1" {
				t.Fatalf("the first: %s", got)
			}
		}
		pushOut()
		if tt.again {
			q.client = first
		} else {
			q.from("127.0.0.1")
		}
		if got := q.sent(tt.datagram); got != tt.want {
			t.Errorf("%s: %s; want %s", tt.name, got, tt.want)
		}
	}
}

// TestQUICDisplaced: a connection that made room for others of its port, and whose
// client seemed to be through with its handshake, is not begun by another hello: its
// server may still wait for more of the first.
func TestQUICDisplaced(t *testing.T) {
	q := newQUICRaw(t, "")
	b := make([]byte, 65536)
	begin := func(id []byte) (from net.Addr) {
		t.Helper()
		for _, d := range [][]byte{quicInitial("filed.example", id), quicShort(string(id), 100)} {
			if _, err := q.client.Write(d); err != nil {
				t.Fatal(err)
			}
			var err error
			if _, from, err = q.server.ReadFrom(b); err != nil {
				t.Fatalf("%q: %v", id, err)
			}
		}
		return from
	}
	from := begin(rawID)
	if _, err := q.server.WriteTo(quicShort("", 100), from); err != nil {
		t.Fatal(err)
	}
	if _, err := q.client.Read(b); err != nil {
		t.Fatal(err)
	}
	for i := range byte(16) {
		begin([]byte{i, 'a', 'n', 'o', 't', 'h', 'e', 'r'})
	}
	if got := q.sent(quicInitial("www.filed.example", rawID)); got != "nothing" {
		t.Errorf("another hello with the same id: %s; want nothing", got)
	}
}
