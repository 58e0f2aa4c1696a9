package icp_test

import (
	"encoding/binary"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// TestHostileWire: a server behind forward that writes what no library would.
// Whatever becomes of it, nothing of the mainland reaches a client that asks for
// the unfiled name.
func TestHostileWire(t *testing.T) {
	w := newWorld(t)
	a := []byte(addrOf(ours).AsSlice())
	flags := func(set, clear uint16) func([]byte, []byte) []byte {
		return func(m, _ []byte) []byte {
			binary.BigEndian.PutUint16(m[2:], binary.BigEndian.Uint16(m[2:])&^clear|set)
			return m
		}
	}
	count := func(at int, n uint16) func([]byte, []byte) []byte {
		return func(m, _ []byte) []byte { binary.BigEndian.PutUint16(m[at:], n); return m }
	}
	// more appends a record for the asked name, and counts it.
	more := func(at int, rrtype, class uint16, data ...byte) func([]byte, []byte) []byte {
		return func(m, _ []byte) []byte {
			binary.BigEndian.PutUint16(m[at:], binary.BigEndian.Uint16(m[at:])+1)
			m = append(m, 0xc0, 12)
			m = binary.BigEndian.AppendUint16(m, rrtype)
			m = binary.BigEndian.AppendUint16(m, class)
			m = binary.BigEndian.AppendUint32(m, 1<<32-1)
			m = binary.BigEndian.AppendUint16(m, uint16(len(data)))
			return append(m, data...)
		}
	}
	hint := append([]byte{0, 4, 0, 4}, a...)
	far := []byte{0, 4, 0, 4, 198, 51, 100, 1}
	odd := append([]byte{0, 4, 0, 6}, append(slices.Clone(a), 1, 2)...)
	// Each gets the answer with an A record of the mainland, and the question.
	for name, forge := range map[string]func(m, q []byte) []byte{
		"garbage behind":        func(m, _ []byte) []byte { return append(m, m[12:]...) },
		"more counted":          count(6, 2),
		"fewer counted":         func(m, q []byte) []byte { return count(6, 1)(more(6, 1, 1, a...)(m, q), q) },
		"nothing counted":       count(6, 0),
		"counted elsewhere":     func(m, q []byte) []byte { return count(10, 1)(count(6, 0)(m, q), q) },
		"no question":           func(m, q []byte) []byte { return count(4, 0)(slices.Delete(m, 12, 12+len(q)), q) },
		"two questions":         func(m, q []byte) []byte { return count(4, 2)(slices.Insert(m, 12+len(q), q...), q) },
		"a question":            flags(0, 1<<15),
		"another opcode":        flags(2<<11, 0),
		"a notification":        flags(4<<11, 0),
		"truncated":             flags(1<<9, 0),
		"authoritative":         flags(1<<10, 0),
		"all flags":             flags(0x07f0, 0),
		"no such name":          flags(3, 0),
		"refused":               flags(5, 0),
		"a code of no meaning":  flags(15, 0),
		"class 0":               more(6, 1, 0, a...),
		"any class":             more(6, 1, 255, a...),
		"an address of 3 bytes": more(6, 1, 1, a[:3]...),
		"an address of 5 bytes": more(6, 1, 1, append(slices.Clone(a), 7)...),
		"an empty address":      more(6, 1, 1),
		"in the authority":      more(8, 1, 1, a...),
		"hint in alias mode":    more(6, 65, 1, append([]byte{0, 0, 0}, hint...)...),
		"hints twice":           more(6, 65, 1, append([]byte{0, 1, 0}, append(slices.Clone(far), hint...)...)...),
		"keys out of order":     more(6, 65, 1, append([]byte{0, 1, 0, 0, 5, 0, 0}, hint...)...),
		"hints of 6 bytes":      more(6, 65, 1, append([]byte{0, 1, 0}, odd...)...),
		"a service cut short":   more(6, 64, 1, append([]byte{0, 1, 0}, hint[:6]...)...),
		"its own name server":   more(8, 2, 1, 0xc0, 12),
	} {
		t.Run(name, func(t *testing.T) {
			addr := forger(t, a, forge)
			s := w.start(t, ".:0 {\nSERVER\nICP\ncache\nforward . "+addr+" {\nmax_fails 0\n}\n}")
			for _, qtype := range []uint16{dns.TypeA, dns.TypeHTTPS, dns.TypeANY} {
				m := query{name: "www.unfiled.test", qtype: qtype, edns: true}.msg()
				for _, rr := range parseWire(t, exchangeRaw(t, s.tcp(), m)) {
					if got := rr.mainland(); len(got) > 0 {
						t.Errorf("type %d: got %v of %q in section %d", qtype, got, rr.owner, rr.section)
					}
				}
			}
			wantForged(t, addr)
		})
	}
}

// forger answers over UDP and TCP with an A record, forged.
func forger(t *testing.T, a []byte, forge func(m, q []byte) []byte) string {
	t.Helper()
	answer := func(r []byte) []byte {
		q, i := r[12:], 0
		for q[i] != 0 {
			i += int(q[i]) + 1
		}
		q = q[:i+5]
		m := append(slices.Clone(r[:2]), 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0)
		m = append(m, q...)
		m = append(m, 0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 0, 0, 4)
		return forge(append(m, a...), slices.Clone(q))
	}
	u := &upstream{}
	u.serve(t, func(w dns.ResponseWriter, r *dns.Msg) {
		b, err := r.Pack()
		if err != nil {
			t.Error(err)
			return
		}
		w.Write(answer(b))
	})
	return u.addr
}

// wantForged fails unless a forger answers with an address.
func wantForged(t *testing.T, addr string) {
	t.Helper()
	b := exchangeRaw(t, addr, query{name: "www.unfiled.test", qtype: dns.TypeA}.msg())
	if !slices.Contains(windows(b, 4), string(addrOf(ours).AsSlice())) {
		t.Errorf("the server behind answers %x, which leads nowhere", b)
	}
}

func windows(b []byte, n int) (all []string) {
	for i := 0; i+n <= len(b); i++ {
		all = append(all, string(b[i:i+n]))
	}
	return all
}

// exchangeRaw sends one question over TCP and returns the answer as it came.
func exchangeRaw(t *testing.T, addr string, m *dns.Msg) []byte {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	c := &dns.Conn{Conn: conn}
	defer c.Close()
	c.SetDeadline(time.Now().Add(2 * time.Minute))
	if err := c.WriteMsg(m); err != nil {
		t.Fatal(err)
	}
	b, err := c.ReadMsgHeader(nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
