package gate_test

import (
	"encoding/binary"
	"net"
	"testing"
	"time"

	"github.com/icpgate/icpgate/gate"
	"github.com/icpgate/icpgate/gate/sniff"
	"github.com/icpgate/icpgate/gate/sniff/initial"
)

// endedIDs begins connections of a filed name and ends them again, each with an id of
// its own. It waits until the server has heard of all.
func (q *quicRaw) endedIDs(n int) {
	q.t.Helper()
	const together = 16 // as many as one port may have at a time
	b := make([]byte, 2000)
	write := func(p initial.Packet) {
		if _, err := q.client.Write(p.Seal()); err != nil {
			q.t.Fatal(err)
		}
	}
	crypto := initial.Crypto(0, quicMessage("filed.example"))
	for first := 0; first < n; first += together {
		id := func(i int) []byte { return binary.BigEndian.AppendUint64(nil, uint64(first+i+1)) }
		for i := range together {
			write(initial.Packet{DCID: id(i), Payload: crypto, Size: sniff.MinQUICDatagram})
		}
		for i := range together {
			write(initial.Packet{DCID: id(i), Payload: []byte{0x1c, 0, 0, 0}, Number: 1}) // RFC 9000 §19.19
		}
		for i := range 2 * together {
			if _, _, err := q.server.ReadFrom(b); err != nil {
				q.t.Fatalf("datagram %d of ids from %d on: %v", i, first, err)
			}
		}
	}
}

// TestQUICLateMany: a connection that has ended while its server may wait for more of
// its hello is not begun by another hello, however many have ended so. Others begin.
func TestQUICLateMany(t *testing.T) {
	q := newQUICRaw(t, "limits initials 1000000")
	n := 1 << 10
	if soak() {
		n = 1 << 17
	}
	q.endedIDs(n)
	end := initial.Packet{DCID: rawID, Payload: []byte{0x1c, 0, 0, 0}, Number: 1}
	if got := q.sent(quicInitial("filed.example", rawID), end.Seal()); got != "passed 2" {
		t.Fatalf("the first hello and its end: %s", got)
	}
	if got := q.from("127.0.0.1").sent(quicInitial("www.filed.example", rawID)); got != "nothing" {
		t.Errorf("another hello with the same id: %s; want nothing", got)
	}
	if got := q.sent(quicInitial("filed.example", []byte("its own id"))); got != "passed 1" {
		t.Errorf("another client: %s", got)
	}
}

// TestQUICLate: of 100,000 ids a second none is forgotten before its time, hardly any
// other is taken for one of them, and what they take is bounded. When no more come all
// of it is given back.
func TestQUICLate(t *testing.T) {
	const rate = 100_000
	var q gate.QUICLate
	id := func(i int) []byte { return binary.BigEndian.AppendUint64(nil, uint64(i)) }
	at := func(i int) time.Duration { return time.Duration(i) * time.Second / rate }
	seconds := int(2 * gate.LateQUIC / time.Second)
	taken, most := 0, 0
	for i := range seconds * rate {
		q.Add(id(i), at(i))
		if i%100 == 0 {
			if was := i - int(gate.LateQUIC/time.Second)*rate + 1; was >= 0 && !q.Has(id(was), at(i)) {
				t.Fatalf("after %s the one of %s is forgotten", at(i), at(was))
			}
			if q.Has(id(-1-i), at(i)) {
				taken++
			}
		}
		if i%10_000 == 0 {
			most = max(most, q.Held())
		}
	}
	t.Logf("they take %d KiB at most", most>>10)
	if taken > 1 {
		t.Errorf("%d of %d others are taken for one of them", taken, seconds*rate/100)
	}
	if most > 72<<20 {
		t.Errorf("they take %d bytes; want no more than 72 MiB", most)
	}
	end := at(seconds*rate - 1)
	if !q.Has(id(seconds*rate-1), end+gate.LateQUIC-1) {
		t.Error("the last one is forgotten too early")
	}
	if q.Has(id(seconds*rate-1), end+gate.LateQUIC) || q.Held() != 0 {
		t.Errorf("the last one is kept, or %d bytes are", q.Held())
	}
}

// TestQUICLateFew: a few ids take little, and less again after many.
func TestQUICLateFew(t *testing.T) {
	var q gate.QUICLate
	add := func(n int, from, until time.Duration) {
		for i := range n {
			now := from + (until-from)*time.Duration(i)/time.Duration(n)
			q.Add(binary.BigEndian.AppendUint64(nil, uint64(now)), now)
		}
	}
	add(1000, 0, 5*time.Minute)
	if n := q.Held(); n > 64<<10 {
		t.Errorf("three a second take %d bytes", n)
	}
	add(1_000_000, 5*time.Minute, 6*time.Minute)
	add(1000, 6*time.Minute, 10*time.Minute)
	if n := q.Held(); n > 64<<10 {
		t.Errorf("three a second take %d bytes after more of them", n)
	}
}

// TestQUICLateFull: where no more ids can be kept none begins a connection, until
// some need not be kept any more.
func TestQUICLateFull(t *testing.T) {
	var q gate.QUICIDs
	id := func(i int) []byte { return binary.BigEndian.AppendUint64(nil, uint64(i)) }
	for i := range gate.MaxLateQUIC + 10 { // some may be taken for others
		q.Late(id(i), 0)
	}
	if got := q.Begins(id(-1)); got != "held" {
		t.Errorf("one too many: %s; want held", got)
	}
	if got := q.Begins(id(0)); got != "foreign-id" {
		t.Errorf("the first: %s; want foreign-id", got)
	}
	q.Expire(gate.LateQUIC)
	if got := q.Begins(id(-1)); got != "begins" {
		t.Errorf("after a while: %s", got)
	}
}

// TestQUICLateThrough: a connection whose client seems to be through with its handshake
// begins nothing either after its flow has been idle for as long as one may be: its
// server may have waited since the last of the handshake.
func TestQUICLateThrough(t *testing.T) {
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	_ = server.SetReadDeadline(time.Now().Add(patience))
	addr, g, _ := startQUICLive(t, "", filedLive(t), &quicOrigin{addr: server.LocalAddr().String()})
	send := func(datagrams ...[]byte) {
		t.Helper()
		c, err := net.Dial("udp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for _, d := range datagrams {
			if _, err := c.Write(d); err != nil {
				t.Fatal(err)
			}
		}
	}
	passed := func(id []byte) {
		t.Helper()
		b := make([]byte, 2000)
		n, _, err := server.ReadFrom(b)
		if p, _, cause := sniff.NextQUIC(b[:n], 0); err != nil || cause != sniff.NoCause || string(p.DCID) != string(id) {
			t.Fatalf("the server got %q, %v; want %q", p.DCID, err, id)
		}
	}
	send(quicInitial("filed.example", rawID), quicShort("", 100))
	passed(rawID)
	if n, _, err := server.ReadFrom(make([]byte, 2000)); n != 100 {
		t.Fatalf("the server got %d bytes, %v; want 100", n, err)
	}
	g.Older(gate.LateQUIC + time.Second)
	eventually(t, "its flow is over", func() bool { return g.Open() == 0 })
	send(quicInitial("www.filed.example", rawID))
	other := []byte("another id")
	send(quicInitial("filed.example", other))
	passed(other)
}
