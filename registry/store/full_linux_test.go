package store_test

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
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

// roundsOnOne is how often a database meets a full disk. What every round writes is
// history, which is kept for good: the 88 rounds of the long form write 200 MB.
const roundsOnOne = 3

// TestDiskFull fills the disk at many places of an import and of edits. The error
// says so, what was there is served, nothing is half done, and all goes on when
// there is room.
func TestDiskFull(t *testing.T) {
	for _, e := range []struct {
		name string
		size int
		// databases returns what makes a new database on the file system of dir, in the
		// place of the one before.
		databases func(t *testing.T, dir string) func() (dsn string)
	}{
		{"sqlite", 32 << 20, func(t *testing.T, dir string) func() string {
			return func() string {
				path := filepath.Join(dir, "registry.db")
				for _, suffix := range []string{"", "-wal", "-shm"} {
					os.Remove(path + suffix)
				}
				return path
			}
		}},
		{"postgres", 48 << 20, smallSpace},
	} {
		t.Run(e.name, func(t *testing.T) {
			dir, leave := smallDisk(t, e.size)
			next := e.databases(t, dir)
			places := []int{0, 128 << 10, 600 << 10}
			if os.Getenv("ICP_SOAK") != "" {
				for free := 16 << 10; free < 4<<20; free += 48 << 10 {
					places = append(places, free)
				}
			}
			full := 0
			for round := 0; len(places) > 0; {
				some := places[:min(roundsOnOne, len(places))]
				places = places[len(some):]
				leave(e.size)
				w := &world{T: t, dsn: next(), now: day(2026, 3, 1), key: store.NewKey()}
				w.open()
				w.load(complete, many(0, 500)...)
				for _, free := range some {
					leave(free)
					if w.onFullDisk(round) {
						full++
					}
					leave(8 << 20)
					w.roomAgain(round)
					round++
				}
				if err := w.s.Close(); err != nil {
					t.Error(err)
				}
				if t.Failed() {
					return
				}
			}
			if full < 2 {
				t.Errorf("the disk was full %d times; want it to be", full)
			}
		})
	}
}

// smallSpace has PostgreSQL keep databases in a directory.
func smallSpace(t *testing.T, dir string) func() (dsn string) {
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
	run := func(query string) {
		t.Helper()
		if out, err := storetest.SQL("postgres", query); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	run("CREATE TABLESPACE small LOCATION '" + own + "'")
	t.Cleanup(func() {
		storetest.SQL("postgres", "DROP DATABASE IF EXISTS icpsmall WITH (FORCE)")
		storetest.SQL("postgres", "DROP TABLESPACE small")
	})
	return func() string {
		t.Helper()
		run("DROP DATABASE IF EXISTS icpsmall WITH (FORCE)")
		run("CREATE DATABASE icpsmall TEMPLATE " + template + " TABLESPACE small")
		return storetest.DSN("icpsmall")
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
	switch i, err := w.s.Stage(background, staff, complete, of(renamed(450, round)...)); {
	case err == nil:
		w.unpublished = i.ID
	case !errors.Is(err, store.ErrFull):
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

// roomAgain imports all anew and looks at what there is. What was staged in vain
// takes no room any more.
func (w *world) roomAgain(round int) {
	w.Helper()
	if w.unpublished != "" {
		if err := w.s.Drop(background, staff, w.unpublished); err != nil {
			w.Fatalf("round %d: %v", round, err)
		}
		w.unpublished = ""
	}
	want := renamed(500, round)
	w.load(complete, want...)
	if wrong, err := w.s.Check(background); err != nil || len(wrong) > 0 {
		w.Fatalf("round %d: %q, %v", round, wrong, err)
	}
	w.nothingLeft(round)
	all, _, _ := w.all()
	for _, f := range want {
		if !same(all[store.KeyOf(&f)], f) {
			w.Fatalf("round %d: got %+v; want %+v", round, all[store.KeyOf(&f)], f)
		}
	}
}

// nothingLeft looks for chunks of imports that are over, and for a log that is not
// written into the database.
func (w *world) nothingLeft(round int) {
	w.Helper()
	driver, dsn := "pgx", w.dsn
	if !strings.Contains(w.dsn, "dbname=") {
		driver, dsn = "sqlite", "file:"+w.dsn+"?_pragma=query_only(1)"
		// SQLite begins anew from the start of it once a thousand pages, or a transaction
		// that has more, are written into the database.
		if info, err := os.Stat(w.dsn + "-wal"); err != nil || info.Size() > 6<<20 {
			w.Errorf("round %d: the log has %d bytes, %v; want 6 MB at most", round, info.Size(), err)
		}
	}
	db, err := sql.Open(driver, dsn)
	if err != nil {
		w.Fatal(err)
	}
	defer db.Close()
	var n int
	if err := db.QueryRow("SELECT count(*) FROM staged").Scan(&n); err != nil || n > 0 {
		w.Errorf("round %d: %d chunks are left of imports that are over, %v", round, n, err)
	}
}
