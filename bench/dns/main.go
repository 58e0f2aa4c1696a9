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
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/icpgate/icpgate/bench/rig"
)

// options are what the command line says.
type options struct {
	world   world
	coredns string
	only    string
	sets    []string
	rounds  int
	run     time.Duration
	prepare bool
}

func main() {
	o := options{}
	flag.StringVar(&o.world.dir, "dir", "bin/bench-dns", "directory for `files`")
	flag.IntVar(&o.world.filings, "filings", 5_000_000, "filings in the registry")
	flag.IntVar(&o.world.rpz, "rpz", 1_000_000, "names in the policy of servers that take it as RPZ")
	flag.IntVar(&o.world.hot, "hot", 100_000, "names that are asked for")
	flag.StringVar(&o.coredns, "coredns", "bin/coredns", "`program` with the icp directive")
	flag.StringVar(&o.only, "only", "", "measure only the groups with this `server`")
	flag.IntVar(&o.rounds, "rounds", 5, "runs of each server and set; the median counts")
	flag.DurationVar(&o.run, "run", 3*time.Second, "length of a run")
	flag.BoolVar(&o.prepare, "prepare", false, "only write the files")
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
	for _, group := range kinds(o.coredns) {
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
	for _, set := range o.sets {
		if err := o.set(servers, rows, set); err != nil {
			return err
		}
	}
	for i, s := range servers {
		o.print(s, rows[i], rows[0])
	}
	return nil
}

// row is what was measured of a server, by set.
type row struct {
	cost  map[string][]float64 // CPU-µs per query
	wrong map[string]float64
}

// set measures all servers of a group with one set of queries.
func (o options) set(servers []*server, rows []row, set string) error {
	queries := make([][][]byte, len(servers))
	for i, s := range servers {
		file := o.world.queries(set, s.kind.filings(o.world))
		var err error
		if queries[i], err = readQueries(file); err != nil {
			return err
		}
		if err := s.warm(queries[i]); err != nil {
			return err
		}
		wrong, err := s.wrong(file, set)
		if err != nil {
			return err
		}
		if wrong > 0 && s.kind.ours {
			return fmt.Errorf("%s answers %.1f %% of set %s wrongly", s.kind.name, 100*wrong, set)
		}
		if rows[i].cost == nil {
			rows[i] = row{cost: map[string][]float64{}, wrong: map[string]float64{}}
		}
		rows[i].wrong[set] = wrong
	}
	for range o.rounds {
		for i, s := range servers {
			cost, err := s.measure(queries[i], o.run)
			if err != nil {
				return err
			}
			rows[i].cost[set] = append(rows[i].cost[set], cost)
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
	fmt.Print("\n|---|---|---|---|", strings.Repeat("---|", len(o.sets)), "\n")
}

func (o options) print(s *server, r, none row) {
	names := "-"
	if s.kind.policy {
		names = fmt.Sprint(s.kind.filings(o.world))
	}
	fmt.Printf("| %s | %s | %.1f | %d |", s.kind.name, names, s.loadTime.Seconds(), s.rss())
	for _, set := range o.sets {
		fmt.Printf(" %.2f", rig.Median(r.cost[set]))
		if ratios := ratiosOf(r.cost[set], none.cost[set]); rig.Median(ratios) != 1 {
			fmt.Printf(" (%+.1f %%)", 100*(rig.Median(ratios)-1))
		}
		if w := r.wrong[set]; w > 0 {
			fmt.Printf(" (%.0f %% wrong)", 100*w)
		}
		fmt.Print(" |")
	}
	fmt.Println()
}

// ratiosOf compares the runs of one round with each other.
func ratiosOf(cost, none []float64) []float64 {
	ratios := make([]float64, len(cost))
	for i := range cost {
		ratios[i] = cost[i] / none[i]
	}
	return ratios
}
