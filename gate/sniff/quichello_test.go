package sniff_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/icpgate/icpgate/gate/internal/hello"
	"github.com/icpgate/icpgate/gate/sniff"
	"github.com/icpgate/icpgate/gate/sniff/initial"
)

// message is a hello as QUIC carries it, without records.
func message(name string, extensions ...[]byte) []byte {
	s := hello.Spec{Session: []byte{}, Extensions: append([][]byte{hello.ALPN("h3"), hello.SNI(name), hello.SupportedVersions, hello.Groups, hello.SigAlgs, hello.KeyShare}, extensions...)}
	return s.Message()
}

// large is a hello as large as those of browsers.
func large(name string) []byte { return message(name, hello.Ext(0x0a0a, make([]byte, 1700))) }

// conn is a client that sends what it is told.
type conn struct {
	q      sniff.QUICHello
	w      sniff.QUICWork
	number uint64
	p      initial.Packet
}

func newConn(version uint32) *conn {
	c := &conn{p: initial.Packet{Version: version, DCID: serverID, SCID: clientID, Size: 1200}}
	c.q.Start(version, serverID)
	return c
}

// feed sends frames in a packet that is a datagram.
func (c *conn) feed(frames ...[]byte) sniff.QUICSeen { return c.q.Feed(c.datagram(frames...), &c.w) }

func (c *conn) datagram(frames ...[]byte) []byte {
	p := c.p
	p.Payload, p.Number = slices.Concat(frames...), c.number
	c.number++
	return p.Seal()
}

// check fails unless a datagram brought what it should.
func check(t *testing.T, what string, seen sniff.QUICSeen, kind sniff.Kind, name string, cause sniff.Cause) {
	t.Helper()
	if h := seen.Hello; h.Kind != kind || string(h.Name) != name || seen.Cause != cause || seen.Fit() != (cause == sniff.NoCause) {
		t.Errorf("%s: got %s %q (%s), datagram %q; want %s %q, %q", what, h.Kind, h.Name, h.Cause, seen.Cause, kind, name, cause)
	}
}

const filed, unfiled = "www.filed.example", "www.unfiled.example"

func TestQUICHelloKinds(t *testing.T) {
	for _, tt := range []struct {
		name  string
		msg   []byte
		kind  sniff.Kind
		host  string
		cause sniff.Cause
	}{
		{"a name", message("WWW.Filed.example."), sniff.Name, "WWW.Filed.example.", 0},
		{"an address", message("192.0.2.1"), sniff.Literal, "192.0.2.1", 0},
		{"no name", hello.Spec{}.Message(), sniff.NoName, "", 0},
		{"no extensions", hello.Spec{NoExtensions: true}.Message(), sniff.NoName, "", 0},
		{"a NUL in the name", message("filed.example\x00.unfiled.example"), sniff.Malformed, "", sniff.BadName},
		{"two names", hello.Spec{Extensions: [][]byte{hello.SNI("a.example"), hello.SNI("b.example")}}.Message(), sniff.Malformed, "", sniff.BadExtensions},
		{"another message", append([]byte{2}, message(filed)[1:]...), sniff.Malformed, "", sniff.BadSequence},
		{"another message, one byte of it", []byte{2}, sniff.Malformed, "", sniff.BadSequence},
		{"longer than 64 KB", []byte{1, 0, 0xff, 0xfd}, sniff.Malformed, "", sniff.TooLong},
		{"longer than 64 KB with a record", []byte{1, 1, 0, 0}, sniff.Malformed, "", sniff.TooLong},
		{"not all of it", message(filed)[:100], sniff.More, "", 0},
		{"a byte", []byte{1}, sniff.More, "", 0},
		{"another message behind", append(message(filed), 20, 0, 0, 0), sniff.Malformed, "", sniff.BadSequence},
	} {
		for _, version := range []uint32{sniff.QUICv1, sniff.QUICv2} {
			check(t, tt.name, newConn(version).feed(initial.Crypto(0, tt.msg)), tt.kind, tt.host, tt.cause)
		}
	}
}

