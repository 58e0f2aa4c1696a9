package edge_test

import (
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/edge"
)

// clock is a time that the test moves.
type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

func newClock() *clock { return &clock{time.Unix(1_800_000_000, 0)} }

var sightAddr = netip.MustParseAddr("203.0.113.1")

func sight(host string) edge.Sighted {
	return edge.Sighted{Host: registry.MustParseDomain(host), Addr: sightAddr, Reason: registry.Unfiled}
}

func hosts(x edge.Sighting) (all []string) {
	for _, h := range x.Hosts {
		all = append(all, h.String())
	}
	return all
}

// find returns the row of a name.
func find(rows []edge.Sighting, name string) (edge.Sighting, bool) {
	i := slices.IndexFunc(rows, func(x edge.Sighting) bool { return x.Name.String() == name })
	if i < 0 {
		return edge.Sighting{}, false
	}
	return rows[i], true
}

func TestSightings(t *testing.T) {
	c := newClock()
	s := edge.NewSightings(c.now)
	first := c.t
	s.Add(sight("www.example.com"))
	c.t = c.t.Add(time.Minute)
	x := sight("shop.example.com")
	x.Mode = registry.Monitor
	s.Add(x)
	s.Add(x)
	other := sight("www.example.com")
	other.Channel = registry.ChannelHTTPS
	s.Add(other)
	s.Add(edge.Sighted{Addr: sightAddr, Reason: registry.IPUnfiled, Channel: registry.ChannelHTTP})

	rows := s.Rows()
	if len(rows) != 3 {
		t.Fatalf("got %d rows %v; want 3", len(rows), rows)
	}
	r := rows[0]
	if r.Name.String() != "example.com" || r.Hits != 3 || r.Mode != registry.Monitor || r.Channel != registry.ChannelDNS ||
		!r.First.Equal(first) || !r.Last.Equal(c.t) || !slices.Equal(hosts(r), []string{"www.example.com", "shop.example.com"}) {
		t.Errorf("got %+v; want 3 hits of example.com from two hosts", r)
	}
	if s.Other() != 0 {
		t.Errorf("got %d others; want none", s.Other())
	}
}

func TestSightingsNameTenHosts(t *testing.T) {
	s := edge.NewSightings(nil)
	for i := range 30 {
		s.Add(sight(fmt.Sprintf("h%02d.example.com", i)))
	}
	r := s.Rows()[0]
	if len(r.Hosts) != registry.MaxSightedHosts || r.Hits != 30 || r.Hosts[9].String() != "h09.example.com" {
		t.Errorf("got %d hosts, %d hits; want the first ten and 30", len(r.Hosts), r.Hits)
	}
}

// TestSightingsTake: batches hold deltas, are numbered, and no hit is in two or
// in none.
func TestSightingsTake(t *testing.T) {
	c := newClock()
	s := edge.NewSightings(c.now)
	if b := s.Take(); b.Seq != 0 || b.Rows != nil {
		t.Fatalf("got %+v; want no batch", b)
	}
	s.Add(sight("a.example"))
	s.Add(sight("b.example"))
	s.Add(sight("b.example"))
	one := s.Take()
	s.Add(sight("b.example"))
	c.t = c.t.Add(time.Minute)
	two := s.Take()
	if one.Seq != 1 || two.Seq != 2 || one.Boot == "" || one.Boot != two.Boot || len(one.Rows) != 2 || len(two.Rows) != 1 {
		t.Fatalf("got %+v and %+v; want numbers 1 and 2 with two rows and one", one, two)
	}
	if !two.From.Equal(one.To) || !two.To.Equal(c.t) {
		t.Errorf("got the second from %v to %v; want from %v to %v", two.From, two.To, one.To, c.t)
	}
	if a, _ := find(one.Rows, "b.example"); a.Hits != 2 {
		t.Errorf("got %d hits in the first batch; want 2", a.Hits)
	}
	if a, _ := find(two.Rows, "b.example"); a.Hits != 1 {
		t.Errorf("got %d hits in the second batch; want 1", a.Hits)
	}
	if a, _ := find(s.Rows(), "b.example"); a.Hits != 3 {
		t.Errorf("got %d hits in all; want 3", a.Hits)
	}
}

