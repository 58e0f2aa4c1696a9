package sniff_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"github.com/quic-go/quic-go/quicvarint"

	"github.com/icpgate/icpgate/gate/sniff"
	"github.com/icpgate/icpgate/gate/sniff/initial"
)

var (
	clientID = []byte{0xc1, 0xc2, 0xc3, 0xc4}
	serverID = []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
)

// long is a packet with a long header and n bytes that are protected; kind counts
// as version 1 does.
func long(version uint32, kind byte, token []byte, n int) []byte {
	b := initial.Header(version, kind, serverID, clientID)
	if kind == 0 {
		b = append(append(b, initial.Varint(uint64(len(token)))...), token...)
	}
	return slices.Concat(b, initial.Varint(uint64(n)), make([]byte, n))
}

const kindInitial, kindZeroRTT, kindHandshake, kindRetry = 0, 1, 2, 3

func TestNextQUIC(t *testing.T) {
	for _, version := range []uint32{sniff.QUICv1, sniff.QUICv2} {
		for kind, want := range []sniff.QUICType{sniff.QUICInitial, sniff.QUICZeroRTT, sniff.QUICHandshake} {
			b := long(version, byte(kind), []byte("a token"), 30)
			p, rest, cause := sniff.NextQUIC(append(b, "rest"...), 0)
			if cause != sniff.NoCause || p.Type != want || p.Version != version || string(rest) != "rest" || !bytes.Equal(p.Raw, b) ||
				!bytes.Equal(p.DCID, serverID) || !bytes.Equal(p.SCID, clientID) || p.Number != len(b)-30 {
				t.Errorf("version %x, kind %d: got %+v, rest %q, cause %q", version, kind, p, rest, cause)
			}
			if kind == kindInitial && string(p.Token) != "a token" {
				t.Errorf("got token %q", p.Token)
			}
		}
		b := initial.Retry(version, clientID, serverID, []byte("t"), serverID)
		if p, rest, cause := sniff.NextQUIC(b, 0); cause != sniff.NoCause || p.Type != sniff.QUICRetry || string(p.Token) != "t" || len(rest) != 0 {
			t.Errorf("got %+v, cause %q; want a Retry", p, cause)
		}
	}
	b := append([]byte{0x40}, "0123456789abc"...)
	if p, _, cause := sniff.NextQUIC(b, 8); cause != sniff.NoCause || p.Type != sniff.QUICShort || string(p.DCID) != "01234567" || !bytes.Equal(p.Raw, b) {
		t.Errorf("got %+v, cause %q; want a short header", p, cause)
	}
}

// TestNextQUICRefuses: ids and tokens that are too long, versions that nobody
// reads (Q05, Q13, Q14).
func TestNextQUICRefuses(t *testing.T) {
	whole := long(sniff.QUICv1, kindInitial, []byte("token"), 30)
	ids := func(version uint32, dcid, scid int) []byte {
		b := initial.Header(version, 0, make([]byte, dcid), make([]byte, scid))
		return append(b, make([]byte, 64)...)
	}
	with := func(b []byte, parts ...[]byte) []byte { return slices.Concat(append([][]byte{b}, parts...)...) }
	head := initial.Header(sniff.QUICv1, kindInitial, serverID, clientID)
	for _, tt := range []struct {
		name  string
		b     []byte
		kind  sniff.QUICType
		cause sniff.Cause
	}{
		{"id of 20 bytes", with(initial.Header(sniff.QUICv1, 0, make([]byte, 20), nil), []byte{0, 20}, make([]byte, 20)), sniff.QUICInitial, 0},
		{"id of 21 bytes", ids(sniff.QUICv1, 21, 0), 0, sniff.BadConnectionID},
		{"id of 21 bytes, version 2", ids(sniff.QUICv2, 21, 0), 0, sniff.BadConnectionID},
		{"own id of 21 bytes", ids(sniff.QUICv1, 8, 21), 0, sniff.BadConnectionID},
		{"id of 255 bytes, another version", ids(0x1a2a3a4a, 255, 255), sniff.QUICOther, 0},
		{"draft 29", ids(0xff00001d, 8, 8), sniff.QUICOther, 0},
		{"gQUIC Q046", ids(0x51303436, 8, 8), sniff.QUICOther, 0},
		{"id cut short", []byte{0xc0, 0x1a, 0x2a, 0x3a, 0x4a, 200, 1}, 0, sniff.BadPacket},
		{"own id missing", whole[:5+1+len(serverID)], 0, sniff.BadPacket},
		{"version cut short", []byte{0xc0, 0, 0, 0}, 0, sniff.BadPacket},
		{"a byte", []byte{0xc0}, 0, sniff.BadPacket},
		{"token longer than the packet", with(head, initial.Varint(100), make([]byte, 99)), 0, sniff.BadPacket},
		{"token of 2^62-1 bytes", with(head, initial.Varint(1<<62-1), make([]byte, 99)), 0, sniff.BadPacket},
		{"token of 1 KB", long(sniff.QUICv1, kindInitial, make([]byte, 1024), 30), sniff.QUICInitial, 0},
		{"no length", with(head, []byte{0}), 0, sniff.BadPacket},
		{"length cut short", with(head, []byte{0, 0x40}), 0, sniff.BadPacket},
		{"longer than the datagram", with(head, []byte{0, 31}, make([]byte, 30)), 0, sniff.BadPacket},
		{"too short for a sample", with(head, []byte{0, 19}, make([]byte, 30)), 0, sniff.BadPacket},
		{"length in eight bytes", with(head, []byte{0, 0xc0, 0, 0, 0, 0, 0, 0, 20}, make([]byte, 20)), sniff.QUICInitial, 0},
		{"Retry without a tag", initial.Header(sniff.QUICv1, kindRetry, clientID, serverID), 0, sniff.BadPacket},
		{"Version Negotiation", with([]byte{0x80, 0, 0, 0, 0, 0, 0}, []byte{0, 0, 0, 1}), sniff.QUICNegotiate, 0},
		{"Version Negotiation of no versions", []byte{0x80, 0, 0, 0, 0, 0, 0}, 0, sniff.BadPacket},
		{"Version Negotiation of half a version", []byte{0x80, 0, 0, 0, 0, 0, 0, 1, 2}, 0, sniff.BadPacket},
		{"short header, shorter than its id", []byte{0x40, 1, 2, 3}, 0, sniff.BadPacket},
		{"fixed bit cleared", with([]byte{whole[0] &^ 0x40}, whole[1:]), sniff.QUICInitial, 0},
	} {
		p, _, cause := sniff.NextQUIC(tt.b, 8)
		if cause != tt.cause || cause == sniff.NoCause && p.Type != tt.kind {
			t.Errorf("%s: got type %d, cause %q; want %d, %q", tt.name, p.Type, cause, tt.kind, tt.cause)
		}
	}
}

