package main

import "os"

// ballastSize is by how much the garbage of the process may grow beyond what the
// collector lets it by itself, at most. What connections leave behind is little
// beside it, and what lives of a gate is less: without it every few thousand
// connections would be collected, which takes a tenth of all its time.
const ballastSize = 64 << 20

// takeBallast returns memory that is never touched, so that no page of it is ever
// there. For the collector it lives, as long as it is kept: it lets as much garbage
// gather as there is that lives. It returns none where somebody has said when to
// collect, by an environment variable of the Go runtime.
func takeBallast() []byte {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return nil
	}
	return make([]byte, ballastSize)
}
