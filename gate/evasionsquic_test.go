package gate_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/icpgate/icpgate/gate/internal/hello"
	"github.com/icpgate/icpgate/gate/sniff/initial"
	"github.com/icpgate/icpgate/registry"
)

// TestEvasionsQUIC tries the listed evasions of QUIC.
func TestEvasionsQUIC(t *testing.T) {
	tryListed(t, "quic", map[string]evasionCase{
		"Q01": {func(t *testing.T) string {
			t.Setenv("QUIC_GO_DISABLE_CLIENTHELLO_SCRAMBLING", "1")
			return bothByQUIC(t, func(c *quicClient) { c.tls.CurvePreferences = []tls.CurveID{tls.X25519} })
		}, "filed.example filed.example, error 0x170"},
		"Q02": {quicAlone, "loads, net::ERR_QUIC_PROTOCOL_ERROR, loads"},
		"Q04": {func(t *testing.T) string {
			return bothByQUIC(t, func(c *quicClient) { c.conf.Versions = []quic.Version{quic.Version2} })
		}, "filed.example filed.example, error 0x170"},
		"Q05": {otherVersions, "negotiation, negotiation, negotiation"},
		"Q07": {lostOnce, "filed.example filed.example, error 0x170"},
		"Q08": {func(t *testing.T) string {
			msg := quicMessage("filed.example")
			return newQUICRaw(t, "").sent(
				initial.Packet{DCID: rawID, Payload: initial.Crypto(0, msg[:100]), Size: 1200}.Seal(),
				initial.Packet{DCID: rawID, Number: 1, Payload: initial.Crypto(90, make([]byte, 20)), Size: 1200}.Seal(),
				initial.Packet{DCID: rawID, Number: 2, Payload: initial.Crypto(100, msg[100:]), Size: 1200}.Seal())
		}, "nothing"},
		"Q10": {byteByByte, "passed 5"},
		"Q11": {neverFilled, "nothing, then expired, then nothing"},
		"Q13": {func(t *testing.T) string {
			q := newQUICRaw(t, "")
			return q.sent(quicInitial("filed.example", make([]byte, 7))) + ", " + q.sent(quicInitial("filed.example", make([]byte, 21)))
		}, "nothing, nothing"},
		"Q14": {longTokens, "nothing, passed 1"},
		"Q16": {func(t *testing.T) string {
			return earlyData(t) + "; " + earlyBehind(t, "filed.example") + "; " + earlyBehind(t, "unfiled.example")
		}, "all, early true, then error 0x170; 1200 1122 1250; close"},
		"Q17": {fromNowhere, "nothing, nothing, passed 1, close"},
		"Q19": {func(t *testing.T) string {
			b := quicInitial("filed.example", rawID)
			b[len(b)-1] ^= 1
			return newQUICRaw(t, "").sent(b)
		}, "nothing"},
		"Q20": {movedClients, "echo, echo echo echo, followed"},
		"Q22": {func(t *testing.T) string {
			second := initial.Packet{DCID: rawID, Number: 1, Payload: initial.Crypto(0, quicMessage("unfiled.example")), Size: 1200}.Seal()
			q := newQUICRaw(t, "")
			return q.sent(quicInitial("filed.example", rawID), second) + ", " + q.sent(second)
		}, "passed 1, nothing"},
		"Q23": {flooded, "bounded, filed.example filed.example"},
		"Q25": {oddFrames, "passed 1, nothing, nothing"},
		"Q26": {otherProtocol, "echo, logged"},
		"Q28": {fallsBack, "the page by TCP, the page by TCP, the page by TCP"},
		"Q29": {otherPrograms, "nothing, nothing, nothing, nothing"},
		"Q31": {joinedByKernel, "passed 2, close"},
	})
}

// bothByQUIC tells what a filed and an unfiled name get by a client of quic-go.
func bothByQUIC(t *testing.T, change func(*quicClient)) string {
	o := newQUICOrigin(t, quicOriginConfig{})
	return bothFrom(t, startQUIC(t, "", o).addr(t, "quic:"), change)
}

