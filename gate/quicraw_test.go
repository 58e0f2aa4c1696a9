package gate_test

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/icpgate/icpgate/gate/internal/hello"
	"github.com/icpgate/icpgate/gate/sniff"
	"github.com/icpgate/icpgate/gate/sniff/initial"
)

// quicRaw is a client that sends what no other would, before a gate, and behind it
// a server that says nothing.
type quicRaw struct {
	t      *testing.T
	p      *program
	addr   string
	admin  string
	client net.Conn
	server net.PacketConn
	marks  byte
}

// rawID is the connection id that a quicRaw begins with.
var rawID = []byte("to begin with")

func newQUICRaw(t *testing.T, lines string) *quicRaw {
	t.Helper()
	return newQUICRawAt(t, "127.0.0.1:0", lines)
}

// newQUICRawAt has the gate listen on an address.
func newQUICRawAt(t *testing.T, addr, lines string) *quicRaw {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	q := &quicRaw{t: t, server: server, admin: freePort(t)}
	q.p = start(t, 1, fmt.Sprintf("quic://%s {\n%s\nupstream %s\n%s\n}", addr, withAdmin(q.admin), server.LocalAddr(), lines), nil)
	q.addr = q.p.addr(t, "quic:")
	_ = q.server.SetDeadline(time.Now().Add(time.Minute))
	return q.from("127.0.0.1")
}

// from has its client come from another port of an address.
func (q *quicRaw) from(ip string) *quicRaw {
	q.t.Helper()
	c, err := (&net.Dialer{LocalAddr: &net.UDPAddr{IP: net.ParseIP(ip)}}).Dial("udp", q.addr)
	if err != nil {
		q.t.Fatal(err)
	}
	q.t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	q.client = c
	return q
}

// quicMessage is a hello for a name.
func quicMessage(name string, more ...[]byte) []byte {
	return hello.Spec{Extensions: append(more, hello.SNI(name), hello.ALPN("h3"))}.Message()
}

// quicInitial is a datagram with a whole hello.
func quicInitial(name string, id []byte) []byte {
	return initial.Packet{DCID: id, Payload: initial.Crypto(0, quicMessage(name)), Size: 1200}.Seal()
}

// sent sends datagrams, and tells what came of them: how many the server got, and
// how the client was answered. Behind them go a hello that passes and one that does
// not, so that what has not come when these have will not come any more.
func (q *quicRaw) sent(datagrams ...[]byte) string {
	q.t.Helper()
	q.marks++
	passes, answered := append([]byte("that passes "), q.marks), append([]byte("that is answered "), q.marks)
	last := initial.Packet{DCID: []byte{q.marks, 'r', 'e', 'f', 'u', 's', 'e', 'd'}, SCID: answered, Payload: initial.Crypto(0, quicMessage("unfiled.example")), Size: 1200}
	for _, d := range append(datagrams, quicInitial("filed.example", passes), last.Seal()) {
		if _, err := q.client.Write(d); err != nil {
			q.t.Fatal(err)
		}
	}
	b := make([]byte, 65536)
	passed := 0
	var got []string
	for {
		n, _, err := q.server.ReadFrom(b)
		if err != nil {
			q.t.Fatalf("the last hello has not come: %v", err)
		}
		if p, _, cause := sniff.NextQUIC(b[:n], 0); cause == sniff.NoCause && slices.Equal(p.DCID, passes) {
			break
		}
		passed++
	}
	if passed > 0 {
		got = append(got, fmt.Sprintf("passed %d", passed))
	}
	for {
		n, err := q.client.Read(b)
		if err != nil {
			q.t.Fatalf("the last answer has not come: %v", err)
		}
		p, _, cause := sniff.NextQUIC(b[:n], 0)
		switch {
		case cause == sniff.NoCause && slices.Equal(p.DCID, answered):
			if len(got) == 0 {
				return "nothing"
			}
			return strings.Join(got, ", ")
		case cause == sniff.NoCause && p.Type == sniff.QUICNegotiate:
			got = append(got, "negotiation")
		case cause == sniff.NoCause && p.Type == sniff.QUICInitial:
			got = append(got, "close")
		default:
			got = append(got, fmt.Sprintf("answer %x", b[:n]))
		}
	}
}

// keptUp waits until all that was sent has been read: until then what comes may find no
// room, and has to be sent again.
func (q *quicRaw) keptUp() {
	q.t.Helper()
	b := make([]byte, 65536)
	for i := range byte(100) {
		id := []byte{'k', 'e', 'p', 't', ' ', 'u', 'p', i}
		if _, err := q.client.Write(quicInitial("filed.example", id)); err != nil {
			q.t.Fatal(err)
		}
		_ = q.server.SetDeadline(time.Now().Add(time.Second))
		for {
			n, _, err := q.server.ReadFrom(b)
			if err != nil {
				break
			}
			if p, _, cause := sniff.NextQUIC(b[:n], 0); cause == sniff.NoCause && slices.Equal(p.DCID, id) {
				_ = q.server.SetDeadline(time.Now().Add(time.Minute))
				return
			}
		}
	}
	q.t.Fatal("nothing comes through")
}

// metric is the sum of a series of the gate's.
func (q *quicRaw) metric(name string) string {
	q.t.Helper()
	return scraped(q.t, q.admin, "icp_gate_"+name)
}
