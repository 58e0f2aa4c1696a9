package bulk

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/icpgate/icpgate/registry"
)

// Options say how files are read. The zero value finds everything out.
type Options struct {
	Format   Format
	Encoding Encoding
	// Strict: the first bad row ends the import with an error.
	Strict bool
	// Refused receives the refused rows as CSV with the columns file, line,
	// column, value (quoted as in Go), reason, hint. Optional.
	Refused io.Writer
	// Progress is called at most every ProgressEvery rows, by the goroutine that
	// called Import. Optional.
	Progress      func(Progress)
	ProgressEvery int // rows; default 10,000
	// Keep is how many entries the lists of the report hold at most; default 1000.
	Keep int
	// Now is the time by which a day is in the future, of which a warning tells.
	// Zero: no day is.
	Now time.Time
	// Stdin is what the file "-" stands for; default os.Stdin.
	Stdin io.Reader
	// Open opens a file; default os.Open. It is for files that have other names here
	// than with those who are told of them.
	Open func(name string) (*os.File, error)
}

// importer is one run of Import: what happens to rows once they are read.
type importer struct {
	ctx      context.Context
	opts     Options
	report   Report
	store    *store
	files    []string
	progress Progress
	unknown  map[unknownName]bool // columns and keys that were warned of
}

type unknownName struct {
	file uint16
	name string
}

// Import reads files in their order, merges the rows and hands each filing to
// add, in the order in which their keys were first seen. add may keep the
// filing; it is called by the goroutine that called Import. "-" is the standard
// input. Rows that are refused are in the report.
//
// An error tells that a file could not be read or is of no known form, that
// add failed, that ctx ended, or with Strict that a row is bad (a *RowError):
// what was handed on is not to be used. Except for an error of add, or of ctx,
// nothing was. The report is valid in each case. Import returns when the Read
// that is under way does.
func Import(ctx context.Context, files []string, opts Options, add func(registry.Filing) error) (Report, error) {
	return run(ctx, files, opts, func(im *importer) error { return im.handOn(add) })
}

// ImportShared is Import with as many goroutines handing filings on as there are
// cores. Each calls an add of its own, which adder makes, so that none needs a
// lock; filings come in no order. The report is that of Import.
func ImportShared(ctx context.Context, files []string, opts Options, adder func() func(registry.Filing) error) (Report, error) {
	return run(ctx, files, opts, func(im *importer) error { return im.share(adder) })
}

func run(ctx context.Context, files []string, opts Options, handOn func(*importer) error) (Report, error) {
	if len(files) == 0 {
		return Report{}, errors.New("no file to import")
	}
	if len(files) > math.MaxUint16 {
		return Report{}, fmt.Errorf("%d files; import at most %d at once", len(files), math.MaxUint16)
	}
	im := newImporter(ctx, files, opts)
	err := im.readAll()
	if refused := im.report.closeRefused(); err == nil {
		err = refused
	}
	if err == nil {
		err = handOn(im)
	}
	return im.report, err
}

func newImporter(ctx context.Context, files []string, opts Options) *importer {
	if opts.ProgressEvery <= 0 {
		opts.ProgressEvery = 10_000
	}
	if opts.Keep <= 0 {
		opts.Keep = 1000
	}
	if opts.Stdin == nil {
		opts.Stdin = os.Stdin
	}
	im := &importer{ctx: ctx, opts: opts, store: newStore(), files: files, unknown: map[unknownName]bool{}}
	im.report = newReport(opts.Keep)
	im.report.Files = make([]FileReport, len(files))
	for i, name := range files {
		im.report.Files[i].Name = name
	}
	if opts.Refused != nil {
		im.report.refusedTo = csv.NewWriter(opts.Refused)
	}
	return im
}

