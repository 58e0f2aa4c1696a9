package bulk

import "context"

// maxWorkers bounds the goroutines that parse rows; more would wait for the
// reader.
const maxWorkers = 4

// A batch goes on its way when it has so many items, or so many bytes.
const (
	batchSize  = 256
	batchBytes = 64 << 10
)

// item is a piece of a file on its way into the store: rows of a table, one
// object of a JSON file, a row that the reader refused, or a header.
type item struct {
	line     int
	from, to int       // of the batch's text
	columns  []column  // of the table; nil for JSON
	comma    byte      // of the table
	header   bool      // no row: only unknown counts
	refused  *RowError // by the reader
	unknown  []string  // columns that are not read
}

// result is what became of one row, or of a header.
type result struct {
	line int
	end  int // of its packed row in the batch
	hash uint32
	more *remarks // nil for nearly all
}

// remarks are what is to be reported of a row.
type remarks struct {
	header   bool
	refused  *RowError
	warnings []Warning
	unknown  []string // columns or keys that are not read
}

// batch is rows of one file.
type batch struct {
	items   []item
	text    []byte
	file    uint16
	format  Format
	bytes   int64 // read when the batch was sent
	parsed  chan struct{}
	packed  []byte // accepted rows, one after the other
	results []result
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

// next returns the item for what stands on a line, and text in the file, which
// is copied. The caller fills it before the next call. The error is that of the
// context.
func (p *pipe) next(line int, text []byte) (*item, error) {
	if p.batch != nil && (len(p.batch.items) == batchSize || len(p.batch.text) >= batchBytes) {
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
		p.batch.items, p.batch.text = p.batch.items[:0], p.batch.text[:0]
		p.batch.file, p.batch.format = p.file, p.format
	}
	b := p.batch
	from := len(b.text)
	b.text = append(b.text, text...)
	b.items = append(b.items, item{line: line, from: from, to: len(b.text)})
	return &b.items[len(b.items)-1], nil
}

// refuse sends a row that the reader cannot read.
func (p *pipe) refuse(err *RowError, line int) error {
	it, e := p.next(line, nil)
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
