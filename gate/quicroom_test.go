package gate_test

import (
	"encoding/binary"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/quic-go/quic-go"

	"github.com/icpgate/icpgate/gate"
	"github.com/icpgate/icpgate/gate/sniff/initial"
)

// quicFull is a gate with as many flows of QUIC as it may have.
type quicFull struct {
	t    *testing.T
	addr string
	g    *gate.Gate
	reg  *prometheus.Registry
	conn []*quic.Conn
	ids  uint64 // of those that were forged
}

// idleQUICFull is the timeouts idle of a quicFull: nothing ends by itself.
const idleQUICFull = time.Hour

// newQUICFull fills a limit with clients of an address, after which came others.
func newQUICFull(t *testing.T, limit int, ip string, others ...string) *quicFull {
	t.Helper()
	q := &quicFull{t: t}
	q.addr, q.g, q.reg = startQUICLive(t, fmt.Sprintf("limits connections %d\ntimeouts idle %s", limit, idleQUICFull), filedLive(t), newQUICOrigin(t, quicOriginConfig{}))
	for len(others) < limit {
		others = append(others, ip)
	}
	for _, ip := range others {
		conn, err := q.dial(ip)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.CloseWithError(0, "") })
		q.conn = append(q.conn, conn)
		q.used(len(q.conn) - 1) // the gate knows then that it is somebody's
	}
	return q
}

// used has a connection be used.
func (q *quicFull) used(i int) {
	q.t.Helper()
	if got := echo3(q.t, q.conn[i]); got != "echo" {
		q.t.Errorf("connection %d: got %s", i, got)
	}
}

// silence has all be silent for as long as one may be, and a bit.
func (q *quicFull) silence() { q.g.Silent(idleQUICFull/gate.SilentPart + time.Second) }

// dial has a client come from an address.
func (q *quicFull) dial(ip string) (*quic.Conn, error) {
	c := newQUICClientAt(q.t, ip, q.addr, "filed.example")
	c.tls.NextProtos = []string{"doq"}
	c.conf.HandshakeIdleTimeout = time.Second
	return c.dial(q.t)
}

// comes has a new client come from an address, be served and go.
func (q *quicFull) comes(ip string) string {
	q.t.Helper()
	conn, err := q.dial(ip)
	if err != nil {
		return quicError(err)
	}
	defer conn.CloseWithError(0, "")
	return echo3(q.t, conn)
}

// retired is how many flows made room since they were silent.
func (q *quicFull) retired() float64 {
	return metric(q.t, q.reg, "icp_gate_quic_dropped_total", "silent")
}

// forge begins connections in the names of others, and goes on with them without
// having read an answer if that is said.
func (q *quicFull) forge(n int, on bool) {
	q.t.Helper()
	for range n {
		c, err := net.Dial("udp", q.addr)
		if err != nil {
			q.t.Fatal(err)
		}
		q.t.Cleanup(func() { c.Close() })
		q.ids++
		id := binary.BigEndian.AppendUint64(nil, q.ids)
		hello := initial.Packet{DCID: id, Payload: initial.Crypto(0, quicMessage("filed.example")), Size: 1200}
		if _, err := c.Write(hello.Seal()); err != nil {
			q.t.Fatal(err)
		}
		if !on {
			continue
		}
		if _, err := c.Read(make([]byte, 2000)); err != nil { // it has answered, which the forger does not see
			q.t.Fatal(err)
		}
		handshake := append([]byte{0xe0, 0, 0, 0, 1, byte(len(id))}, id...) // RFC 9000 §17.2.4
		handshake = append(append(handshake, 0, 0x40, 100), make([]byte, 100)...)
		for _, d := range [][]byte{handshake, quicShort("guessed", 100)} {
			if _, err := c.Write(d); err != nil {
				q.t.Fatal(err)
			}
		}
	}
}

// TestQUICFull: where all there may be are connections that have ended without a
// word, new clients find room, also in a flood of forged ones; those that are used go
// on.
func TestQUICFull(t *testing.T) {
	q := newQUICFull(t, 32, "127.0.0.1")
	for _, c := range q.conn[1:] {
		c.CloseWithError(0, "")
	}
	q.silence()
	q.used(0)
	for i := range 40 {
		q.forge(10, false)
		if got := q.comes("127.0.0.1"); got != "echo" {
			t.Errorf("client %d: got %s", i, got)
		}
		q.silence()
		q.used(0)
	}
	if n := metric(t, q.reg, "icp_gate_quic_moved_total"); n != 0 {
		t.Errorf("%v connections were ended and began anew", n)
	}
	if n := q.g.Open(); n > 32 {
		t.Errorf("%d are open", n)
	}
}

// TestQUICFullForged: what is forged and not proven takes its share of what is silent,
// and nothing that is used.
func TestQUICFullForged(t *testing.T) {
	q := newQUICFull(t, 32, "127.0.0.1")
	q.forge(100, false)
	if got := q.comes("127.0.0.1"); got != "silence" {
		t.Errorf("all are used, and one more got %s", got)
	}
	if n := q.retired(); n != 0 {
		t.Errorf("%v of those that are used made room", n)
	}
	q.silence()
	q.used(0)
	q.forge(200, false)
	eventually(t, "those that are forged make room for each other", func() bool {
		return metric(t, q.reg, "icp_gate_quic_dropped_total", "pushed-out") >= 190
	})
	if n := q.retired(); n > 8 { // a sixteenth, or one for each of eight loops
		t.Errorf("%v made room for what is forged; want a sixteenth", n)
	}
	q.used(0)
}

// TestQUICFullClients: one client with many connections takes no room of another one
// with few, however silent that is.
func TestQUICFullClients(t *testing.T) {
	q := newQUICFull(t, 32, "127.0.0.1", "127.0.0.2")
	for _, c := range q.conn[1:] {
		c.CloseWithError(0, "")
	}
	for range 40 {
		q.silence()
		if got := q.comes("127.0.0.1"); got != "echo" {
			t.Errorf("one more of the client with many: got %s", got)
		}
	}
	if n := q.retired(); n != 40 {
		t.Errorf("%v made room; want 40", n)
	}
	q.used(0)
	if n := metric(t, q.reg, "icp_gate_quic_moved_total"); n != 0 {
		t.Errorf("%v connections were ended and began anew", n)
	}
}

// TestQUICForgedOn: who begins connections in the names of others, and goes on with
// them blindly, has not proven to be there.
func TestQUICForgedOn(t *testing.T) {
	q := newQUICFull(t, 32, "127.0.0.1")
	q.silence()
	q.used(0)
	q.forge(100, true)
	q.used(0)
	if n := q.retired(); n > 8 { // a sixteenth, or one for each of eight loops
		t.Errorf("%v made room for what is forged; want a sixteenth", n)
	}
}
