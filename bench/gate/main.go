// Command gate measures what icp-gate costs beside nginx and HAProxy that do the
// same with a map of the filed names: CPU-µs of the proxy's processes for each
// request, connection or GB, in one run.
//
//	go run ./bench/gate -gate bin/icp-gate
//
// The proxy under load runs on one core, the load and the origin on another, so
// two cores are needed, and Linux. README.md says what is compared and what came
// out.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/icpgate/icpgate/bench/rig"
)

// options are what the command line says.
type options struct {
	world  world
	gate   string
	ops    []string
	only   []string
	rounds int
	run    time.Duration
	idle   int
}

func main() {
	if len(os.Args) == 5 && os.Args[1] == baselineCommand {
		fatal(baseline(os.Args[2], os.Args[3], os.Args[4]))
		return
	}
	fatal(rig.PinSelf(loadCore, "ICPGATE_BENCH_PINNED"))
	o := options{}
	flag.StringVar(&o.world.dir, "dir", "bin/bench-gate.files", "directory for `files`")
	flag.IntVar(&o.world.filings, "filings", 1_000_000, "filings in the registry, and names in the maps of the others")
	flag.StringVar(&o.gate, "gate", "bin/icp-gate", "`program` to measure")
	flag.BoolVar(&o.world.tuned, "tuned", false, "give nginx a megabyte of buffers for each connection, with which it moves bulk faster than as it ships")
	ops := flag.String("ops", strings.Join(opNames(), ","), "what to measure")
	only := flag.String("only", "", "measure these `proxies` alone")
	flag.IntVar(&o.rounds, "rounds", 5, "runs of each proxy and operation; the median counts")
	flag.DurationVar(&o.run, "run", 2*time.Second, "length of a run")
	flag.IntVar(&o.idle, "idle", 0, "measure the memory of so many idle connections instead")
	flag.Parse()
	o.ops = strings.Split(*ops, ",")
	if *only != "" {
		o.only = strings.Split(*only, ",")
	}
	fatal(o.bench())
}

func fatal(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "gate:", err)
		os.Exit(1)
	}
}

func (o options) bench() error {
	for _, name := range o.ops {
		if !slices.Contains(opNames(), name) {
			return fmt.Errorf("-ops: unknown operation %q; there are %s", name, strings.Join(opNames(), ", "))
		}
	}
	if _, err := exec.LookPath("wrk"); err != nil {
		return fmt.Errorf("wrk is missing (on Debian: apt-get install wrk)")
	}
	if err := o.world.prepare(); err != nil {
		return err
	}
	origin, err := serveOrigin(o.world)
	if err != nil {
		return err
	}
	defer origin.stop()
	proxies, err := o.start(origin)
	defer func() {
		for _, p := range proxies {
			p.stop()
		}
	}()
	if err != nil {
		return err
	}
	if o.idle > 0 {
		return o.idleTable(proxies)
	}
	return o.table(proxies)
}

// start starts the proxies that are there.
func (o options) start(origin *origin) (list []*proxy, err error) {
	for _, k := range kinds(o.gate) {
		if o.only != nil && !slices.Contains(o.only, k.name) {
			continue
		}
		if _, err := exec.LookPath(k.program); err != nil {
			fmt.Printf("%s: skipped, %s is not installed\n", k.name, k.program)
			continue
		}
		p, err := start(k, o.world, origin)
		if err != nil {
			return list, err
		}
		list = append(list, p)
	}
	return list, nil
}

// table measures all operations: proxies get the load in turn, so that a change
// of the machine's pace meets all of them.
func (o options) table(proxies []*proxy) error {
	fmt.Print("| operation |")
	for _, p := range proxies {
		fmt.Printf(" %s |", p.kind.name)
	}
	fmt.Print(" gate to better peer | bar |\n|---|", strings.Repeat("---|", len(proxies)+2), "\n")
	for _, op := range ops {
		if !slices.Contains(o.ops, op.name) {
			continue
		}
		costs, err := o.measure(op, proxies)
		if err != nil {
			return fmt.Errorf("%s: %w", op.name, err)
		}
		o.print(op, proxies, costs)
	}
	return nil
}

// measure returns the costs of an operation, by proxy; those of proxies that do
// not do it are empty.
func (o options) measure(op operation, proxies []*proxy) ([][]float64, error) {
	costs := make([][]float64, len(proxies))
	for round := range o.rounds + 1 { // the first warms up
		for i, p := range proxies {
			r := op.role
			if _, ok := p.ports[r]; !ok {
				r = op.orRole
			}
			port, ok := p.ports[r]
			if !ok {
				continue
			}
			if round == 0 {
				if err := p.check(r, o.world); err != nil {
					return nil, fmt.Errorf("%s: %w", p.kind.name, err)
				}
			}
			cost, err := p.cost(func() (float64, error) { return op.load(o, port) })
			if err != nil {
				return nil, fmt.Errorf("%s: %w", p.kind.name, err)
			}
			if round > 0 {
				costs[i] = append(costs[i], cost)
			}
		}
	}
	return costs, nil
}

func (o options) print(op operation, proxies []*proxy, costs [][]float64) {
	fmt.Printf("| %s |", op.title)
	gate, better := 0.0, 0.0
	for i, p := range proxies {
		m := rig.Median(costs[i])
		switch {
		case m == 0:
			fmt.Print(" - |")
			continue
		case p.kind.ours:
			gate = m
		case p.kind.peer && (better == 0 || m < better):
			better = m
		}
		fmt.Printf(" %.4g |", m)
	}
	if gate == 0 || better == 0 {
		fmt.Print(" - | - |\n")
		return
	}
	bar := "-"
	if op.bar > 0 {
		bar = fmt.Sprint(op.bar)
	}
	fmt.Printf(" %.2f | %s |\n", gate/better, bar)
}