// TestSightingsFlood: a million random names displace nothing that is asked for
// more than once, take no more memory than the rows, and every hit is accounted
// for.
func TestSightingsFlood(t *testing.T) {
	c := newClock()
	s := edge.NewSightings(c.now)
	const real, flood = 500, 200_000
	hits := uint64(0)
	add := func(name string) { s.Add(sight(name)); hits++ }
	for range 2 {
		for i := range real {
			add(fmt.Sprintf("real%d.example", i))
		}
	}
	for i := range flood / 2 {
		add(fmt.Sprintf("x%dy.test", i))
	}
	before := heap()
	for i := range flood / 2 {
		add(fmt.Sprintf("x%dz.test", i))
	}
	if grown := int64(heap()) - int64(before); grown > 2<<20 {
		t.Errorf("the second half of the flood took %d bytes; want no growth", grown)
	}
	rows := s.Rows()
	if len(rows) > registry.MaxSightings {
		t.Errorf("got %d rows; want %d at most", len(rows), registry.MaxSightings)
	}
	counted := s.Other()
	for _, r := range rows {
		counted += r.Hits
	}
	if counted != hits {
		t.Errorf("got %d hits in rows and others; want %d", counted, hits)
	}
	for i := range real {
		if r, ok := find(rows, fmt.Sprintf("real%d.example", i)); !ok || r.Hits != 2 {
			t.Fatalf("real%d.example has gone in the flood", i)
		}
	}
	b := s.Take()
	counted = b.Other
	for _, r := range b.Rows {
		counted += r.Hits
	}
	if counted != hits || len(b.Rows) > registry.MaxSightings {
		t.Errorf("the batch tells of %d hits in %d rows; want %d", counted, len(b.Rows), hits)
	}
}

// TestSightingsNewcomers: with all rows taken and many newcomers, a name that is
// seen once displaces nothing, and one that is seen again takes the place of one
// that was not. Where they are few again, the first sight is enough.
func TestSightingsNewcomers(t *testing.T) {
	c := newClock()
	s := edge.NewSightings(c.now)
	for i := range 2 * registry.MaxSightings {
		s.Add(sight(fmt.Sprintf("x%d.test", i)))
	}
	hits := func(name string) uint64 {
		r, _ := find(s.Rows(), name)
		return r.Hits
	}
	rows, lost := s.Size()
	if rows != registry.MaxSightings {
		t.Fatalf("got %d rows; want %d", rows, registry.MaxSightings)
	}
	for i, want := range []uint64{0, 1, 2} {
		s.Add(sight("new.example"))
		if got := hits("new.example"); got != want {
			t.Errorf("got %d hits after %d sights; want %d", got, i+1, want)
		}
	}
	if rows, other := s.Size(); rows != registry.MaxSightings || other != lost+2 {
		t.Errorf("got %d rows and %d others more; want %d, and 2: the first sight and a row that gave way", rows, other-lost, registry.MaxSightings)
	}
	for i := range 5 * registry.MaxSightings {
		if i%500 == 0 {
			c.t = c.t.Add(time.Second)
		}
		s.Add(sight(fmt.Sprintf("y%d.test", i)))
		if i%5000 == 0 && hits(fmt.Sprintf("y%d.test", i)) != 1 {
			t.Fatalf("no row for y%d.test, a newcomer of a few in its second", i)
		}
	}
	before, lost := s.Rows(), s.Other()
	for _, r := range before {
		s.Add(sight(r.Name.String()))
	}
	if rows := s.Rows(); len(rows) != len(before) || s.Other() != lost {
		t.Errorf("got %d rows and %d others more after a hit of each of %d; want the same rows", len(rows), s.Other()-lost, len(before))
	}
}

// TestSightingsBucket: a bucket of the index is full when it says so, not before.
func TestSightingsBucket(t *testing.T) {
	if n := edge.SightBucket(1 << 40); n != 16 {
		t.Errorf("a bucket takes %d rows; want 16, a cache line", n)
	}
}

// TestSightingsIdle: rows that a flood has made permanent by asking twice give
// way when they are idle.
func TestSightingsIdle(t *testing.T) {
	c := newClock()
	s := edge.NewSightings(c.now)
	for i := range 2 * registry.MaxSightings {
		name := fmt.Sprintf("x%d.test", i)
		s.Add(sight(name))
		s.Add(sight(name))
	}
	lost := s.Other()
	s.Add(sight("real.example"))
	if s.Other() != lost+1 {
		t.Fatalf("got %d others; want the newcomer among them", s.Other()-lost)
	}
	c.t = c.t.Add(25 * time.Hour)
	s.Add(sight("real.example"))
	if _, ok := find(s.Rows(), "real.example"); !ok {
		t.Error("no row for a newcomer after a day without the others")
	}
}

