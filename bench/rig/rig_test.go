package rig_test

import (
	"bufio"
	"os"
	"path/filepath"
	"testing"

	"github.com/icpgate/icpgate/bench/rig"
)

func TestMedian(t *testing.T) {
	for _, tt := range []struct {
		values []float64
		want   float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{5, 1}, 3}, {[]float64{9, 1, 2}, 2}} {
		if got := rig.Median(tt.values); got != tt.want {
			t.Errorf("%v: got %v; want %v", tt.values, got, tt.want)
		}
	}
}

// TestWriteOnce: what is there stays as it is.
func TestWriteOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	for _, text := range []string{"first", "second"} {
		if err := rig.WriteOnce(path, func(b *bufio.Writer) { b.WriteString(text) }); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "first" {
		t.Errorf("got %q, %v; want the first", got, err)
	}
}

// TestSockets: a socket of this process is among its own.
func TestSockets(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	if got := rig.Sockets(os.Getpid()); len(got) < 3 {
		t.Errorf("got %v; want this process's links", got)
	}
}
