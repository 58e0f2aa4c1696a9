package sniff_test

import (
	"bytes"
	"testing"

	"github.com/icpgate/icpgate/gate/internal/hello"
	"github.com/icpgate/icpgate/gate/sniff"
	"github.com/icpgate/icpgate/gate/sniff/initial"
)

// TestQUICSecondHello: the hello behind a HelloRetryRequest must name the same.
func TestQUICSecondHello(t *testing.T) {
	one := large(filed)
	for _, tt := range []struct {
		name  string
		two   []byte
		kind  sniff.Kind
		cause sniff.Cause
	}{
		{"the same", message("WWW.filed.EXAMPLE", hello.Ext(44, make([]byte, 30))), sniff.Name, 0},
		{"another name", message(unfiled), sniff.Malformed, sniff.NameDiffers},
		{"with a dot", message(filed + "."), sniff.Malformed, sniff.NameDiffers},
		{"no name", hello.Spec{}.Message(), sniff.Malformed, sniff.NameDiffers},
		{"an address", message("192.0.2.1"), sniff.Malformed, sniff.NameDiffers},
		{"with ECH", message(filed, hello.Ext(0xfe0d, make([]byte, 9))), sniff.Malformed, sniff.NameDiffers},
		{"malformed", message("a..b"), sniff.Malformed, sniff.BadName},
		{"and a third", append(message(filed), message(filed)...), sniff.Malformed, sniff.BadSequence},
	} {
		c := newConn(sniff.QUICv1)
		check(t, tt.name, c.feed(initial.Crypto(1000, one[1000:])), sniff.More, "", 0)
		check(t, tt.name, c.feed(initial.Crypto(0, one[:1000])), sniff.Name, filed, 0)
		half := len(tt.two) / 3
		seen := c.feed(initial.Crypto(len(one)+half, tt.two[half:]))
		check(t, tt.name+", its end", seen, sniff.Name, filed, 0)
		if seen.Hellos != 1 {
			t.Errorf("%s: got %d hellos; want 1", tt.name, seen.Hellos)
		}
		name := filed
		if tt.kind == sniff.Malformed {
			name = ""
		}
		seen = c.feed(initial.Crypto(len(one), tt.two[:half+1]))
		check(t, tt.name, seen, tt.kind, name, tt.cause)
		if tt.kind == sniff.Name && seen.Hellos != 2 {
			t.Errorf("%s: got %d hellos; want 2", tt.name, seen.Hellos)
		}
	}
}

// TestQUICRetry: after a Retry the keys come of the server's id, and the hello is
// the same.
func TestQUICRetry(t *testing.T) {
	for _, version := range []uint32{sniff.QUICv1, sniff.QUICv2} {
		msg := large(filed)
		c := newConn(version)
		c.feed(initial.Crypto(0, msg[:1000]))
		again := []byte("retried")
		packet := func(b []byte) *sniff.QUICPacket {
			p, _, cause := sniff.NextQUIC(b, 0)
			if cause != sniff.NoCause {
				t.Fatal(cause)
			}
			return &p
		}
		good := initial.Retry(version, clientID, again, []byte("token"), serverID)
		bad := bytes.Clone(good)
		bad[len(bad)-1] ^= 1
		for name, b := range map[string][]byte{
			"a wrong tag":         bad,
			"no token":            initial.Retry(version, clientID, again, nil, serverID),
			"the same id":         initial.Retry(version, clientID, serverID, []byte("token"), serverID),
			"of another id":       initial.Retry(version, clientID, again, []byte("token"), clientID),
			"of another version":  initial.Retry(version^sniff.QUICv1^sniff.QUICv2, clientID, again, []byte("token"), serverID),
			"an Initial packet":   begins(version, serverID, 1200),
			"Version Negotiation": {0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1},
		} {
			if c.q.Retry(packet(b)) {
				t.Errorf("a Retry counts with %s", name)
			}
		}
		later := []byte("retried once more")
		if !c.q.Retry(packet(initial.Retry(version, clientID, later, []byte("token"), serverID))) || !c.q.Retry(packet(good)) {
			t.Fatal("a Retry does not count")
		}
		seen := c.feed([]byte{1})
		check(t, "the old id", seen, sniff.More, "", sniff.NoCause)
		if !bytes.Equal(c.q.ID(), serverID) {
			t.Errorf("got id %x before the client has taken another", c.q.ID())
		}
		c.p.DCID = []byte("never heard of")
		if seen = c.feed([]byte{1}); !seen.Anew || seen.Fit() {
			t.Errorf("an id that no Retry gave: got %+v", seen)
		}
		c.p.DCID, c.p.Token = later, []byte("token")
		check(t, "the new id", c.feed(initial.Crypto(1000, msg[1000:])), sniff.Name, filed, sniff.NoCause)
		check(t, "all of it again", c.feed(initial.Crypto(0, msg[:1000])), sniff.Name, filed, sniff.NoCause)
		if !bytes.Equal(c.q.ID(), later) {
			t.Errorf("got id %x; want that of the Retry which the client has taken", c.q.ID())
		}
		c.p.DCID = serverID
		check(t, "the old id, late", c.feed(initial.Crypto(0, msg[:1000])), sniff.Name, filed, sniff.NoCause)
		c.p.DCID, c.p.Key = []byte("chosen"), later
		check(t, "the server's own id", c.feed([]byte{1}), sniff.Name, filed, sniff.NoCause)
		if c.q.Retry(packet(initial.Retry(version, clientID, []byte("too late"), []byte("token"), serverID))) {
			t.Error("a Retry counts after the client has taken another")
		}
		c = newConn(version)
		c.feed(initial.Crypto(0, msg[:1000]))
		c.q.Retry(packet(good))
		c.p.DCID = again
		check(t, "another hello", c.feed(initial.Crypto(0, large("www.unfil.example")[:1000])), sniff.Malformed, "", sniff.CryptoDiffers)
	}
}

