package index_test

import (
	"bytes"
	"context"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/index"
)

// BenchmarkCompact makes a new snapshot of a mapped one and the changes of an
// overlay, and swaps it in, while two goroutines query. It reports what the process
// takes more of anonymous memory at most than just before ("grown-MB"; pages of
// mapped files apart), and what one look-up in ten thousand exceeds: meanwhile,
// before it ("still-p9999-ns"), and while the third goroutine only sums memory up
// instead ("busy-p9999-ns"), which shows what the cores alone are to blame for.
func BenchmarkCompact(b *testing.B) {
	if _, ok := resident("RssAnon"); !ok {
		b.Skip("this system does not tell what memory a process takes")
	}
	c := benchCorpus()
	for _, changes := range []int{10_000, 100_000} {
		b.Run(strconv.Itoa(changes), func(b *testing.B) { benchCompact(b, c, changes) })
	}
}

func benchCompact(b *testing.B, c *corpus, changes int) {
	dir := b.TempDir()
	path := filepath.Join(dir, "0")
	if err := index.WriteFile(path, c.x); err != nil {
		b.Fatal(err)
	}
	base, err := index.Map(path)
	if err != nil {
		b.Fatal(err)
	}
	over := makeChanges(c, changes)
	n := 0
	for b.Loop() {
		l := &benchLive{}
		l.live.Swap(base)
		l.apply(over)
		debug.FreeOSMemory() // what is free now is not what a compaction takes
		q := startQueries(c, &l.live)
		still := watchAnon() // here only so that all is alike
		<-time.After(time.Second)
		still()
		q.phase.Store(2)
		sumUp(time.Second)
		before, _ := resident("RssAnon")
		peak := watchAnon()
		n++
		q.phase.Store(1)
		start := time.Now()
		if err := l.live.Compact(context.Background(), filepath.Join(dir, strconv.Itoa(n))); err != nil {
			b.Fatal(err)
		}
		took := time.Since(start)
		q.stop()
		grown := peak() - before
		file, _ := resident("RssFile")
		b.ReportMetric(took.Seconds(), "compact-s")
		b.ReportMetric(float64(before)/1e6, "steady-MB")
		b.ReportMetric(float64(grown)/1e6, "grown-MB")
		b.ReportMetric(float64(file)/1e6, "mapped-MB")
		b.ReportMetric(q.percentile(0), "still-p9999-ns")
		b.ReportMetric(q.percentile(1), "compact-p9999-ns")
		b.ReportMetric(q.percentile(2), "busy-p9999-ns")
	}
	b.ReportMetric(0, "ns/op")
}

// sumUp keeps a core and its memory busy.
func sumUp(d time.Duration) {
	memory := make([]byte, 1<<24)
	for end := time.Now().Add(d); time.Now().Before(end); {
		sunk += crc32.ChecksumIEEE(memory)
	}
}

var sunk uint32

// makeChanges is a third each of new names, other filings, and none any more.
func makeChanges(c *corpus, n int) []registry.Change {
	r := rand.New(rand.NewPCG(7, 8))
	list := make([]registry.Change, n)
	for i := range list {
		list[i] = benchChange(c, r, i)
	}
	return list
}

// resident reads a line of /proc/self/status, in bytes.
func resident(what string) (int64, bool) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, false
	}
	for line := range bytes.Lines(status) {
		if f := bytes.Fields(line); len(f) == 3 && string(f[0]) == what+":" {
			n, err := strconv.ParseInt(string(f[1]), 10, 64)
			return n * 1024, err == nil
		}
	}
	return 0, false
}

// watchAnon looks a hundred times a second at what anonymous memory the process has, until
// it is asked for the most that it saw.
func watchAnon() (peak func() int64) {
	stop, done := make(chan struct{}), make(chan int64)
	go func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		most := int64(0)
		for {
			n, _ := resident("RssAnon")
			most = max(most, n)
			select {
			case <-stop:
				done <- most
				return
			case <-tick.C:
			}
		}
	}()
	return func() int64 {
		close(stop)
		return <-done
	}
}

// querying are two goroutines that look names up and note how long each took,
// to the nanosecond and apart for what happens meanwhile.
type querying struct {
	phase atomic.Int32 // 0: nothing else happens
	wg    sync.WaitGroup
	took  [2][3][longest + 1]uint32 // by goroutine and phase
}

// longest time, in nanoseconds, that is told apart.
const longest = 1 << 17

func startQueries(c *corpus, l *index.Live) *querying {
	q := &querying{}
	for i := range q.took {
		qs, took := c.queries("sub", true), &q.took[i]
		q.wg.Go(func() {
			for i := 0; ; i++ {
				phase := q.phase.Load()
				if phase < 0 {
					return
				}
				start := time.Now()
				l.View().Cover(qs[i%len(qs)])
				took[phase][min(time.Since(start), longest)]++
			}
		})
	}
	return q
}

func (q *querying) stop() {
	q.phase.Store(-1)
	q.wg.Wait()
}

// percentile is the time that one look-up in ten thousand exceeds, in ns.
func (q *querying) percentile(phase int) (ns float64) {
	var n, seen uint64
	for ns := range longest + 1 {
		n += uint64(q.took[0][phase][ns]) + uint64(q.took[1][phase][ns])
	}
	for ns := range longest + 1 {
		if seen += uint64(q.took[0][phase][ns]) + uint64(q.took[1][phase][ns]); seen*10_000 >= n*9999 {
			return float64(ns)
		}
	}
	return longest
}
