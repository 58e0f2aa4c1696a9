package spop_test

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/icpgate/icpgate/gate/authz/spop"
	"github.com/icpgate/icpgate/gate/authz/spop/peer"
)

func TestVarint(t *testing.T) {
	for _, tt := range []struct {
		v    uint64
		want string
	}{
		{0, "00"}, {239, "ef"}, {240, "f0 00"}, {2287, "ff 7f"}, {2288, "f0 80 00"}, {264431, "ff ff 7f"}, {264432, "f0 80 80 00"},
		{math.MaxUint64, "ff f0 fe fe fe fe fe fe fe 0e"},
	} {
		b := spop.AppendVarint(nil, tt.v)
		if got := fmt.Sprintf("% x", b); got != tt.want && tt.v != math.MaxUint64 {
			t.Errorf("%d: %s; want %s", tt.v, got, tt.want)
		}
		if got, rest, ok := spop.Varint(append(b, 7)); !ok || got != tt.v || len(rest) != 1 {
			t.Errorf("%d: read back %d, %v", tt.v, got, ok)
		}
		if got := spop.VarintLen(tt.v); got != len(b) {
			t.Errorf("%d: length %d; want %d", tt.v, got, len(b))
		}
		for n := range b {
			if _, _, ok := spop.Varint(b[:n]); ok {
				t.Errorf("%d: read from its first %d bytes", tt.v, n)
			}
		}
	}
	for _, s := range []string{"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f"} {
		if v, _, ok := spop.Varint([]byte(s)); ok {
			t.Errorf("% x: read as %d; want it refused", s, v)
		}
	}
}

func TestHello(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   []byte
		want string
	}{
		{"HAProxy 2.6", peer.HelloFrame(16380), "101 capabilities=pipelining max-frame-size=16380 version=2.0"},
		{"without engine-id and async, as since 3.1",
			peer.Frame(peer.Hello, 1, 0, 0, peer.Items("supported-versions", "2.0", "max-frame-size", 16380, "capabilities", "pipelining")), "101 capabilities=pipelining max-frame-size=16380 version=2.0"},
		{"a large buffer", peer.HelloFrame(65532), "101 capabilities=pipelining max-frame-size=65532 version=2.0"},
		{"a very large one", peer.HelloFrame(1 << 30), "101 capabilities=pipelining max-frame-size=1048572 version=2.0"},
		{"longer than a hello is", peer.Frame(peer.Hello, 1, 0, 0, append(peer.Items("supported-versions", "2.0", "max-frame-size", 65532, "capabilities", ""), make([]byte, 16<<10)...)), "3"},
		{"a small one", peer.HelloFrame(256), "101 capabilities=pipelining max-frame-size=256 version=2.0"},
		{"no pipelining", peer.Frame(peer.Hello, 1, 0, 0, peer.Items("supported-versions", "1.0, 2.0", "max-frame-size", 300, "capabilities", "")), "101 capabilities= max-frame-size=300 version=2.0"},
		{"a health check", peer.Frame(peer.Hello, 1, 0, 0, peer.Items("supported-versions", "2.0", "max-frame-size", 16380, "capabilities", "", "healthcheck", true)),
			"101 capabilities= max-frame-size=16380 version=2.0, end"},
		{"no health check", peer.Frame(peer.Hello, 1, 0, 0, peer.Items("supported-versions", "2.0", "max-frame-size", 16380, "capabilities", "", "healthcheck", false)),
			"101 capabilities= max-frame-size=16380 version=2.0"},
		{"no versions", peer.Frame(peer.Hello, 1, 0, 0, peer.Items("max-frame-size", 16380, "capabilities", "")), "5"},
		{"no max-frame-size", peer.Frame(peer.Hello, 1, 0, 0, peer.Items("supported-versions", "2.0", "capabilities", "")), "6"},
		{"no capabilities", peer.Frame(peer.Hello, 1, 0, 0, peer.Items("supported-versions", "2.0", "max-frame-size", 16380)), "7"},
		{"another version", peer.Frame(peer.Hello, 1, 0, 0, peer.Items("supported-versions", "1.0,20.0", "max-frame-size", 16380, "capabilities", "")), "8"},
		{"too small a buffer", peer.HelloFrame(255), "9"},
		{"versions of another type", peer.Frame(peer.Hello, 1, 0, 0, peer.Items("supported-versions", 2, "max-frame-size", 16380, "capabilities", "")), "4"},
		{"two sizes", peer.Frame(peer.Hello, 1, 0, 0, peer.Items("supported-versions", "2.0", "max-frame-size", 16380, "max-frame-size", 300, "capabilities", "")), "4"},
		{"in fragments", peer.Frame(peer.Hello, 0, 0, 0, peer.Items("supported-versions", "2.0")), "10"},
		{"with a frame's number", peer.Frame(peer.Hello, 1, 0, 1, peer.Items("supported-versions", "2.0")), "4"},
		{"cut in a key", peer.Frame(peer.Hello, 1, 0, 0, []byte{9, 's'}), "4"},
		{"cut in a value", peer.Frame(peer.Hello, 1, 0, 0, []byte{1, 's', 8, 200}), "4"},
		{"twice", join(peer.HelloFrame(16380), peer.HelloFrame(16380)), "101 capabilities=pipelining max-frame-size=16380 version=2.0, 4"},
	} {
		if got := saidBy(t, tt.in); got != tt.want {
			t.Errorf("%s: %q; want %q", tt.name, got, tt.want)
		}
	}
}