// TestQUICHelloPieces: a hello in pieces of any length and order, with other
// frames between, over packets and datagrams (Q02, Q10).
func TestQUICHelloPieces(t *testing.T) {
	msg := large(filed)
	rng := rand.New(rand.NewPCG(1, 2))
	for _, size := range []int{1, 7, 60, 300, 1000, len(msg)} {
		for _, order := range []string{"forward", "backward", "shuffled"} {
			var frames [][]byte
			for at := 0; at < len(msg); at += size {
				frames = append(frames, slices.Concat(initial.Crypto(at, msg[at:min(len(msg), at+size)]), []byte{1, 0, 0}, numbers(2, 5, 0, 0, 0)))
			}
			switch order {
			case "backward":
				slices.Reverse(frames)
			case "shuffled": // within 60, so that there are never more gaps than may be
				for at := 0; at < len(frames); at += 60 {
					part := frames[at:min(len(frames), at+60)]
					rng.Shuffle(len(part), func(i, j int) { part[i], part[j] = part[j], part[i] })
				}
			}
			c := newConn(sniff.QUICv1)
			var seen sniff.QUICSeen
			for len(frames) > 0 {
				n, total := 0, 0
				for n < len(frames) && (n == 0 || total+len(frames[n]) < 1100) {
					total += len(frames[n])
					n++
				}
				if seen.Hello.Kind != sniff.More || !seen.Fit() {
					t.Fatalf("pieces of %d, %s: got %s (%s) before the end", size, order, seen.Hello.Kind, seen.Cause)
				}
				seen = c.feed(frames[:n]...)
				frames = frames[n:]
			}
			check(t, order, seen, sniff.Name, filed, 0)
			if string(seen.Hello.ALPN) != "\x02h3" {
				t.Errorf("got ALPN %q", seen.Hello.ALPN)
			}
		}
	}
}

// TestQUICHelloOverlaps: what comes twice must be the same (Q07, Q08, Q22).
func TestQUICHelloOverlaps(t *testing.T) {
	msg := large(filed)
	other := large("www.unfil.example")
	wrong := bytes.Clone(msg)
	wrong[500] ^= 1
	c := newConn(sniff.QUICv1)
	check(t, "a piece", c.feed(initial.Crypto(400, msg[400:600])), sniff.More, "", 0)
	check(t, "around it", c.feed(initial.Crypto(300, msg[300:900])), sniff.More, "", 0)
	check(t, "the rest", c.feed(initial.Crypto(0, msg[:310]), initial.Crypto(800, msg[800:1600])), sniff.More, "", 0)
	check(t, "the end", c.feed(initial.Crypto(1000, msg[1000:])), sniff.Name, filed, 0)
	check(t, "all of it again", c.feed(initial.Crypto(0, msg[:1000])), sniff.Name, filed, 0)
	check(t, "another hello", c.feed(initial.Crypto(0, other[:1000])), sniff.Malformed, "", sniff.CryptoDiffers)
	check(t, "and the first again", c.feed(initial.Crypto(0, msg[:1000])), sniff.Malformed, "", sniff.CryptoDiffers)

	for _, at := range []int{490, 500} {
		c = newConn(sniff.QUICv1)
		check(t, "a piece", c.feed(initial.Crypto(500, msg[500:501])), sniff.More, "", 0)
		check(t, "another byte", c.feed(initial.Crypto(at, wrong[at:at+20])), sniff.Malformed, "", sniff.CryptoDiffers)
	}
}

