package place_test

import (
	"encoding/binary"
	"maps"
	"net/netip"
	"slices"
	"testing"
)

// mmdb writes a MaxMind DB of format 2.0 (maxmind.github.io/MaxMind-DB): the
// search tree, 16 zero bytes, the data, the marker, the metadata. records maps
// disjoint prefixes to their values: strings, maps of strings to values, or nil
// for an empty map. IPv4 lies below ::/96 of an IPv6 tree, as the format has it.
func mmdb(t testing.TB, recordSize, ipVersion int, records map[string]any) []byte {
	t.Helper()
	return newMMDBWriter(ipVersion, records).file(t, recordSize, ipVersion)
}

func newMMDBWriter(ipVersion int, records map[string]any) *mmdbWriter {
	w := &mmdbWriter{nodes: [][2]int{{}}, offsets: map[string]int{}}
	for _, s := range slices.Sorted(maps.Keys(records)) {
		p := netip.MustParsePrefix(s)
		bits, b := p.Bits(), p.Addr().AsSlice()
		if p.Addr().Is4() && ipVersion == 6 {
			bits, b = bits+96, append(make([]byte, 12), b...)
		}
		w.insert(b, bits, w.store(records[s]))
	}
	return w
}

// alias lets an IPv6 prefix lead to the IPv4 part of the tree.
func (w *mmdbWriter) alias(s string) {
	v4 := 0
	for range 96 {
		v4 = w.nodes[v4][0]
	}
	p := netip.MustParsePrefix(s)
	w.insert(p.Addr().AsSlice(), p.Bits(), -1-v4)
}

// file joins the parts.
func (w *mmdbWriter) file(t testing.TB, recordSize, ipVersion int) []byte {
	file := w.tree(t, recordSize)
	file = append(append(file, make([]byte, 16)...), w.data...)
	file = append(file, "\xab\xcd\xefMaxMind.com"...)
	return appendValue(file, map[string]any{
		"binary_format_major_version": uint16(2), "binary_format_minor_version": uint16(0),
		"build_epoch": uint64(1700000000), "database_type": "Test-Country",
		"description": map[string]any{"en": "made for a test"}, "languages": []any{"en"},
		"ip_version": uint16(ipVersion), "node_count": uint32(len(w.nodes)), "record_size": uint16(recordSize),
	})
}

// mmdbWriter holds the tree as children by bit: 0 is nothing, n > 0 node n, and
// -1-n the data at offset n.
type mmdbWriter struct {
	nodes   [][2]int
	data    []byte
	offsets map[string]int
}

func (w *mmdbWriter) store(v any) int {
	b := appendValue(nil, v)
	if at, ok := w.offsets[string(b)]; ok {
		return at
	}
	at := len(w.data)
	w.offsets[string(b)] = at
	w.data = append(w.data, b...)
	return at
}

func (w *mmdbWriter) insert(addr []byte, bits, at int) {
	node := 0
	for i := range bits {
		bit := addr[i/8] >> (7 - i%8) & 1
		if i == bits-1 {
			w.nodes[node][bit] = -1 - at
			return
		}
		if w.nodes[node][bit] == 0 {
			w.nodes = append(w.nodes, [2]int{})
			w.nodes[node][bit] = len(w.nodes) - 1
		}
		node = w.nodes[node][bit]
	}
}

func (w *mmdbWriter) tree(t testing.TB, recordSize int) (b []byte) {
	value := func(child int) uint32 {
		switch {
		case child == 0:
			return uint32(len(w.nodes))
		case child > 0:
			return uint32(child)
		}
		return uint32(len(w.nodes) + 16 + -1 - child)
	}
	for _, n := range w.nodes {
		l, r := value(n[0]), value(n[1])
		switch recordSize {
		case 24:
			b = append(b, byte(l>>16), byte(l>>8), byte(l), byte(r>>16), byte(r>>8), byte(r))
		case 28:
			b = append(b, byte(l>>16), byte(l>>8), byte(l), byte(l>>24<<4|r>>24&15), byte(r>>16), byte(r>>8), byte(r))
		case 32:
			b = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(b, l), r)
		default:
			t.Fatalf("record size %d; want 24, 28 or 32", recordSize)
		}
	}
	return b
}

// appendValue writes a field: the type in the top three bits of the control
// byte (0: in the byte behind it, less 7) and the size, up to 28 in the low five.
func appendValue(b []byte, v any) []byte {
	switch v := v.(type) {
	case string:
		return append(appendControl(b, 2, len(v)), v...)
	case uint16:
		return binary.BigEndian.AppendUint16(appendControl(b, 5, 2), v)
	case uint32:
		return binary.BigEndian.AppendUint32(appendControl(b, 6, 4), v)
	case uint64:
		return binary.BigEndian.AppendUint64(appendControl(b, 9, 8), v)
	case []any:
		b = appendControl(b, 11, len(v))
		for _, x := range v {
			b = appendValue(b, x)
		}
		return b
	case map[string]any:
		b = appendControl(b, 7, len(v))
		for _, k := range slices.Sorted(maps.Keys(v)) {
			b = appendValue(appendValue(b, k), v[k])
		}
		return b
	}
	return appendControl(b, 7, 0)
}

func appendControl(b []byte, kind, size int) []byte {
	extended := []byte(nil)
	if kind > 7 {
		kind, extended = 0, []byte{byte(kind - 7)}
	}
	if size > 28 { // one more byte holds up to 284, which tests do not exceed
		return append(append(append(b, byte(kind<<5|29)), extended...), byte(size-29))
	}
	return append(append(b, byte(kind<<5|size)), extended...)
}
