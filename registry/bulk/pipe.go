package bulk

import "context"

// maxWorkers bounds the goroutines that parse rows; more would wait for the
// reader.
const maxWorkers = 4

// batchSize is how many rows go through the pipe together.
const batchSize = 256

// item is one row on its way from a file into the store, or a header.
type item struct {
	line     int
	header   bool      // no row: only unknown counts
	cells    cells     // of a table; filled from json otherwise
	json     []byte    // an object of a JSON file, empty for a table
	refused  *RowError // by the reader, or by the parser
	row      row
	warnings []Warning
	unknown  []string // columns or keys that are not read
}

// batch is rows of one file.
type batch struct {
	items  []item
	n      int // items in use
	file   uint16
	format Format
	bytes  int64 // read when the batch was sent
	parsed chan struct{}
}

// pipe carries batches from the reader through the parsers to the importer and
// back. There is a fixed number of them, which bounds what is under way.
type pipe struct {
	ctx    context.Context
	free   chan *batch
	work   chan *batch // to the parsers
	order  chan *batch // to the importer, in the order of the files
	batch  *batch      // being filled
	file   uint16
	format Format
	bytes  int64
}

func newPipe(ctx context.Context, batches int) *pipe {
	p := &pipe{
		ctx: ctx, free: make(chan *batch, batches), work: make(chan *batch, batches), order: make(chan *batch, batches),
	}
	for range batches {
		p.free <- &batch{parsed: make(chan struct{}, 1)}
	}
	return p
}

// next returns the item for the row of a line, which the caller fills before
// the next call. The error is that of the context.
func (p *pipe) next(line int) (*item, error) {
	if p.batch != nil && p.batch.n == batchSize {
		p.flush()
	}
	if p.batch == nil {
		if err := p.ctx.Err(); err != nil {
			return nil, err
		}
		select {
		case p.batch = <-p.free:
		case <-p.ctx.Done():
			return nil, p.ctx.Err()
		}
		if p.batch.items == nil {
			p.batch.items = make([]item, batchSize)
		}
		p.batch.n, p.batch.file, p.batch.format = 0, p.file, p.format
	}
	it := &p.batch.items[p.batch.n]
	p.batch.n++
	it.line, it.header, it.refused, it.json = line, false, nil, it.json[:0]
	it.warnings, it.unknown = it.warnings[:0], it.unknown[:0]
	it.cells.reset()
	return it, nil
}

// refuse sends a row that the reader cannot read.
func (p *pipe) refuse(err *RowError, line int) error {
	it, e := p.next(line)
	if e == nil {
		it.refused = err
	}
	return e
}

// flush sends the batch being filled. It does not block: the channels hold all
// batches there are.
func (p *pipe) flush() {
	if p.batch == nil {
		return
	}
	p.batch.bytes = p.bytes
	p.work <- p.batch
	p.order <- p.batch
	p.batch = nil
}

func (p *pipe) close() {
	p.flush()
	close(p.work)
	close(p.order)
}

// work parses batches until there are no more.
func (p *parser) work(in <-chan *batch) {
	for b := range in {
		for i := range b.items[:b.n] {
			p.item(&b.items[i], b.format)
		}
		b.parsed <- struct{}{}
	}
}

// item parses one row.
func (p *parser) item(it *item, format Format) {
	if it.header {
		return
	}
	if it.refused == nil && len(it.json) > 0 {
		it.refused = it.object(format)
	}
	if it.refused == nil {
		it.refused = p.row(&it.cells, &it.row)
		it.warnings = append(it.warnings, p.warnings...)
	}
}

// object fills the cells from a JSON object.
func (it *item) object(format Format) *RowError {
	if err := checkObject(it.json); err != nil {
		return err
	}
	if format == FormatPublicQuery {
		return it.cells.public(it.json, func(key string) {
			if len(it.unknown) < maxUnknown {
				it.unknown = append(it.unknown, key)
			}
		})
	}
	return it.cells.filing(it.json)
}

// maxUnknown bounds the unknown keys of one record that are warned of.
const maxUnknown = 100
