package store_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/store"
	"github.com/icpgate/icpgate/registry/store/storetest"
)

// smallDisk mounts a file system of so many bytes, with a file that takes some of
// it until make room is called; leave says how many are free.
func smallDisk(t *testing.T, size int) (dir string, leave func(free int)) {
	t.Helper()
	dir = t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "mode=0777,size="+strconv.Itoa(size)); err != nil {
		t.Skipf("no file system can be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	filler := filepath.Join(dir, "filler")
	return dir, func(free int) {
		t.Helper()
		os.Remove(filler)
		var fs syscall.Statfs_t
		if err := syscall.Statfs(dir, &fs); err != nil {
			t.Fatal(err)
		}
		if n := int(fs.Bavail)*int(fs.Bsize) - free; n > 0 {
			if err := os.WriteFile(filler, make([]byte, n), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestDiskFull fills the disk at many places of an import and of edits. The error
// says so, what was there is served, nothing is half done, and all goes on when
// there is room.
func TestDiskFull(t *testing.T) {
	for _, e := range []struct {
		name string
		size int
		dsn  func(t *testing.T, dir string) string
	}{
		{"sqlite", 24 << 20, func(t *testing.T, dir string) string { return filepath.Join(dir, "registry.db") }},
		{"postgres", 48 << 20, func(t *testing.T, dir string) string {
			postgresDSN(t) // starts the server
			own := filepath.Join(dir, "space")
			if err := os.Mkdir(own, 0o700); err != nil {
				t.Fatal(err)
			}
			if attr, err := storetest.Unprivileged(own); err != nil || attr.Credential == nil {
				t.Skipf("the directory cannot be the server's: %v", err)
			}
			// Who may not pass the directories above cannot reach it.
			for up := dir; up != "/" && up != os.TempDir(); up = filepath.Dir(up) {
				if err := os.Chmod(up, 0o755); err != nil {
					t.Fatal(err)
				}
			}
			if out, err := storetest.SQL("postgres", "CREATE TABLESPACE small LOCATION '"+own+"'"); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			t.Cleanup(func() {
				storetest.SQL("postgres", "DROP DATABASE IF EXISTS icpsmall WITH (FORCE)")
				storetest.SQL("postgres", "DROP TABLESPACE small")
			})
			if out, err := storetest.SQL("postgres", "CREATE DATABASE icpsmall TEMPLATE "+template+" TABLESPACE small"); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			return storetest.DSN("icpsmall")
		}},
	} {
		t.Run(e.name, func(t *testing.T) {
			dir, leave := smallDisk(t, e.size)
			w := &world{T: t, dsn: e.dsn(t, dir), now: day(2026, 3, 1), key: store.NewKey()}
			w.open()
			defer func() { w.s.Close() }()
			w.load(complete, many(0, 500)...)
			places := []int{0, 128 << 10, 600 << 10}
			if os.Getenv("ICP_SOAK") != "" {
				for free := 16 << 10; free < 4<<20; free += 48 << 10 {
					places = append(places, free)
				}
			}
			full := 0
			for i, free := range places {
				leave(free)
				if w.onFullDisk(i) {
					full++
				}
				leave(8 << 20)
				w.roomAgain(i)
			}
			if full < 2 {
				t.Errorf("the disk was full %d times; want it to be", full)
			}
		})
	}
}

// renamed are the first n filings with names of their own.
func renamed(n, round int) []registry.Filing {
	list := many(0, n)
	for i := range list {
		list[i].Site.Name = fmt.Sprintf("a name of this round that takes some room: %d", round)
	}
	return list
}

// onFullDisk edits and imports until the disk is full; false if it never was.
func (w *world) onFullDisk(round int) bool {
	w.Helper()
	acknowledged, _ := w.s.Revision(background)
	failed := false
	for n := 0; n < 200 && !failed; n++ {
		rev, err := w.s.Edit(background, staff, func(e *store.Edit) error {
			for _, f := range renamed(20, round*1000+n) {
				if err := e.PutFiling(f); err != nil {
					return err
				}
			}
			return nil
		})
		switch {
		case err == nil:
			acknowledged = rev
		case errors.Is(err, store.ErrFull):
			failed = true
		default:
			w.Errorf("round %d: got %v; want ErrFull", round, err)
			failed = true
		}
	}
	if _, err := w.s.Stage(background, staff, complete, of(renamed(450, round)...)); err != nil && !errors.Is(err, store.ErrFull) {
		w.Errorf("round %d: got %v; want ErrFull", round, err)
	}
	if now, err := w.s.Revision(background); err != nil || now != acknowledged {
		w.Errorf("round %d: at %s, %v; want %s, the last that was acknowledged", round, now, err, acknowledged)
	}
	if all, _, _ := w.all(); len(all) != 500 {
		w.Errorf("round %d: %d filings are served; want 500", round, len(all))
	}
	return failed
}

// roomAgain imports all anew and looks at what there is.
func (w *world) roomAgain(round int) {
	w.Helper()
	want := renamed(500, round)
	w.load(complete, want...)
	if wrong, err := w.s.Check(background); err != nil || len(wrong) > 0 {
		w.Fatalf("round %d: %q, %v", round, wrong, err)
	}
	all, _, _ := w.all()
	for _, f := range want {
		if !same(all[store.KeyOf(&f)], f) {
			w.Fatalf("round %d: got %+v; want %+v", round, all[store.KeyOf(&f)], f)
		}
	}
}
