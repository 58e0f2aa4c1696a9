package icp

import "sync"

// A query has a goroutine of its own. With the stack of 2 KiB that goroutines
// begin with it would have to grow under the verdict, and the runtime then walks
// and moves all frames above: that costs more than the verdict itself. The
// runtime begins stacks with what goroutines were found to use on average when
// it last collected garbage (GODEBUG=adaptivestackstart); a server at rest has
// mostly goroutines that use next to nothing. So some are kept that use what a
// query needs: as long as they are a good part of all, stacks begin with 8 KiB.
// Where that does not hold, stacks grow as before, and nothing else changes.
const (
	holders   = 192
	heldStack = 6400 // bytes; with the runtime's reserve it fits into 8 KiB
)

// holdStacks starts the goroutines, once in a process. They are there for every
// server block and every Corefile to come, and take 1.5 MiB.
var holdStacks = sync.OnceFunc(func() {
	for range holders {
		go hold()
	}
})

// hold keeps a stack in use for ever.
func hold() {
	var b [heldStack]byte
	fill(&b)
	select {}
}

//go:noinline
func fill(b *[heldStack]byte) { b[0] = 1 }
