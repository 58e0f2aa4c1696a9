package gate

import (
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"time"
)

func TestLimiterConnections(t *testing.T) {
	m := newLimiter(Limits{Connections: 2})
	for i, want := range []bool{true, true, false} {
		if got := m.acquire(); got != want {
			t.Fatalf("connection %d of 2: got %v; want %v", i+1, got, want)
		}
	}
	if got := m.open.Load(); got != 2 {
		t.Errorf("%d open; want 2", got)
	}
	m.release()
	if !m.acquire() {
		t.Error("refused after a release")
	}
}

func TestLimiterClients(t *testing.T) {
	for _, tc := range []struct {
		name   string
		limits Limits
		a, b   string
		same   bool
	}{
		{"default IPv4", Limits{}, "192.0.2.1", "192.0.2.2", false},
		{"mapped IPv4", Limits{}, "192.0.2.1", "::ffff:192.0.2.1", true},
		{"IPv4 in 24 bits", Limits{PrefixV4: 24}, "192.0.2.1", "192.0.2.254", true},
		{"IPv4 beyond 24 bits", Limits{PrefixV4: 24}, "192.0.2.1", "192.0.3.1", false},
		{"default IPv6", Limits{}, "2001:db8::1", "2001:db8::ffff:0:0:1", true},
		{"beyond 64 bits", Limits{}, "2001:db8:0:1::1", "2001:db8:0:2::1", false},
		{"IPv6 in 56 bits", Limits{PrefixV6: 56}, "2001:db8:0:1::1", "2001:db8:0:ff::1", true},
		{"IPv6 in 128 bits", Limits{PrefixV6: 128}, "2001:db8::1", "2001:db8::2", false},
		{"IPv6 in 127 bits", Limits{PrefixV6: 127}, "2001:db8::2", "2001:db8::3", true},
		{"zones", Limits{}, "fe80::1%a", "fe80::1%b", true},
	} {
		tc.limits.PerClient = 1
		m := newLimiter(tc.limits)
		if !m.acquireClient(netip.MustParseAddr(tc.a)) {
			t.Fatalf("%s: first refused", tc.name)
		}
		if got := !m.acquireClient(netip.MustParseAddr(tc.b)); got != tc.same {
			t.Errorf("%s: %s and %s one client = %v; want %v", tc.name, tc.a, tc.b, got, tc.same)
		}
	}
}

// TestLimiterForgets: memory is that of the open connections.
func TestLimiterForgets(t *testing.T) {
	m := newLimiter(Limits{PerClient: 3})
	var wg sync.WaitGroup
	for seed := range uint64(4) {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(seed, 0))
			var held []netip.Addr
			for range 5000 {
				a := netip.AddrFrom4([4]byte{192, 0, 2, byte(r.IntN(32))})
				if m.acquireClient(a) {
					held = append(held, a)
				}
				if len(held) > 8 {
					m.releaseClient(held[0])
					held = held[1:]
				}
			}
			for _, a := range held {
				m.releaseClient(a)
			}
		})
	}
	wg.Wait()
	for i := range m.shards {
		if n := len(m.shards[i].count); n != 0 {
			t.Errorf("shard %d holds %d clients after the last release", i, n)
		}
	}
}

// TestLimiterNoLimit: no limit and no address count nothing.
func TestLimiterNoLimit(t *testing.T) {
	m := newLimiter(Limits{})
	for range 100 {
		if !m.acquireClient(netip.MustParseAddr("192.0.2.1")) {
			t.Fatal("refused without a limit")
		}
	}
	m = newLimiter(Limits{PerClient: 1})
	for range 2 {
		if !m.acquireClient(netip.Addr{}) {
			t.Fatal("refused without an address")
		}
		m.releaseClient(netip.Addr{})
	}
}

func TestLimiterNoAllocs(t *testing.T) {
	m := newLimiter(Limits{PerClient: 10})
	v4, v6 := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	if n := testing.AllocsPerRun(1000, func() {
		m.acquire()
		m.acquireClient(v4)
		m.acquireClient(v6)
		m.releaseClient(v6)
		m.releaseClient(v4)
		m.release()
	}); n != 0 {
		t.Errorf("%v allocations; want 0", n)
	}
}

// TestLimiterShards: neighbours do not all meet in one shard.
func TestLimiterShards(t *testing.T) {
	m := newLimiter(Limits{PerClient: 1})
	used := map[*limiterShard]bool{}
	for i := range 256 {
		used[m.shard(m.key(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})))] = true
		used[m.shard(m.key(netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 0, 0, 0, byte(i)})))] = true
	}
	if len(used) < limiterShards*3/4 {
		t.Errorf("%d shards used by 512 neighbours; want nearly all of %d", len(used), limiterShards)
	}
}

func BenchmarkLimiter(b *testing.B) {
	m := newLimiter(Limits{PerClient: 1 << 30})
	a := netip.MustParseAddr("192.0.2.1")
	for b.Loop() {
		m.acquire()
		m.acquireClient(a)
		m.releaseClient(a)
		m.release()
	}
}

func TestBodyRate(t *testing.T) {
	t0 := time.Unix(1_800_000_000, 0)
	at := func(s float64) time.Time { return t0.Add(time.Duration(s * float64(time.Second))) }
	type event struct {
		at float64
		n  int
	}
	for _, tc := range []struct {
		name    string
		min     int
		events  []event
		stalled time.Duration // before the question
		ask     float64
		slow    bool
	}{
		{"nothing yet, within the grace", 100, nil, 0, 9.9, false},
		{"nothing at all", 100, nil, 0, 10, true},
		{"just enough", 100, []event{{1, 1000}}, 0, 10, false},
		{"one byte short", 100, []event{{1, 999}}, 0, 10, true},
		{"a dribble", 100, []event{{1, 1}, {4, 1}, {9, 1}}, 0, 10, true},
		{"a burst that has left the window", 100, []event{{1, 5000}}, 0, 12, true},
		{"a burst in the window", 100, []event{{1, 50}, {11, 5000}}, 0, 19, false},
		{"a long pause empties all", 100, []event{{1, 1 << 30}, {500, 1}}, 0, 501, true},
		{"steady", 100, []event{{0, 100}, {1, 100}, {2, 100}, {3, 100}, {4, 100}, {5, 100}, {6, 100}, {7, 100}, {8, 100}, {9, 100}}, 0, 10 - 0.001, false},
		{"no minimum", 0, nil, 0, 1000, false},
		{"the upstream's fault", 100, nil, 5 * time.Second, 14, false},
		{"the upstream's fault, then the client's", 100, nil, 5 * time.Second, 15, true},
	} {
		r := newBodyRate(tc.min, t0)
		for _, e := range tc.events {
			r.count(at(e.at), e.n)
		}
		r.stalled(tc.stalled)
		if got := r.tooSlow(at(tc.ask)); got != tc.slow {
			t.Errorf("%s: slow = %v; want %v", tc.name, got, tc.slow)
		}
	}
}

func TestBodyRateLook(t *testing.T) {
	t0 := time.Unix(1_800_000_000, 0)
	r := newBodyRate(1, t0)
	if got, want := r.look(t0.Add(time.Second)), t0.Add(rateWindow); !got.Equal(want) {
		t.Errorf("in the grace: %v; want %v", got, want)
	}
	if got, want := r.look(t0.Add(time.Minute)), t0.Add(time.Minute+rateSlot); !got.Equal(want) {
		t.Errorf("after the grace: %v; want %v", got, want)
	}
	r = newBodyRate(0, t0)
	if got := r.look(t0); !got.IsZero() {
		t.Errorf("without a minimum: %v; want the zero time", got)
	}
}
