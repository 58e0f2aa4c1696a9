package bulk

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/icpgate/icpgate/registry"
)

// hander merges the rows of the store and hands filings on; for one goroutine.
type hander struct {
	*importer
	add    func(registry.Filing) error
	merger merger
	unpacker
	report *Report // of conflicts, warnings and filings
}

func (im *importer) hander(add func(registry.Filing) error) *hander {
	return &hander{
		importer: im, add: add, merger: merger{files: im.files},
		unpacker: unpacker{providers: im.store.providers.list},
	}
}

// chunk hands on the filings whose first row lies in a chunk.
func (h *hander) chunk(i int, to *Report, each func()) error {
	h.report, h.merger.conflict = to, to.conflict
	return h.store.each(i, &h.unpacker, func(rows []row) error {
		if err := h.ctx.Err(); err != nil {
			return err
		}
		if err := h.hand(rows); err != nil {
			return err
		}
		each()
		return nil
	})
}

// hand merges the rows of one key.
func (h *hander) hand(rows []row) error {
	f := h.merger.merge(rows)
	last := rows[len(rows)-1]
	file, line := h.files[last.file], int(last.line)
	if w, ok := undated(&f); ok {
		w.File, w.Line = file, line
		h.report.warn(w)
	}
	if err := h.add(f); err != nil {
		return fmt.Errorf("%s:%d: the filing could not be taken: %w", file, line, err)
	}
	h.report.Filings++
	return nil
}

// handOn hands all filings on in their order.
func (im *importer) handOn(add func(registry.Filing) error) error {
	im.beginHanding()
	h := im.hander(add)
	for i := range im.store.chunks {
		if err := h.chunk(i, &im.report, func() { im.handed(im.report.Filings) }); err != nil {
			return err
		}
		im.store.drop(i)
	}
	return nil
}

func (im *importer) beginHanding() {
	im.progress.File, im.progress.Of = "", im.store.heads
	im.store.full()
}

// handed tells of the progress when n filings are handed on.
func (im *importer) handed(n int) {
	im.progress.Filings = n
	if n%im.opts.ProgressEvery == 0 && im.opts.Progress != nil {
		im.opts.Progress(im.progress)
	}
}

// handedChunk is what came of one chunk.
type handedChunk struct {
	chunk  int
	report Report
	err    error
}

// share hands all filings on by several goroutines, chunk by chunk. Their reports
// are joined in the order of the chunks.
func (im *importer) share(adder func() func(registry.Filing) error) error {
	im.beginHanding()
	chunks := len(im.store.chunks)
	out := make(chan handedChunk, chunks)
	var (
		next  atomic.Int64
		stop  atomic.Bool
		group sync.WaitGroup
	)
	for range min(runtime.GOMAXPROCS(0), maxWorkers) {
		h := im.hander(adder())
		group.Go(func() {
			for i := int(next.Add(1)) - 1; i < chunks && !stop.Load(); i = int(next.Add(1)) - 1 {
				c := handedChunk{chunk: i, report: newReport(im.opts.Keep)}
				c.err = h.chunk(i, &c.report, func() {})
				stop.CompareAndSwap(false, c.err != nil)
				out <- c
			}
		})
	}
	go func() {
		group.Wait()
		close(out)
	}()
	err := im.collect(out)
	for range out {
		// what was under way when one of them failed
	}
	return err
}

// collect takes chunks in their order until there are no more, or one failed.
// Those that are begun are ended, so that none before a failed one is missing.
func (im *importer) collect(out <-chan handedChunk) error {
	early := map[int]handedChunk{}
	next := 0
	for c := range out {
		early[c.chunk] = c
		for c, ok := early[next]; ok; c, ok = early[next] {
			delete(early, next)
			before := im.report.Filings
			im.report.join(&c.report)
			for n := before + 1; n <= im.report.Filings; n++ {
				im.handed(n)
			}
			if c.err != nil {
				return c.err
			}
			im.store.drop(next)
			next++
		}
	}
	return nil
}
