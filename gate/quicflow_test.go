package gate_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/quic-go/quic-go"

	"github.com/icpgate/icpgate/gate"
	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/index"
)

// startQUICLive starts a gate here whose registry is changed by live.
func startQUICLive(t testing.TB, lines string, live *index.Live, origins ...*quicOrigin) (string, *gate.Gate, *prometheus.Registry) {
	t.Helper()
	text := "quic://127.0.0.1:0 {\n" + icp + "serves mainland\n" + lines + "\n"
	for _, o := range origins {
		text += "upstream " + o.addr + "\n"
	}
	g, reg := startLive(t, text+"}\n", live)
	for _, addr := range g.Listeners() {
		return addr.String(), g, reg
	}
	t.Fatal("no listener")
	return "", nil, nil
}

func filedLive(t testing.TB) *index.Live {
	live := new(index.Live)
	live.Swap(newIndex(t, 1, filing("filed.example", registry.Aliyun), filing("cancelled.example", registry.Aliyun)))
	return live
}

// TestQUICHelloRetry: a server that asks for another hello gets one, which must
// bear the same name.
func TestQUICHelloRetry(t *testing.T) {
	o := newQUICOrigin(t, quicOriginConfig{curves: []tls.CurveID{tls.CurveP384}})
	addr := startQUIC(t, "", o).addr(t, "quic:")
	for name, want := range map[string]string{"filed.example": "filed.example filed.example", "unfiled.example": "error 0x170"} {
		if got := newQUICClient(t, addr, name).came(t); got != want {
			t.Errorf("%s: got %s; want %s", name, got, want)
		}
	}
}

// TestQUICNegotiation: a server that does not speak the client's version says so
// itself, and its client begins again.
func TestQUICNegotiation(t *testing.T) {
	o := newQUICOrigin(t, quicOriginConfig{versions: []quic.Version{quic.Version2}})
	addr := startQUIC(t, "", o).addr(t, "quic:")
	c := newQUICClient(t, addr, "filed.example")
	c.conf.Versions = []quic.Version{quic.Version1, quic.Version2}
	if got := c.came(t); got != "filed.example filed.example" {
		t.Errorf("got %s", got)
	}
}

// TestQUICShared: one port of a client has connections of several names, and each
// is judged for itself.
func TestQUICShared(t *testing.T) {
	o := newQUICOrigin(t, quicOriginConfig{})
	addr := startQUIC(t, "", o).addr(t, "quic:")
	c := newQUICClient(t, addr, "filed.example")
	kept, err := c.dial(t)
	if err != nil {
		t.Fatal(err)
	}
	defer kept.CloseWithError(0, "")
	h := h3(kept)
	for i, name := range []string{"unfiled.example", "www.filed.example", "unfiled.example", "filed.example"} {
		c.tls.ServerName = name
		want := name + " " + name
		if name == "unfiled.example" {
			want = "error 0x170"
		}
		if got := c.came(t); got != want {
			t.Errorf("connection %d, %s: got %s; want %s", i, name, got, want)
		}
		if got := get3(t, h, "filed.example", "/"); got != "filed.example filed.example" {
			t.Errorf("beside connection %d: got %s", i, got)
		}
	}
	if o.saw("unfiled.example") {
		t.Error("the origin saw the unfiled name")
	}
}

// TestQUICSharedOn: a client that uses one port for all its connections, of which
// nobody sees that they have ended, begins as many as it likes; the first still goes
// on, and ends with its name.
func TestQUICSharedOn(t *testing.T) {
	o := newQUICOrigin(t, quicOriginConfig{})
	live := filedLive(t)
	addr, g, reg := startQUICLive(t, "", live, o)
	c := newQUICClient(t, addr, "cancelled.example")
	kept, err := c.dial(t)
	if err != nil {
		t.Fatal(err)
	}
	defer kept.CloseWithError(0, "")
	h := h3(kept)
	c.tls.ServerName = "filed.example"
	for i := range 3 * 16 {
		if got := c.came(t); got != "filed.example filed.example" {
			t.Fatalf("connection %d: got %s", i, got)
		}
	}
	if got := get3(t, h, "cancelled.example", "/"); got != "cancelled.example cancelled.example" {
		t.Errorf("the first: got %s", got)
	}
	live.Swap(newIndex(t, 2, filing("filed.example", registry.Aliyun)))
	eventually(t, "the flow is ended with the first name", func() bool { return metric(t, reg, "icp_gate_ended_total") == 1 && g.Open() == 0 })
}

