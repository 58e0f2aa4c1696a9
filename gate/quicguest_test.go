package gate_test

import (
	"testing"

	"github.com/icpgate/icpgate/gate/sniff/initial"
)

// quicShort is a datagram with a short header, that bears an id.
func quicShort(id string, size int) []byte {
	b := make([]byte, size)
	b[0] = 0x40
	copy(b[1:], id)
	return b
}

// TestQUICGuest: a client that comes from a new address is known by what a server
// sends to ask whether it is there (RFC 9000 §8.2.1), also where it has sent more
// itself; by less it is not, which anybody gets who sends as much.
func TestQUICGuest(t *testing.T) {
	q := newQUICRaw(t, "")
	short := func(size int) []byte { return quicShort("", size) }
	if _, err := q.client.Write(short(1400)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 65536)
	n, from, err := q.server.ReadFrom(b)
	if err != nil || n != 1400 {
		t.Fatalf("the server got %d bytes, %v", n, err)
	}
	answer := func(size int) {
		t.Helper()
		if _, err := q.server.WriteTo(short(size), from); err != nil {
			t.Fatal(err)
		}
		if n, err := q.client.Read(b); n != size {
			t.Fatalf("the client got %d bytes, %v; want %d", n, err, size)
		}
	}
	answer(1199)
	if got := q.metric(`quic_moved_total\{.*\}`); got != "" && got != "0" {
		t.Errorf("%s were known by less", got)
	}
	answer(1200)
	eventually(t, "one is known", func() bool { return q.metric(`quic_moved_total\{.*\}`) == "1" })
}

// TestQUICGuestsLeave: guests whose time is over take no room from those to come.
func TestQUICGuestsLeave(t *testing.T) {
	q := newQUICRaw(t, "limits connections 16\ntimeouts head 100ms") // of which two may be guests
	for i := range 5 {
		if _, err := q.from("127.0.0.1").client.Write(quicShort("", 1200)); err != nil {
			t.Fatal(err)
		}
		if _, _, err := q.server.ReadFrom(make([]byte, 1500)); err != nil {
			t.Fatalf("guest %d: %v", i, err)
		}
		eventually(t, "it is gone", func() bool { return q.metric(`open_connections\{.*\}`) == "0" })
	}
}

// TestQUICGuestsApart: a flood of guests that bear ids of nobody does not keep out a
// client that has moved and bears one that was seen.
func TestQUICGuestsApart(t *testing.T) {
	q := newQUICRaw(t, "limits connections 16") // of which two may be guests of either kind
	id, b := "server's", make([]byte, 1500)
	begun := initial.Packet{DCID: rawID, SCID: []byte("client's"), Payload: initial.Crypto(0, quicMessage("filed.example")), Size: 1200}
	if _, err := q.client.Write(begun.Seal()); err != nil {
		t.Fatal(err)
	}
	_, from, err := q.server.ReadFrom(b)
	if err != nil {
		t.Fatal(err)
	}
	answer := initial.Packet{DCID: begun.SCID, SCID: []byte(id), Payload: initial.Crypto(0, quicMessage("filed.example")), Size: 1200}
	if _, err := q.server.WriteTo(answer.Seal(), from); err != nil {
		t.Fatal(err)
	}
	if _, err := q.client.Read(b); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := q.from("127.0.0.3").client.Write(quicShort("nobody's", 1200)); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "there is no room for the third", func() bool { return q.metric(`quic_dropped_total\{.*"held".*\}`) == "1" })
	if _, err := q.from("127.0.0.2").client.Write(quicShort(id, 100)); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if n, _, err := q.server.ReadFrom(b); err != nil {
			t.Fatalf("what a client that has moved sends has not come: %v", err)
		} else if n == 100 {
			return
		}
	}
	t.Error("the server got three others")
}
