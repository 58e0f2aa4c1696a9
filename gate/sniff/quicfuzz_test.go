package sniff_test

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/icpgate/icpgate/gate/internal/hello"
	"github.com/icpgate/icpgate/gate/sniff"
	"github.com/icpgate/icpgate/gate/sniff/initial"
)

// A script tells a client what to send: a byte that chooses the hellos, and then
// steps of stepSize bytes.
const stepSize = 5

// step is what a client does next.
type step struct {
	op     byte
	offset int
	length int
}

func steps(script []byte) (list []step) {
	for ; len(script) >= stepSize && len(list) < 400; script = script[stepSize:] {
		list = append(list, step{script[0] % 8, int(binary.BigEndian.Uint16(script[1:])), int(binary.BigEndian.Uint16(script[3:]))})
	}
	return list
}

// The steps. Those that are left over send data of CRYPTO frames.
const (
	opPacket   = iota + 1 // ends the packet
	opDatagram            // ends the packet and the datagram
	opOther               // some other frame
	opWrong               // data with a wrong byte
	opFar                 // data anywhere
)

// streams are the handshakes that a script can choose from.
var streams = [][]byte{
	slices.Concat(message(filed), message("www.FILED.example"), []byte{1, 0}),
	slices.Concat(large(filed), message(unfiled)),
	slices.Concat(message("127.0.0.1"), []byte{1, 0, 0}),
	slices.Concat(hello.Spec{}.Message(), hello.Spec{}.Message(), hello.Spec{}.Message()),
	message("a..b"),
	slices.Concat(message(filed), []byte{20, 0, 0, 0}),
	slices.Concat([]byte{1, 0, 0xff, 0xfd}, make([]byte, 300)),
}

// model is what a connection should come to, kept in the plainest way.
type model struct {
	bytes  map[int]byte
	cause  sniff.Cause // what is wrong with the frames
	hello  sniff.Hello
	hellos int
}

// packet takes the frames of a payload, up to what is wrong.
func (m *model) packet(payload []byte) {
	frames, ok := twinFrames(payload)
	for _, f := range frames {
		m.crypto(int(f.Offset), f.Data)
	}
	if !ok && m.cause == sniff.NoCause {
		m.cause = sniff.BadFrame
	}
}

// crypto takes data byte by byte.
func (m *model) crypto(offset int, data []byte) {
	if m.cause != sniff.NoCause {
		return
	}
	if offset > sniff.MaxQUICCrypto || offset+len(data) > sniff.MaxQUICCrypto {
		m.cause = sniff.TooLong
		return
	}
	for i, c := range data {
		old, ok := m.bytes[offset+i]
		if ok && old != c {
			m.cause = sniff.CryptoDiffers
			return
		}
		if ok {
			continue
		}
		m.bytes[offset+i] = c
		if i+1 == len(data) || m.has(offset+i+1) {
			if m.gaps() > sniff.MaxQUICGaps {
				m.cause = sniff.TooManyGaps
				return
			}
		}
	}
}

func (m *model) has(at int) bool { _, ok := m.bytes[at]; return ok }

// gaps counts the bytes that are there while the one before is not.
func (m *model) gaps() (n int) {
	for at := range m.bytes {
		if at > 0 && !m.has(at-1) {
			n++
		}
	}
	return n
}

// parse reads the hellos as TLS would have them in records.
func (m *model) parse() {
	if m.hello.Kind == sniff.Malformed {
		return
	}
	if m.cause != sniff.NoCause {
		m.hello = sniff.Hello{Kind: sniff.Malformed, Cause: m.cause}
		return
	}
	var b []byte
	for m.has(len(b)) {
		b = append(b, m.bytes[len(b)])
	}
	m.hellos = 0
	for len(b) > 0 {
		if m.hellos == 2 {
			m.hello = sniff.Hello{Kind: sniff.Malformed, Cause: sniff.BadSequence}
			return
		}
		end := len(b)
		if len(b) >= 4 {
			end = min(end, 4+int(binary.BigEndian.Uint32(b)&0xffffff))
		}
		h := sniff.ClientHello(hello.Records(b[:end]), nil)
		switch {
		case h.Kind == sniff.More:
			if len(b) >= 4 && 4+int(binary.BigEndian.Uint32(b)&0xffffff) > sniff.MaxQUICCrypto && m.hellos == 0 {
				m.hello = sniff.Hello{Kind: sniff.Malformed, Cause: sniff.TooLong}
			}
			return
		case h.Kind == sniff.Malformed:
			m.hello = h
			return
		case m.hellos == 0:
			m.hello = h
			m.hello.Name, m.hello.ALPN = bytes.Clone(h.Name), bytes.Clone(h.ALPN)
		case h.Kind != m.hello.Kind || !bytes.EqualFold(h.Name, m.hello.Name):
			m.hello = sniff.Hello{Kind: sniff.Malformed, Cause: sniff.NameDiffers}
			return
		}
		m.hellos++
		b = b[end:]
	}
}

