package api

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// long serves what takes long: reading and writing go on as long as something moves.
func (s *Service) long(do func(http.ResponseWriter, *http.Request) error) http.Handler {
	return s.lasts.handler(s.moves(do), true)
}

// moves is long without the end that the right to it may have.
func (s *Service) moves(do func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m := &moving{ResponseWriter: w, to: http.NewResponseController(w), body: r.Body}
		r.Body = m
		defer func() { _ = m.to.SetWriteDeadline(time.Now().Add(answerTime)) }() // for what is still to be flushed
		if err := do(m, r); err != nil {
			p := s.explained(err)
			if p.Status == http.StatusTooManyRequests {
				w.Header().Set("Retry-After", "10")
			}
			writeProblem(w, p.Status, p.Detail)
		}
	})
}

// Limits of what takes long. Only tests change them.
var (
	// leastRate is how many bytes of an answer a client must take in a second, on
	// average: 1 Mbit/s, as for fileTime. Whoever takes less would hold a transaction
	// of the database, and with it all that is written meanwhile, for ever.
	leastRate = 125_000
	// leastTime is how long a client may take for nothing.
	leastTime = answerTime
)

// errSlow ends an answer.
var errSlow = fmt.Errorf("the client takes less than %d bytes a second", leastRate)

// moving gives every read of a body, and every write of an answer, its time anew; and
// all writes together as much as they may take at the least rate. Time that the
// service needs between them is not the client's.
type moving struct {
	http.ResponseWriter
	to   *http.ResponseController
	body io.ReadCloser

	sent   int64         // bytes
	waited time.Duration // for the client
}

// Read implements io.Reader.
func (m *moving) Read(b []byte) (int, error) {
	_ = m.to.SetReadDeadline(time.Now().Add(bodyTime)) // where it is not supported there is none to set
	n, err := m.body.Read(b)
	if err != nil {
		// The server reads on to see whether the client is there; that must not end.
		_ = m.to.SetReadDeadline(time.Time{})
	}
	return n, err
}

// Close implements io.Closer.
func (m *moving) Close() error { return m.body.Close() }

// piece is how much is written at a time: at leastRate it goes in a third of
// answerTime, which a write has, however much is to be written together.
const piece = 1 << 20

// Write implements io.Writer.
func (m *moving) Write(b []byte) (n int, err error) {
	for {
		some := b[n:min(len(b), n+piece)]
		var sent int
		err = m.within(len(some), func() (err error) { sent, err = m.ResponseWriter.Write(some); return err })
		m.sent += int64(sent)
		if n += sent; err != nil || n == len(b) {
			return n, err
		}
	}
}

// Flush implements http.Flusher.
func (m *moving) Flush() {
	_ = m.within(0, m.to.Flush) // where it is not supported the answer comes at its end
}

// within sends n bytes in the time that there is.
func (m *moving) within(n int, send func() error) error {
	begun := time.Now()
	left := leastTime + time.Duration(float64(m.sent+int64(n))/float64(leastRate)*float64(time.Second)) - m.waited
	_ = m.to.SetWriteDeadline(begun.Add(min(left, answerTime)))
	defer m.to.SetWriteDeadline(time.Time{}) // HTTP/2 ends a stream whose time is over though nothing is written
	err := send()
	m.waited += time.Since(begun)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = fmt.Errorf("%w: %w", errSlow, err)
	}
	return err
}