func bothFrom(t *testing.T, addr string, change func(*quicClient)) string {
	var got []string
	for _, name := range []string{"filed.example", "unfiled.example"} {
		c := newQUICClient(t, addr, name)
		change(c)
		got = append(got, c.came(t))
	}
	return strings.Join(got, ", ")
}

func otherVersions(t *testing.T) string {
	q := newQUICRaw(t, "")
	var got []string
	for _, version := range []uint32{0x1a2a3a4a, 0x51303436, 0xff00001d} {
		b := quicInitial("filed.example", rawID)
		b[1], b[2], b[3], b[4] = byte(version>>24), byte(version>>16), byte(version>>8), byte(version)
		got = append(got, q.sent(b))
	}
	return strings.Join(got, ", ")
}

// lostOnce loses the second datagram of each client.
func lostOnce(t *testing.T) string {
	o := newQUICOrigin(t, quicOriginConfig{})
	addr := startQUIC(t, "", o).addr(t, "quic:")
	var got []string
	for _, name := range []string{"filed.example", "unfiled.example"} {
		lost := 0
		r := newQUICRelay(t, addr, &quicRelay{lose: func(n int, up bool, _ []byte) bool {
			if up && n == 1 {
				lost++
				return true
			}
			return false
		}})
		got = append(got, newQUICClient(t, r.addr, name).came(t))
		r.mu.Lock()
		if lost != 1 {
			t.Errorf("%s: %d datagrams were lost; want 1", name, lost)
		}
		r.mu.Unlock()
	}
	return strings.Join(got, ", ")
}

// byteByByte sends a hello of more than 1000 bytes so.
func byteByByte(t *testing.T) string {
	msg := quicMessage("filed.example", hello.Ext(21, make([]byte, 900)))
	var datagrams [][]byte
	for part := range slices.Chunk(msg, (len(msg)+4)/5) {
		at := len(datagrams) * ((len(msg) + 4) / 5)
		var payload []byte
		for i := range part {
			payload = append(payload, initial.Crypto(at+i, part[i:i+1])...)
		}
		datagrams = append(datagrams, initial.Packet{DCID: rawID, Number: uint64(len(datagrams)), Payload: payload, Size: 1300}.Seal())
	}
	return newQUICRaw(t, "").sent(datagrams...)
}

func neverFilled(t *testing.T) string {
	q := newQUICRaw(t, "timeouts head 200ms")
	msg := quicMessage("filed.example")
	got := q.sent(initial.Packet{DCID: rawID, Payload: slices.Concat(initial.Crypto(0, msg[:40]), initial.Crypto(50, msg[50:])), Size: 1200}.Seal())
	eventually(t, "nothing waits any more", func() bool {
		return q.metric(`quic_pending_connections\{.*\}`) == "0" && q.metric(`quic_pending_bytes\{.*\}`) == "0" && q.metric(`sniffs_total\{.*outcome="more"\}`) == "1"
	})
	return got + ", then expired, then " + q.sent(initial.Packet{DCID: rawID, Number: 1, Payload: initial.Crypto(40, msg[40:50]), Size: 1200}.Seal())
}

func longTokens(t *testing.T) string {
	q := newQUICRaw(t, "")
	b := quicInitial("filed.example", rawID)
	b[5+1+len(rawID)+1] = 0x7f // the token's length is two bytes then, and more than the datagram has
	b[5+1+len(rawID)+2] = 0xff
	token := initial.Packet{DCID: rawID, Token: make([]byte, 1024), Payload: initial.Crypto(0, quicMessage("filed.example")), Size: 1350}.Seal()
	return q.sent(b) + ", " + q.sent(token)
}

// earlyData sends it until it is taken, and then when the name is not filed any
// more: a session of before opens nothing.
func earlyData(t *testing.T) string {
	o := newQUICOrigin(t, quicOriginConfig{})
	p := startQUIC(t, "", o)
	c := newQUICClient(t, p.addr(t, "quic:"), "filed.example")
	c.tls.NextProtos = []string{"doq"}
	c.tls.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	var got string
	eventually(t, "a session ticket", func() bool { got = sentEarly(t, c); return strings.HasSuffix(got, "early true") })
	if o.earlies() == 0 {
		t.Error("the origin saw no early data")
	}
	p.writeRegistry(t, 2, filing("elsewhere.example", registry.Tencent))
	p.log.await(t, `msg="files read anew" data=registry`)
	return got + ", then " + sentEarly(t, c)
}

