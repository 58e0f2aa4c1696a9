// Package powercut makes what a disk may hold after a power cut: for tests of
// whatever writes by package disk.
//
//	r := powercut.Record(dir)
//	… write below dir, and note r.Points() whenever something is acknowledged …
//	r.Stop()
//	err := r.Cut(point, random, other) // makes in other what may be left of dir
//
// What was synced is there. Of what was not, anything may be: all, nothing, a
// part, zeros in place of what was written; of the names in a directory the first
// changes, or any of them. That is more than what most file systems forget, and as
// much as POSIX lets them.
package powercut

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/icpgate/icpgate/registry/disk"
)

// Recorder keeps what is done to the disk below a directory. It is safe for
// concurrent use.
type Recorder struct {
	root string
	stop func()

	mu   sync.Mutex
	ops  []op
	ids  map[*disk.File]int
	lies map[disk.Kind]bool
}

// op is an Op that lasts: its data are its own, its paths relative, its file a
// number.
type op struct {
	disk.Op
	id int
}

// Record begins to keep what is done below root, which must be empty.
func Record(root string) *Recorder {
	r := &Recorder{root: root, ids: map[*disk.File]int{}}
	r.stop = disk.Watch(r.see)
	return r
}

// Lie makes the disk one that does nothing when it is told to sync: disk.Synced,
// disk.DirSynced or both. A test that does not fail with it is none.
func (r *Recorder) Lie(kinds ...disk.Kind) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lies = map[disk.Kind]bool{}
	for _, k := range kinds {
		r.lies[k] = true
	}
}

// Stop ends the recording.
func (r *Recorder) Stop() { r.stop() }

// Points is how many things were done so far; Cut takes each of 0 to Points.
func (r *Recorder) Points() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.ops)
}

func (r *Recorder) see(o disk.Op) {
	r.mu.Lock()
	defer r.mu.Unlock()
	id := 0
	if o.File != nil && o.Kind != disk.Opened {
		known := false
		if id, known = r.ids[o.File]; !known {
			return // it lies elsewhere
		}
	}
	for _, path := range []*string{&o.Path, &o.To} {
		if *path == "" {
			continue
		}
		rel, err := filepath.Rel(r.root, *path)
		if err != nil || rel == ".." || strings.HasPrefix(rel, "../") {
			return
		}
		*path = rel
	}
	if o.Kind == disk.Opened {
		id = len(r.ids)
		r.ids[o.File] = id
	}
	o.Data = append([]byte(nil), o.Data...)
	r.ops = append(r.ops, op{o, id})
}

// Cut makes in dir, an empty directory, what may be left when the power goes after
// so many things were done.
func (r *Recorder) Cut(point int, random *rand.Rand, dir string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	d := disks{root: newDir(), files: map[int]*file{}}
	for _, o := range r.ops[:point] {
		if r.lies[o.Kind] {
			continue
		}
		if err := d.do(o); err != nil {
			return err
		}
	}
	return d.root.left(random, dir)
}

// disks is a disk: what it holds for sure, and what it was told since.
type disks struct {
	root  *directory
	files map[int]*file // by handle
}

// entry is what a name stands for: *file or *directory.
type entry interface {
	left(random *rand.Rand, path string) error
}

// directory is one with its names: as the programs see them, and as they are on
// disk, with the changes since.
type directory struct {
	now, kept map[string]entry
	since     []func(map[string]entry)
}

func newDir() *directory { return &directory{now: map[string]entry{}, kept: map[string]entry{}} }

func (d *directory) change(c func(map[string]entry)) {
	c(d.now)
	d.since = append(d.since, c)
}

// parent is the directory in which a path lies.
func (d *disks) parent(path string) (*directory, string, error) {
	at := d.root
	parts := strings.Split(filepath.Clean(path), "/")
	for _, p := range parts[:len(parts)-1] {
		next, ok := at.now[p].(*directory)
		if !ok {
			return nil, "", fmt.Errorf("%s: its directory was not made by package disk", path)
		}
		at = next
	}
	return at, parts[len(parts)-1], nil
}

