package gate

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// relay is two sides whose bytes go both ways, unread. It ends when both have
// ended, when one fails, or when neither has sent a byte for idle.
type relay struct {
	conn       *conn // whose bytes they are
	client, up *side
	ended      atomic.Int32 // directions
	idle       time.Duration
	last       atomic.Int64 // Unix nanoseconds of the last byte in either direction, or a little before
	renewed    atomic.Int64 // the same, of when the deadlines were set
	in, out    byteCounter
	retry      retry // of TLS
}

// run relays until the end, and closes both. in counts the bytes from the
// client, out those to it.
func (r *relay) run() {
	defer r.client.Close()
	defer r.up.Close()
	r.touch(time.Now())
	var back sync.WaitGroup
	back.Add(1)
	r.conn.crew.run(func() {
		defer back.Done()
		defer r.conn.contain(r.abort)
		defer r.retry.end()
		r.direction(r.client, r.up, r.out)
	})
	r.direction(r.up, r.client, r.in)
	back.Wait()
}

// direction moves what src sends to dst, and then its end.
func (r *relay) direction(dst, src *side, count byteCounter) {
	moved := func(n int64) error {
		count.Add(uint64(n))
		r.touch(time.Now())
		return nil
	}
	for watched := r.retry.rel != nil; ; {
		var err error
		if watched {
			err = r.retry.begin(src == r.up, moved)
		}
		if err == nil {
			watched = false
			_, err = pump(dst, src, -1, moved)
		}
		switch {
		case err == nil || err == io.EOF:
			// Closing sends the end of the last one, and both have been read to theirs.
			if r.ended.Add(1) < 2 && dst.closeWrite() != nil {
				r.abort()
			}
			return
		case errors.Is(err, os.ErrDeadlineExceeded) && r.quiet(time.Now()) < r.idle:
			// The other direction is alive; look again when this one may have been
			// silent for long enough.
			r.renew(time.Unix(0, r.last.Load()))
		case errors.Is(err, os.ErrDeadlineExceeded):
			// Whichever direction sees it first, what waits for a taker is not kept.
			for _, s := range []*side{r.client, r.up} {
				if tcp, ok := s.Conn.(*net.TCPConn); ok && untaken(tcp) {
					endsByReset(tcp)
				}
			}
			r.abort()
			return
		default:
			r.abort()
			return
		}
	}
}

// touch notes a byte. The deadlines are set anew once in a while only: a timer
// costs more than a call of the system.
func (r *relay) touch(now time.Time) {
	if now.UnixNano()-r.renewed.Load() > int64(r.idle/8) {
		r.renew(now)
	}
	if old := r.last.Load(); now.UnixNano()-old > int64(r.idle/64) {
		r.last.Store(now.UnixNano())
	}
}

func (r *relay) renew(now time.Time) {
	r.renewed.Store(now.UnixNano())
	t := now.Add(r.idle)
	_ = r.client.SetDeadline(t)
	_ = r.up.SetDeadline(t)
}

func (r *relay) quiet(now time.Time) time.Duration { return now.Sub(time.Unix(0, r.last.Load())) }

// abort ends both directions; what was not sent yet is lost, as it is where one
// end resets.
func (r *relay) abort() {
	r.client.Close()
	r.up.Close()
}