// begins is a datagram that begins a connection.
func begins(version uint32, dcid []byte, size int) []byte {
	return initial.Packet{Version: version, DCID: dcid, SCID: clientID, Payload: []byte{1}, Size: size}.Seal()
}

// TestFirstQUIC: what begins a connection, and what does not (Q05, Q13, Q17, Q29).
func TestFirstQUIC(t *testing.T) {
	early := long(sniff.QUICv1, kindZeroRTT, nil, 100)
	for _, tt := range []struct {
		name  string
		b     []byte
		cause sniff.Cause
	}{
		{"version 1", begins(sniff.QUICv1, serverID, 1200), 0},
		{"version 2", begins(sniff.QUICv2, serverID, 1200), 0},
		{"id of 8 bytes", begins(sniff.QUICv1, serverID[:8], 1200), 0},
		{"id of 7 bytes", begins(sniff.QUICv1, serverID[:7], 1200), sniff.BadConnectionID},
		{"no id", begins(sniff.QUICv1, nil, 1200), sniff.BadConnectionID},
		{"1199 bytes", begins(sniff.QUICv1, serverID, 1199), sniff.SmallDatagram},
		{"with early data", append(begins(sniff.QUICv1, serverID, 1100), early...), 0},
		{"behind early data", append(early, begins(sniff.QUICv1, serverID, 1200)...), 0},
		{"padded with zeros", append(begins(sniff.QUICv1, serverID, 600), make([]byte, 600)...), 0},
		{"early data alone", append(early, make([]byte, 1200)...), sniff.NoInitial},
		{"Handshake alone", append(long(sniff.QUICv1, kindHandshake, nil, 100), make([]byte, 1200)...), sniff.NoInitial},
		{"short header", append([]byte{0x40}, make([]byte, 1200)...), sniff.NoInitial},
		{"Retry", append(initial.Retry(sniff.QUICv1, serverID, clientID, []byte("t"), serverID), make([]byte, 1200)...), sniff.NoInitial},
		{"Version Negotiation", append([]byte{0x80, 0, 0, 0, 0, 0, 0}, make([]byte, 1200)...), sniff.NoInitial},
		{"two ids", append(begins(sniff.QUICv1, serverID, 600), begins(sniff.QUICv1, serverID[:8], 600)...), sniff.MixedPackets},
		{"two versions", append(begins(sniff.QUICv1, serverID, 600), begins(sniff.QUICv2, serverID, 600)...), sniff.MixedPackets},
		{"another version behind", append(begins(sniff.QUICv1, serverID, 600), append(initial.Header(0xff00001d, 0, serverID, clientID), make([]byte, 600)...)...), sniff.MixedPackets},
		{"half a packet behind", append(begins(sniff.QUICv1, serverID, 1200), begins(sniff.QUICv1, serverID, 600)[:300]...), sniff.BadPacket},
		{"another version", append(initial.Header(0x0a1a2a3a, 0, serverID, clientID), make([]byte, 1200)...), sniff.OtherVersion},
		{"DTLS", append([]byte{22, 0xfe, 0xfd, 0, 0}, make([]byte, 200)...), sniff.NoInitial},
		{"WireGuard", append([]byte{1, 0, 0, 0}, make([]byte, 144)...), sniff.NoInitial},
		{"DNS", append([]byte{0x92, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0}, "\x07example\x03com\x00\x00\x01\x00\x01"...), sniff.OtherVersion},
		{"nothing", nil, sniff.BadPacket},
	} {
		if _, cause := sniff.FirstQUIC(tt.b); cause != tt.cause {
			t.Errorf("%s: got %q; want %q", tt.name, cause, tt.cause)
		}
	}
}

