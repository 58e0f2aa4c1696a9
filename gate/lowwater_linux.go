package gate

import (
	"net"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// lowWater spares a splice the wakings that bring it little. The system wakes a
// reader for every segment, also while it waits for room at the other end; of a
// body that comes fast it does so once lowMark bytes are there, or the end.
//
// Nobody waits for what is long in coming: the mark is set only while as much of
// the body is to come, and has come at that pace so far, and it is taken back when
// something has been awaited for lowWait. The zero value sets no mark. But for
// late it is used by one goroutine.
type lowWater struct {
	src   *side     // nil where there is no mark
	left  int64     // of the body
	seen  int64     // bytes since since
	since time.Time // the pace is measured from
	fast  bool
	set   bool        // the mark is
	late  atomic.Bool // the timer has taken the mark back
	timer *time.Timer // while something is awaited; nil before the first time
}

const (
	// lowMark is a good part of what a pipe holds: with twice as much, waking
	// costs no less.
	lowMark = 256 << 10
	// lowWait makes a body fast that comes with 13 MB/s, more than a line of 100
	// Mbit/s carries. It is how long a byte may be held back where such a body halts.
	// With 2 ms the mark came and went on a busy machine, and gained a third as much.
	lowWait = 20 * time.Millisecond
)

// begin is called before a body of which left bytes are to come; below 0 is
// unknown, and then there is no mark, since the last bytes would be held back.
func (w *lowWater) begin(src *side, left int64) {
	if _, tcp := src.Conn.(*net.TCPConn); tcp && left >= 2*lowMark {
		w.src, w.left, w.since = src, left, time.Now()
	}
}

// before is called with the connection before it is read.
func (w *lowWater) before(fd int) {
	if w.src == nil {
		return
	}
	if w.late.CompareAndSwap(true, false) {
		w.mark(fd, 1)
		w.fast, w.since, w.seen = false, time.Now(), 0
	}
	if high := w.fast && w.left >= lowMark; high && !w.set {
		w.mark(fd, lowMark)
	} else if w.set && !high {
		w.mark(fd, 1)
	}
}

func (w *lowWater) mark(fd, n int) {
	err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVLOWAT, n)
	w.set = n > 1 && err == nil
}

// awaits is called when there was nothing to read.
func (w *lowWater) awaits() {
	switch {
	case !w.set:
	case w.timer == nil:
		w.timer = time.AfterFunc(lowWait, w.expire)
	default:
		w.timer.Reset(lowWait)
	}
}

// expire takes the mark back, by which the system wakes the reader for what there
// is.
func (w *lowWater) expire() {
	w.late.Store(true)
	w.takeBack()
}

func (w *lowWater) takeBack() {
	_ = w.src.raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVLOWAT, 1)
	})
}

// came is called when something was read.
func (w *lowWater) came() {
	if w.timer != nil {
		w.timer.Stop()
	}
}

// passed notes bytes that have been passed on.
func (w *lowWater) passed(n int64) {
	if w.src == nil {
		return
	}
	w.left -= n
	if w.seen += n; w.seen < lowMark {
		return
	}
	now := time.Now()
	w.fast = now.Sub(w.since) <= time.Duration(w.seen)*lowWait/lowMark
	w.since, w.seen = now, 0
}

// end leaves the connection as it was, for who reads next.
func (w *lowWater) end() {
	w.came()
	if w.set {
		w.takeBack()
	}
}