// TestQUICServerID: once the server has chosen its id, the client's packets bear
// it and have the keys of before; also where it went on in the other version
// (RFC 9369 §4).
func TestQUICServerID(t *testing.T) {
	c := newConn(sniff.QUICv1)
	msg := large(filed)
	c.feed(initial.Crypto(0, msg[:1000]))
	c.feed(initial.Crypto(1000, msg[1000:]))
	for _, id := range [][]byte{[]byte("chosen"), {}, []byte("another, of 20 bytes")} {
		c.p.DCID, c.p.Key = id, serverID
		check(t, "an ACK", c.feed(numbers(2, 0, 0, 0, 0)), sniff.Name, filed, 0)
		c.p.Key = id
		seen := c.feed(initial.Crypto(0, large(unfiled)[:1000]))
		check(t, "keys of its own id", seen, sniff.Name, filed, sniff.NotOpened)
		if !seen.Anew {
			t.Error("it does not look like one that begins a connection")
		}
	}
	c.p.Version, c.p.Key = sniff.QUICv2, serverID
	check(t, "version 2", c.feed(numbers(2, 0, 0, 0, 0)), sniff.Name, filed, 0)
	check(t, "version 2, another hello", c.feed(initial.Crypto(0, large("www.unfil.example")[:1000])), sniff.Malformed, "", sniff.CryptoDiffers)
}

// TestQUICTwoKeys: a packet that opens with the keys of two connections is
// refused, whichever of the two a server would take it for.
func TestQUICTwoKeys(t *testing.T) {
	for _, id := range [][]byte{[]byte("chosen"), []byte("another one")} {
		b := initial.TwoKeys(id, clientID, serverID, id, 1200)
		for _, key := range [][]byte{id, serverID} {
			if _, _, err := initial.Open(b, key, false); err != nil {
				t.Fatalf("id %q, keys of %q: %v", id, key, err)
			}
		}
		c := newConn(sniff.QUICv1)
		seen := c.feed(initial.Crypto(0, message(filed)))
		check(t, "a hello", seen, sniff.Name, filed, 0)
		seen = c.q.Feed(b, &c.w)
		check(t, "two keys", seen, sniff.Name, filed, sniff.TwoReadings)
		if seen.Failed != 1 || seen.Opened != 0 {
			t.Errorf("got %+v", seen)
		}
	}
}

// TestQUICOpens: whose packet it is shows before anything of it is taken.
func TestQUICOpens(t *testing.T) {
	c, other := newConn(sniff.QUICv1), newConn(sniff.QUICv1)
	other.q.Start(sniff.QUICv1, []byte("of another"))
	msg := message(filed)
	other.p.DCID, other.p.Key = []byte("chosen"), []byte("of another")
	b := other.datagram(initial.Crypto(0, msg))
	if c.q.Opens(b, &c.w) || !other.q.Opens(b, &c.w) {
		t.Error("the packet is not of the one that has sealed it")
	}
	check(t, "nothing was taken", other.feed([]byte{1}), sniff.More, "", 0)
	two := initial.TwoKeys([]byte("chosen"), clientID, serverID, []byte("of another"), 1200)
	if !c.q.Opens(two, &c.w) || !other.q.Opens(two, &c.w) {
		t.Error("a packet that was made to open with two keys does not")
	}
	for _, version := range []uint32{sniff.QUICv1, sniff.QUICv2} {
		server := initial.Packet{Version: version, DCID: clientID, SCID: []byte("chosen"), Key: serverID, Payload: make([]byte, 40), Server: true}.Seal()
		p, _, _ := sniff.NextQUIC(server, 0)
		if !c.q.OpensServers(&p, &c.w) || other.q.OpensServers(&p, &c.w) {
			t.Errorf("version %x: the server's packet is not of its connection", version)
		}
	}
	p, _, _ := sniff.NextQUIC(b, 0)
	if other.q.OpensServers(&p, &c.w) {
		t.Error("a client's packet passes for its server's")
	}
	if p, _, _ := sniff.NextQUIC(long(sniff.QUICv1, kindHandshake, nil, 40), 0); other.q.OpensServers(&p, &c.w) {
		t.Error("a Handshake packet passes for an Initial one")
	}
}
