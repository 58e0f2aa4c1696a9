package icp_test

import (
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/icpgate/icpgate/deploy/loopback"
	icp "github.com/icpgate/icpgate/plugin"
	"github.com/icpgate/icpgate/registry"
)

// TestReloadUnderLoad changes the registry, the files beside it and the Corefile,
// each several times, while clients ask without a break: no question may go
// unanswered, no verdict be wrong, and nothing of what was replaced be kept.
//
// With ICP_SOAK=1 the registry is large, the load goes on for a while between the
// changes, and the memory is held to 1.2 times the steady one.
func TestReloadUnderLoad(t *testing.T) {
	w := newWorld(t)
	more, between := moreFilings(20_000), int64(300)
	soak := os.Getenv("ICP_SOAK") == "1"
	if soak {
		more, between = moreFilings(1_000_000), 5000
	}
	filed := func(extra ...registry.Filing) []registry.Filing {
		return append(append(extra, filing("always.test", registry.Aliyun)), more...)
	}
	up := newUpstream(t, "always.test. 60 IN A "+ours, "never.test. 60 IN A "+ours, "turns.test. 60 IN A "+ours, "exempt.test. 60 IN A "+ours,
		"moves.test. 60 IN A 198.51.100.77", "grows.test. 60 IN A 192.0.2.77")
	w.registry(t, filed()...)
	w.file(t, "exempt", "# nobody\n")
	// After a reload the address must be the same.
	host, port := hostPort(loopback.Free(t))
	corefile := func(lines string) string {
		return ".:" + port + " {\nbind " + host + "\nroot " + w.dir + "\nICP(exempt ./exempt\n" + lines + ")\ncache\nforward . " + up.addr + "\n}"
	}
	before := memory() // what the test itself holds
	s := w.start(t, corefile(""))
	load := startLoad(s.udp())
	steady := memory() - before
	const times = 5
	for i := range times {
		load.await(between)
		w.registry(t, filed(filing("turns.test", registry.Aliyun))...)
		icp.Refresh()
		wantAddresses(t, s.ask(t, query{name: "turns.test", qtype: dns.TypeA, edns: true}), ours)
		w.registry(t, filed()...)
		icp.Refresh()
		wantBlocked(t, s.ask(t, query{name: "turns.test", qtype: dns.TypeA, edns: true}), "not filed")

		for _, d := range []struct{ file, name, addr, pass, block string }{
			{"exempt", "exempt.test", ours, "exempt.test", ""},
			{"networks", "moves.test", "198.51.100.77", networks, networks + "198.51.100.77 tencent ecs ap-guangzhou mainland"},
			{"mainland", "grows.test", "192.0.2.77", mainland, mainland + "192.0.2.0/24"},
		} {
			load.await(between)
			w.file(t, d.file, fmt.Sprintf("%s\n# %d\n", d.block, i))
			icp.Refresh()
			wantBlocked(t, s.ask(t, query{name: d.name, qtype: dns.TypeA, edns: true}), "not filed")
			load.await(between)
			w.file(t, d.file, fmt.Sprintf("%s\n# once more %d\n", d.pass, i))
			icp.Refresh()
			wantAddresses(t, s.ask(t, query{name: d.name, qtype: dns.TypeA, edns: true}), d.addr)
		}

		load.await(between)
		if err := s.reload(t, w.corefile(corefile(fmt.Sprint("ttl ", 6+i)))); err != nil {
			t.Fatal(err)
		}
		m := s.ask(t, query{name: "never.test", qtype: dns.TypeA, edns: true})
		wantBlocked(t, m, "not filed")
		if got := m.Ns[0].Header().Ttl; got != uint32(6+i) {
			t.Errorf("got TTL %d after the reload; want %d", got, 6+i)
		}
		if n := len(icp.Indexes()); n != 1 || icp.Opened() != 1 {
			t.Errorf("%d registries in %d handlers; want one in one", n, icp.Opened())
		}
	}
	load.await(between)
	load.stop()
	after := memory() - before
	runtime.KeepAlive(more)
	if soak && float64(after) > 1.2*float64(steady) {
		t.Errorf("%d bytes in use after the reloads; want 1.2 times %d at most", after, steady)
	}
	t.Logf("%d questions, %.0f a second, while %d reloads of each kind went on; %d bytes before, %d after",
		load.asked.Load(), load.rate(), times, steady, after)
	if n := load.lost.Load(); n != 0 {
		t.Errorf("%d of %d questions were lost, the first: %v", n, load.asked.Load(), load.first.Load())
	}
	if n := load.wrong.Load(); n != 0 {
		t.Errorf("%d of %d answers were wrong, the first: %v", n, load.asked.Load(), load.first.Load())
	}
}

