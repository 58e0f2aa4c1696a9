package disk

import "sync/atomic"

// Kind is what an Op does.
type Kind uint8

// The kinds.
const (
	Opened    Kind = iota // File at Path, which may be new; with Cut it is empty
	Written               // Data at At
	Truncated             // File is of At bytes
	Synced                // File; what was told before is on disk when Sync returns
	DirMade               // Path
	DirSynced             // Path, in the same way
	Renamed               // Path to To
	Removed               // Path
)

// Op is one thing that is done to the disk. Data is only good during the call.
type Op struct {
	Kind Kind
	File *File
	Path string
	To   string
	At   int64
	Data []byte
	Cut  bool
}

var watcher atomic.Pointer[func(Op)]

// Watch has see called with all that this package does to the disk from now on,
// until stop is called. It is for tests of power cuts; there is one at a time. see
// is called by several goroutines.
func Watch(see func(Op)) (stop func()) {
	if !watcher.CompareAndSwap(nil, &see) {
		panic("disk: watched already")
	}
	return func() { watcher.Store(nil) }
}

func watched() bool { return watcher.Load() != nil }

func tell(o Op) {
	if see := watcher.Load(); see != nil {
		(*see)(o)
	}
}
