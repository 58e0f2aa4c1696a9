package main

import "os"

// ballastSize is by how much the garbage of the process may grow beyond what the
// collector lets it by itself, at most. What connections leave behind is little
// beside it, and what lives of a gate is less: without it every few thousand
// connections would be collected, which takes a tenth of all its time.
const ballastSize = 64 << 20

// ballast is never touched, so no page of it is ever in memory. For the collector
// it lives: it lets as much garbage gather as there is that lives.
var ballast []byte

// takeBallast leaves alone whoever has said when to collect, by an environment
// variable of the Go runtime.
func takeBallast() {
	if os.Getenv("GOGC") == "" && os.Getenv("GOMEMLIMIT") == "" {
		ballast = make([]byte, ballastSize)
	}
}
