// Package rig has what the benchmarks of whole programs share: files that are
// made once, the sockets of a process, and a median.
package rig

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/icpgate/icpgate/bench/corpus"
	"github.com/icpgate/icpgate/registry/index"
)

// WriteOnce writes a file beside and renames it, unless it is there.
func WriteOnce(path string, write func(*bufio.Writer)) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	f, err := os.Create(path + ".new")
	if err != nil {
		return err
	}
	defer f.Close()
	b := bufio.NewWriterSize(f, 1<<20)
	write(b)
	if err := b.Flush(); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// WriteSnapshot writes the registry of so many filings of the corpus from the
// first one on, unless it is there.
func WriteSnapshot(path string, first, filings int) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	b := index.NewBuilder(index.Options{MadeAt: time.Unix(1_700_000_000, 0)})
	for i := range filings {
		if err := b.Add(corpus.Filing(first + i)); err != nil {
			return err
		}
	}
	x, err := b.Build()
	if err != nil {
		return err
	}
	return index.WriteFile(path, x)
}

// Sockets are the links of a process's descriptors to its sockets, such as
// "socket:[4711]", among its other links. It is empty for a process that is no
// more.
func Sockets(pid int) map[string]bool {
	// The pattern is well-formed, which is all that Glob complains of.
	fds, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	links := map[string]bool{}
	for _, fd := range fds {
		if link, err := os.Readlink(fd); err == nil {
			links[link] = true
		}
	}
	return links
}

// Median returns the middle one of values, the mean of the two in the middle
// where their number is even, and 0 of none.
func Median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	mid := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[mid]
	}
	return (sorted[mid-1] + sorted[mid]) / 2
}
