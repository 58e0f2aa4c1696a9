package gate

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/icpgate/icpgate/gate/sniff"
	"github.com/icpgate/icpgate/registry"
)

// connLog is the connection log of a server block: a line of JSON for every
// verdict on a request, or on a connection whose requests are not seen. It is
// safe for concurrent use.
type connLog struct {
	to     *logFile
	sample uint32
	count  atomic.Uint32
	v4, v6 int // bits of a client's address that are written; 0 is all
}

// logLine is what a line tells, made into text by whoever writes it.
type logLine struct {
	at       time.Time
	listener string
	channel  registry.Channel
	client   netip.Addr
	v4, v6   int
	dest     netip.Addr
	host     registry.Host
	verdict  registry.Verdict
	enforced bool
	cause    sniff.Cause
	alpn     string
	id       string
}

// write hands a line to the writer. It never waits: a line for which there is no
// room is dropped, and counted.
func (l *connLog) write(line logLine) {
	if l.sample > 1 && l.count.Add(1)%l.sample != 1 {
		return
	}
	line.v4, line.v6 = l.v4, l.v6
	select {
	case l.to.queue <- line:
	default:
		l.to.dropped.Inc()
	}
}

// attrs are the fields of a line; those that say nothing are left out.
func (l *logLine) attrs() []slog.Attr {
	mode := registry.Monitor
	if l.enforced {
		mode = registry.Enforce
	}
	list := []slog.Attr{
		slog.String("listener", l.listener), slog.String("protocol", l.channel.String()),
		slog.String("client", l.clientText()), slog.String("host", l.host.String()),
		slog.String("verdict", l.verdict.String()), slog.String("reason", l.verdict.Reason.String()), slog.String("mode", mode.String()),
	}
	if l.dest.IsValid() {
		list = append(list, slog.String("addr", l.dest.String()))
	}
	if l.cause != sniff.NoCause {
		list = append(list, slog.String("cause", l.cause.String()))
	}
	if l.alpn != "" {
		list = append(list, slog.String("alpn", l.alpn))
	}
	if l.id != "" {
		list = append(list, slog.String("id", l.id))
	}
	return list
}

// clientText is the client's address, or the network that it is cut to.
func (l *logLine) clientText() string {
	bits := l.v6
	if l.client.Is4() {
		bits = l.v4
	}
	switch {
	case !l.client.IsValid():
		return ""
	case bits == 0:
		return l.client.String()
	}
	p, err := l.client.Prefix(bits)
	if err != nil {
		return "" // rather than more than was to be written
	}
	return p.String()
}

// logFile writes the lines of all connection logs to one file. A file that is
// renamed or removed is opened anew, so that whoever rotates it needs to tell
// nobody.
type logFile struct {
	path    string // "" is standard error
	queue   chan logLine
	look    chan struct{} // that used has changed
	done    chan struct{}
	used    atomic.Bool // some server block in force names it
	dropped prometheus.Counter

	// Of the writer alone.
	file   *os.File
	text   bytes.Buffer
	lines  slog.Handler
	failed bool // the last writing
}

// logQueue is how many lines wait, for a disk that is slow for a while.
const logQueue = 4096

// logBatch is how many bytes of lines are written at once.
const logBatch = 32 << 10

func newLogFile(path string, dropped prometheus.Counter) *logFile {
	f := &logFile{
		path: path, dropped: dropped,
		queue: make(chan logLine, logQueue), look: make(chan struct{}, 1), done: make(chan struct{}),
	}
	f.lines = slog.NewJSONHandler(&f.text, nil)
	return f
}

// run writes until done is closed, and then what still waits.
func (f *logFile) run() {
	defer f.close()
	for {
		select {
		case line := <-f.queue:
			f.add(line)
		case <-f.look:
		case <-f.done:
			f.batch()
			return
		}
		f.batch()
		if !f.used.Load() {
			f.close()
		}
	}
}

