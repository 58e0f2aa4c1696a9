package index

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

// fileMode: the snapshot holds the secret key (group read for mirrors).
const fileMode = 0o640

// WriteFile writes the snapshot of x to path, atomically: after a crash path is
// what it was or the whole new file. The directory must exist and be writable.
func WriteFile(path string, x *Index) error {
	if x == nil {
		return fmt.Errorf("snapshot %q cannot be written: there is no index", path)
	}
	err := replaceFile(path, func(f *os.File) error {
		_, err := f.Write(x.image)
		runtime.KeepAlive(x)
		return err
	})
	if err != nil {
		return fmt.Errorf("snapshot %q cannot be written: %w", path, err)
	}
	return nil
}

// replaceFile puts what write writes in the place of path. Whatever happens, no
// other file is left.
func replaceFile(path string, write func(*os.File) error) (err error) {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if err := f.Chmod(fileMode); err != nil {
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
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}

// syncDir makes a rename last.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
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
