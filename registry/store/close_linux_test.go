package store_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/icpgate/icpgate/registry/store"
)

// heldFiles are those of a directory that this process has open, removed ones too.
func heldFiles(t *testing.T, dir string) (names []string) {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		name, err := os.Readlink("/proc/self/fd/" + e.Name())
		if err == nil && strings.HasPrefix(name, dir+"/") {
			names = append(names, filepath.Base(name))
		}
	}
	return names
}

// TestClose: a store that is closed, and a restore that has ended, hold no file of
// SQLite, whatever was written, and leave nothing in its log.
func TestClose(t *testing.T) {
	w := &world{T: t, dsn: sqliteDSN(t), now: day(2026, 3, 1), key: store.NewKey()}
	dir := filepath.Dir(w.dsn)
	w.open()
	w.load(complete, many(0, 300)...)
	var backup bytes.Buffer
	if _, err := w.s.Backup(background, &backup); err != nil {
		t.Fatal(err)
	}
	if len(heldFiles(t, dir)) == 0 {
		t.Fatal("an open store holds no file; want some")
	}
	closed := func(what string) {
		t.Helper()
		if held := heldFiles(t, dir); len(held) > 0 {
			t.Errorf("after %s: %q are held; want none", what, held)
		}
		left, err := filepath.Glob(filepath.Join(dir, "*"))
		for i, path := range left {
			left[i] = filepath.Base(path)
		}
		if want := []string{"registry.db", "registry.db.lock"}; err != nil || !slices.Equal(left, want) {
			t.Errorf("after %s: there are %q, %v; want %q", what, left, err, want)
		}
	}
	if err := w.s.Close(); err != nil {
		t.Fatal(err)
	}
	closed("closing")
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(backup.Bytes())), nil }
	if _, err := store.Restore(background, w.dsn, store.Options{Now: w.clock, Key: w.key}, staff, true, open); err != nil {
		t.Fatal(err)
	}
	closed("restoring")
}
