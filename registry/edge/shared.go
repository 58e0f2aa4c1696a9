package edge

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// shared is a piece of data read from files. All Edges of the process that name
// the same files with the same settings hold the same one; it is read once, and
// anew when a file changes. The old value stays in force while the new one is
// read, and when it cannot be.
//
// It lives from the first hold to the last release. value may be read at any
// time, also after that.
type shared[T any] struct {
	key   string
	data  string // the option that names it
	files []string
	load  func() (T, error)
	// generation, if not nil, counts changes of what is not in files but belongs to
	// the data.
	generation func() uint64
	value      atomic.Pointer[T]
	last       atomic.Pointer[lastRead]

	refs int           // guarded by pool.mu
	stop chan struct{} // closed by the last release
	done chan struct{} // closed when the watch has ended

	mu        sync.Mutex // held while files are looked at and read
	stamps    []stamp    // of the files as they were last read, or failed to be
	seen      uint64     // the generation that was read
	observers []*observing
}

// observing counts the Edges that brought the same Observer.
type observing struct {
	Observer
	edges int
}

// pool holds what is shared, by key.
var pool = struct {
	mu    sync.Mutex
	byKey map[string]any
}{byKey: map[string]any{}}

// hold returns the shared data of a key, read from their files now if nobody
// holds them yet.
func hold[T any](key, data string, files []string, every time.Duration, o Observer, generation func() uint64, load func() (T, error)) (*shared[T], error) {
	pool.mu.Lock()
	defer pool.mu.Unlock()
	s, ok := pool.byKey[key].(*shared[T])
	if !ok {
		s = &shared[T]{key: key, data: data, files: files, load: load, generation: generation, stop: make(chan struct{}), done: make(chan struct{})}
		s.stamps, s.seen = stampAll(files), s.generated()
		start := time.Now()
		v, err := s.read(s.stamps)
		if err != nil {
			return nil, err
		}
		s.value.Store(&v)
		s.last.Store(&lastRead{at: start, took: time.Since(start)})
		pool.byKey[key] = s
		go s.watch(every)
	}
	s.refs++
	s.observe(o)
	return s, nil
}

// release gives up one hold; the last one stops the watch and waits for it.
func (s *shared[T]) release(o Observer) {
	s.ignore(o)
	pool.mu.Lock()
	s.refs--
	last := s.refs == 0
	if last {
		delete(pool.byKey, s.key)
	}
	pool.mu.Unlock()
	if last {
		close(s.stop)
		<-s.done
		if r, ok := any(s.get()).(interface{ release() }); ok {
			r.release()
		}
	}
}

// errSame is what load returns, once it has returned a value, where the files say
// what is in force already.
var errSame = errors.New("nothing has changed")

// watched are the files that are looked at: those of the operator, and those that
// the data name themselves, which are put in place whole.
func (s *shared[T]) watched() []string {
	w, ok := any(s.get()).(interface{ watched() []string })
	if !ok {
		return s.files
	}
	return append(s.files[:len(s.files):len(s.files)], w.watched()...)
}

// generated is the generation now.
func (s *shared[T]) generated() uint64 {
	if s.generation == nil {
		return 0
	}
	return s.generation()
}

// due reports whether the data want to be read though no file has changed.
func (s *shared[T]) due() bool {
	d, ok := any(s.get()).(interface{ due() bool })
	return ok && d.due()
}

// get returns the data in force.
func (s *shared[T]) get() T {
	return *s.value.Load()
}

// watch looks at the files until the last release.
func (s *shared[T]) watch(every time.Duration) {
	defer close(s.done)
	if len(s.files) == 0 && s.generation == nil {
		return
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-tick.C:
			s.check(time.Now())
		}
	}
}

// settle is how long a file must have been left alone before it is read: one
// that is still being written would be taken for a shorter one. Two looks at the
// usual interval see a writer that pauses no longer than this.
const settle = 2 * time.Second