// load asks for names whose verdict never changes.
type load struct {
	asked, lost, wrong atomic.Int64
	first              atomic.Value // what went wrong first, as text
	start, stopped     time.Time
	end                chan struct{}
	clients            sync.WaitGroup
}

// The load: so many sockets, each with one question under way.
const (
	loadRate    = 5000 // questions a second, of all clients
	loadClients = 16
)

// startLoad begins to ask. A client that had to wait for an answer asks faster
// afterwards, so that the rate is held.
func startLoad(addr string) *load {
	l := &load{end: make(chan struct{}), start: time.Now()}
	const each = loadClients * time.Second / loadRate
	for c := range time.Duration(loadClients) {
		l.clients.Go(func() {
			conn, err := dns.DialTimeout("udp", addr, time.Minute)
			if err != nil {
				l.fail(&l.lost, err.Error())
				return
			}
			defer conn.Close()
			pace := time.NewTimer(0)
			defer pace.Stop()
			for i := time.Duration(0); ; i++ {
				pace.Reset(time.Until(l.start.Add(i*each + c*each/loadClients)))
				select {
				case <-l.end:
					return
				case <-pace.C:
					l.ask(conn, i%2 == 0)
				}
			}
		})
	}
	return l
}

// rate is how many questions were asked a second.
func (l *load) rate() float64 { return float64(l.asked.Load()) / l.stopped.Sub(l.start).Seconds() }

func (l *load) ask(conn *dns.Conn, filed bool) {
	name := "never.test."
	if filed {
		name = "always.test."
	}
	q := query{name: name, qtype: dns.TypeA, edns: true}.msg()
	l.asked.Add(1)
	begun := time.Now()
	conn.SetDeadline(begun.Add(time.Minute))
	if err := conn.WriteMsg(q); err != nil {
		l.fail(&l.lost, err.Error())
		return
	}
	m, err := conn.ReadMsg()
	if err != nil {
		l.fail(&l.lost, err.Error())
		return
	}
	if stoodStill(m, time.Since(begun)) {
		return
	}
	if got := len(addresses(m)) == 1; got != filed || m.Id != q.Id || m.Rcode != dns.RcodeSuccess {
		l.fail(&l.wrong, m.String())
	}
}

func (l *load) fail(kind *atomic.Int64, what string) {
	kind.Add(1)
	l.first.CompareAndSwap(nil, what)
}

// await lets so many more questions be asked.
func (l *load) await(questions int64) {
	pace := time.NewTicker(time.Millisecond)
	defer pace.Stop()
	for n := l.asked.Load() + questions; l.asked.Load() < n && l.lost.Load() == 0; {
		<-pace.C
	}
}

func (l *load) stop() {
	close(l.end)
	l.clients.Wait()
	l.stopped = time.Now()
}

// memory returns the bytes in use when nothing is left to collect.
func memory() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func moreFilings(n int) []registry.Filing {
	all := make([]registry.Filing, n)
	for i := range all {
		all[i] = filing(fmt.Sprintf("site%d.example", i), registry.Aliyun)
	}
	return all
}
