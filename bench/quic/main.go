//go:build linux

// Command quic measures what icp-gate costs where it passes QUIC through: CPU-µs
// of its process for each datagram that begins a connection and for each that is
// forwarded, beside a bare relay in C, in one run; and whether filed connections
// succeed in a flood of forged ones.
//
//	go run ./bench/quic -gate bin/icp-gate
//
// The gate runs on one core and the load on another, so two cores are needed, and
// Linux. README.md says what is compared and what came out.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/icpgate/icpgate/bench/rig"
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
	size      int
	flood     time.Duration
	rate      int
	ops       []string
}

func main() {
	fatal(rig.PinSelf(loadCore, "ICPGATE_BENCH_PINNED"))
	var o options
	flag.StringVar(&o.dir, "dir", "bin/bench-quic.files", "directory for `files`")
	flag.StringVar(&o.gate, "gate", "bin/icp-gate", "`program` to measure")
	flag.IntVar(&o.filings, "filings", 1_000_000, "filings in the registry")
	flag.IntVar(&o.rounds, "rounds", 5, "runs of each operation; the median counts")
	flag.DurationVar(&o.run, "run", time.Second, "length of a run")
	flag.IntVar(&o.size, "size", 1250, "`bytes` of a datagram that is forwarded")
	flag.DurationVar(&o.flood, "flood", 30*time.Second, "length of each flood; 0 is none")
	flag.IntVar(&o.rate, "rate", 100_000, "forged datagrams a second")
	names := flag.String("ops", strings.Join(opNames(), ","), "what to measure")
	flag.Parse()
	o.ops = strings.FieldsFunc(*names, func(r rune) bool { return r == ',' })
	fatal(o.bench())
}

func fatal(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "quic:", err)
		os.Exit(1)
	}
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
	w, err := o.start(taskset(gateCore))
	if err != nil {
		return err
	}
	defer w.stop()
	if err := o.table(w); err != nil || o.flood == 0 {
		return err
	}
	return o.floods(w)
}

// table measures all operations in turn, round after round, so that a change of
// the machine's pace meets all of them.
func (o options) table(w *world) error {
	costs := map[string][]float64{}
	for round := range o.rounds + 1 { // the first warms up
		for _, op := range ops {
			if !slices.Contains(o.ops, op.name) || w.missing(op) != "" {
				continue
			}
			cost, err := op.cost(o, w)
			if err != nil {
				return fmt.Errorf("%s: %w", op.name, err)
			}
			if round > 0 {
				costs[op.name] = append(costs[op.name], cost)
			}
		}
	}
	fmt.Println("| operation | CPU-µs | bare relay | ratio | bar |\n|---|---|---|---|---|")
	for _, op := range ops {
		cost := rig.Median(costs[op.name])
		switch {
		case !slices.Contains(o.ops, op.name) || op.relay:
		case op.beside == "":
			fmt.Printf("| %s | %.2f | | | %s |\n", op.title, cost, op.bar)
		case len(costs[op.beside]) == 0:
			fmt.Printf("| %s | %.2f | skipped, %s | | %s |\n", op.title, cost, w.missing(opNamed(op.beside)), op.bar)
		default:
			beside := rig.Median(costs[op.beside])
			fmt.Printf("| %s | %.2f | %.2f | %.2f | %s |\n", op.title, cost, beside, cost/beside, op.bar)
		}
	}
	return nil
}