func TestScanQUIC(t *testing.T) {
	short := append([]byte{0x40}, serverID...)
	b := slices.Concat(long(sniff.QUICv2, kindInitial, nil, 40), long(sniff.QUICv2, kindHandshake, nil, 40), append(short, make([]byte, 30)...))
	d := sniff.ScanQUIC(b, len(serverID))
	if d.Cause != sniff.NoCause || !bytes.Equal(d.First.SCID, clientID) || d.First.Type != sniff.QUICInitial {
		t.Errorf("got %+v", d)
	}
	for kind := sniff.QUICShort; kind <= sniff.QUICOther; kind++ {
		want := kind == sniff.QUICInitial || kind == sniff.QUICHandshake || kind == sniff.QUICShort
		if d.Types.Has(kind) != want {
			t.Errorf("type %d: got %t; want %t", kind, !want, want)
		}
	}
	if d := sniff.ScanQUIC(append(long(sniff.QUICv1, kindHandshake, nil, 40), 0, 0), len(serverID)); d.Cause != sniff.NoCause || d.Types.Has(sniff.QUICShort) {
		t.Errorf("two bytes behind: got %+v; want them ignored", d)
	}
}

// readPacket is a packet as the twin of NextQUIC sees it.
type readPacket struct {
	kind                   sniff.QUICType
	version                uint32
	dcid, scid, token, raw string
}

func (p readPacket) String() string {
	return fmt.Sprintf("type %d version %x dcid %x scid %x token %x raw %x", p.kind, p.version, p.dcid, p.scid, p.token, p.raw)
}

// twinPackets takes a datagram apart in the plainest way, with the numbers of
// another library; ok is false where that cannot be done to the end.
func twinPackets(b []byte, short int) (all []readPacket, ok bool) {
	defer func() {
		if recover() != nil { // some length was longer than what is there
			ok = false
		}
	}()
	kinds := map[uint32][]sniff.QUICType{
		1:          {sniff.QUICInitial, sniff.QUICZeroRTT, sniff.QUICHandshake, sniff.QUICRetry},
		0x6b3343cf: {sniff.QUICRetry, sniff.QUICInitial, sniff.QUICZeroRTT, sniff.QUICHandshake},
	}
	for len(b) > 0 {
		if b[0] < 0x80 {
			return append(all, readPacket{kind: sniff.QUICShort, dcid: string(b[1 : 1+short : len(b)]), raw: string(b)}), true
		}
		at := 5
		next := func(n int) string {
			v := string(b[at : at+n : len(b)])
			at += n
			return v
		}
		number := func() int {
			n, size, err := quicvarint.Parse(b[at:])
			if err != nil || n > 1<<20 {
				panic("no number")
			}
			at += size
			return int(n)
		}
		p := readPacket{version: binary.BigEndian.Uint32(b[1:5])}
		p.dcid = next(int(next(1)[0]))
		p.scid = next(int(next(1)[0]))
		list := kinds[p.version]
		if list == nil {
			p.kind, p.raw = sniff.QUICOther, string(b)
			if p.version == 0 {
				p.kind = sniff.QUICNegotiate
				ok = at < len(b) && (len(b)-at)%4 == 0
				return append(all, p), ok
			}
			return append(all, p), true
		}
		p.kind = list[b[0]&0x30>>4]
		if len(p.dcid) > 20 || len(p.scid) > 20 {
			return all, false
		}
		if p.kind == sniff.QUICRetry {
			p.token, p.raw = next(len(b)-16-at), string(b)
			return append(all, p), true
		}
		if p.kind == sniff.QUICInitial {
			p.token = next(number())
		}
		n := number()
		if n < 20 {
			return all, false
		}
		next(n)
		p.raw = string(b[:at])
		all, b = append(all, p), b[at:]
	}
	return all, true
}