func TestQUICHelloBounds(t *testing.T) {
	msg := message(filed, hello.Ext(21, make([]byte, 40_000)), hello.Ext(22, make([]byte, sniff.MaxQUICCrypto-40_000-250)))
	msg = append(msg, make([]byte, 3)...) // the next message has begun
	if len(msg) > sniff.MaxQUICCrypto {
		t.Fatalf("the hello has %d bytes", len(msg))
	}
	c := newConn(sniff.QUICv1)
	var seen sniff.QUICSeen
	for at := 0; at < len(msg)-3; at += 1000 {
		seen = c.feed(initial.Crypto(at, msg[at:min(at+1000, len(msg)-3)]))
	}
	check(t, "64 KB", seen, sniff.Name, filed, 0)
	if held := c.q.Held(); held > 3*sniff.MaxQUICCrypto {
		t.Errorf("holds %d bytes", held)
	}
	c.q.Shrink(4096)
	if held := c.q.Held(); held != 0 {
		t.Errorf("holds %d bytes when it is kept for later", held)
	}
	last := sniff.MaxQUICCrypto - 1
	check(t, "the last byte", newConn(1).feed(initial.Crypto(last, []byte{0})), sniff.More, "", 0)
	check(t, "one behind", newConn(1).feed(initial.Crypto(last, []byte{0, 0})), sniff.Malformed, "", sniff.TooLong)
	check(t, "far behind", newConn(1).feed(initial.Crypto(1<<62-2, []byte{0})), sniff.Malformed, "", sniff.TooLong)
	check(t, "nothing, far behind", newConn(1).feed(initial.Crypto(1<<62-1, nil)), sniff.Malformed, "", sniff.TooLong)

	// A datagram that wants much to be held: it takes no more than it has.
	c = newConn(sniff.QUICv1)
	var frames [][]byte
	for i := range sniff.MaxQUICGaps {
		frames = append(frames, initial.Crypto(1000*(1+i), []byte{0}))
	}
	check(t, "64 gaps", c.feed(frames...), sniff.More, "", 0)
	if held := c.q.Held(); held > 4096 {
		t.Errorf("a datagram has it hold %d bytes", held)
	}
	check(t, "65 gaps", c.feed(initial.Crypto(500, []byte{0})), sniff.Malformed, "", sniff.TooManyGaps)
}

