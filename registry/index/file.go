package index

import (
	"fmt"
	"os"
	"runtime"

	"github.com/icpgate/icpgate/registry/disk"
)

// fileMode: the snapshot holds the secret key (group read for mirrors).
const fileMode = 0o640

// WriteFile writes the snapshot of x to path, atomically: after a crash path is
// what it was or the whole new file. The directory must exist and be writable.
func WriteFile(path string, x *Index) error {
	if x == nil {
		return fmt.Errorf("snapshot %q cannot be written: there is no index", path)
	}
	err := disk.Replace(path, fileMode, func(f *disk.File) error {
		_, err := f.Write(x.image)
		runtime.KeepAlive(x)
		return err
	})
	if err != nil {
		return fmt.Errorf("snapshot %q cannot be written: %w", path, err)
	}
	return nil
}

// ReadFile reads a snapshot into memory. Nothing of it is used before all of it
// is verified; a file that is short, long, damaged, foreign or of another format
// is refused with an error that names file, section and offset and says what to
// do.
func ReadFile(path string) (*Index, error) { return readAs(path, path) }

func readAs(path, named string) (*Index, error) {
	image, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("snapshot cannot be read: %w", err)
	}
	x, err := load(image)
	if err != nil {
		return nil, fmt.Errorf("snapshot %q cannot be used: %w", named, err)
	}
	return x, nil
}