// TestFramesRefused (I05): frames that nobody should send end the connection with
// the protocol's reason.
func TestFramesRefused(t *testing.T) {
	long := peer.NotifyFrame(1, 1, peer.Message("m", "host", strings.Repeat("a", 300)))
	for _, tt := range []struct {
		name string
		in   []byte
		want string
	}{
		{"before the hello", peer.NotifyFrame(1, 1, peer.Message("m")), "4"},
		{"longer than any", []byte{0xff, 0xff, 0xff, 0xff}, "3"},
		{"longer than agreed", join(peer.HelloFrame(256), long), "101 256, 3"},
		{"longer than agreed, by its length alone", join(peer.HelloFrame(256), long[:4]), "101 256, 3"},
		{"shorter than a head", join(peer.HelloFrame(256), []byte{0, 0, 0, 6}), "101 256, 4"},
		{"type 10", join(peer.HelloFrame(16380), peer.NotifyFrame(1, 1, append(append(peer.AppendText(nil, "m"), 1), 1, 'x', 10))), "101 16380, 4"},
		{"type 15", join(peer.HelloFrame(16380), peer.NotifyFrame(1, 1, append(append(peer.AppendText(nil, "m"), 1), 1, 'x', 0xff))), "101 16380, 4"},
		{"a number without end", join(peer.HelloFrame(16380), peer.Frame(peer.Notify, 1, 0, 0, []byte(strings.Repeat("\xff", 12)))), "101 16380, 4"},
		{"a stream's number without end", join(peer.HelloFrame(16380), append([]byte{0, 0, 0, 20, 3, 0, 0, 0, 1}, strings.Repeat("\xff", 15)...)), "101 16380, 4"},
		{"fewer arguments than told", join(peer.HelloFrame(16380), peer.NotifyFrame(1, 1, append(peer.AppendText(nil, "m"), 2, 1, 'x', 0))), "101 16380, 4"},
		{"a message without a count", join(peer.HelloFrame(16380), peer.NotifyFrame(1, 1, peer.AppendText(nil, "m"))), "101 16380, 4"},
		{"half an address", join(peer.HelloFrame(16380), peer.NotifyFrame(1, 1, append(peer.AppendText(nil, "m"), 1, 1, 'x', 7, 1, 2, 3))), "101 16380, 4"},
		{"a string beyond the frame", join(peer.HelloFrame(16380), peer.NotifyFrame(1, 1, append(peer.AppendText(nil, "m"), 1, 1, 'x', 8, 100, 'a')), peer.NotifyFrame(1, 2, peer.Message("m"))), "101 16380, 4"},
		{"in fragments", join(peer.HelloFrame(16380), peer.Frame(peer.Notify, 0, 1, 1, peer.Message("m"))), "101 16380, 10"},
		{"given up", join(peer.HelloFrame(16380), peer.Frame(peer.Notify, 3, 1, 1, peer.Message("m"))), "101 16380, 10"},
		{"the rest of fragments", join(peer.HelloFrame(16380), peer.Frame(0, 1, 1, 1, nil)), "101 16380, 10"},
		{"an agent's frame", join(peer.HelloFrame(16380), peer.Frame(103, 1, 0, 0, nil)), "101 16380, 4"},
		{"a farewell", join(peer.HelloFrame(16380), peer.Frame(peer.Disconnect, 1, 0, 0, peer.Items("status-code", 2, "message", "timeout"))), "101 16380, 0"},
		{"a farewell that is none", join(peer.HelloFrame(16380), peer.Frame(peer.Disconnect, 1, 0, 0, []byte{200})), "101 16380, 4"},
		{"after an answer", join(peer.HelloFrame(16380), peer.NotifyFrame(7, 9, peer.Message("m")), []byte{0, 0, 0, 1}), "101 16380, 103 7/9, 4"},
	} {
		got := strings.ReplaceAll(strings.ReplaceAll(saidBy(t, tt.in), "capabilities=pipelining max-frame-size=", ""), " version=2.0", "")
		if got != tt.want {
			t.Errorf("%s: %q; want %q", tt.name, got, tt.want)
		}
	}
}

