package edge

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/icpgate/icpgate/registry/index"
)

// follower holds the registry of a snapshot file. The operator's file is read,
// never mapped: whoever overwrites it would kill the process. What is mapped is
// the copy in the state directory, which all processes of a user share; without
// one, the file is read into memory. View may be called at any time.
type follower struct {
	path  string
	live  index.Live
	since atomic.Int64 // Unix seconds from which the registry ages

	mu     sync.Mutex // held to load and to release
	state  *state     // nil: in memory
	told   bool       // an operator named the state directory
	mapped bool       // what is in force is the copy

	warning atomic.Pointer[string] // why it is in memory though nobody said so; nil: it is not
}

// newFollower makes a follower that has loaded nothing. An explicit directory
// must be usable; the default one need not.
func newFollower(path string, cfg *Config) (*follower, error) {
	f := &follower{path: path, told: cfg.State != ""}
	if cfg.InMemory {
		return f, nil
	}
	dir, err := cfg.State, error(nil)
	if dir == "" {
		dir, err = DefaultState()
	}
	if err == nil {
		f.state, err = openState(dir, path)
	}
	switch {
	case err == nil:
	case f.told:
		return nil, err
	default:
		f.warn(err)
	}
	return f, nil
}

// warn says why the registry is in memory.
func (f *follower) warn(err error) {
	w := fmt.Sprintf("registry: %s; %s is read into memory and not shared with other processes (option \"state\" names another directory)", err, f.path)
	f.warning.Store(&w)
}

// load puts what the files say in force; errSame if it is already.
func (f *follower) load() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	x, err := f.next()
	if err != nil {
		return err
	}
	f.live.Swap(x)
	f.since.Store(madeAt(x, f.path).Unix())
	return nil
}

// next returns the snapshot that comes in force.
func (f *follower) next() (*index.Index, error) {
	now := f.live.Load()
	switch {
	case f.state == nil:
		return index.ReadFile(f.path)
	case f.state.held:
		return f.lead(now)
	}
	copied := f.state.snapshot()
	if f.mapped && now.Heads(copied) {
		return nil, errSame
	}
	if x, err := index.Map(copied); err == nil {
		f.mapped = true
		return x, nil
	}
	// The holder of the lock has not written yet, or its copy was damaged since.
	if now.Heads(f.path) {
		return nil, errSame
	}
	f.mapped = false
	return index.ReadFile(f.path)
}

// lead is next for the process that writes the copy. The copy of an earlier start
// is as good as a new one if its header says that it is of the same file.
func (f *follower) lead(now *index.Index) (*index.Index, error) {
	copied := f.state.snapshot()
	if f.mapped && now.Heads(f.path) {
		return nil, errSame
	}
	if x, err := index.Map(copied); err == nil && x.Heads(f.path) {
		f.mapped = true
		return x, nil
	}
	x, err := index.Copy(copied, f.path)
	if err == nil {
		f.mapped = true
		f.warning.Store(nil)
		return x, nil
	}
	if f.told {
		return nil, err
	}
	// Nobody asked for a copy: a full disk is no reason to do without the registry.
	x, bad := index.ReadFile(f.path)
	if bad != nil {
		return nil, err
	}
	f.mapped = false
	f.warn(err)
	return x, nil
}

// due reports whether the lock has come to this process, which then has to see
// whether the copy is still what the file says.
func (f *follower) due() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.state == nil {
		return false
	}
	taken, err := f.state.hold()
	return err == nil && taken
}

func (f *follower) release() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.state != nil {
		f.state.release()
	}
}

// watched is the copy, where another process may write it.
func (f *follower) watched() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.state == nil || f.state.held {
		return nil
	}
	return []string{f.state.snapshot()}
}

// madeAt tells since when a registry ages: since it was made or, where it does
// not say, since its file was written.
func madeAt(x *index.Index, path string) time.Time {
	if made := x.Info().MadeAt; !made.IsZero() {
		return made
	}
	if info, err := os.Stat(path); err == nil {
		return info.ModTime()
	}
	return time.Unix(0, 0)
}
