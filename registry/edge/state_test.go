package edge_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/edge"
	"github.com/icpgate/icpgate/registry/index"
)

// holderVariable makes the test binary a process that holds a registry: it opens
// the file that the variable names and waits for its input to end.
const holderVariable = "EDGE_TEST_HOLD"

func init() {
	path := os.Getenv(holderVariable)
	if path == "" {
		return
	}
	e, err := edge.Open(edge.Config{Registry: path, State: os.Getenv("EDGE_TEST_STATE")})
	if err != nil {
		panic(err)
	}
	if !edge.Leads(e) {
		panic("the first process does not lead")
	}
	os.Stdout.WriteString("open\n")
	io.Copy(io.Discard, os.Stdin)
	os.Exit(3) // as if it had been killed: nothing is closed
}

// holder starts another process that holds a registry.
func holder(t *testing.T, path, state string) (end func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), holderVariable+"="+path, "EDGE_TEST_STATE="+state)
	cmd.Stderr = os.Stderr
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err1 != nil || err2 != nil || cmd.Start() != nil {
		t.Fatal(err1, err2, "the other process does not start")
	}
	if line, _ := bufio.NewReader(out).ReadString('\n'); line != "open\n" {
		t.Fatalf("got %q from the other process; want that it has opened", line)
	}
	return func() {
		in.Close()
		cmd.Wait() // its status says how it ended, which is known
	}
}

func contents(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestStateCopy: what is mapped is a copy, so that the operator's file may be
// overwritten, cut short and removed; a bad one changes nothing.
func TestStateCopy(t *testing.T) {
	dir := t.TempDir()
	path, state := filepath.Join(dir, "r.snap"), filepath.Join(dir, "a", "state")
	snapshot(t, path, 1, "a.test")
	tell := make(told, 10)
	e := open(t, edge.Config{Registry: path, State: state, Observer: tell})
	copied := edge.StateOf(e)
	if !strings.HasPrefix(copied, state+string(filepath.Separator)) || !bytes.Equal(contents(t, copied), contents(t, path)) {
		t.Fatalf("got copy %q; want that of the file below %q", copied, state)
	}
	if info, err := os.Stat(filepath.Dir(copied)); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("got %v, %v; want a directory for this user alone", info.Mode(), err)
	}
	good := contents(t, path)
	other := filepath.Join(dir, "other.snap")
	snapshot(t, other, 2, "other.test")
	second := contents(t, other)
	for name, bad := range map[string][]byte{"short": good[:len(good)-64], "empty": nil, "foreign": []byte(strings.Repeat("domain,number\n", 99)), "damaged": flip(second, len(second)/2), "newer": flip(good, 8)} {
		replace(t, path, bad)
		e.Refresh()
		if r := next(t, tell); r.Err == nil || !strings.Contains(r.Err.Error(), path) || strings.Contains(r.Err.Error(), copied) || !strings.Contains(r.Err.Error(), "offset") {
			t.Errorf("%s: got %v; want an error that names the operator's file and an offset", name, r.Err)
		}
		if !filed(e, "www.a.test") || !bytes.Equal(contents(t, copied), good) {
			t.Errorf("%s: the registry in force has changed", name)
		}
	}
	snapshot(t, path, 2, "b.test")
	e.Refresh()
	if r := next(t, tell); r.Err != nil || !filed(e, "b.test") || filed(e, "a.test") {
		t.Errorf("got %v; want the new file in force", r.Err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(copied), ".*")); len(left) > 0 {
		t.Errorf("left over: %q", left)
	}
}

// replace puts another file in the place of path: one written over within a tick
// of the file system's clock, at the same size, would look the same.
func replace(t *testing.T, path string, content []byte) {
	t.Helper()
	aside := path + ".aside"
	write(t, aside, string(content))
	if err := os.Rename(aside, path); err != nil {
		t.Fatal(err)
	}
}

// next returns what was told last; Refresh has told it before it returns.
func next(t *testing.T, tell told) edge.Reload {
	t.Helper()
	select {
	case r := <-tell:
		return r
	default:
		t.Fatal("nothing was told")
		return edge.Reload{}
	}
}

func flip(b []byte, at int) []byte {
	b = bytes.Clone(b)
	b[at] ^= 1
	return b
}

// TestStateStart: a copy of an earlier start is used as it is, without another
// look at the rest of the operator's file; one of another file is replaced, and
// so is a damaged one. What a crash left half written goes.
func TestStateStart(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "r.snap")
	snapshot(t, path, 1, "a.test")
	cfg := edge.Config{Registry: path, State: dir}
	e := open(t, cfg)
	copied := edge.StateOf(e)
	first, err := os.Stat(copied)
	if err != nil {
		t.Fatal(err)
	}
	e.Close()
	half := filepath.Join(filepath.Dir(copied), "."+filepath.Base(copied)+".123")
	write(t, half, "half")
	// The rest of the file is another, which only a full reading would find.
	write(t, path, string(flip(contents(t, path), len(contents(t, path))-100)))
	e = open(t, cfg)
	if now, err := os.Stat(copied); err != nil || !os.SameFile(first, now) || !filed(e, "a.test") {
		t.Errorf("got %v; want the copy as it was", err)
	}
	if _, err := os.Stat(half); !os.IsNotExist(err) {
		t.Errorf("got %v; want the half copy gone", err)
	}
	e.Close()

	snapshot(t, path, 2, "b.test")
	e = open(t, cfg)
	if !filed(e, "b.test") || !bytes.Equal(contents(t, copied), contents(t, path)) {
		t.Error("the copy is not that of the new file")
	}
	e.Close()
	write(t, copied, string(flip(contents(t, copied), 2000)))
	e = open(t, cfg)
	if !filed(e, "b.test") || !bytes.Equal(contents(t, copied), contents(t, path)) {
		t.Error("a damaged copy is still there")
	}
}

