package index_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/icpgate/icpgate/registry/index"
)

// TestCopy: the copy is what was verified, and the file it came from may go.
func TestCopy(t *testing.T) {
	from := written(t, small(t))
	image := must(os.ReadFile(from))
	dir := t.TempDir()
	path := filepath.Join(dir, "copy")
	x, err := index.Copy(path, from)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(must(os.ReadFile(path)), image) || !x.Heads(from) || !x.Heads(path) {
		t.Error("the copy is another file")
	}
	for name, bad := range map[string][]byte{"empty": nil, "short": image[:len(image)-1], "long": append(bytes.Clone(image), 0), "head": append([]byte{0}, image[1:]...)} {
		if err := os.WriteFile(from, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := index.Copy(path, from); err == nil || !strings.Contains(err.Error(), from) || strings.Contains(err.Error(), dir) {
			t.Errorf("%s: got %v; want an error that names %q", name, err, from)
		}
		if x.Heads(from) {
			t.Errorf("%s: it is taken for the same file", name)
		}
	}
	if !bytes.Equal(must(os.ReadFile(path)), image) {
		t.Error("a refused file has displaced the copy")
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("got %d files; want the copy alone", len(entries))
	}
	if _, err := index.Copy(path, filepath.Join(dir, "missing")); err == nil || !strings.Contains(err.Error(), "missing") {
		t.Errorf("got %v; want an error that names the missing file", err)
	}
	if _, err := index.Copy(filepath.Join(dir, "no", "copy"), path); err == nil || !strings.Contains(err.Error(), filepath.Join("no", "copy")) {
		t.Errorf("got %v; want an error that names where it should go", err)
	}
	if (*index.Index)(nil).Heads(path) || x.Heads(dir) {
		t.Error("nothing is taken for a file, or a file for a directory")
	}
}