// earlyBehind sends a datagram of early data between the two of a hello, and tells
// what the server gets, by their sizes.
func earlyBehind(t *testing.T, name string) string {
	q, msg := newQUICRaw(t, ""), quicMessage(name)
	early := append(initial.Header(initial.V1, 1, rawID, nil), initial.Varint(1100)...)
	datagrams := [][]byte{
		initial.Packet{DCID: rawID, Payload: initial.Crypto(0, msg[:40]), Size: 1200}.Seal(),
		append(early, make([]byte, 1100)...),
		initial.Packet{DCID: rawID, Number: 1, Payload: initial.Crypto(40, msg[40:]), Size: 1250}.Seal(),
	}
	if name != "filed.example" {
		return q.sent(datagrams...)
	}
	for _, d := range datagrams {
		if _, err := q.client.Write(d); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for range datagrams {
		n, _, err := q.server.ReadFrom(make([]byte, 2000))
		if err != nil {
			return err.Error()
		}
		got = append(got, fmt.Sprint(n))
	}
	return strings.Join(got, " ")
}

// sentEarly sends some datagrams of early data, and tells what came of them.
func sentEarly(t *testing.T, c *quicClient) string {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	conn, err := c.tr.DialEarly(ctx, c.to, c.tls, c.conf)
	if err != nil {
		return quicError(err)
	}
	defer conn.CloseWithError(0, "")
	s, err := conn.OpenStream()
	if err != nil {
		return quicError(err)
	}
	text := strings.Repeat("early ", 500)
	fmt.Fprint(s, text)
	s.Close()
	b, err := io.ReadAll(s)
	if err != nil {
		return quicError(err)
	}
	if string(b) != text {
		return fmt.Sprintf("%d bytes", len(b))
	}
	return fmt.Sprintf("all, early %v", conn.ConnectionState().Used0RTT)
}

func fromNowhere(t *testing.T) string {
	q := newQUICRaw(t, "")
	early := append(initial.Header(initial.V1, 1, rawID, nil), initial.Varint(1100)...)
	early = append(early, make([]byte, 1100)...)
	short := make([]byte, 1200)
	short[0] = 0x40
	for i := range short[1:] {
		short[1+i] = byte(i)
	}
	// Each from an address that has no connection. A port whose connection has passed
	// sends short headers as it likes.
	got := []string{q.from("127.0.0.11").sent(early), q.from("127.0.0.12").sent(short[:100]), q.from("127.0.0.13").sent(short)}
	return strings.Join(append(got, q.sent(quicInitial("unfiled.example", rawID))), ", ")
}

// movedClients moves one on purpose, and has others come from other ports.
func movedClients(t *testing.T) string {
	o, admin := newQUICOrigin(t, quicOriginConfig{}), freePort(t)
	p := start(t, 1, fmt.Sprintf("quic://127.0.0.1:0 {\n%s\nupstream %s\n}", withAdmin(admin), o.addr), nil)
	addr := p.addr(t, "quic:")
	c := newQUICClient(t, addr, "filed.example")
	c.tls.NextProtos = []string{"doq"}
	conn, err := c.dial(t)
	if err != nil {
		return quicError(err)
	}
	defer conn.CloseWithError(0, "")
	moveTo(t, conn, addr)
	got := echo3(t, conn) + ","
	r := newQUICRelay(t, addr, &quicRelay{})
	c = newQUICClient(t, r.addr, "filed.example")
	c.tls.NextProtos = []string{"doq"}
	renamed, err := c.dial(t)
	if err != nil {
		return quicError(err)
	}
	defer renamed.CloseWithError(0, "")
	for i := range 3 { // quic-go's server remembers no more than three addresses
		got += " " + echo3(t, renamed)
		// It may answer before it looks whether the client is there, by which it is known.
		eventually(t, fmt.Sprintf("%d moves are counted", i+1), func() bool {
			moved := 0.0
			for _, n := range scrapedAll(t, admin, `icp_gate_quic_moved_total\{.*\}`) {
				moved += toFloat(n)
			}
			return moved >= float64(i+1)
		})
		r.rename()
	}
	return got + ", followed"
}

// flooded begins more connections than may wait, from one address and from many.
func flooded(t *testing.T) string {
	q, o := newQUICRaw(t, "limits initials 1000000"), newQUICOrigin(t, quicOriginConfig{})
	const maxPending, maxBytes = 1 << 14, 64 << 20
	slow := startQUIC(t, "limits initials 100", o).addr(t, "quic:")
	half := quicMessage("filed.example")[:60]
	for i := range 20_000 {
		b := initial.Packet{DCID: []byte(fmt.Sprintf("flood %08d", i)), Payload: initial.Crypto(0, half), Size: 1200}.Seal()
		if _, err := q.client.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	n, size := toFloat(q.metric(`quic_pending_connections\{.*\}`)), toFloat(q.metric(`quic_pending_bytes\{.*\}`))
	if n == 0 || n > maxPending || size > maxBytes {
		return fmt.Sprintf("%v wait with %v bytes", n, size)
	}
	q.keptUp()
	if got := q.sent(quicInitial("filed.example", rawID)); got != "passed 1" {
		return got
	}
	q.addr = slow
	q.from("127.0.0.9")
	for i := range 2000 {
		if _, err := q.client.Write(initial.Packet{DCID: []byte(fmt.Sprintf("flood %08d", i)), Payload: initial.Crypto(0, half), Size: 1200}.Seal()); err != nil {
			t.Fatal(err)
		}
	}
	return "bounded, " + newQUICClient(t, slow, "filed.example").came(t)
}

func toFloat(s string) (f float64) {
	_, _ = fmt.Sscan(s, &f)
	return f
}

func oddFrames(t *testing.T) string {
	msg := quicMessage("filed.example")
	ack, end := []byte{2, 0, 0, 0, 0}, []byte{0x1c, 0, 0, 0}
	packet := func(number uint64, frames ...[]byte) []byte {
		return initial.Packet{DCID: rawID, Number: number, Payload: slices.Concat(frames...), Size: 1200}.Seal()
	}
	return newQUICRaw(t, "").sent(packet(0, ack, []byte{1, 0, 0}, initial.Crypto(0, msg), ack)) + ", " +
		newQUICRaw(t, "").sent(packet(0, initial.Crypto(0, msg[:50])), packet(1, end), packet(2, initial.Crypto(50, msg[50:]))) + ", " +
		newQUICRaw(t, "").sent(packet(0, initial.Crypto(0, msg), []byte{8, 0, 0}))
}

func otherProtocol(t *testing.T) string {
	o := newQUICOrigin(t, quicOriginConfig{})
	p := startQUIC(t, "log", o)
	c := newQUICClient(t, p.addr(t, "quic:"), "filed.example")
	c.tls.NextProtos = []string{"doq"}
	got := c.came(t)
	p.log.await(t, `"host":"filed.example".*"alpn":"doq"`)
	return got + ", logged"
}

// otherPrograms speak something else to the port.
func otherPrograms(t *testing.T) string {
	q := newQUICRaw(t, "")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, command(t, "openssl").Path, "s_client", "-dtls", "-connect", q.addr)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a hello of DTLS was dropped", func() bool { return q.metric(`quic_dropped_total\{.*\}`) != "" })
	cancel()
	_ = cmd.Wait()
	got := []string{q.sent()}
	wireguard := append([]byte{1, 0, 0, 0}, make([]byte, 144)...)
	dns := []byte("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x05filed\x07example\x00\x00\x01\x00\x01")
	long := append([]byte{0xc2}, dns[1:]...) // an id that looks like a long header
	for _, b := range [][]byte{wireguard, dns, long} {
		got = append(got, q.from("127.0.0.1").sent(b))
	}
	return strings.Join(got, ", ")
}
