package index

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"runtime"

	"github.com/icpgate/icpgate/registry/disk"
)

// Copy puts a copy of the snapshot from in the place of path and returns it,
// mapped: path lies where Map may be used. Nothing of it is used, nor is path
// touched, before all of the copy is verified; errors name from, section and
// offset. The file from is read once and never mapped: it is an operator's.
func Copy(path, from string) (*Index, error) {
	src, err := os.Open(from)
	if err != nil {
		return nil, fmt.Errorf("snapshot cannot be read: %w", err)
	}
	defer src.Close()
	var x *Index
	refused := false
	err = disk.Replace(path, fileMode, func(f *disk.File) error {
		if _, err := io.Copy(f, src); err != nil {
			return err
		}
		var err error
		x, err = mapAs(f.Name(), from)
		refused = err != nil
		return err
	})
	switch {
	case refused:
		return nil, err
	case err != nil:
		return nil, fmt.Errorf("snapshot %q cannot be copied to %q: %w", from, path, err)
	}
	return x, nil
}

// Heads reports whether the file at path begins as the snapshot of x does. The
// header holds the checksums of all the rest: a whole file that begins so is the
// same one.
func (x *Index) Heads(path string) bool {
	if x == nil {
		return false
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil || fi.Size() != int64(len(x.image)) {
		return false
	}
	head := make([]byte, headerSize)
	_, err = io.ReadFull(f, head)
	same := err == nil && bytes.Equal(head, x.image[:headerSize])
	runtime.KeepAlive(x)
	return same
}
