package edge

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/icpgate/icpgate/registry"
)

// logWriter writes the block log of all Edges that name the same file. Only its
// goroutine touches the file.
type logWriter struct {
	path       string // empty: out
	out        io.Writer
	queue      chan entry
	bucket     bucket
	suppressed atomic.Uint64 // lines that are missing before the next one

	file *os.File
	torn bool          // the file ends within a line
	refs int           // guarded by logs.mu
	stop chan struct{} // closed by the last release
	done chan struct{} // closed when the goroutine has ended
}

// logs are the open ones of the process, by path.
var logs = struct {
	mu sync.Mutex
	at map[string]*logWriter
}{at: map[string]*logWriter{}}

// holdLog opens the block log, if there is one, or shares it.
func (e *Edge) holdLog() error {
	if !e.cfg.Log.On {
		return nil
	}
	path := e.cfg.Log.File
	if path != "" {
		path = files(path)[0]
	}
	logs.mu.Lock()
	defer logs.mu.Unlock()
	w := logs.at[path]
	if w == nil {
		w = &logWriter{path: path, out: os.Stdout, queue: make(chan entry, logQueue), stop: make(chan struct{}), done: make(chan struct{})}
		if err := w.open(); err != nil {
			return fmt.Errorf("log: %w", err)
		}
		logs.at[path] = w
		go w.run()
	}
	w.refs++
	e.log = w
	e.closers = append(e.closers, w.release)
	return nil
}

// logPatience is how long the last release waits for a writer that is stuck, as
// on a pipe that nobody reads.
const logPatience = 2 * time.Second

// release gives up one hold; the last one waits until all that is queued is
// written.
func (w *logWriter) release() {
	logs.mu.Lock()
	w.refs--
	last := w.refs == 0
	if last {
		delete(logs.at, w.path)
	}
	logs.mu.Unlock()
	if !last {
		return
	}
	close(w.stop)
	select {
	case <-w.done:
	case <-time.After(logPatience):
	}
}

// run writes until the last release, and then what is left.
func (w *logWriter) run() {
	defer close(w.done)
	for {
		select {
		case l := <-w.queue:
			w.write(l)
		case <-w.stop:
			for len(w.queue) > 0 {
				w.write(<-w.queue)
			}
			if w.file != nil {
				w.file.Close()
			}
			return
		}
	}
}

// logBatch is how many lines are written at once.
const logBatch = 256

// write writes a line and those that wait behind it.
func (w *logWriter) write(l entry) {
	var b bytes.Buffer
	batch := []entry{l}
	for len(w.queue) > 0 && len(batch) < logBatch {
		batch = append(batch, <-w.queue)
	}
	if err := w.open(); err != nil {
		w.lose(batch)
		return
	}
	if w.torn {
		b.WriteByte('\n')
	}
	for _, l := range batch {
		l.encode(&b)
	}
	n, err := w.to().Write(b.Bytes())
	if err == nil {
		w.torn = false
		return
	}
	written := b.Bytes()[:n]
	whole := bytes.Count(written, []byte("\n"))
	if w.torn && n > 0 {
		whole-- // the end of the torn line
	}
	if n > 0 {
		w.torn = written[n-1] != '\n'
	}
	w.lose(batch[whole:])
}

// lose counts lines that were not written, and what they would have told of others.
func (w *logWriter) lose(batch []entry) {
	n := uint64(len(batch))
	dropped[DropWrite].Add(n)
	for _, l := range batch {
		n += l.suppressed
	}
	w.suppressed.Add(n)
}

func (w *logWriter) to() io.Writer {
	if w.path == "" {
		return w.out
	}
	return w.file
}

// logMode is that of a new file: who may read it is a matter of its group.
const logMode = 0o640

// open opens the file unless it is open, and is still the one at its path: log
// rotation moves it away, and the next line goes to a new one.
func (w *logWriter) open() error {
	if w.path == "" || w.file != nil && w.inPlace() {
		return nil
	}
	f, err := os.OpenFile(w.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY|dontWait, logMode)
	switch {
	case nobodyReads(err):
		return fmt.Errorf("%s is a pipe that nobody reads; start its reader first", w.path)
	case err != nil:
		return err
	}
	if info, err := f.Stat(); err != nil || info.IsDir() {
		f.Close()
		return fmt.Errorf("%s: is no file to append to", filepath.Clean(w.path))
	}
	if w.file != nil {
		w.file.Close()
	}
	w.file, w.torn = f, false
	return nil
}

func (w *logWriter) inPlace() bool {
	have, err := w.file.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(w.path)
	return err == nil && os.SameFile(have, there)
}

// logLine is a line as it is written; the words are those of the rules.
type logLine struct {
	Time       string              `json:"time"`
	Channel    string              `json:"channel"`
	Name       string              `json:"name"`
	Filed      string              `json:"filed,omitempty"`       // the filed name that decided
	Registered string              `json:"registrable,omitempty"` // else the registrable one
	Verdict    string              `json:"verdict"`
	Effect     string              `json:"effect"` // pass in mode monitor
	Reason     registry.Reason     `json:"reason"`
	Lack       registry.Lack       `json:"lack,omitempty"` // why it is undecided
	Addr       string              `json:"addr,omitempty"`
	Place      registry.Place      `json:"place"`
	Provider   registry.ProviderID `json:"address_provider,omitempty"`
	Product    registry.Product    `json:"product"`
	Client     string              `json:"client,omitempty"` // its network
	Revision   registry.Revision   `json:"revision"`
	Server     string              `json:"server,omitempty"`
	Zone       string              `json:"zone,omitempty"`
	Suppressed uint64              `json:"suppressed,omitempty"` // lines that are missing before this one
}

// encode adds the line of an entry.
func (l entry) encode(b *bytes.Buffer) {
	line := logLine{
		Time: l.time.UTC().Format("2006-01-02T15:04:05.000Z"), Channel: l.Channel.String(), Name: l.Host.String(), Filed: l.Filed.String(),
		Verdict: "block", Effect: l.Effect.String(), Reason: l.Reason, Lack: l.lack, Place: l.Place, Provider: l.Provider, Product: l.Product,
		Revision: l.revision, Server: l.Server, Zone: l.Zone, Suppressed: l.suppressed,
	}
	if r, ok := l.Host.Registrable(); ok && l.Filed.IsZero() {
		line.Registered = r.String()
	}
	if l.Addr.IsValid() {
		line.Addr = l.Addr.String()
	}
	if l.client.IsValid() && l.client.Bits() > 0 {
		line.Client = l.client.String()
	}
	out := json.NewEncoder(b)
	out.SetEscapeHTML(false)
	out.Encode(line) // of strings and numbers: it cannot fail
}
