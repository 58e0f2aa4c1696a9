package feed_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/feed"
)

// frameOf makes a small frame of a revision.
func frameOf(t testing.TB, s *feed.Signer, rev uint64) []byte {
	t.Helper()
	at := testRevision
	at.Rev = rev
	f := &feed.Frame{Type: feed.FrameRevision, Revision: at, Entries: []registry.Entry{{List: registry.ListTLDs, Key: fmt.Sprint("t", rev)}}}
	b, err := f.Append(nil, s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func openLog(t testing.TB, dir string, after uint64) (*feed.Log, int64) {
	t.Helper()
	l, cut, err := feed.OpenLog(dir, testRevision.Epoch, after)
	if err != nil {
		t.Fatal(err)
	}
	l.LimitSegments(400)
	t.Cleanup(func() { l.Close() })
	return l, cut
}

// readAll reads frames up to the end and returns the revision of the last one.
func readAll(t testing.TB, r *feed.LogReader, from uint64) uint64 {
	t.Helper()
	for next := from; ; next++ {
		b, err := r.Next()
		if errors.Is(err, io.EOF) {
			return next - 1
		}
		if err != nil {
			t.Fatal(err)
		}
		if h, err := feed.ParseHead(b); err != nil || h.Revision.Rev != next {
			t.Fatalf("got frame %d (%v); want %d", h.Revision.Rev, err, next)
		}
	}
}

func after42(rev uint64) registry.Revision {
	return registry.Revision{Epoch: testRevision.Epoch, Rev: rev}
}

func TestLog(t *testing.T) {
	s, dir := signer(t), filepath.Join(t.TempDir(), "log")
	l, _ := openLog(t, dir, 42)
	reader := feed.ReadLog(dir, after42(42))
	defer reader.Close()
	if last := readAll(t, reader, 43); last != 42 {
		t.Fatalf("an empty log has frames up to %d", last)
	}
	for rev := uint64(43); rev < 60; rev += 2 {
		if err := l.Append(frameOf(t, s, rev), frameOf(t, s, rev+1)); err != nil {
			t.Fatal(err)
		}
		if last := readAll(t, reader, rev); last != rev+1 {
			t.Fatalf("a reader that goes along is at %d; want %d", last, rev+1)
		}
	}
	if err := l.Append(frameOf(t, s, 62)); err == nil {
		t.Error("a gap was appended")
	}
	if err := l.Append(frameOf(t, s, 60)); err == nil {
		t.Error("a revision was appended twice")
	}
	if got := l.After().Rev; got != 42 {
		t.Errorf("the log can be followed from %d; want 42", got)
	}
	for from := uint64(42); from < 60; from++ {
		r := feed.ReadLog(dir, after42(from))
		if last := readAll(t, r, from+1); last != 60 {
			t.Errorf("from %d it reads up to %d; want 60", from, last)
		}
		r.Close()
	}
	if err := l.Drop(55); err != nil {
		t.Fatal(err)
	}
	if got := l.After().Rev; got <= 42 || got > 55 {
		t.Errorf("after Drop(55) the log can be followed from %d", got)
	}
	old := feed.ReadLog(dir, after42(42))
	defer old.Close()
	if _, err := old.Next(); !errors.Is(err, feed.ErrGone) {
		t.Errorf("a dropped revision: %v; want %v", err, feed.ErrGone)
	}
	other := feed.ReadLog(dir, registry.Revision{Epoch: registry.Epoch{Made: 1}, Rev: 57})
	defer other.Close()
	if _, err := other.Next(); !errors.Is(err, feed.ErrGone) {
		t.Errorf("another epoch: %v; want %v", err, feed.ErrGone)
	}
	l.Close()
	again, cut := openLog(t, dir, 42)
	if again.Last().Rev != 60 || cut != 0 {
		t.Errorf("opened again the log is at %d, %d bytes were cut; want 60 and 0", again.Last().Rev, cut)
	}
}

// Cut anywhere, or with any byte of its end changed, a log opens with the frames
// that are whole and goes on from there.
func TestLogTorn(t *testing.T) {
	s, dir := signer(t), t.TempDir()
	whole := filepath.Join(dir, "whole")
	l, _ := openLog(t, whole, 42)
	l.LimitSegments(1 << 20)
	var ends []int
	for rev := uint64(43); rev < 46; rev++ {
		b := frameOf(t, s, rev)
		if err := l.Append(b); err != nil {
			t.Fatal(err)
		}
		ends = append(ends, len(b))
	}
	name := fmt.Sprintf("%020d.frames", 43)
	all, err := os.ReadFile(filepath.Join(whole, name))
	if err != nil {
		t.Fatal(err)
	}
	try := func(what string, b []byte, want uint64) {
		t.Helper()
		torn := filepath.Join(dir, "torn")
		if err := errors.Join(os.RemoveAll(torn), os.Mkdir(torn, 0o750), os.WriteFile(filepath.Join(torn, name), b, 0o640)); err != nil {
			t.Fatal(err)
		}
		l, _ := openLog(t, torn, 42)
		defer l.Close()
		if got := l.Last().Rev; got != want {
			t.Fatalf("%s: the log is at %d; want %d", what, got, want)
		}
		if err := l.Append(frameOf(t, s, want+1)); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		r := feed.ReadLog(torn, after42(42))
		defer r.Close()
		if last := readAll(t, r, 43); last != want+1 {
			t.Fatalf("%s: it reads up to %d; want %d", what, last, want+1)
		}
	}
	for n := range all {
		want := uint64(42)
		for end, i := 0, 0; i < len(ends); i++ {
			if end += ends[i]; n >= end {
				want++
			}
		}
		try(fmt.Sprintf("%d bytes of %d", n, len(all)), all[:n], want)
	}
	for i := ends[0] + ends[1]; i < len(all); i++ {
		b := bytes.Clone(all)
		b[i] ^= 0x10
		try(fmt.Sprintf("byte %d changed", i), b, 44)
	}
}