// TestSightingsSettled: rows that were all looked at in vain are looked at again
// as soon as one of them is idle, and only that one gives way.
func TestSightingsSettled(t *testing.T) {
	c := newClock()
	s := edge.NewSightings(c.now)
	for i := range 2 * registry.MaxSightings {
		for range 2 {
			s.Add(sight(fmt.Sprintf("x%d.test", i)))
		}
	}
	busy := s.Rows()
	idle := busy[len(busy)/2]
	c.t = c.t.Add(time.Hour)
	for _, r := range busy {
		if r.Name != idle.Name {
			s.Add(edge.Sighted{Host: r.Name, Addr: r.Addr, Reason: r.Reason})
		}
	}
	newcomers := func(n int) {
		for i := range n {
			s.Add(sight(fmt.Sprintf("new%d.example", i)))
		}
	}
	newcomers(registry.MaxSightings) // every shard is looked through
	c.t = idle.Last.Add(24*time.Hour - time.Second)
	newcomers(registry.MaxSightings)
	if _, ok := find(s.Rows(), idle.Name.String()); !ok {
		t.Fatalf("%s has no row any more; want it to stay for a day", idle.Name)
	}
	c.t = c.t.Add(time.Second)
	newcomers(registry.MaxSightings)
	rows := s.Rows()
	if _, ok := find(rows, idle.Name.String()); ok {
		t.Errorf("%s still has its row; want it to give way after a day", idle.Name)
	}
	kept := map[registry.Domain]bool{}
	for _, r := range rows {
		kept[r.Name] = true
	}
	for _, r := range busy {
		if !kept[r.Name] && r.Name != idle.Name {
			t.Fatalf("%s gave way, though it is not idle", r.Name)
		}
	}
}

// TestSightingsKeys: what differs in anything that tells rows apart has a row of
// its own, and a registrable name that is given counts like one that is found.
func TestSightingsKeys(t *testing.T) {
	s := edge.NewSightings(nil)
	x := sight("www.example.com")
	for _, a := range []string{"192.0.2.1", "::ffff:192.0.2.1", "::", "2001:db8::1"} {
		x.Addr = netip.MustParseAddr(a)
		s.Add(x)
	}
	x.Addr = netip.Addr{}
	s.Add(x)
	x.Reason = registry.Cancelled
	s.Add(x)
	x.Channel = registry.ChannelQUIC
	s.Add(x)
	x.Name = registry.MustParseDomain("example.com")
	s.Add(x)
	rows := s.Rows()
	if len(rows) != 7 || s.Other() != 0 || rows[0].Hits != 2 || rows[0].Channel != registry.ChannelQUIC {
		t.Errorf("got %d rows, %d others, and first %+v; want seven rows, the last of them hit twice", len(rows), s.Other(), rows[0])
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestSightingsTogether adds, takes and reads at once; with the race detector it
// tells more.
func TestSightingsTogether(t *testing.T) {
	s := edge.NewSightings(nil)
	const each = 20_000
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range each {
				s.Add(sight(fmt.Sprintf("n%d.example", (i*(g+1))%20_000)))
			}
		})
	}
	counted := uint64(0)
	take := func() {
		b := s.Take()
		counted += b.Other
		for _, r := range b.Rows {
			counted += r.Hits
		}
	}
	for range 50 {
		take()
		s.Rows()
	}
	wg.Wait()
	take()
	if counted != 4*each {
		t.Errorf("batches tell of %d hits; want %d", counted, 4*each)
	}
}

func TestSightingsAllocateNothing(t *testing.T) {
	s := edge.NewSightings(nil)
	x := sight("www.example.com")
	s.Add(x)
	if n := testing.AllocsPerRun(1000, func() { s.Add(x) }); n != 0 {
		t.Errorf("got %v allocations for a known row; want none", n)
	}
}

func BenchmarkSightings(b *testing.B) {
	b.Run("known", func(b *testing.B) {
		s := edge.NewSightings(nil)
		var known []edge.Sighted
		for i := range 4096 {
			known = append(known, sight(fmt.Sprintf("www.n%d.example", i)))
		}
		for i := 0; b.Loop(); i++ {
			s.Add(known[i%len(known)])
		}
	})
	b.Run("flood", func(b *testing.B) {
		s := edge.NewSightings(nil)
		var names []edge.Sighted
		for i := range 1 << 17 {
			names = append(names, sight(fmt.Sprintf("x%d.test", i)))
		}
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			s.Add(names[i%len(names)])
		}
	})
}