// saidBy is what a session says to bytes, in words.
func saidBy(t *testing.T, in []byte) string {
	t.Helper()
	list, _, done := take(t, in, new(asker))
	var words []string
	for _, a := range list {
		switch a.Kind {
		case 102:
			if a.Items["message"] == "" {
				t.Errorf("a status without a word")
			}
			words = append(words, a.Items["status-code"])
		case 103:
			words = append(words, fmt.Sprintf("103 %d/%d", a.Stream, a.ID))
		default:
			s := fmt.Sprint(a.Kind)
			for _, key := range []string{"capabilities", "max-frame-size", "version"} {
				s += " " + key + "=" + a.Items[key]
			}
			words = append(words, s)
		}
	}
	if last := list[len(list)-1].Kind; done && last != 102 {
		words = append(words, "end")
	} else if !done && last == 102 {
		t.Errorf("told the end, and goes on")
	}
	return strings.Join(words, ", ")
}

func TestNotify(t *testing.T) {
	v4, v6 := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	payload := join(peer.Message("icp", "host", "www.example.com", "sni", nil, "src", v4, "dst", v6, "yes", true, "n", 300000, "bin", []byte{0, 1}, "", "unnamed"), peer.Message("two"))
	a := &asker{wants: func(ack *spop.Ack) {
		ack.SetBool("block", true)
		ack.SetString("reason", "unfiled")
		ack.SetBytes("page", []byte("<html>"))
	}}
	list, n, done := take(t, join(peer.HelloFrame(16380), peer.NotifyFrame(300, 70000, payload), peer.NotifyFrame(1, 2, nil)), a)
	if done || n == 0 || len(list) != 3 {
		t.Fatalf("answers %v, done %v", list, done)
	}
	want := `["icp" "host" 8 0 "www.example.com"]["icp" "sni" 0 0 ""]["icp" "src" 6 0 "\xc0\x00\x02\x01"]["icp" "dst" 7 0 " \x01\r\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01"]` +
		`["icp" "yes" 1 1 ""]["icp" "n" 3 300000 ""]["icp" "bin" 9 0 "\x00\x01"]["icp" "" 8 0 "unnamed"]`
	if !slices.Equal(a.asked, []string{want, ""}) {
		t.Errorf("asked\n%q\nwant\n%q and nothing", a.asked, want)
	}
	got := list[1]
	if got.Stream != 300 || got.ID != 70000 || got.Items["block"] != "true" || got.Items["reason"] != "unfiled" || got.Items["page"] != "<html>" {
		t.Errorf("answer %+v", got)
	}
}

// TestAddr: only the types of addresses are read as such.
func TestAddr(t *testing.T) {
	for _, tt := range []struct {
		d    spop.Data
		want string
	}{
		{spop.Data{Type: spop.IPv4, Bytes: []byte{192, 0, 2, 1}}, "192.0.2.1"},
		{spop.Data{Type: spop.IPv6, Bytes: netip.MustParseAddr("::ffff:192.0.2.1").AsSlice()}, "192.0.2.1"},
		{spop.Data{Type: spop.String, Bytes: []byte("192.0.2.1")}, "invalid IP"},
		{spop.Data{}, "invalid IP"},
	} {
		if a, ok := tt.d.Addr(); a.String() != tt.want || ok != a.IsValid() {
			t.Errorf("%v: %v, %v; want %s", tt.d, a, ok, tt.want)
		}
	}
}

