package spop_test

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"

	"github.com/icpgate/icpgate/gate/authz/spop"
)

// rawFrame is a frame as HAProxy sends it, or as it never would.
func rawFrame(kind byte, flags uint32, stream, id uint64, payload []byte) []byte {
	b := append(make([]byte, 4), kind)
	b = binary.BigEndian.AppendUint32(b, flags)
	b = spop.AppendVarint(spop.AppendVarint(b, stream), id)
	b = append(b, payload...)
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	return b
}

// kv is one item with a key; v is nil, bool, int, string, []byte or netip.Addr.
func kv(b []byte, key string, v any) []byte {
	b = spop.AppendText(b, key)
	switch v := v.(type) {
	case nil:
		return append(b, 0)
	case bool:
		if v {
			return append(b, 0x11)
		}
		return append(b, 0x01)
	case int:
		return spop.AppendVarint(append(b, 3), uint64(v))
	case string:
		return spop.AppendText(append(b, 8), v)
	case []byte:
		return spop.AppendText(append(b, 9), string(v))
	case netip.Addr:
		return append(append(b, map[bool]byte{true: 6, false: 7}[v.Is4()]), v.AsSlice()...)
	}
	panic("no such value")
}

// items are several, keys and values in turn.
func items(all ...any) (b []byte) {
	for i := 0; i < len(all); i += 2 {
		b = kv(b, all[i].(string), all[i+1])
	}
	return b
}

func message(name string, args ...any) []byte {
	b := append(spop.AppendText(nil, name), byte(len(args)/2))
	return append(b, items(args...)...)
}

func haproxyHello(max int) []byte {
	return rawFrame(1, 1, 0, 0, items("supported-versions", "2.0", "max-frame-size", max, "capabilities", "pipelining,async", "engine-id", "an-engine"))
}

func notify(stream, id uint64, payload []byte) []byte { return rawFrame(3, 1, stream, id, payload) }

// answer is a frame of an agent's, read.
type answer struct {
	kind       byte
	stream, id uint64
	items      map[string]string // of hellos and farewells; of an ACK its variables
}

// readAnswers takes apart what an agent sent. It is strict.
func readAnswers(t testing.TB, b []byte) (list []answer) {
	t.Helper()
	for len(b) > 0 {
		n := binary.BigEndian.Uint32(b)
		a := answer{kind: b[4], items: map[string]string{}}
		if flags := binary.BigEndian.Uint32(b[5:]); flags != 1 {
			t.Fatalf("flags %d; want FIN alone", flags)
		}
		p := b[9 : 4+n]
		b = b[4+n:]
		a.stream, p, _ = spop.Varint(p)
		a.id, p, _ = spop.Varint(p)
		for len(p) > 0 {
			if a.kind == 103 {
				if string(p[:3]) != "\x01\x03\x02" {
					t.Fatalf("action % x; want a variable of the transaction", p[:3])
				}
				p = p[3:]
			}
			var key, value string
			key, p = readText(t, p)
			value, p = readValue(t, p)
			a.items[key] = value
		}
		list = append(list, a)
	}
	return list
}

func readText(t testing.TB, b []byte) (string, []byte) {
	t.Helper()
	n, rest, ok := spop.Varint(b)
	if !ok || n > uint64(len(rest)) {
		t.Fatalf("no string in % x", b)
	}
	return string(rest[:n]), rest[n:]
}

func readValue(t testing.TB, b []byte) (string, []byte) {
	t.Helper()
	kind := b[0]
	switch b = b[1:]; kind {
	case 0x01:
		return "false", b
	case 0x11:
		return "true", b
	case 0x03:
		n, rest, _ := spop.Varint(b)
		return fmt.Sprint(n), rest
	case 0x08:
		return readText(t, b)
	}
	t.Fatalf("value of type %#x", kind)
	return "", nil
}

// take has a new session take all of b, and returns what it said.
func take(t testing.TB, b []byte, a *asker) (list []answer, n int, done bool) {
	t.Helper()
	var s spop.Session
	n, out, done := s.Take(b, nil, a)
	return readAnswers(t, out), n, done
}

func join(frames ...[]byte) (b []byte) {
	for _, f := range frames {
		b = append(b, f...)
	}
	return b
}
