package gate_test

import (
	"fmt"
	"net"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/icpgate/icpgate/gate"
	"github.com/icpgate/icpgate/gate/sniff/initial"
	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/index"
)

// quicPair are a gate and the one that is put in its place, before servers of the
// test's.
type quicPair struct {
	t       *testing.T
	text    string
	addr    string
	live    *index.Live
	old     *gate.Gate
	next    *gate.Gate
	nextReg *prometheus.Registry
	servers []net.PacketConn
}

func newQUICPair(t *testing.T, servers int) *quicPair {
	t.Helper()
	q := &quicPair{t: t, addr: freeUDPPort(t), live: filedLive(t)}
	q.text = fmt.Sprintf("quic://%s {\n%s\nserves mainland\ntimeouts head 1h\n", q.addr, icp)
	for range servers {
		s := newSilent(t)
		q.servers = append(q.servers, s)
		q.text += fmt.Sprintf("upstream %s\n", s.LocalAddr())
	}
	q.text += "}\n"
	q.old, _ = startLive(t, q.text, q.live)
	return q
}

// replace puts another gate in place.
func (q *quicPair) replace() {
	q.t.Helper()
	q.nextReg = prometheus.NewRegistry()
	next, err := q.old.Next(liveConfig(q.t, q.live, q.text), gate.Options{Metrics: q.nextReg})
	if err != nil {
		q.t.Fatal(err)
	}
	q.t.Cleanup(func() { next.Close() })
	q.next = next
}

// begin has a client begin a connection that its server answers, by an id.
func (q *quicPair) begin(name, id string) {
	q.t.Helper()
	c := newSender(q.t, q.addr)
	c.send(quicInitial(name, rawID))
	from := arrives(q.t, q.servers[0], 1200)
	answer := initial.Packet{SCID: []byte(id), Payload: initial.Crypto(0, quicMessage(name)), Size: 1200}
	if _, err := q.servers[0].WriteTo(answer.Seal(), from); err != nil {
		q.t.Fatal(err)
	}
	if n, err := c.Read(make([]byte, 2000)); n != 1200 {
		q.t.Fatalf("the client got %d bytes, %v; want the answer", n, err)
	}
}

// TestQUICRestartMoved: while the process before goes on with its flows, a client of
// one that moves is known there by its id.
func TestQUICRestartMoved(t *testing.T) {
	q := newQUICPair(t, 2) // nothing goes on by an id that is not known
	q.begin("filed.example", "server's")
	q.replace()
	newSender(t, q.addr).send(quicShort("server's", 100))
	arrives(t, q.servers[0], 100)
	if old, next := q.old.Open(), q.next.Open(); old != 2 || next != 0 {
		t.Errorf("the gate before has %d flows and the next one %d; want 2 and 0", old, next)
	}
}

// TestQUICRestartBlocked: what a client of the process before may go on with in the
// next one, by an id that nobody has seen, ends with its name.
func TestQUICRestartBlocked(t *testing.T) {
	q := newQUICPair(t, 1)
	q.begin("cancelled.example", "server's")
	q.replace()
	c := newSender(t, q.addr)
	eventually(t, "the next gate reads, and takes it", func() bool {
		c.send(quicShort("nobody has seen it", 1200))
		return q.next.Open() == 1
	})
	from := arrives(t, q.servers[0], 1200)
	if _, err := q.servers[0].WriteTo(quicShort("", 100), from); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(make([]byte, 2000)); n != 100 { // or it would end since it is not answered
		t.Fatalf("the client got %d bytes, %v; want 100", n, err)
	}
	q.live.Swap(newIndex(t, 2, filing("filed.example", registry.Aliyun)))
	eventually(t, "all is ended", func() bool { return q.old.Open() == 0 && q.next.Open() == 0 })
	newSender(t, q.addr).send(quicShort("nobody has seen it", 1200))
	eventually(t, "and none begins", func() bool { return metric(t, q.nextReg, "icp_gate_quic_dropped_total", "unknown") == 1 })
}