// TestAckRoom: what would make the frame longer than was agreed is left out, and
// what comes after and fits is sent.
func TestAckRoom(t *testing.T) {
	// Of 256 bytes, the head takes 7, block 10, url 9 beside its value, last 9.
	const urlRoom, lastRoom = 230, 221
	for size := range 300 {
		url := size <= urlRoom
		last := !url || size <= lastRoom
		a := &asker{wants: func(ack *spop.Ack) {
			if !ack.SetBool("block", true) || ack.SetString("url", strings.Repeat("u", size)) != url || ack.SetBool("last", false) != last {
				t.Errorf("size %d: left out what fits, or let in what does not", size)
			}
		}}
		var s spop.Session
		_, hello, _ := s.Take(peer.HelloFrame(256), nil, a)
		_, out, _ := s.Take(peer.NotifyFrame(1, 1, peer.Message("m")), hello[:0], a)
		if len(out) > 4+256 {
			t.Errorf("size %d: frame of %d bytes; want 256", size, len(out)-4)
		}
		got := readAnswers(t, out)[0].Items
		if _, has := got["url"]; got["block"] != "true" || has != url || (got["last"] == "false") != last {
			t.Errorf("size %d: variables %v", size, got)
		}
	}
}

// TestTakeInPieces: however the bytes come, the answers are the same.
func TestTakeInPieces(t *testing.T) {
	in := join(peer.HelloFrame(16380), peer.NotifyFrame(1, 1, peer.Message("m", "host", "a.example")), peer.NotifyFrame(2, 1, peer.Message("m", "host", "b.example")),
		peer.Frame(peer.Disconnect, 1, 0, 0, peer.Items("status-code", 0, "message", "normal")))
	var whole spop.Session
	a := new(asker)
	_, want, _ := whole.Take(in, nil, a)
	for step := 1; step <= 7; step++ {
		var s spop.Session
		b := new(asker)
		var pending, out []byte
		for i, done := 0, false; !done; i += step {
			if i >= len(in) {
				t.Fatalf("step %d: no end", step)
			}
			pending = append(pending, in[i:min(i+step, len(in))]...)
			var n int
			n, out, done = s.Take(pending, out, b)
			pending = pending[n:]
		}
		if string(out) != string(want) || !slices.Equal(a.asked, b.asked) || s.Ended() != spop.Normal {
			t.Errorf("step %d: other answers", step)
		}
	}
}

// quietAsker answers and notes nothing.
type quietAsker struct{ args int }

func (q *quietAsker) Begin()                       {}
func (q *quietAsker) Arg(_, _ []byte, _ spop.Data) { q.args++ }
func (q *quietAsker) Answer(a *spop.Ack) {
	a.SetBool("block", false)
	a.SetString("verdict", "pass")
	a.SetString("reason", "accessed")
}

func pipeline(n int) (b []byte) {
	for i := range n {
		b = append(b, peer.NotifyFrame(uint64(i), 1, peer.Message("icp", "host", "www.filed.example", "src", netip.MustParseAddr("192.0.2.1"), "dst", netip.MustParseAddr("203.0.113.1")))...)
	}
	return b
}

func TestTakeAllocatesNothing(t *testing.T) {
	var s spop.Session
	q := new(quietAsker)
	s.Take(peer.HelloFrame(16380), nil, q)
	in, out := pipeline(10), make([]byte, 0, 16<<10)
	if n := testing.AllocsPerRun(100, func() { _, out, _ = s.Take(in, out[:0], q) }); n != 0 {
		t.Errorf("%v allocations for ten frames; want none", n)
	}
	if q.args == 0 || len(out) == 0 {
		t.Error("nothing was answered")
	}
}

func BenchmarkTake(b *testing.B) {
	var s spop.Session
	q := new(quietAsker)
	s.Take(peer.HelloFrame(16380), nil, q)
	in, out := pipeline(10), make([]byte, 0, 16<<10)
	b.ReportAllocs()
	for b.Loop() {
		_, out, _ = s.Take(in, out[:0], q)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/10, "ns/notify")
}
