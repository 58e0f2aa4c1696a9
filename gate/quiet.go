package gate

import "runtime/debug"

// quiet gives memory back to the system when clients have fallen silent: what the
// last ones have used is garbage then, and the stacks of those that wait are
// larger than they need. Without it, the next collection would come after minutes
// only.
type quiet struct {
	seen   uint64 // heads that had been read at the last look
	given  uint64 // heads that had been read when memory was given back
	looks  int    // for how many looks nothing has come
	giving func()
}

// quietLooks is for how many looks it must have been quiet.
const quietLooks = 3

// look is told how many heads have been read so far, every watchEvery.
func (q *quiet) look(heads uint64) {
	if heads != q.seen {
		q.seen, q.looks = heads, 0
		return
	}
	if q.looks++; q.looks < quietLooks || heads == q.given {
		return
	}
	q.given = heads
	q.giving()
}

// giveMemoryBack collects twice: stacks halve once a collection.
func giveMemoryBack() {
	debug.FreeOSMemory()
	debug.FreeOSMemory()
}
