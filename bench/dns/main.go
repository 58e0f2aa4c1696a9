//go:build linux

// Command dns measures what the policy costs in name servers: CPU-µs of the
// server process per query under load, with and without it, in one run.
//
//	go run ./bench/dns -coredns bin/coredns
//
// Servers run on one core and the load on another, so two cores are needed, and
// Linux. README.md says what is compared and what came out.
package main

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/icpgate/icpgate/bench/rig"
)

// options are what the command line says.
type options struct {
	world   world
	coredns string
	before  string
	only    string
	sets    []string
	rounds  int
	run     time.Duration
	prepare bool
	each    bool
	lowest  bool
}

func main() {
	o := options{}
	flag.StringVar(&o.world.dir, "dir", "bin/bench-dns", "directory for `files`")
	flag.IntVar(&o.world.filings, "filings", 5_000_000, "filings in the registry")
	flag.IntVar(&o.world.rpz, "rpz", 1_000_000, "names in the policy of servers that take it as RPZ")
	flag.IntVar(&o.world.hot, "hot", 100_000, "names that are asked for")
	flag.StringVar(&o.coredns, "coredns", "bin/coredns", "`program` with the icp directive")
	flag.StringVar(&o.before, "before", "", "another `program` with the directive, such as an older build, to measure beside it")
	flag.StringVar(&o.only, "only", "", "measure only the groups with this `server`")
	flag.IntVar(&o.rounds, "rounds", 5, "runs of each server and set; the median counts")
	flag.DurationVar(&o.run, "run", 3*time.Second, "length of a run")
	flag.BoolVar(&o.prepare, "prepare", false, "only write the files")
	flag.BoolVar(&o.each, "each", false, "also write the figure of each run, to the standard error")
	flag.BoolVar(&o.lowest, "lowest", false, "the lowest run counts, not the median: for a machine that others use, who can only make runs dearer")
	list := flag.String("sets", strings.Join(sets, ","), "sets of queries")
	flag.Parse()
	o.sets = strings.Split(*list, ",")
	if err := o.bench(); err != nil {
		fmt.Fprintln(os.Stderr, "dns:", err)
		os.Exit(1)
	}
}

func (o options) bench() error {
	for _, set := range o.sets {
		if !slices.Contains(sets, set) {
			return fmt.Errorf("-sets: unknown set %q; there are %s", set, strings.Join(sets, ", "))
		}
	}
	var err error
	if o.world.dir, err = filepath.Abs(o.world.dir); err != nil { // servers look for files from a directory of their own
		return err
	}
	if err := o.world.prepare(); err != nil || o.prepare {
		return err
	}
	for _, tool := range []string{"taskset"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("%s is missing (on Debian: apt-get install util-linux)", tool)
		}
	}
	upstream, err := serveUpstream()
	if err != nil {
		return err
	}
	o.head()
	for _, group := range kinds(o.coredns, o.before) {
		if o.only != "" && !slices.ContainsFunc(group, func(k kind) bool { return k.name == o.only }) {
			continue
		}
		if err := o.group(group, upstream); err != nil {
			return err
		}
	}
	return nil
}

// group measures servers against each other: they run side by side and get the
// load in turn, so that a change of the machine's pace meets all of them.
func (o options) group(group []kind, upstream int) error {
	var servers []*server
	defer func() {
		for _, s := range servers {
			s.stop()
		}
	}()
	for _, k := range group {
		if k.missing() {
			fmt.Printf("%s: skipped, %s is not installed\n", k.name, k.program)
			return nil
		}
		s, err := start(k, o.world, upstream)
		if err != nil {
			return err
		}
		servers = append(servers, s)
	}
	rows := make([]row, len(servers))
	for i, s := range servers {
		rows[i] = row{queries: map[string][][]byte{}, cost: map[string][]float64{}, wrong: map[string]float64{}}
		for _, set := range o.sets {
			if err := rows[i].prepare(s, o.world.queries(set, s.kind.filings(o.world)), set); err != nil {
				return err
			}
		}
	}
	for n := range o.rounds {
		if err := o.round(n, servers, rows); err != nil {
			return err
		}
	}
	for i, s := range servers {
		blocks, passes := rows[i].cost["block"], rows[i].cost["pass"]
		if s.kind.unfiled {
			blocks, passes = passes, rows[i-1].cost["pass"] // the same names, which pass there
		}
		o.print(s, rows[i], rows[0], o.more(blocks, passes))
	}
	return nil
}