// FuzzQUICHello has a client send what a script says, and compares what becomes
// of it with the model.
func FuzzQUICHello(f *testing.F) {
	for _, s := range scripts() {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) == 0 {
			return
		}
		stream := streams[int(script[0])%len(streams)]
		c := newConn([]uint32{sniff.QUICv1, sniff.QUICv2}[script[0]>>7])
		c.p.Size, c.p.NumberSize = 0, 4
		m := model{bytes: map[int]byte{}}
		var payload, datagram []byte
		packets := 0
		flush := func() {
			if len(payload) > 0 {
				datagram = append(datagram, c.datagram(payload)...)
				packets++
				m.packet(payload)
			}
			payload = nil
		}
		for _, s := range append(steps(script[1:]), step{op: opDatagram}) {
			frame := s.frame(stream)
			if len(payload)+len(frame) > 8000 { // a packet's length is written in two bytes
				flush()
			}
			switch s.op {
			case opPacket:
				flush()
			case opDatagram:
				if flush(); len(datagram) == 0 {
					continue
				}
				seen := c.q.Feed(datagram, &c.w)
				m.parse()
				m.compare(t, seen, packets)
				datagram, packets = nil, 0
			default:
				payload = append(payload, frame...)
			}
		}
	})
}

// frame is what a step sends, of the right data in stream.
func (s step) frame(stream []byte) []byte {
	switch s.op {
	case opPacket, opDatagram:
		return nil
	case opOther:
		return payloads[s.offset%len(payloads)].b
	case opFar:
		return initial.Crypto(s.offset*2, make([]byte, s.length%3))
	}
	at := s.offset % len(stream)
	data := bytes.Clone(stream[at:min(len(stream), at+s.length%1000)])
	if s.op == opWrong && len(data) > 0 {
		data[s.length%len(data)] ^= 1
	}
	return initial.Crypto(at, data)
}

// compare fails where a datagram of so many packets did not bring what it should.
func (m *model) compare(t *testing.T, seen sniff.QUICSeen, packets int) {
	t.Helper()
	h := seen.Hello
	// A packet that is malformed ends the datagram.
	if seen.Failed != 0 || seen.Opened != packets && h.Kind != sniff.Malformed {
		t.Fatalf("opened %d packets of %d, %d failed", seen.Opened, packets, seen.Failed)
	}
	if h.Kind != m.hello.Kind || h.Cause != m.hello.Cause || !bytes.Equal(h.Name, m.hello.Name) || !bytes.Equal(h.ALPN, m.hello.ALPN) {
		t.Fatalf("got %s %q (%s); want %s %q (%s)", h.Kind, h.Name, h.Cause, m.hello.Kind, m.hello.Name, m.hello.Cause)
	}
	if h.Kind != sniff.Malformed && seen.Hellos != m.hellos {
		t.Fatalf("got %d hellos; want %d", seen.Hellos, m.hellos)
	}
	if seen.Fit() != (h.Kind != sniff.Malformed) {
		t.Fatalf("fit %t (%s), but %s", seen.Fit(), seen.Cause, h.Kind)
	}
}

// scripts are some that send whole hellos and some that go wrong.
func scripts() (seeds [][]byte) {
	at := func(op byte, offset, length int) []byte {
		return append([]byte{op}, byte(offset>>8), byte(offset), byte(length>>8), byte(length))
	}
	end := at(opDatagram, 0, 0)
	for i, stream := range streams {
		whole, shuffled, bytewise := []byte{byte(i)}, []byte{byte(i) | 0x80}, []byte{byte(i)}
		for k := 0; k < len(stream); k += 100 {
			whole = append(whole, at(0, k, 100)...)
		}
		for k := range 30 {
			shuffled = append(shuffled, at(0, k*7%30*100, 140)...)
			if k%5 == 4 {
				shuffled = append(shuffled, at(byte(1+k%3), k, 0)...)
			}
		}
		for k := range 120 {
			bytewise = append(bytewise, at(0, 120-k, 1)...)
		}
		seeds = append(seeds, whole, append(shuffled, end...), bytewise, append(append(whole, end...), at(opWrong, 30, 9)...))
	}
	gaps := []byte{0}
	for k := range 70 {
		gaps = append(gaps, at(opFar, 300*k, 1)...)
	}
	return append(seeds, gaps, append([]byte{0}, at(opFar, 32767, 2)...), append([]byte{0}, at(opOther, 23, 0)...))
}