// TestQUICLossy: datagrams that are lost, late and doubled delay a connection, and
// change nothing else.
func TestQUICLossy(t *testing.T) {
	o := newQUICOrigin(t, quicOriginConfig{})
	addr := startQUIC(t, "", o).addr(t, "quic:")
	rounds := 4
	if soak() {
		rounds = 200
	}
	for round := range rounds {
		rnd := rand.New(rand.NewPCG(7, uint64(round)))
		r := newQUICRelay(t, addr, &quicRelay{
			lose: func(n int, _ bool, _ []byte) bool { return rnd.IntN(100) < 10 },
			late: func(n int, _ bool) bool { return rnd.IntN(100) < 10 },
		})
		c := newQUICClient(t, r.addr, "filed.example")
		conn, err := c.dial(t)
		if err != nil {
			t.Errorf("round %d: %s", round, quicError(err))
			continue
		}
		if got := get3(t, h3(conn), "filed.example", "/?bulk=50000"); got != "50000 bytes" {
			t.Errorf("round %d: got %s", round, got)
		}
		conn.CloseWithError(0, "")
		c = newQUICClient(t, r.addr, "unfiled.example")
		if got := c.came(t); got != "error 0x170" {
			t.Errorf("round %d, unfiled: got %s", round, got)
		}
	}
}

// TestQUICEstablished: a name that a later revision blocks takes its flows with it,
// and they do not come back from another port.
func TestQUICEstablished(t *testing.T) {
	hasty(t, 2*time.Second, func(t testing.TB, idle time.Duration) {
		o := newQUICOrigin(t, quicOriginConfig{})
		live := filedLive(t)
		addr, g, reg := startQUICLive(t, "", live, o)
		r := newQUICRelay(t, addr, &quicRelay{})
		c := newQUICClient(t, r.addr, "cancelled.example")
		c.tls.NextProtos = []string{"doq"}
		c.conf.MaxIdleTimeout, c.conf.KeepAlivePeriod = idle, idle/20
		gone, err := c.dial(t)
		if err != nil {
			t.Fatal(err)
		}
		stays, err := newQUICClient(t, addr, "filed.example").dial(t)
		if err != nil {
			t.Fatal(err)
		}
		h := h3(stays)
		if got := echo3(t, gone); got != "echo" {
			t.Fatalf("got %s", got)
		}
		live.Swap(newIndex(t, 2, filing("filed.example", registry.Aliyun)))
		eventually(t, "a flow was ended", func() bool { return metric(t, reg, "icp_gate_ended_total") == 1 && g.Open() == 1 })
		for range 5 {
			r.rename()
			if got := echo3(t, gone); got == "echo" {
				t.Fatal("it has come back from another port")
			}
		}
		if got := get3(t, h, "filed.example", "/"); got != "filed.example filed.example" {
			t.Errorf("a filed name's: got %s", got)
		}
		if got := newQUICClient(t, addr, "cancelled.example").came(t); got != "error 0x170" {
			t.Errorf("a new connection: got %s", got)
		}
	})
}

// TestQUICEstablishedMoved: a connection that has moved, and goes by an id that
// nobody has seen, is ended with its name all the same, also where the flow that it
// came from is over; one that has nothing to do with it goes on.
func TestQUICEstablishedMoved(t *testing.T) {
	o := newQUICOrigin(t, quicOriginConfig{})
	for _, over := range []bool{false, true} {
		t.Run(fmt.Sprintf("over %v", over), func(t *testing.T) {
			hasty(t, time.Second, func(t testing.TB, idle time.Duration) {
				live := filedLive(t)
				addr, g, reg := startQUICLive(t, fmt.Sprintf("timeouts idle %s", idle), live, o)
				c := newQUICClient(t, addr, "cancelled.example")
				c.tls.NextProtos = []string{"doq"}
				c.conf.MaxIdleTimeout, c.conf.KeepAlivePeriod = 2*idle, idle/20
				gone, err := c.dial(t)
				if err != nil {
					t.Fatal(err)
				}
				moveTo(t, gone, addr)
				if got := echo3(t, gone); got != "echo" {
					t.Fatalf("moved: got %s", got)
				}
				ended := 2.0
				if over {
					eventually(t, "the first flow is over", func() bool { return g.Open() == 1 })
					ended = 1
				}
				live.Swap(newIndex(t, 2, filing("filed.example", registry.Aliyun), filing("cancelled.example", registry.Aliyun)))
				live.Swap(newIndex(t, 3, filing("filed.example", registry.Aliyun)))
				eventually(t, "its flows are ended", func() bool { return metric(t, reg, "icp_gate_ended_total") == ended && g.Open() == 0 })
				if got := echo3(t, gone); got == "echo" {
					t.Error("it goes on")
				}
			})
		})
	}
}