// TestStateOddNames: a source may be called what a pattern would be, or by the
// longest name that there is.
func TestStateOddNames(t *testing.T) {
	for _, name := range []string{"r[1].snap", "r*?.snap", "r\\\\.snap", strings.Repeat("r", 255)} {
		dir := t.TempDir()
		path, state := filepath.Join(dir, name), filepath.Join(dir, "a[1]")
		snapshot(t, filepath.Join(dir, "plain"), 1, "a.test")
		if err := os.Rename(filepath.Join(dir, "plain"), path); err != nil {
			t.Fatal(err)
		}
		cfg := edge.Config{Registry: path, State: state}
		e := open(t, cfg)
		copied := edge.StateOf(e)
		e.Close()
		half := filepath.Join(filepath.Dir(copied), "."+filepath.Base(copied)+".123")
		write(t, half, "half")
		e = open(t, cfg)
		if _, err := os.Stat(half); !os.IsNotExist(err) || !filed(e, "a.test") {
			t.Errorf("%.20q: got %v; want the half copy gone", name, err)
		}
		e.Close()
	}
}

// TestStateOfAnotherProcess: one process writes, the others map what it wrote,
// and one of them writes when it has gone.
func TestStateOfAnotherProcess(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "r.snap")
	snapshot(t, path, 1, "a.test")
	end := holder(t, path, dir)
	defer end()
	tell := make(told, 10)
	e := open(t, edge.Config{Registry: path, State: dir, Observer: tell})
	copied := edge.StateOf(e)
	if edge.Leads(e) || !filed(e, "a.test") {
		t.Fatal("two processes hold the lock, or the second has no registry")
	}
	before, err := os.Stat(copied)
	if err != nil {
		t.Fatal(err)
	}
	snapshot(t, path, 2, "b.test")
	e.Refresh()
	if now, err := os.Stat(copied); err != nil || !os.SameFile(before, now) || filed(e, "b.test") {
		t.Error("a process without the lock has written")
	}
	// What the holder writes.
	if _, err := index.Copy(copied, path); err != nil {
		t.Fatal(err)
	}
	e.Refresh()
	if r := next(t, tell); r.Err != nil || !filed(e, "b.test") {
		t.Errorf("got %v; want what the holder has written in force", r.Err)
	}
	snapshot(t, path, 3, "c.test")
	e.Refresh()
	if len(tell) > 0 || filed(e, "c.test") {
		t.Error("the file came in force before its copy")
	}
	end()
	e.Refresh()
	if r := next(t, tell); r.Err != nil || !edge.Leads(e) || !filed(e, "c.test") || !bytes.Equal(contents(t, copied), contents(t, path)) {
		t.Errorf("got %v; want the lock passed on, and the newer file copied", r.Err)
	}
}