// TestQUICHelloPackets: what a datagram may hold (Q16, Q19, Q25).
func TestQUICHelloPackets(t *testing.T) {
	msg := large(filed)
	c := newConn(sniff.QUICv1)
	c.p.Size = 0
	first, second := c.datagram(initial.Crypto(0, msg[:500])), c.datagram(initial.Crypto(500, msg[500:1000]))
	third := c.datagram(initial.Crypto(1000, msg[1000:]))
	early, short := long(sniff.QUICv1, kindZeroRTT, nil, 100), append([]byte{0x40}, make([]byte, 100)...)
	seen := c.q.Feed(slices.Concat(early, second, early, first, early), &c.w)
	check(t, "two packets among early data", seen, sniff.More, "", 0)
	if seen.Opened != 2 || seen.Failed != 0 {
		t.Errorf("got %d opened, %d failed; want 2 and none", seen.Opened, seen.Failed)
	}
	check(t, "the third before what is short", c.q.Feed(slices.Concat(third, short), &c.w), sniff.Name, filed, 0)
	check(t, "all again", c.q.Feed(slices.Concat(first, second, third), &c.w), sniff.Name, filed, 0)

	broken := bytes.Clone(first)
	broken[len(broken)-1] ^= 1
	seen = c.q.Feed(slices.Concat(broken, second), &c.w)
	check(t, "a tag that is wrong", seen, sniff.Name, filed, sniff.NotOpened)
	if seen.Failed != 1 || seen.Anew {
		t.Errorf("got %+v", seen)
	}
	check(t, "two ids", c.q.Feed(append(first, begins(sniff.QUICv1, serverID[:8], 600)...), &c.w), sniff.Name, filed, sniff.MixedPackets)
	check(t, "half a packet", c.q.Feed(append(first, second[:200]...), &c.w), sniff.Name, filed, sniff.BadPacket)
	check(t, "a Retry", c.q.Feed(append(first, initial.Retry(1, serverID, clientID, []byte("t"), serverID)...), &c.w), sniff.Name, filed, sniff.NoInitial)
	check(t, "Version Negotiation", c.q.Feed([]byte{0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, &c.w), sniff.Name, filed, sniff.NoInitial)
	check(t, "another version", c.q.Feed(append(initial.Header(0xff00001d, 0, serverID, clientID), make([]byte, 1200)...), &c.w), sniff.Name, filed, sniff.OtherVersion)
	check(t, "nothing", c.q.Feed(nil, &c.w), sniff.Name, filed, sniff.BadPacket)
	seen = c.feed(append(numbers(0x1c, 0, 0, 3), "bye"...))
	check(t, "CONNECTION_CLOSE", seen, sniff.Name, filed, 0)
	if !seen.Closed {
		t.Error("the end of the connection is not seen")
	}
	check(t, "no frames", c.q.Feed(initial.Packet{DCID: serverID, Number: 90, NumberSize: 4}.Seal(), &c.w), sniff.Malformed, "", sniff.BadPacket)
	c = newConn(sniff.QUICv1)
	c.p.Reserved = 4
	check(t, "a reserved bit", c.feed([]byte{1}), sniff.Malformed, "", sniff.BadPacket)
	check(t, "a frame of streams", newConn(1).feed(initial.Crypto(0, msg[:100]), []byte{8, 0, 'a'}), sniff.Malformed, "", sniff.BadFrame)
}

// TestQUICHelloNumbers: numbers of any length, out of order, again, and high.
func TestQUICHelloNumbers(t *testing.T) {
	msg := message(filed)
	for size := 1; size <= 4; size++ {
		c := newConn(sniff.QUICv2)
		c.p.NumberSize = size
		for i, number := range []uint64{7, 3, 3, 0, 100, 1<<7 - 1, 1 << 7, 200, 255, 256, 257, 300} {
			c.number = number
			seen := c.feed(initial.Crypto(0, msg[:10+i]))
			if seen.Opened != 1 || seen.Hello.Kind != sniff.More {
				t.Errorf("number %d in %d bytes: got %+v", number, size, seen)
			}
		}
	}
	c := newConn(sniff.QUICv1)
	c.p.NumberSize, c.number = 4, 1<<32-2
	check(t, "the highest number", c.feed(initial.Crypto(0, msg)), sniff.Name, filed, 0)
}

// TestNearest compares with the pseudocode of RFC 9000, Appendix A.3.
func TestNearest(t *testing.T) {
	if got := sniff.Nearest(0x9b32, 0xa82f30ea, 1<<16); got != 0xa82f9b32 {
		t.Errorf("the example of the RFC: got %x", got)
	}
	rng := rand.New(rand.NewPCG(3, 4))
	for range 100_000 {
		window := int64(1) << (8 * (1 + rng.IntN(4)))
		cut, largest := rng.Int64N(window), rng.Int64N(1<<(1+rng.IntN(33)))-1
		expected := largest + 1
		want := expected - expected%window + cut
		if want <= expected-window/2 {
			want += window
		} else if want > expected+window/2 && want >= window {
			want -= window
		}
		if got := sniff.Nearest(cut, largest, window); got != want {
			t.Fatalf("cut %d, largest %d, window %d: got %d; want %d", cut, largest, window, got, want)
		}
	}
}

// TestMAC: both ways of making them agree with crypto/hmac, and the faster one is
// taken with this Go.
func TestMAC(t *testing.T) {
	if !sniff.Chained() {
		t.Error("a marshalled hash does not have its value where it is looked for")
	}
	var macs sniff.MACs
	for _, keyLen := range []int{0, 1, 20, 32, 63, 64} {
		for n := range sniff.MaxMAC + 1 {
			key, msg := bytes.Repeat([]byte{7}, keyLen), []byte(strings.Repeat("x", n))
			h := hmac.New(sha256.New, key)
			h.Write(msg)
			for _, slowly := range []bool{false, true} {
				if got := macs.MAC(key, msg, slowly); !bytes.Equal(got[:], h.Sum(nil)) {
					t.Errorf("key of %d bytes, message of %d, slowly %v: got %x; want %x", keyLen, n, slowly, got, h.Sum(nil))
				}
			}
		}
	}
}

// TestQUICHelloIsUsedAgain: nothing of a connection is left for the next one, and
// what Feed returned of the first hello stays right when much comes behind it.
func TestQUICHelloIsUsedAgain(t *testing.T) {
	c := newConn(sniff.QUICv1)
	check(t, "malformed", c.feed([]byte{0x3f}), sniff.Malformed, "", sniff.BadFrame)
	for i, name := range []string{filed, "b.example", unfiled} {
		c.q.Start(sniff.QUICv1, serverID)
		c.number = 0
		msg := message(name)
		check(t, name, c.feed(initial.Crypto(len(msg)/2, msg[len(msg)/2:])), sniff.More, "", 0)
		check(t, name, c.feed(initial.Crypto(0, msg[:len(msg)/2])), sniff.Name, name, 0)
		if i == 1 {
			c.q.Shrink(100)
			continue
		}
		for round := range 3 { // put in order over and over
			for k := 40; k > 0; k-- {
				at := len(msg) + 2 + 200*round + 4*k
				check(t, name, c.feed(initial.Crypto(at, []byte{1}), initial.Crypto(at+1, []byte{2}), initial.Crypto(at+2, []byte{3, 3})), sniff.Name, name, 0)
			}
		}
	}
}

func TestQUICHelloDoesNotAllocate(t *testing.T) {
	msg := large(filed)
	c := newConn(sniff.QUICv1)
	one, two := c.datagram(initial.Crypto(500, msg[500:1000]), initial.Crypto(0, msg[:500])), c.datagram(initial.Crypto(1000, msg[1000:]))
	feed := func() {
		c.q.Start(sniff.QUICv1, serverID)
		c.q.Feed(one, &c.w)
		c.q.Feed(two, &c.w)
	}
	feed()
	// Two key schedules and the table of GCM, which the standard library keeps on
	// the heap; and where the race detector looks on, whatever a hash takes to be
	// marshalled, of which there are ten, since the first secret is remembered.
	hash, state := sha256.New().(encoding.BinaryAppender), make([]byte, 0, 200)
	want := 3 + 10*testing.AllocsPerRun(100, func() { state, _ = hash.AppendBinary(state[:0]) })
	if n := testing.AllocsPerRun(100, feed); n > want {
		t.Errorf("a connection allocates %v times; want %v", n, want)
	}
	if n := testing.AllocsPerRun(100, func() { c.q.Feed(two, &c.w) }); n != 0 {
		t.Errorf("a datagram allocates %v times; want none", n)
	}
	if n := testing.AllocsPerRun(100, func() { sniff.FirstQUIC(one) }); n != 0 {
		t.Errorf("a look at the headers allocates %v times; want none", n)
	}
}

// BenchmarkQUICOpen has each packet bear another id than the one before, so that
// keys are made of it; answered is with the CONNECTION_CLOSE for it.
func BenchmarkQUICOpen(b *testing.B) {
	ids := [][]byte{[]byte("one id.."), []byte("another.")}
	var dgs [][]byte
	for _, id := range ids {
		dgs = append(dgs, initial.Packet{DCID: id, Payload: initial.Crypto(0, message(filed)), Size: 1250}.Seal())
	}
	for _, name := range []string{"judged", "answered"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var q sniff.QUICHello
			var w sniff.QUICWork
			answer, n := make([]byte, 0, 100), 0
			for b.Loop() {
				q.Start(sniff.QUICv1, ids[n])
				if seen := q.Feed(dgs[n], &w); seen.Hello.Kind != sniff.Name {
					b.Fatal(seen)
				}
				if name == "answered" {
					answer = w.AppendClose(answer[:0], sniff.QUICAnswer{Version: sniff.QUICv1, ID: ids[n], Error: 0x170})
				}
				n ^= 1
			}
		})
	}
}

func BenchmarkQUICHello(b *testing.B) {
	small := newConn(sniff.QUICv1).datagram(initial.Crypto(0, message(filed)))
	c, msg := newConn(sniff.QUICv1), large(filed)
	one, two := c.datagram(initial.Crypto(900, msg[900:]), initial.Crypto(0, msg[:200])), c.datagram(initial.Crypto(200, msg[200:900]))
	broken := bytes.Clone(small)
	broken[700] ^= 1
	for _, bb := range []struct {
		name      string
		datagrams [][]byte
		kind      sniff.Kind
	}{{"one datagram", [][]byte{small}, sniff.Name}, {"two datagrams", [][]byte{one, two}, sniff.Name}, {"forged", [][]byte{broken}, sniff.More}} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				var seen sniff.QUICSeen
				for i, dg := range bb.datagrams {
					d, _ := sniff.FirstQUIC(dg)
					if i == 0 {
						c.q.Start(d.First.Version, d.First.DCID)
					}
					seen = c.q.Feed(dg, &c.w)
				}
				if seen.Hello.Kind != bb.kind {
					b.Fatal(seen)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(bb.datagrams)), "ns/datagram")
		})
	}
}