// check reads the data anew if a file has changed, but not while one of them
// was written less than settle before now; a zero now does not wait.
func (s *shared[T]) check(now time.Time) {
	r, tell := s.reload(now)
	for _, o := range tell {
		o.Reloaded(r)
	}
}

// reload is check without the telling, which is done outside the lock: an
// Observer may ask this package what is in force now.
func (s *shared[T]) reload(now time.Time) (r Reload, tell []Observer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	stamps := stampAll(s.watched())
	generated := s.generated()
	if same(stamps, s.stamps) && generated == s.seen && !s.due() || !now.IsZero() && unsettled(stamps[:len(s.files)], now) {
		return r, nil
	}
	s.stamps, s.seen = stamps, generated
	start := time.Now()
	v, err := s.read(stamps[:len(s.files)])
	if err == errSame {
		return r, nil
	}
	if err == nil {
		s.value.Store(&v)
		swaps.Add(1)
	}
	s.last.Store(&lastRead{start, time.Since(start), err})
	for _, o := range s.observers {
		tell = append(tell, o.Observer)
	}
	r = Reload{Data: s.data, Files: s.files, Err: err, Took: time.Since(start)}
	if w, ok := any(v).(interface{ Warnings() []string }); ok && err == nil {
		r.Warnings = w.Warnings()
	}
	return r, tell
}

// read loads the data. What is no file is not even opened: a pipe that nobody
// writes to would keep setup, and later the watch, waiting for ever.
func (s *shared[T]) read(stamps []stamp) (v T, err error) {
	for i, st := range stamps {
		if st != nil && !st.Mode().IsRegular() {
			return v, fmt.Errorf("%q is no regular file (mode %s)", s.files[i], st.Mode())
		}
	}
	return s.load()
}

// lastRead is what became of the last time that data were read.
type lastRead struct {
	at   time.Time
	took time.Duration
	err  error
}

// status tells what became of it.
func (s *shared[T]) status() DataStatus {
	r := s.last.Load()
	d := DataStatus{Data: s.data, Files: s.files, ReadAt: r.at.UTC().Truncate(time.Second), Took: r.took.Seconds(), Result: "success"}
	if r.err != nil {
		d.Result, d.Error = "error", r.err.Error()
	}
	if d.Files == nil {
		d.Files = []string{}
	}
	return d
}

func (s *shared[T]) observe(o Observer) {
	if o == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, known := range s.observers {
		if known.Observer == o {
			known.edges++
			return
		}
	}
	s.observers = append(s.observers, &observing{o, 1})
}

func (s *shared[T]) ignore(o Observer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, known := range s.observers {
		if known.Observer != o {
			continue
		}
		if known.edges--; known.edges == 0 {
			s.observers = append(s.observers[:i], s.observers[i+1:]...)
		}
		return
	}
}

// stamp is what tells that a file is another: the file itself (one may be moved
// over another of the same age), its time and its size. nil is no file.
type stamp = os.FileInfo

func stampAll(files []string) []stamp {
	stamps := make([]stamp, len(files))
	for i, f := range files {
		if info, err := os.Stat(f); err == nil {
			stamps[i] = info
		}
	}
	return stamps
}

func same(a, b []stamp) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		switch {
		case a[i] == nil && b[i] == nil:
		case a[i] == nil || b[i] == nil, !os.SameFile(a[i], b[i]),
			!a[i].ModTime().Equal(b[i].ModTime()), a[i].Size() != b[i].Size():
			return false
		}
	}
	return true
}

// unsettled reports whether a file was written just now. A time in the future is
// a wrong clock and no reason to wait.
func unsettled(stamps []stamp, now time.Time) bool {
	for _, st := range stamps {
		if st == nil {
			continue
		}
		if age := now.Sub(st.ModTime()); 0 <= age && age < settle {
			return true
		}
	}
	return false
}
