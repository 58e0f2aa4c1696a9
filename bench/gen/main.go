// Command gen writes a made-up registry as an import file, or names to ask a
// server for, always the same for the same arguments:
//
//	go run ./bench/gen -n 5000000 > filings.csv
//	go run ./bench/gen -n 5000000 -queries 100000 > queries.txt   # for dnsperf: NAME A
package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/icpgate/icpgate/bench/corpus"
)

func main() {
	n := flag.Int("n", 1_000_000, "filings")
	queries := flag.Int("queries", 0, "write this many queries instead of the filings")
	seed := flag.Uint64("seed", 1, "of the queries")
	flag.Parse()
	w := bufio.NewWriterSize(os.Stdout, 1<<20)
	if *queries > 0 {
		writeQueries(w, *n, *queries, *seed)
	} else {
		writeFilings(w, *n)
	}
	if err := w.Flush(); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

// writeQueries writes names as dnsperf reads them.
func writeQueries(w io.Writer, filings, n int, seed uint64) {
	q := corpus.NewQueries(filings, seed)
	for range n {
		fmt.Fprintf(w, "%s A\n", q.Next())
	}
}

// writeFilings writes one CSV row for each access of each filing.
func writeFilings(w io.Writer, n int) {
	fmt.Fprintln(w, "domain,number,entity_number,entity_name,entity_nature,site_name,status,filed_at,updated_at,provider,access_status")
	for i := range n {
		f := corpus.Filing(i)
		row := fmt.Sprintf("%s,%s,%s,%s,%s,%s,%s,%s,%s", f.Site.Domains[0], f.Site.Number, f.Entity.Number, f.Entity.Name,
			f.Entity.Nature, f.Site.Name, f.Status, f.Site.FiledAt.Format("2006-01-02"), f.UpdatedAt.Format("2006-01-02"))
		switch {
		case !f.AccessesKnown:
			fmt.Fprintf(w, "%s,,\n", row)
		case len(f.Accesses) == 0:
			fmt.Fprintf(w, "%s,none,\n", row)
		}
		for _, a := range f.Accesses {
			fmt.Fprintf(w, "%s,%s,%s\n", row, a.Provider, a.Status)
		}
	}
}
