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
		corpus.WriteFilings(w, *n)
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
