package sniff_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/icpgate/icpgate/gate/sniff"
	"github.com/icpgate/icpgate/gate/sniff/initial"
)

func TestAppendQUICClose(t *testing.T) {
	for _, version := range []uint32{sniff.QUICv1, sniff.QUICv2} {
		for _, client := range [][]byte{nil, clientID, make([]byte, 20)} {
			for _, code := range []uint64{sniff.QUICError(sniff.AlertUnrecognizedName), 0x0a, 0x01ff} {
				a := sniff.QUICAnswer{Version: version, ID: serverID, Client: client, Error: code, Number: 3}
				b := sniff.AppendQUICClose([]byte("before"), a)
				if string(b[:6]) != "before" || len(b) > 6+100 {
					t.Fatalf("got %d bytes", len(b)-6)
				}
				p, rest, err := initial.Open(b[6:], serverID, true)
				if err != nil || len(rest) != 0 {
					t.Fatalf("version %x: %v, %d bytes left", version, err, len(rest))
				}
				want := numbers(0x1c, code, 0, 0)
				if p.Version != version || !bytes.Equal(p.DCID, client) || !bytes.Equal(p.SCID, serverID) || p.Number != 3 || p.Reserved != 0 || !bytes.Equal(p.Payload, want) {
					t.Errorf("got %+v; want the payload %x", p, want)
				}
			}
		}
	}
}

func TestQUICErrors(t *testing.T) {
	for _, tt := range []struct {
		frames [][]byte
		want   uint64
	}{
		{[][]byte{initial.Crypto(0, message("a..b"))}, 0x100 + 50},
		{[][]byte{initial.Crypto(0, []byte{2})}, 0x100 + 10},
		{[][]byte{{0x3f}}, 0x07},
		{[][]byte{initial.Crypto(0, []byte{1, 0}), initial.Crypto(1, []byte{1})}, 0x0a},
		{[][]byte{initial.Crypto(0, message(filed)), initial.Crypto(len(message(filed)), message(unfiled))}, 0x100 + 47},
	} {
		if h := newConn(sniff.QUICv1).feed(tt.frames...).Hello; h.QUICError() != tt.want {
			t.Errorf("%s: got error %#x; want %#x", h.Cause, h.QUICError(), tt.want)
		}
	}
	if got := sniff.QUICError(sniff.AlertUnrecognizedName); got != 0x170 {
		t.Errorf("a blocked name: got error %#x; want 0x170", got)
	}
}

func TestAppendQUICNegotiation(t *testing.T) {
	ask := func(version uint32, dcid, scid []byte, size int) []byte {
		b := initial.Header(version, 0, dcid, scid)
		return append(b, make([]byte, max(0, size-len(b)))...)
	}
	for _, tt := range []struct {
		name     string
		b        []byte
		answered bool
	}{
		{"a reserved version", ask(0x0a0a0a0a, serverID, clientID, 1200), true},
		{"another reserved version", ask(0x1a2a3a4a, serverID, nil, 1200), true},
		{"draft 29", ask(0xff00001d, serverID, clientID, 1350), true},
		{"ids of 255 bytes", ask(0xff00001d, make([]byte, 255), make([]byte, 255), 1200), true},
		{"1199 bytes", ask(0x0a0a0a0a, serverID, clientID, 1199), false},
		{"version 1", ask(sniff.QUICv1, serverID, clientID, 1200), false},
		{"version 2", ask(sniff.QUICv2, serverID, clientID, 1200), false},
		{"Version Negotiation", ask(0, serverID, clientID, 1200), false},
		{"short header", append([]byte{0x40}, make([]byte, 1300)...), false},
		{"cut short", append([]byte{0xc0, 1, 2, 3, 4, 255}, make([]byte, 20)...), false},
	} {
		b, ok := sniff.AppendQUICNegotiation([]byte("before"), tt.b)
		if ok != tt.answered || string(b[:6]) != "before" || !ok && len(b) != 6 {
			t.Errorf("%s: answered %t by %d bytes; want %t", tt.name, ok, len(b)-6, tt.answered)
		}
		if !ok {
			continue
		}
		b = b[6:]
		asked, _, _ := sniff.NextQUIC(tt.b, 0)
		p, _, cause := sniff.NextQUIC(b, 0)
		if cause != sniff.NoCause || p.Type != sniff.QUICNegotiate || !bytes.Equal(p.DCID, asked.SCID) || !bytes.Equal(p.SCID, asked.DCID) || len(b)*2 > len(tt.b) {
			t.Errorf("%s: got %d bytes, %+v", tt.name, len(b), p)
		}
		var versions []uint32
		for list := b[len(b)-12:]; len(list) > 0; list = list[4:] {
			versions = append(versions, binary.BigEndian.Uint32(list))
		}
		if versions[0] != sniff.QUICv1 || versions[1] != sniff.QUICv2 || versions[2]&0x0f0f0f0f != 0x0a0a0a0a || versions[2] == asked.Version {
			t.Errorf("%s: got versions %x", tt.name, versions)
		}
	}
}