func (d *disks) do(o op) error {
	switch o.Kind {
	case disk.Written, disk.Truncated:
		f := d.files[o.id]
		f.since = append(f.since, o)
		return nil
	case disk.Synced:
		d.files[o.id].sync()
		return nil
	}
	if filepath.Clean(o.Path) == "." {
		if o.Kind == disk.DirSynced {
			d.root.sync()
		}
		return nil
	}
	in, name, err := d.parent(o.Path)
	if err != nil {
		return err
	}
	switch o.Kind {
	case disk.Opened:
		f, ok := in.now[name].(*file)
		if !ok {
			f = &file{}
			in.change(func(m map[string]entry) { m[name] = f })
		} else if o.Cut {
			f.since = append(f.since, op{Op: disk.Op{Kind: disk.Truncated}})
		}
		d.files[o.id] = f
	case disk.DirMade:
		made := newDir()
		in.change(func(m map[string]entry) { m[name] = made })
	case disk.DirSynced:
		if at, ok := in.now[name].(*directory); ok {
			at.sync()
		}
	case disk.Removed:
		in.change(func(m map[string]entry) { delete(m, name) })
	case disk.Renamed:
		if filepath.Dir(o.Path) != filepath.Dir(o.To) {
			return fmt.Errorf("%s is renamed to %s: to another directory", o.Path, o.To)
		}
		to, what := filepath.Base(o.To), in.now[name]
		in.change(func(m map[string]entry) { delete(m, name); m[to] = what })
	}
	return nil
}

func (d *directory) sync() {
	for _, c := range d.since {
		c(d.kept)
	}
	d.since = nil
}

// left makes what is left of a directory.
func (d *directory) left(random *rand.Rand, path string) error {
	if err := os.MkdirAll(path, 0o750); err != nil {
		return err
	}
	names := maps.Clone(d.kept)
	keep := chooser(random, len(d.since))
	for i, c := range d.since {
		if keep(i) {
			c(names)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if err := names[name].left(random, filepath.Join(path, name)); err != nil {
			return err
		}
	}
	return nil
}

// chooser chooses of n changes none, all, the first ones or any.
func chooser(random *rand.Rand, n int) func(int) bool {
	switch random.IntN(4) {
	case 0:
		return func(int) bool { return false }
	case 1:
		return func(int) bool { return true }
	case 2:
		first := random.IntN(n + 1)
		return func(i int) bool { return i < first }
	}
	return func(int) bool { return random.IntN(2) == 0 }
}

// file is what is on disk of a file, and what was done to it since.
type file struct {
	kept  []byte
	since []op
}

func (f *file) sync() {
	for _, o := range f.since {
		f.kept = apply(f.kept, o.Op)
	}
	f.since = nil
}

func apply(b []byte, o disk.Op) []byte {
	end := int(o.At) + len(o.Data)
	if o.Kind == disk.Truncated {
		end = int(o.At)
		b = b[:min(end, len(b))]
	}
	if end > len(b) {
		b = append(b, make([]byte, end-len(b))...)
	}
	copy(b[o.At:], o.Data)
	return b
}

// left makes what is left of a file.
func (f *file) left(random *rand.Rand, path string) error {
	b := append([]byte(nil), f.kept...)
	keep := chooser(random, len(f.since))
	for i, o := range f.since {
		if !keep(i) {
			continue
		}
		switch op := o.Op; {
		case op.Kind == disk.Written && random.IntN(4) == 0: // torn
			op.Data = op.Data[:random.IntN(len(op.Data)+1)]
			b = apply(b, op)
		case op.Kind == disk.Written && random.IntN(8) == 0: // as long as told, with nothing in it
			b = apply(b, disk.Op{Kind: disk.Written, At: op.At, Data: make([]byte, len(op.Data))})
		default:
			b = apply(b, op)
		}
	}
	return os.WriteFile(path, b, 0o640)
}