// TestQUICEstablishedIdle: a connection whose flow was over before its name is
// blocked does not go on by another one; where nothing was blocked it does.
func TestQUICEstablishedIdle(t *testing.T) {
	hasty(t, 200*time.Millisecond, func(t testing.TB, short time.Duration) {
		o := newQUICOrigin(t, quicOriginConfig{})
		live := filedLive(t)
		addr, g, reg := startQUICLive(t, fmt.Sprintf("timeouts idle %s", short), live, o)
		idle := func() *quic.Conn {
			c := newQUICClient(t, addr, "cancelled.example")
			c.tls.NextProtos = []string{"doq"}
			conn, err := c.dial(t)
			if err != nil {
				t.Fatal(err)
			}
			eventually(t, "its flow is over", func() bool { return g.Open() == 0 })
			return conn
		}
		// quic-go sends what its server takes for a client that moves.
		again := func(c *quic.Conn) error {
			s, err := c.OpenStream()
			if err != nil {
				return err
			}
			defer s.CancelRead(0)
			_, err = s.Write(make([]byte, 4000))
			return err
		}
		moved := func() float64 { return metric(t, reg, "icp_gate_quic_moved_total") }
		if err := again(idle()); err != nil {
			t.Fatal(err)
		}
		eventually(t, "it goes on while its name is filed", func() bool { return moved() == 1 && g.Open() == 0 })
		gone := idle()
		live.Swap(newIndex(t, 2, filing("filed.example", registry.Aliyun)))
		eventually(t, "it is not let on any more", func() bool {
			_ = again(gone)
			return metric(t, reg, "icp_gate_quic_dropped_total", "unknown") > 0
		})
	})
}

// moveTo moves a connection to another port, on purpose.
func moveTo(t testing.TB, c *quic.Conn, addr string) {
	t.Helper()
	path, err := c.AddPath(newQUICClient(t, addr, "").tr)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := path.Probe(ctx); err != nil {
		t.Fatalf("the new path: %v", err)
	}
	if err := path.Switch(); err != nil {
		t.Fatal(err)
	}
}

// TestQUICBlock: what blocked clients get is what the configuration says.
func TestQUICBlock(t *testing.T) {
	o := newQUICOrigin(t, quicOriginConfig{})
	for _, tt := range []struct{ lines, want string }{
		{"block close", "error 0x170"}, {"block alert", "error 0x170"}, {"block drop", "silence"},
	} {
		addr := startQUIC(t, tt.lines, o).addr(t, "quic:")
		c := newQUICClient(t, addr, "unfiled.example")
		if tt.want == "silence" {
			c.conf.HandshakeIdleTimeout = 500 * time.Millisecond
		}
		if got := c.came(t); got != tt.want {
			t.Errorf("%s: got %s; want %s", tt.lines, got, tt.want)
		}
	}
	if o.saw("unfiled.example") {
		t.Error("the origin saw the unfiled name")
	}
}

// TestQUICLimits: what is beyond the limits goes nowhere, and is counted.
func TestQUICLimits(t *testing.T) {
	o := newQUICOrigin(t, quicOriginConfig{})
	for _, tt := range []struct{ lines, limit string }{
		{"limits connections 2", "connections"}, {"limits per-client 2", "per-client"},
	} {
		hasty(t, 2*time.Second, func(t testing.TB, idle time.Duration) {
			addr, _, reg := startQUICLive(t, fmt.Sprintf("%s\ntimeouts idle %s", tt.lines, idle), filedLive(t), o)
			var open []*quic.Conn
			for range 2 {
				c := newQUICClient(t, addr, "filed.example")
				c.conf.KeepAlivePeriod = idle / 6
				conn, err := c.dial(t)
				if err != nil {
					t.Fatal(err)
				}
				if got := get3(t, h3(conn), "filed.example", "/"); got != "filed.example filed.example" { // the gate knows then that it is somebody's
					t.Fatalf("got %s", got)
				}
				open = append(open, conn)
			}
			c := newQUICClient(t, addr, "filed.example")
			c.conf.HandshakeIdleTimeout = 300 * time.Millisecond
			if got := c.came(t); got != "silence" {
				t.Errorf("%s: the third got %s; want silence", tt.lines, got)
			}
			if got := metric(t, reg, "icp_gate_limited_total", tt.limit); got == 0 {
				t.Errorf("%s: not counted", tt.lines)
			}
			for _, conn := range open {
				conn.CloseWithError(0, "")
			}
			eventually(t, "there is room again", func() bool {
				c := newQUICClient(t, addr, "filed.example")
				c.conf.HandshakeIdleTimeout = time.Second
				return c.came(t) == "filed.example filed.example"
			})
		})
	}
}
