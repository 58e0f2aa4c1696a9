package index

import (
	"runtime"
	"syscall"
)

// behindNice is how far work in the background stands back: a reader that is
// ready to run comes first.
const behindNice = 15

// standBack runs f and waits for it. The thread that it runs on stands back behind
// all others, and ends with it, since it may not come forward again.
func standBack(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()                                       // and never unlocks: the thread goes with the goroutine
		_ = syscall.Setpriority(syscall.PRIO_PROCESS, 0, behindNice) // where it may not, it is as it was
		done <- f()
	}()
	return <-done
}
