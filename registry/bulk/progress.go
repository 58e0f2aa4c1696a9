package bulk

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"
)

// Progress is how far an import is.
type Progress struct {
	File    string // being read; empty while filings are handed on
	Rows    int    // read so far
	Bytes   int64  // read so far, of all files
	Total   int64  // bytes of all files; 0 if it is unknown
	Filings int    // handed on so far
	Of      int    // filings there are; 0 while reading
}

// Meter shows progress on one line of a terminal. It is silent if the writer is
// no terminal. Not for concurrent use.
type Meter struct {
	w     io.Writer
	now   func() time.Time
	start time.Time
	last  time.Time
	shown bool
}

// meterPause is how often the line changes at most.
const meterPause = 200 * time.Millisecond

// NewMeter returns a meter that writes to w, by the clock now.
func NewMeter(w io.Writer, now func() time.Time) *Meter {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return &Meter{}
	}
	return newMeter(w, now)
}

func newMeter(w io.Writer, now func() time.Time) *Meter {
	return &Meter{w: w, now: now, start: now()}
}

// Show is an Options.Progress.
func (m *Meter) Show(p Progress) {
	if m.w == nil {
		return
	}
	now := m.now()
	if now.Sub(m.last) < meterPause {
		return
	}
	m.last, m.shown = now, true
	fmt.Fprintf(m.w, "\r\x1b[K%s", p.line(now.Sub(m.start)))
}

// Done ends the line.
func (m *Meter) Done() {
	if m.shown {
		fmt.Fprintln(m.w)
	}
}

// line says how far an import is after a time.
func (p Progress) line(took time.Duration) string {
	if p.Of > 0 {
		return fmt.Sprintf("%d of %d filings", p.Filings, p.Of)
	}
	s := fmt.Sprintf("%d rows", p.Rows)
	if sec := took.Seconds(); sec > 0 {
		s += fmt.Sprintf(", %.0f rows/s", float64(p.Rows)/sec)
	}
	if p.Total > 0 && p.Bytes > 0 {
		left := time.Duration(float64(took) * float64(max(p.Total-p.Bytes, 0)) / float64(p.Bytes))
		s += fmt.Sprintf(", %d %%, %s left", min(100, 100*p.Bytes/p.Total), left.Round(time.Second))
	}
	return s
}