// TestStateUnusable: a directory that was asked for must be usable; the usual one
// need not be, and then a warning tells so.
func TestStateUnusable(t *testing.T) {
	dir := t.TempDir()
	path, blocked := filepath.Join(dir, "r.snap"), filepath.Join(dir, "blocked")
	snapshot(t, path, 1, "a.test")
	write(t, blocked, "a file")
	if _, err := edge.Open(edge.Config{Registry: path, State: blocked}); err == nil || !strings.Contains(err.Error(), blocked) {
		t.Errorf("got %v; want an error that names %q", err, blocked)
	}
	open1 := filepath.Join(dir, "open")
	e := open(t, edge.Config{Registry: path, State: open1})
	sub := filepath.Dir(edge.StateOf(e))
	e.Close()
	if err := os.Chmod(sub, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := edge.Open(edge.Config{Registry: path, State: open1}); err == nil || !strings.Contains(err.Error(), sub) || !strings.Contains(err.Error(), "written by others") {
		t.Errorf("got %v; want an error that names %q", err, sub)
	}
	if os.Geteuid() == 0 {
		if err := os.Chmod(sub, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(sub, 12345, -1); err != nil {
			t.Fatal(err)
		}
		if _, err := edge.Open(edge.Config{Registry: path, State: open1}); err == nil || !strings.Contains(err.Error(), "different users need different directories") {
			t.Errorf("got %v; want that another user's directory is refused", err)
		}
	}
	t.Setenv("XDG_STATE_HOME", blocked)
	e = open(t, edge.Config{Registry: path})
	if w := e.Warnings(); !filed(e, "a.test") || len(w) == 0 || !strings.Contains(w[0], blocked) || !strings.Contains(w[0], "memory") {
		t.Errorf("got warnings %q; want one that %q cannot be used", w, blocked)
	}
	if edge.Held() == 0 {
		t.Error("nothing is held")
	}
}

// TestStateFull: where the copy cannot be written, the usual directory is done
// without, with a warning, at the start and later; one that was asked for is not.
func TestStateFull(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "r.snap")
	snapshot(t, path, 1, "a.test")
	t.Setenv("XDG_STATE_HOME", dir)
	e := open(t, edge.Config{Registry: path})
	copied := edge.StateOf(e)
	block := func() {
		t.Helper()
		if err := errors.Join(os.RemoveAll(copied), os.MkdirAll(filepath.Join(copied, "full"), 0o700)); err != nil {
			t.Fatal(err)
		}
	}
	if w := e.Warnings(); len(w) > 0 {
		t.Fatalf("got warnings %q before anything is wrong", w)
	}
	block()
	snapshot(t, path, 2, "b.test")
	e.Refresh()
	if w := e.Warnings(); !filed(e, "b.test") || len(w) == 0 || !strings.Contains(w[0], copied) || !strings.Contains(w[0], "memory") {
		t.Errorf("got warnings %q; want the new file in force and one that names %q", w, copied)
	}
	e.Close()
	e = open(t, edge.Config{Registry: path})
	if w := e.Warnings(); !filed(e, "b.test") || len(w) == 0 {
		t.Errorf("got warnings %q; want the file in force and one", w)
	}
	if err := os.RemoveAll(copied); err != nil {
		t.Fatal(err)
	}
	snapshot(t, path, 3, "c.test")
	e.Refresh()
	if w := e.Warnings(); !filed(e, "c.test") || len(w) > 0 || !bytes.Equal(contents(t, copied), contents(t, path)) {
		t.Errorf("got warnings %q; want the new file copied", w)
	}
	e.Close()
	block()
	if _, err := edge.Open(edge.Config{Registry: path, State: filepath.Join(dir, "icpgate")}); err == nil || !strings.Contains(err.Error(), copied) {
		t.Errorf("got %v; want an error that names %q", err, copied)
	}
}

func TestDefaultState(t *testing.T) {
	for _, tt := range []struct{ xdg, home, want string }{
		{"/x", "/h", "/x/icpgate"},
		{"", "/h", "/h/.local/state/icpgate"},
		{"relative", "/h", "/h/.local/state/icpgate"},
	} {
		t.Setenv("XDG_STATE_HOME", tt.xdg)
		t.Setenv("HOME", tt.home)
		if got, err := edge.DefaultState(); err != nil || got != tt.want {
			t.Errorf("%+v: got %q, %v", tt, got, err)
		}
	}
	t.Setenv("XDG_STATE_HOME", "")
	t.Setenv("HOME", "")
	got, err := edge.DefaultState()
	if root := os.Geteuid() == 0; root && got != "/var/lib/icpgate" || !root && err == nil {
		t.Errorf("got %q, %v without a HOME", got, err)
	}
}

// TestSince: a registry that does not say when it was made ages from its file's
// time.
func TestSince(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.snap")
	x, err := index.NewBuilder(index.Options{}).Build()
	if err != nil {
		t.Fatal(err)
	}
	if err := index.WriteFile(path, x); err != nil {
		t.Fatal(err)
	}
	written := time.Unix(1_600_000_000, 0)
	if err := os.Chtimes(path, written, written); err != nil {
		t.Fatal(err)
	}
	open(t, edge.Config{Registry: path})
	for source, h := range edge.Registries() {
		if source == path && !h.Since.Equal(written) {
			t.Errorf("got %s; want %s", h.Since, written)
		}
	}
}

// TestFind: a name as it arrives, through the cache and past it.
func TestFind(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.snap")
	snapshot(t, path, 1, "例子.test", "plain.test")
	want := registry.MustParseDomain("www.例子.test")
	for _, size := range []int{0, 100, -1} {
		e := open(t, edge.Config{Registry: path, Cache: size})
		for range 3 {
			if d, c, err := e.Find("www.例子.test"); err != nil || d != want || len(c.Filings) != 1 {
				t.Errorf("cache %d: got %q %+v %v", size, d, c, err)
			}
			if d, c, err := e.Find("WWW.plain.test."); err != nil || d.String() != "www.plain.test" || len(c.Filings) != 1 {
				t.Errorf("cache %d: got %q %+v %v", size, d, c, err)
			}
			if _, _, err := e.Find("a..test"); err == nil {
				t.Errorf("cache %d: got no error", size)
			}
		}
		for source, h := range edge.Registries() {
			if source != path {
				continue
			}
			if got, want := h.Cache.Hits, uint64(2); size >= 0 && (got != want || h.Cache.Misses != 1 || h.Cache.Entries != 1) || size < 0 && h.Cache != (edge.CacheStats{}) {
				t.Errorf("cache %d: got %+v", size, h.Cache)
			}
		}
		e.Close()
	}
}