// packetSeeds are datagrams with everything that the tests know of.
func packetSeeds(t testing.TB) [][]byte {
	seeds := [][]byte{
		begins(sniff.QUICv1, serverID, 1200),
		slices.Concat(long(sniff.QUICv1, kindInitial, []byte("token"), 40), long(sniff.QUICv1, kindZeroRTT, nil, 40), long(sniff.QUICv1, kindHandshake, nil, 20)),
		slices.Concat(long(sniff.QUICv2, kindInitial, nil, 40), long(sniff.QUICv2, kindHandshake, nil, 40), append([]byte{0x40}, serverID...)),
		initial.Retry(sniff.QUICv2, clientID, serverID, []byte("token"), serverID),
		append([]byte{0x80, 0, 0, 0, 0, 1, 2, 1, 3}, 0, 0, 0, 1),
		append(initial.Header(0x0a1a2a3a, 0, make([]byte, 200), clientID), "and more"...),
		{0x40, 1, 2, 3, 4, 5, 6, 7, 8},
		{22, 0xfe, 0xfd, 0, 0},
	}
	for _, name := range []string{"rfc9001-a2-client-initial", "rfc9001-a3-server-initial", "rfc9001-a4-retry",
		"rfc9369-a2-client-initial", "rfc9369-a3-server-initial", "rfc9369-a4-retry"} {
		seeds = append(seeds, vector(t, name))
	}
	return seeds
}

// FuzzQUICPackets compares NextQUIC and ScanQUIC with their twin.
func FuzzQUICPackets(f *testing.F) {
	for _, b := range packetSeeds(f) {
		f.Add(b, uint8(8))
	}
	f.Fuzz(func(t *testing.T, b []byte, short uint8) {
		if short > sniff.MaxQUICID {
			return
		}
		want, ok := twinPackets(b, int(short))
		var got []readPacket
		cause := sniff.NoCause
		for rest := b; len(rest) > 0 && cause == sniff.NoCause; {
			var p sniff.QUICPacket
			if p, rest, cause = sniff.NextQUIC(rest, int(short)); cause == sniff.NoCause {
				got = append(got, readPacket{p.Type, p.Version, string(p.DCID), string(p.SCID), string(p.Token), string(p.Raw)})
			}
		}
		if (cause == sniff.NoCause) != ok || ok && !slices.Equal(got, want) {
			t.Fatalf("got %v (%s)\nwant %v (%t)", got, cause, want, ok)
		}
		checkScan(t, sniff.ScanQUIC(b, int(short)), want, ok)
		d, first := sniff.FirstQUIC(b)
		if first == sniff.NoCause && (len(b) < 1200 || len(d.First.DCID) < 8 || len(d.First.DCID) > 20 || !d.Types.Has(sniff.QUICInitial)) {
			t.Errorf("%d bytes begin a connection with %+v", len(b), d)
		}
		if first == sniff.NoCause {
			checkFeed(t, b, d, want)
		}
		if answer, ok := sniff.AppendQUICNegotiation(nil, b); ok && (len(answer) > len(b)/2 || first != sniff.OtherVersion) {
			t.Errorf("%d bytes, cause %q, are answered by %d", len(b), first, len(answer))
		}
	})
}

// checkScan compares what ScanQUIC found with the packets that there are.
func checkScan(t *testing.T, d sniff.QUICDatagram, packets []readPacket, whole bool) {
	t.Helper()
	mixed, types := false, sniff.QUICTypes(0)
	for _, p := range packets {
		types |= 1 << p.kind
		mixed = mixed || p.kind != sniff.QUICShort && (p.version != packets[0].version || p.dcid != packets[0].dcid)
	}
	switch {
	case mixed && d.Cause == sniff.NoCause:
		t.Errorf("packets %v pass as those of one connection", packets)
	case !mixed && whole && len(packets) > 0 && (d.Cause != sniff.NoCause || d.Types != types || string(d.First.DCID) != packets[0].dcid || string(d.First.SCID) != packets[0].scid):
		t.Errorf("got %+v; want the packets %v", d, packets)
	}
}

// checkFeed compares what becomes of the first Initial packet with what the keys
// of its id make of it.
func checkFeed(t *testing.T, b []byte, d sniff.QUICDatagram, packets []readPacket) {
	t.Helper()
	var q sniff.QUICHello
	var w sniff.QUICWork
	q.Start(d.First.Version, d.First.DCID)
	seen := q.Feed(b, &w)
	i := slices.IndexFunc(packets, func(p readPacket) bool { return p.kind == sniff.QUICInitial })
	_, _, err := initial.Open([]byte(packets[i].raw), d.First.DCID, false)
	if (seen.Opened > 0) != (err == nil) || (seen.Failed > 0) && seen.Fit() || seen.Anew {
		t.Errorf("got %+v; opened the book's way: %v", seen, err)
	}
}