// row is what is asked of a server and was measured, by set.
type row struct {
	queries map[string][][]byte
	cost    map[string][]float64 // CPU-µs per query, a run each
	wrong   map[string]float64
}

// prepare warms the server for a set of queries and looks at its answers.
func (r row) prepare(s *server, file, set string) (err error) {
	if r.queries[set], err = readQueries(file); err != nil {
		return err
	}
	if err := s.warm(r.queries[set]); err != nil {
		return err
	}
	if r.wrong[set], err = s.wrong(file, set); err != nil {
		return err
	}
	if r.wrong[set] > 0 && s.kind.ours {
		return fmt.Errorf("%s answers %.1f %% of set %s wrongly", s.kind.name, 100*r.wrong[set], set)
	}
	return nil
}

// round measures each set of queries with each of the servers once. Each time
// another one begins, so that none is always the first after another set.
func (o options) round(n int, servers []*server, rows []row) error {
	for _, set := range o.sets {
		for k := range servers {
			i := (k + n) % len(servers)
			s := servers[i]
			cost, err := s.measure(rows[i].queries[set], o.run)
			if err != nil {
				return err
			}
			rows[i].cost[set] = append(rows[i].cost[set], cost)
			if o.each {
				fmt.Fprintf(os.Stderr, "%s\t%s\t%.3f\n", s.kind.name, set, cost)
			}
			if err := s.owns(); err != nil || s.pidGone() {
				return errors.Join(err, fmt.Errorf("%s did not last", s.kind.name))
			}
		}
	}
	return nil
}

// head and print write a table in Markdown.
func (o options) head() {
	fmt.Print("| server | names | load s | RSS MiB |")
	for _, set := range o.sets {
		fmt.Printf(" %s |", set)
	}
	fmt.Print(" block to pass |\n|---|---|---|---|", strings.Repeat("---|", len(o.sets)+1), "\n")
}

func (o options) print(s *server, r, none row, blocked float64) {
	names := "-"
	if s.kind.policy {
		names = fmt.Sprint(s.kind.filings(o.world))
	}
	fmt.Printf("| %s | %s | %.1f | %d |", s.kind.name, names, s.loadTime.Seconds(), s.rss())
	for _, set := range o.sets {
		fmt.Printf(" %.2f", o.figure(r.cost[set]))
		if more := o.more(r.cost[set], none.cost[set]); more != 0 {
			fmt.Printf(" (%+.1f %%)", more)
		}
		if w := r.wrong[set]; w > 0 {
			fmt.Printf(" (%.0f %% wrong)", 100*w)
		}
		fmt.Print(" |")
	}
	if !math.IsNaN(blocked) {
		fmt.Printf(" %+.1f %%", blocked)
	}
	fmt.Println(" |")
}

// figure is the one that counts of several runs.
func (o options) figure(cost []float64) float64 {
	if o.lowest && len(cost) > 0 {
		return slices.Min(cost)
	}
	return rig.Median(cost)
}

// more is by how many per cent cost is above another: of the lowest runs, or the
// median of what the runs of one round say. It is no number if one of the two was
// not measured.
func (o options) more(cost, other []float64) float64 {
	if len(cost) == 0 || len(other) == 0 {
		return math.NaN()
	}
	if o.lowest {
		return 100 * (slices.Min(cost)/slices.Min(other) - 1)
	}
	ratios := make([]float64, len(cost))
	for i := range cost {
		ratios[i] = cost[i] / other[i]
	}
	return 100 * (rig.Median(ratios) - 1)
}