// batch writes everything that waits.
func (f *logFile) batch() {
	for {
		select {
		case line := <-f.queue:
			f.add(line)
			if f.text.Len() >= logBatch {
				f.flush()
			}
		default:
			f.flush()
			return
		}
	}
}

func (f *logFile) add(l logLine) {
	r := slog.NewRecord(l.at, slog.LevelInfo, "verdict", 0)
	r.AddAttrs(l.attrs()...)
	_ = f.lines.Handle(context.Background(), r) // a bytes.Buffer takes all
}

// flush writes whole lines in one call, so that those of several processes do not
// mix. What cannot be written is dropped and counted; it is said once.
func (f *logFile) flush() {
	if f.text.Len() == 0 {
		return
	}
	defer f.text.Reset()
	w, err := f.open()
	if err == nil {
		_, err = w.Write(f.text.Bytes())
	}
	if err != nil {
		f.dropped.Add(float64(bytes.Count(f.text.Bytes(), []byte{'\n'})))
		if !f.failed {
			slog.Error("the connection log cannot be written; lines are dropped", "file", f.path, "error", err)
		}
	}
	f.failed = err != nil
}

// open returns what is written to: the file that is at the path now.
func (f *logFile) open() (io.Writer, error) {
	if f.path == "" {
		return os.Stderr, nil
	}
	if f.file != nil {
		there, err := os.Stat(f.path)
		if here, herr := f.file.Stat(); err == nil && herr == nil && os.SameFile(there, here) {
			return f.file, nil
		}
	}
	fresh, err := openLog(f.path)
	if err != nil {
		return nil, err
	}
	f.close()
	f.file = fresh
	return fresh, nil
}

func (f *logFile) close() {
	if f.file != nil {
		f.file.Close()
		f.file = nil
	}
}

// openLog opens a log to append to. Others than its owner and group have no
// business with who asked for what. A pipe that nobody reads is an error, where
// it would be waited for otherwise.
func openLog(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY|syscall.O_NONBLOCK, 0o640)
}

// logFiles are the files of a gate by path. They outlive the configurations that
// name them, as connections do; one that no configuration names is closed. The
// zero value is ready.
type logFiles struct {
	mu    sync.Mutex
	files map[string]*logFile
	tasks sync.WaitGroup
}

// open returns the log of a server block; nil where it has none. It makes sure
// that the file can be written.
func (l *logFiles) open(cfg Log, m *metrics) (*connLog, error) {
	if !cfg.On {
		return nil, nil
	}
	if cfg.File != "" {
		f, err := openLog(cfg.File)
		if err != nil {
			return nil, fmt.Errorf("log: %w", err)
		}
		f.Close()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.files[cfg.File]
	if f == nil {
		f = newLogFile(cfg.File, m.logDropped)
		if l.files == nil {
			l.files = map[string]*logFile{}
		}
		l.files[cfg.File] = f
		l.tasks.Go(f.run)
	}
	return &connLog{to: f, sample: uint32(cfg.Sample), v4: cfg.PrefixV4, v6: cfg.PrefixV6}, nil
}

// keep has the files closed that none of the servers in force writes to.
func (l *logFiles) keep(list []*server) {
	l.mu.Lock()
	defer l.mu.Unlock()
	used := map[*logFile]bool{}
	for _, s := range list {
		if s.log != nil {
			used[s.log.to] = true
		}
	}
	for _, f := range l.files {
		f.used.Store(used[f])
		select {
		case f.look <- struct{}{}:
		default: // it looks already
		}
	}
}

// logEnd is how long the last lines have: a disk that hangs must not keep the
// process from ending.
const logEnd = 2 * time.Second

// close writes what waits and closes all.
func (l *logFiles) close() {
	l.mu.Lock()
	for _, f := range l.files {
		close(f.done)
	}
	l.files = nil
	l.mu.Unlock()
	written := make(chan struct{})
	go func() { l.tasks.Wait(); close(written) }()
	wait := time.NewTimer(logEnd)
	defer wait.Stop()
	select {
	case <-written:
	case <-wait.C:
	}
}