// readAll runs the reader, the parsers, and itself keeps what they make, in the
// order of the files. All of them have ended when it returns.
func (im *importer) readAll() error {
	im.progress.Total = im.opts.totalSize(im.files)
	ctx, cancel := context.WithCancel(im.ctx)
	defer cancel()
	workers := min(runtime.GOMAXPROCS(0), maxWorkers)
	p := newPipe(ctx, 2*workers+2)
	var group sync.WaitGroup
	for range workers {
		w := worker{parser: parser{now: im.opts.Now}, packer: packer{providers: im.store.providers}, seed: im.store.seed}
		group.Go(func() { w.work(p.work) })
	}
	in := reader{pipe: p, opts: &im.opts, files: im.files, reports: make([]FileReport, len(im.files))}
	var readErr error
	group.Go(func() {
		defer p.close()
		readErr = in.all()
	})
	err := im.keepAll(p)
	cancel()
	for range p.order {
		// what the reader had sent when a row ended the import
	}
	group.Wait()
	for i, r := range in.reports {
		im.report.Files[i].Format, im.report.Files[i].Encoding = r.Format, r.Encoding
	}
	if err == nil {
		err = readErr
	}
	return err
}

// totalSize returns the bytes of all files, 0 unless all are regular.
func (o *Options) totalSize(files []string) int64 {
	total := int64(0)
	for _, name := range files {
		info, err := o.stat(name)
		if name == "-" || err != nil || !info.Mode().IsRegular() {
			return 0
		}
		total += info.Size()
	}
	return total
}

func (o *Options) stat(name string) (os.FileInfo, error) {
	if o.Open == nil {
		return os.Stat(name) // to open a pipe would wait for who writes it
	}
	f, err := o.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Stat()
}

func (o *Options) open(name string) (*os.File, error) {
	if o.Open == nil {
		return os.Open(name)
	}
	return o.Open(name)
}

// keepAll takes the batches in the order of the files.
func (im *importer) keepAll(p *pipe) error {
	for b := range p.order {
		<-b.parsed
		im.progress.File, im.progress.Bytes = im.files[b.file], b.bytes
		from := 0
		for i := range b.results {
			res := &b.results[i]
			if err := im.keep(res, b.packed[from:res.end], b.file); err != nil {
				return err
			}
			from = res.end
		}
		p.free <- b
	}
	return nil
}

// keep counts a row and keeps it, or refuses it.
func (im *importer) keep(res *result, packed []byte, file uint16) error {
	if res.more != nil {
		for _, name := range res.more.unknown {
			im.warnUnknown(name, file, res.line)
		}
		if res.more.header {
			return nil
		}
	}
	im.report.Rows++
	im.report.Files[file].Rows++
	im.progress.Rows = im.report.Rows
	if im.report.Rows%im.opts.ProgressEvery == 0 && im.opts.Progress != nil {
		im.opts.Progress(im.progress)
	}
	if err := im.ctx.Err(); err != nil {
		return err
	}
	if res.more != nil {
		if res.more.refused != nil {
			return im.refuse(res.more.refused, im.files[file], res.line)
		}
		for _, w := range res.more.warnings {
			im.warn(w, im.files[file], res.line)
		}
	}
	how, err := im.store.add(packed, res.hash, place{uint32(res.line), uint32(im.report.Rows), file})
	switch how {
	case addedDuplicate:
		im.report.Duplicates++
		fallthrough
	case addedMerged:
		im.report.Merged++
	}
	return err
}

func (im *importer) warn(w Warning, file string, line int) {
	w.File, w.Line = file, line
	im.report.warn(w)
}

// warnUnknown warns once a file of a column or key that is not read.
func (im *importer) warnUnknown(name string, file uint16, line int) {
	name = cutText(name, maxValue)
	key := unknownName{file, name}
	if im.unknown[key] || len(im.unknown) >= maxInterned {
		return
	}
	im.unknown[key] = true
	p := Problem{Reason: fmt.Sprintf("unknown column %q", name), Hint: "it was not read"}
	im.warn(Warning{WarnUnknownColumn, p}, im.files[file], line)
}

func (im *importer) refuse(err *RowError, file string, line int) error {
	err.File, err.Line = file, line
	im.report.refuse(err.Problem)
	if im.opts.Strict {
		return err
	}
	return nil
}
