// Command auth measures what icp-gate costs where it is asked: CPU-µs of its
// process for each question, of HAProxy over SPOP, of other proxies and programs
// over HTTP, and of Envoy over gRPC, in one run.
//
//	go run ./bench/auth -gate bin/icp-gate
//
// The gate runs on one core and the load on another, so two cores are needed, and
// Linux. README.md says what is compared and what came out.
package main

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/icpgate/icpgate/bench/corpus"
	"github.com/icpgate/icpgate/bench/rig"
	"github.com/icpgate/icpgate/registry"
)

// The gate has a core of its own.
const (
	gateCore = "0"
	loadCore = "1"
)

// options are what the command line says.
type options struct {
	dir, gate string
	filings   int
	rounds    int
	run       time.Duration
	ops       []string
}

func main() {
	fatal(rig.PinSelf(loadCore, "ICPGATE_BENCH_PINNED"))
	var o options
	flag.StringVar(&o.dir, "dir", "bin/bench-auth.files", "directory for `files`")
	flag.StringVar(&o.gate, "gate", "bin/icp-gate", "`program` to measure")
	flag.IntVar(&o.filings, "filings", 1_000_000, "filings in the registry")
	flag.IntVar(&o.rounds, "rounds", 5, "runs of each operation; the median counts")
	flag.DurationVar(&o.run, "run", time.Second, "length of a run")
	names := flag.String("ops", strings.Join(opNames(), ","), "what to measure")
	flag.Parse()
	o.ops = strings.Split(*names, ",")
	fatal(o.bench())
}

func fatal(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "auth:", err)
		os.Exit(1)
	}
}

// asked is a gate that is asked.
type asked struct {
	pid        int
	dir        string
	spoe, grpc string   // HOST:PORT
	spoeUnix   string   // a path
	grpcUnix   string   // the same
	auth       string   // HOST:PORT
	authUnix   string   // a path
	names      []string // filed, and pass
}

func (o options) bench() (err error) {
	for _, name := range o.ops {
		if !slices.Contains(opNames(), name) {
			return fmt.Errorf("-ops: unknown operation %q; there are %s", name, strings.Join(opNames(), ", "))
		}
	}
	if o.dir, err = filepath.Abs(o.dir); err == nil {
		err = os.MkdirAll(o.dir, 0o755)
	}
	if err != nil {
		return err
	}
	g, stop, err := o.start()
	if err != nil {
		return err
	}
	defer stop()
	return o.table(g)
}

// hosts is how many names are asked for.
const hosts = 1000

// names are filed ones that pass.
func (o options) names() (list []string) {
	for i := 0; len(list) < hosts; i++ {
		if n := i * 997 % o.filings; corpus.Filing(n).Status == registry.StatusNormal {
			list = append(list, "www."+corpus.Name(n))
		}
	}
	return list
}

// start starts the gate and waits until it answers.
func (o options) start() (g *asked, stop func(), err error) {
	snapshot := filepath.Join(o.dir, fmt.Sprintf("registry-%d.icp", o.filings))
	if err := rig.WriteSnapshot(snapshot, 0, o.filings); err != nil {
		return nil, nil, err
	}
	g = &asked{dir: o.dir, spoe: freeAddr(), grpc: freeAddr(), spoeUnix: filepath.Join(o.dir, "spoe.sock"), grpcUnix: filepath.Join(o.dir, "grpc.sock"),
		auth: freeAddr(), authUnix: filepath.Join(o.dir, "auth.sock"), names: o.names()}
	conf := filepath.Join(o.dir, "gate.conf")
	text := ""
	for _, keys := range []string{"spoe://" + g.spoe + " spoe://unix:" + g.spoeUnix, "grpc://" + g.grpc + " grpc://unix:" + g.grpcUnix, "auth://" + g.auth + " auth://unix:" + g.authUnix} {
		text += fmt.Sprintf("%s {\n    icp {\n        registry %s\n    }\n    serves mainland\n    peers 127.0.0.1\n}\n", keys, snapshot)
	}
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		return nil, nil, err
	}
	cmd := exec.Command("taskset", "-c", gateCore, o.gate, "-conf", conf)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	stop = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	g.pid = cmd.Process.Pid
	for _, addr := range []string{g.spoe, g.grpc, g.auth} {
		if err := await(addr); err != nil {
			stop()
			return nil, nil, err
		}
	}
	return g, stop, nil
}

// await waits until somebody listens.
func await(addr string) error {
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if c, err := net.Dial("tcp", addr); err == nil {
			return c.Close()
		}
	}
	return errors.New("nobody listens on " + addr)
}

// freeAddr is an address that nobody listens on.
func freeAddr() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	fatal(err)
	defer l.Close()
	return l.Addr().String()
}

// table measures all operations in turn, round after round, so that a change of
// the machine's pace meets all of them.
func (o options) table(g *asked) error {
	costs := map[string][]float64{}
	for round := range o.rounds + 1 { // the first warms up
		for _, op := range ops {
			if !slices.Contains(o.ops, op.name) || op.program != "" && !has(op.program) {
				continue
			}
			cost, err := rig.Cost(g.pid, func() (float64, error) { return op.load(o, g) })
			if err != nil {
				return fmt.Errorf("%s: %w", op.name, err)
			}
			if round > 0 {
				costs[op.name] = append(costs[op.name], cost)
			}
		}
	}
	fmt.Println("| operation | CPU-µs | bar |\n|---|---|---|")
	for _, op := range ops {
		switch list := costs[op.name]; {
		case len(list) > 0:
			fmt.Printf("| %s | %.2f | %s |\n", op.title, rig.Median(list), op.bar)
		case slices.Contains(o.ops, op.name):
			fmt.Printf("| %s | skipped, %s is not installed | |\n", op.title, op.program)
		}
	}
	return nil
}

func has(program string) bool {
	_, err := exec.LookPath(program)
	return err == nil
}
