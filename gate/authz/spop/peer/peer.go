// Package peer is HAProxy's side of SPOP, for tests and benchmarks: it sends what
// HAProxy sends, or what it never would, and reads what an agent answers.
//
//	c, err := peer.Dial("tcp", "127.0.0.1:9000")
//	a, err := c.Ask(peer.Message("http", "host", "www.example.com", "src", netip.MustParseAddr("192.0.2.1")))
//	a.Items["block"]
package peer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
)

// The types of frames.
const (
	Hello           = 1
	Disconnect      = 2
	Notify          = 3
	AgentHello      = 101
	AgentDisconnect = 102
	Ack             = 103
)

// FIN is the flag of a frame that is whole.
const FIN = 1

// AppendVarint appends a number.
func AppendVarint(b []byte, v uint64) []byte {
	if v < 240 {
		return append(b, byte(v))
	}
	b = append(b, 0xf0|byte(v&0x0f))
	for v = (v - 240) >> 4; v >= 128; v = (v - 128) >> 7 {
		b = append(b, 0x80|byte(v&0x7f))
	}
	return append(b, byte(v))
}

// AppendText appends a string with its length.
func AppendText(b []byte, s string) []byte { return append(AppendVarint(b, uint64(len(s))), s...) }

// Frame is a frame, whatever it says.
func Frame(kind byte, flags uint32, stream, id uint64, payload []byte) []byte {
	b := append(make([]byte, 4), kind)
	b = binary.BigEndian.AppendUint32(b, flags)
	b = AppendVarint(AppendVarint(b, stream), id)
	b = append(b, payload...)
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	return b
}

// Items are keys and values in turn. A value is nil, a bool, an int, a string, a
// []byte or a netip.Addr; anything else is a mistake, and panics.
func Items(all ...any) (b []byte) {
	for i := 0; i < len(all); i += 2 {
		b = appendValue(AppendText(b, all[i].(string)), all[i+1])
	}
	return b
}

func appendValue(b []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(b, 0)
	case bool:
		if v {
			return append(b, 0x11)
		}
		return append(b, 0x01)
	case int:
		return AppendVarint(append(b, 3), uint64(v))
	case string:
		return AppendText(append(b, 8), v)
	case []byte:
		return AppendText(append(b, 9), string(v))
	case netip.Addr:
		kind := byte(7)
		if v.Is4() {
			kind = 6
		}
		return append(append(b, kind), v.AsSlice()...)
	}
	panic(fmt.Sprintf("no value of SPOP is a %T", v))
}

// Message is a message with its arguments, as Items has them.
func Message(name string, args ...any) []byte {
	b := append(AppendText(nil, name), byte(len(args)/2))
	return append(b, Items(args...)...)
}

// HelloFrame is the hello of HAProxy 2.6.
func HelloFrame(maxFrameSize int) []byte {
	return Frame(Hello, FIN, 0, 0, Items("supported-versions", "2.0", "max-frame-size", maxFrameSize,
		"capabilities", "pipelining,async", "engine-id", "d7a1d3a6-0000-4000-8000-000000000000"))
}

// NotifyFrame asks.
func NotifyFrame(stream, id uint64, payload []byte) []byte {
	return Frame(Notify, FIN, stream, id, payload)
}

// Answer is a frame of an agent's.
type Answer struct {
	Kind       byte
	Stream, ID uint64
	// Items are those of a hello or a farewell, or the variables of an answer, as
	// words: true, false, numbers and strings.
	Items map[string]string
}

var errAnswer = errors.New("an agent sends no such frame")

// ReadAnswer reads one frame in front of b; n is how long it is, 0 while it is not
// all there. It is strict: a flag or an action that no agent needs is an error.
func ReadAnswer(b []byte) (a Answer, n int, err error) {
	if len(b) < 4 || len(b)-4 < int(binary.BigEndian.Uint32(b)) {
		return a, 0, nil
	}
	n = 4 + int(binary.BigEndian.Uint32(b))
	r := reader{b: b[4:n]}
	a.Kind = r.byte()
	if r.uint32() != FIN {
		return a, n, fmt.Errorf("%w: a flag beside FIN", errAnswer)
	}
	a.Stream, a.ID, a.Items = r.varint(), r.varint(), map[string]string{}
	for len(r.b) > 0 && !r.bad {
		if a.Kind == Ack && (r.byte() != 1 || r.byte() != 3 || r.byte() != 2) {
			return a, n, fmt.Errorf("%w: an action beside setting a variable of the transaction", errAnswer)
		}
		key := r.text()
		a.Items[key] = r.value()
	}
	if r.bad {
		err = errAnswer
	}
	return a, n, err
}

// reader reads one thing after the other; bad is set once one is not there.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) take(n uint64) []byte {
	if uint64(len(r.b)) < n {
		r.b, r.bad = nil, true
		return nil
	}
	part := r.b[:n]
	r.b = r.b[n:]
	return part
}

func (r *reader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) uint32() uint32 {
	if b := r.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (r *reader) varint() uint64 {
	v := uint64(r.byte())
	if v < 240 {
		return v
	}
	for shift := 4; shift < 64 && !r.bad; shift += 7 {
		b := r.byte()
		if v += uint64(b) << shift; b < 128 {
			return v
		}
	}
	r.bad = true
	return 0
}

func (r *reader) text() string { return string(r.take(r.varint())) }

func (r *reader) value() string {
	switch kind := r.byte(); kind {
	case 0x01, 0x11:
		return fmt.Sprint(kind == 0x11)
	case 2, 3, 4, 5:
		return fmt.Sprint(r.varint())
	case 8:
		return r.text()
	}
	r.bad = true
	return ""
}
