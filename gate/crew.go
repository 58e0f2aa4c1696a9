package gate

import (
	"sync"
	"sync/atomic"
)

// crew runs functions side by side. A goroutine that has done its work waits for
// more: a new one would have to grow its stack again for every connection, which
// costs as much as the hello of TLS. Make one with newCrew. All methods may be
// used concurrently.
type crew struct {
	work    chan func()
	done    chan struct{}
	waiting atomic.Int32
	all     sync.WaitGroup
}

// crewWaiting bounds those that wait: they hold some KiB of stack each.
const crewWaiting = 128

func newCrew() *crew {
	return &crew{work: make(chan func()), done: make(chan struct{})}
}

// run has f run in a goroutine of its own.
func (c *crew) run(f func()) {
	select {
	case c.work <- f:
	default:
		c.all.Go(func() { c.serve(f) })
	}
}

func (c *crew) serve(f func()) {
	for {
		f()
		if c.waiting.Add(1) > crewWaiting {
			c.waiting.Add(-1)
			return
		}
		select {
		case f = <-c.work:
			c.waiting.Add(-1)
		case <-c.done:
			c.waiting.Add(-1)
			return
		}
	}
}

// aside has f, which only waits, run in a goroutine that is new, and has the little
// stack they begin with.
func (c *crew) aside(f func()) {
	c.all.Add(1)
	go func() { // without defer, which would take some of the stack
		f()
		c.all.Done()
	}()
}

// end lets those go that wait; what runs, runs to its end.
func (c *crew) end() { close(c.done) }

// wait waits until all has run to its end. end must have been called.
func (c *crew) wait() { c.all.Wait() }
