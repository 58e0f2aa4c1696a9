package store

import (
	"bufio"
	"bytes"
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/icpgate/icpgate/registry"
)

// What an import does is put down as tasks: in files while it is compared, which
// may be millions of them, and then in the database, as many to a chunk as one
// revision takes.

// taskKind is what a task does. Their order is that of publishing.
type taskKind uint8

const (
	taskFresh   taskKind = iota // a filing of whose key and names there is nothing
	taskTell                    // a filing that may be there, as the import tells it
	taskRestore                 // a filing as it was
	taskAccess                  // the access with the import's provider is cancelled
	taskCancel                  // the filing is cancelled
	taskRemove                  // the filing is removed
	taskEnd
)

// task is one filing's part of an import.
type task struct {
	kind taskKind
	key  string
	rev  uint64 // what it is about was made so by it; another one has changed it; 0 is none
	f    registry.Filing
	was  baseline // of taskTell, with rev
}

// baseline is what a filing was when an import was compared with it: enough to tell
// what others have changed since.
type baseline struct {
	facts    uint64 // the head of their digest
	accesses []registry.Access
}

// put writes a task. The name of a person is encrypted.
func (e *encoder) task(s *sealer, x *task) {
	e.byte(byte(x.kind))
	e.text(x.key)
	e.uint(x.rev)
	if x.kind > taskRestore {
		return
	}
	f := redact(x.f)
	e.filing(&f)
	sealed := []byte(nil)
	if personal(x.f.Entity.Nature) {
		sealed = s.seal("staged", x.f.Entity.Name)
	}
	e.text(string(sealed))
	if x.kind == taskTell && x.rev > 0 {
		e.uint(x.was.facts)
		e.accesses(x.was.accesses)
	}
}

func (d *decoder) task(s *sealer) (x task, err error) {
	x.kind = taskKind(d.enum(byte(taskEnd)))
	x.key, x.rev = d.text(), d.uint()
	if x.kind > taskRestore {
		return x, nil
	}
	x.f = d.filing()
	if sealed := d.text(); sealed != "" {
		x.f.Entity.Name, err = s.open("staged", []byte(sealed))
	}
	if x.kind == taskTell && x.rev > 0 {
		x.was = baseline{d.uint(), d.accesses()}
	}
	return x, err
}

// spooled is a task in a file, small enough to have all of them in memory.
type spooled struct {
	order  [16]byte // of its key
	at     int64
	size   uint32
	weight uint16 // operations
	file   uint8
	kind   taskKind
}

// spool is a file of tasks, written by one goroutine and then read. It is gone
// when it is closed.
type spool struct {
	f    *os.File
	w    *bufio.Writer
	n    uint8
	at   int64
	e    encoder
	list []spooled

	window   []byte // of the file, while it is read
	windowAt int64

	// names of the fresh ones, and whose they are: an index into list.
	names []spooledName
}

type spooledName struct {
	hash uint64
	task uint32
}

func newSpool(n int) (*spool, error) {
	if n > 255 {
		return nil, fmt.Errorf("%d goroutines compare; at most 255", n)
	}
	f, err := os.CreateTemp("", "icp-import-*")
	if err != nil {
		return nil, err
	}
	os.Remove(f.Name()) // it lives as long as it is open
	return &spool{f: f, w: bufio.NewWriterSize(f, 1<<18), n: uint8(n)}, nil
}

func (p *spool) close() { p.f.Close() }

func (p *spool) add(s *sealer, x *task) error {
	p.e.b = p.e.b[:0]
	p.e.task(s, x)
	if _, err := p.w.Write(p.e.b); err != nil {
		return err
	}
	weight := max(1, len(x.f.Site.Domains))
	if x.kind == taskTell || x.kind == taskRestore {
		weight *= 2 // names that it had before
	}
	p.list = append(p.list, spooled{order: orderOf(x.key), at: p.at, size: uint32(len(p.e.b)), weight: uint16(min(weight, 60_000)), file: p.n, kind: x.kind})
	p.at += int64(len(p.e.b))
	return nil
}

// orderOf puts keys that stand together in the index of keys together.
func orderOf(key string) (o [16]byte) {
	copy(o[:], strings.Replace(key, "ICP备", "", 1))
	return o
}

// readAhead is how much is read of a file at once, where tasks stand in it in about
// the order in which they are published.
const readAhead = 64 << 10

// read appends the bytes of a task. A file that is read forwards is read in large
// pieces, another one task by task.
func (p *spool) read(x *spooled, into []byte) ([]byte, error) {
	at := x.at - p.windowAt
	if at < 0 || at+int64(x.size) > int64(len(p.window)) {
		forwards := at >= 0 && at < int64(len(p.window))+readAhead
		p.windowAt, at = x.at, 0
		n := int(x.size)
		if forwards {
			n = max(n, int(min(readAhead, p.at-x.at)))
		}
		p.window = slices.Grow(p.window[:0], n)[:n]
		if _, err := p.f.ReadAt(p.window, x.at); err != nil {
			p.window = p.window[:0]
			return into, err
		}
	}
	return append(into, p.window[at:at+int64(x.size)]...), nil
}

// spools are the files of one import.
type spools struct {
	files []*spool
	list  []spooled
}

func (p *spools) close() {
	for _, f := range p.files {
		f.close()
	}
}

// sort puts the tasks into the order in which they are published. Those of each file
// are sorted by themselves, at the same time: a file of filings mostly comes in the
// order of their numbers, and so does each part of it.
func (p *spools) sort() error {
	var work sync.WaitGroup
	for _, f := range p.files {
		if err := f.w.Flush(); err != nil {
			return err
		}
		work.Go(func() { slices.SortFunc(f.list, compareSpooled) })
	}
	work.Wait()
	n := 0
	for _, f := range p.files {
		n += len(f.list)
	}
	p.list = make([]spooled, 0, n)
	for len(p.list) < n {
		p.list = append(p.list, p.first())
	}
	for _, f := range p.files {
		f.list = nil
	}
	return nil
}

// first takes the first task out of the files.
func (p *spools) first() spooled {
	var from *spool
	for _, f := range p.files {
		if len(f.list) > 0 && (from == nil || compareSpooled(f.list[0], from.list[0]) < 0) {
			from = f
		}
	}
	x := from.list[0]
	from.list = from.list[1:]
	return x
}

func compareSpooled(a, b spooled) int {
	if a.kind != b.kind {
		return cmp.Compare(a.kind, b.kind)
	}
	if n := bytes.Compare(a.order[:], b.order[:]); n != 0 {
		return n
	}
	return cmp.Or(cmp.Compare(a.file, b.file), cmp.Compare(a.at, b.at))
}

// chunks calls f with the bytes of each chunk, of so many operations at most, whose
// tasks are of one kind.
func (p *spools) chunks(operations int, f func(body []byte) error) error {
	var body []byte
	weight := 0
	for i := range p.list {
		x := &p.list[i]
		if len(body) > 0 && (weight+int(x.weight) > operations || p.list[i-1].kind != x.kind) {
			if err := f(body); err != nil {
				return err
			}
			body, weight = make([]byte, 0, len(body)+len(body)/8), 0
		}
		var err error
		if body, err = p.files[x.file].read(x, body); err != nil {
			return err
		}
		body[len(body)-int(x.size)] = byte(x.kind) // it may have been fresh when it was put down
		weight += int(x.weight)
	}
	if len(body) == 0 {
		return nil
	}
	return f(body)
}
