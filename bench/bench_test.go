// Package bench measures the whole way of a question, and a whole process. What
// belongs to one package is measured beside it; README.md has the figures.
package bench

import (
	"bufio"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/icpgate/icpgate/bench/corpus"
	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/index"
	"github.com/icpgate/icpgate/registry/place"
)

// names is how many filings the registry has: ICPGATE_BENCH_NAMES, default 100,000.
func names() int {
	if n, err := strconv.Atoi(os.Getenv("ICPGATE_BENCH_NAMES")); err == nil {
		return n
	}
	return 100_000
}

// file is the snapshot that all benchmarks use, and live the same, mapped.
var (
	file string
	live index.Live
)

func TestMain(m *testing.M) {
	if path := os.Getenv("ICPGATE_BENCH_MAP"); path != "" {
		answerOnce(path)
		return
	}
	dir, err := os.MkdirTemp("", "icpgate-bench")
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	file = filepath.Join(dir, "registry.icpidx")
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// load makes the registry, once a run.
func load(b *testing.B) {
	if live.Load() != nil {
		return
	}
	builder := index.NewBuilder(index.Options{})
	for i := range names() {
		if err := builder.Add(corpus.Filing(i)); err != nil {
			b.Fatal(err)
		}
	}
	x, err := builder.Build()
	if err != nil {
		b.Fatal(err)
	}
	if err := index.WriteFile(file, x); err != nil {
		b.Fatal(err)
	}
	if x, err = index.Map(file); err != nil {
		b.Fatal(err)
	}
	live.Swap(x)
}

// questions are names as a dns.Question has them, one after the other in memory.
func questions(n int, seed uint64) []string {
	q := corpus.NewQueries(names(), seed)
	all, ends := []byte(nil), make([]int, n)
	for i := range ends {
		all = append(append(all, q.Next()...), '.')
		ends[i] = len(all)
	}
	text, start := string(all), 0
	list := make([]string, n)
	for i, end := range ends {
		list[i], start = text[start:end], end
	}
	return list
}

// judge is the whole way: the name of a question in, a verdict out.
func judge(name string, q *registry.Query) (registry.Verdict, error) {
	d, err := registry.ParseDNSName(name)
	if err != nil {
		return registry.Verdict{}, err
	}
	q.Host.Name = d
	return registry.Decide(*q, live.View().Cover(d)), nil
}

// BenchmarkJudge asks from every core: with -cpu 1,2 the time on two is to be half
// of that on one. Where others use the cores, too, the time that the process had
// of them tells the same ("cpu-ns/op"): it is to be as long on two as on one.
func BenchmarkJudge(b *testing.B) {
	load(b)
	for heat, n := range map[string]int{"hot": 1000, "random": 1 << 20} {
		b.Run(heat, func(b *testing.B) {
			list := questions(n, 3)
			var blocked, first atomic.Int64
			b.ReportAllocs()
			b.ResetTimer()
			before := used()
			b.RunParallel(func(pb *testing.PB) {
				q := registry.Query{
					Place: registry.Mainland, Provider: "cloud-a", AddressProvider: "cloud-a", Product: registry.ECS,
					Profile: (*registry.Profiles)(nil).For("cloud-a"),
				}
				i, n := int(first.Add(7919))%len(list), int64(0)
				for pb.Next() {
					v, err := judge(list[i], &q)
					if err != nil {
						b.Error(err)
						return
					}
					if v.Block {
						n++
					}
					if i++; i == len(list) {
						i = 0
					}
				}
				blocked.Add(n)
			})
			b.ReportMetric(float64(used()-before)/float64(b.N), "cpu-ns/op")
			b.ReportMetric(100*float64(blocked.Load())/float64(b.N), "blocked-%")
		})
	}
}

// BenchmarkPlace is one look-up in the table of addresses: place, provider, product
// and region.
func BenchmarkPlace(b *testing.B) {
	table, err := place.Open(place.Config{})
	if err != nil {
		b.Fatal(err)
	}
	addrs := make([]netip.Addr, 1<<12)
	for i := range addrs {
		x := uint32(i+1) * 0x9e3779b9
		addrs[i] = netip.AddrFrom4([4]byte{1 + byte(x>>24)%222, byte(x >> 16), byte(x >> 8), byte(x)})
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		table.Lookup(addrs[i%len(addrs)])
	}
}

// BenchmarkSwap puts another snapshot in force; readers wait for nothing.
func BenchmarkSwap(b *testing.B) {
	load(b)
	var l index.Live
	other, err := index.Map(file)
	if err != nil {
		b.Fatal(err)
	}
	x := live.Load()
	for b.Loop() {
		x, other = other, x
		l.Swap(x)
	}
}

// BenchmarkStart is from the start of a process to the first answer it gives from
// a mapped file, checksums included.
func BenchmarkStart(b *testing.B) {
	load(b)
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), "ICPGATE_BENCH_MAP="+file)
		out, err := cmd.StdoutPipe()
		if err != nil {
			b.Fatal(err)
		}
		start := time.Now()
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		answer, err := bufio.NewReader(out).ReadString('\n')
		b.ReportMetric(float64(time.Since(start).Milliseconds()), "ms-to-answer")
		if answer != "1\n" {
			b.Fatalf("got %q, %v; want one filing", answer, err)
		}
		if err := cmd.Wait(); err != nil {
			b.Fatal(err)
		}
	}
}

// answerOnce is the process that BenchmarkStart starts.
func answerOnce(path string) {
	x, err := index.Map(path)
	if err != nil {
		fmt.Println(err)
		return
	}
	d, err := registry.ParseDomain("www." + corpus.Name(1))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(len(x.Cover(d).Filings))
}
