package main

import (
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// newBar shows on a terminal how far something long is, and on nothing else: bytes,
// or things. of is -1 where it is not known. The nil bar shows nothing.
func newBar(w io.Writer, what string, of int64, bytes bool) *bar {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return nil
	}
	return &bar{progressbar.NewOptions64(of,
		progressbar.OptionSetWriter(f), progressbar.OptionSetDescription(what), progressbar.OptionShowBytes(bytes), progressbar.OptionShowCount(),
		progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionSetWidth(30), progressbar.OptionClearOnFinish(), progressbar.OptionSpinnerType(14),
	)}
}

type bar struct{ b *progressbar.ProgressBar }

// Write implements io.Writer: so many bytes more are done.
func (b *bar) Write(p []byte) (int, error) {
	if b != nil {
		_ = b.b.Add(len(p)) // a terminal that is gone shows nothing
	}
	return len(p), nil
}

// at shows that done of so many are done.
func (b *bar) at(what string, done, of int) {
	if b == nil {
		return
	}
	b.b.Describe(what)
	if of > 0 && b.b.GetMax() != of {
		b.b.ChangeMax(of)
	}
	_ = b.b.Set(done)
}

// done takes the bar away.
func (b *bar) done() {
	if b != nil {
		_ = b.b.Finish()
		_ = b.b.Clear()
	}
}
