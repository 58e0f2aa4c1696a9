package disk_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/icpgate/icpgate/registry/disk"
)

// TestReplace: a file is replaced whole or not at all, and nothing else stays.
func TestReplace(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	if err := disk.MkdirAll(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "file")
	if err := disk.WriteFile(path, []byte("old"), 0o640); err != nil {
		t.Fatal(err)
	}
	failed := errors.New("failed")
	err := disk.Replace(path, 0o600, func(f *disk.File) error {
		if _, err := io.Copy(f, strings.NewReader("half of the n")); err != nil {
			return err
		}
		return failed
	})
	if got, _ := os.ReadFile(path); !errors.Is(err, failed) || string(got) != "old" {
		t.Errorf("after a failure: %q, %v; want the old file", got, err)
	}
	if err := disk.WriteFile(path, []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if got, _ := os.ReadFile(path); err != nil || string(got) != "new" || info.Mode().Perm() != 0o600 {
		t.Errorf("got %q, %v, %v; want the new file", got, info.Mode(), err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("%d files are there; want one", len(left))
	}
	if err := errors.Join(disk.RemoveAll(dir), disk.RemoveAll(dir)); err != nil {
		t.Error(err)
	}
}
