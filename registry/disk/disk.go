// Package disk writes files that outlast a power cut: it syncs what a file holds,
// and the directory that holds its name.
//
//	err := disk.WriteFile(path, b, 0o640)                // whole and on disk, or as it was
//	err = disk.Replace(path, 0o640, func(f *disk.File) error { … })
//	err = disk.MkdirAll(dir, 0o750)                      // also the names above it
//	f, err := disk.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o640)
//	err = disk.SyncDir(dir)                              // makes names in it last
//
// It does not read: what was written is read by package os. Watch shows tests all
// that goes to the disk.
package disk

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// File is a file that is written. The zero value is none. It may be used as
// *os.File may.
type File struct{ f *os.File }

// OpenFile is os.OpenFile. A new name lasts once its directory is synced.
func OpenFile(path string, flag int, mode fs.FileMode) (*File, error) {
	f, err := os.OpenFile(path, flag, mode)
	if err != nil {
		return nil, err
	}
	return opened(f, flag&os.O_TRUNC != 0), nil
}

// createTemp is os.CreateTemp.
func createTemp(dir, pattern string) (*File, error) {
	f, err := os.CreateTemp(dir, pattern)
	if err != nil {
		return nil, err
	}
	return opened(f, true), nil
}

func opened(f *os.File, cut bool) *File {
	o := &File{f}
	tell(Op{Kind: Opened, File: o, Path: f.Name(), Cut: cut})
	return o
}

// Name is the path that it was opened by.
func (f *File) Name() string { return f.f.Name() }

// Chmod sets the mode.
func (f *File) Chmod(mode fs.FileMode) error { return f.f.Chmod(mode) }

// Read reads on from where the file stands.
func (f *File) Read(b []byte) (int, error) { return f.f.Read(b) }

// Seek moves where the file stands.
func (f *File) Seek(offset int64, whence int) (int64, error) { return f.f.Seek(offset, whence) }

// Write writes where the file stands.
func (f *File) Write(b []byte) (int, error) {
	if !watched() {
		return f.f.Write(b)
	}
	at, err := f.f.Seek(0, io.SeekCurrent)
	if err != nil {
		return 0, err
	}
	n, err := f.f.Write(b)
	tell(Op{Kind: Written, File: f, At: at, Data: b[:n]})
	return n, err
}

// WriteAt writes at an offset.
func (f *File) WriteAt(b []byte, at int64) (int, error) {
	n, err := f.f.WriteAt(b, at)
	tell(Op{Kind: Written, File: f, At: at, Data: b[:n]})
	return n, err
}

// ReadFrom writes all that r has, as io.Copy wants it: by the kernel where that
// can be.
func (f *File) ReadFrom(r io.Reader) (int64, error) {
	if !watched() {
		return f.f.ReadFrom(r)
	}
	return io.Copy(struct{ io.Writer }{f}, r)
}

// Truncate makes the file so long.
func (f *File) Truncate(size int64) error {
	err := f.f.Truncate(size)
	if err == nil {
		tell(Op{Kind: Truncated, File: f, At: size})
	}
	return err
}

// Sync returns when what was written is on disk; the name is not, see SyncDir.
func (f *File) Sync() error {
	tell(Op{Kind: Synced, File: f}) // before, as what others write meanwhile may be too late
	return f.f.Sync()
}

// Close closes it. What was not synced may be lost.
func (f *File) Close() error { return f.f.Close() }

// SyncDir makes the names in a directory last.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	tell(Op{Kind: DirSynced, Path: dir})
	return errors.Join(d.Sync(), d.Close())
}

// MkdirAll is os.MkdirAll; the names of what it made are on disk.
func MkdirAll(dir string, mode fs.FileMode) error {
	var missing []string
	for up := filepath.Clean(dir); ; up = filepath.Dir(up) {
		if _, err := os.Stat(up); !errors.Is(err, os.ErrNotExist) || up == filepath.Dir(up) {
			break
		}
		missing = append(missing, up)
	}
	if err := os.MkdirAll(dir, mode); err != nil {
		return err
	}
	for i := len(missing) - 1; i >= 0; i-- {
		tell(Op{Kind: DirMade, Path: missing[i]})
		if err := SyncDir(filepath.Dir(missing[i])); err != nil {
			return err
		}
	}
	return nil
}

// Rename is os.Rename, within one directory; the new name is on disk. What the
// file holds must be already.
func Rename(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	tell(Op{Kind: Renamed, Path: from, To: to})
	return SyncDir(filepath.Dir(to))
}

// Remove is os.Remove. After a power cut the file may be there again.
func Remove(path string) error {
	err := os.Remove(path)
	if err == nil {
		tell(Op{Kind: Removed, Path: path})
	}
	return err
}

// RemoveAll removes a directory of files, and itself; some of them may be there
// again after a power cut. A directory that is not there is no error.
func RemoveAll(dir string) error {
	files, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	for _, f := range files {
		err = errors.Join(err, Remove(filepath.Join(dir, f.Name())))
	}
	return errors.Join(err, Remove(dir))
}

// Replace puts what write writes in the place of path: after a crash path is what
// it was or the whole new file, and when Replace returns the new one. No other file
// is left, but by a crash one whose name begins with "." and that of path.
func Replace(path string, mode fs.FileMode, write func(*File) error) (err error) {
	f, err := createTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			Remove(f.Name())
		}
	}()
	if err := f.Chmod(mode); err != nil {
		return err
	}
	if err := write(f); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return Rename(f.Name(), path)
}

// WriteFile puts b in the place of path, as Replace does.
func WriteFile(path string, b []byte, mode fs.FileMode) error {
	return Replace(path, mode, func(f *File) error {
		_, err := f.Write(b)
		return err
	})
}
