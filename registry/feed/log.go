package feed

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/disk"
)

// segmentSize is where a segment of a log ends; some 500,000 changes.
const segmentSize = 64 << 20

// Log keeps the frames of one epoch in files, in the order of their revisions and
// without gaps, byte for byte as they came. What Append has returned from is on
// disk. It is safe for concurrent use. A directory belongs to one Log that
// appends; others may read it by a LogReader.
type Log struct {
	dir   string
	epoch registry.Epoch
	limit int64 // of a segment

	mu   sync.Mutex
	segs []segment  // by their first revision; the last one is open
	f    *disk.File // of the last segment; nil without segments
	last uint64     // revision of the newest frame; where there is none, of what it follows
}

// segment is a file of frames, named by the revision of its first one.
type segment struct {
	first uint64
	size  int64
}

const segmentSuffix = ".frames"

func (l *Log) path(first uint64) string { return segmentPath(l.dir, first) }

func segmentPath(dir string, first uint64) string {
	return filepath.Join(dir, fmt.Sprintf("%020d%s", first, segmentSuffix))
}

// segmentsIn lists the segments of a directory; none if it does not exist.
func segmentsIn(dir string) (segs []segment, err error) {
	files, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	for _, f := range files {
		name, ok := strings.CutSuffix(f.Name(), segmentSuffix)
		first, bad := strconv.ParseUint(name, 10, 64)
		if !ok || bad != nil {
			continue
		}
		info, err := f.Info()
		if err != nil {
			continue // dropped meanwhile
		}
		segs = append(segs, segment{first, info.Size()})
	}
	slices.SortFunc(segs, func(a, b segment) int { return cmp.Compare(a.first, b.first) })
	return segs, err
}

// OpenLog opens the log of an epoch in a directory, which is made if it is not
// there. A log without frames follows revision after. What a crash left half
// written at its end is cut off; cut tells how many bytes. Segments of which the
// newest frame is not newer than after stay until Drop.
func OpenLog(dir string, epoch registry.Epoch, after uint64) (l *Log, cut int64, err error) {
	if err := disk.MkdirAll(dir, 0o750); err != nil {
		return nil, 0, err
	}
	l = &Log{dir: dir, epoch: epoch, limit: segmentSize, last: after}
	if l.segs, err = segmentsIn(dir); err != nil {
		return nil, 0, err
	}
	for len(l.segs) > 0 {
		s := &l.segs[len(l.segs)-1]
		end, last, err := l.survey(s)
		if err != nil {
			return nil, cut, err
		}
		cut += s.size - end
		if end > 0 {
			err = l.reopen(s, end)
			l.last = last
			return l, cut, err
		}
		// Nothing in it was ever written whole.
		if err := disk.Remove(l.path(s.first)); err != nil {
			return nil, cut, err
		}
		l.segs = l.segs[:len(l.segs)-1]
		l.last = max(after, s.first-1)
	}
	return l, cut, disk.SyncDir(dir)
}

// survey reads a segment through and returns where its last whole frame ends, and
// of which revision that is.
func (l *Log) survey(s *segment) (end int64, last uint64, err error) {
	f, err := os.Open(l.path(s.first))
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, 1<<20)
	var buf []byte
	for next := s.first; ; next++ {
		b, err := ReadFrame(r, buf)
		if err != nil {
			return end, last, nil
		}
		h, err := ParseHead(b)
		if err != nil || h.Revision != (registry.Revision{Epoch: l.epoch, Rev: next}) {
			return end, last, nil
		}
		buf, last = b, next
		end += int64(len(b))
	}
}

// reopen opens the last segment for more, cut off at end.
func (l *Log) reopen(s *segment, end int64) (err error) {
	if l.f, err = disk.OpenFile(l.path(s.first), os.O_RDWR, 0); err != nil {
		return err
	}
	if s.size != end {
		if err = l.f.Truncate(end); err == nil {
			err = l.f.Sync()
		}
	}
	if err == nil {
		_, err = l.f.Seek(end, io.SeekStart)
	}
	if err != nil {
		l.f.Close()
		return err
	}
	s.size = end
	return nil
}

// Close ends the log.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.f == nil {
		return nil
	}
	err := l.f.Close()
	l.f = nil
	return err
}

// Last is the revision of the newest frame or, without frames, the one that the
// log follows.
func (l *Log) Last() registry.Revision {
	l.mu.Lock()
	defer l.mu.Unlock()
	return registry.Revision{Epoch: l.epoch, Rev: l.last}
}

// After is the oldest revision from which the log can be followed.
func (l *Log) After() registry.Revision {
	l.mu.Lock()
	defer l.mu.Unlock()
	after := l.last
	if len(l.segs) > 0 {
		after = l.segs[0].first - 1
	}
	return registry.Revision{Epoch: l.epoch, Rev: after}
}

// Size is how many bytes the segments have.
func (l *Log) Size() (n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.segs {
		n += s.size
	}
	return n
}

// Append writes whole frames, of the revisions that come next, and returns when
// they are on disk. On an error the log is as it was.
func (l *Log) Append(frames ...[]byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, b := range frames {
		h, err := ParseHead(b)
		if err != nil {
			return err
		}
		if want := (registry.Revision{Epoch: l.epoch, Rev: l.last + 1 + uint64(i)}); h.Revision != want || h.Type != FrameRevision {
			return fmt.Errorf("log %s: frame of revision %s; the next is %s", l.dir, h.Revision, want)
		}
	}
	if len(frames) == 0 {
		return nil
	}
	if l.f == nil || l.segs[len(l.segs)-1].size >= l.limit {
		if err := l.begin(l.last + 1); err != nil {
			return err
		}
	}
	s := &l.segs[len(l.segs)-1]
	written := int64(0)
	for _, b := range frames {
		n, err := l.f.Write(b)
		written += int64(n)
		if err != nil {
			return l.undo(s, err)
		}
	}
	if err := l.f.Sync(); err != nil {
		return l.undo(s, err)
	}
	s.size += written
	l.last += uint64(len(frames))
	return nil
}

// undo takes back what a failed Append has written.
func (l *Log) undo(s *segment, cause error) error {
	err := l.f.Truncate(s.size)
	if err == nil {
		_, err = l.f.Seek(s.size, io.SeekStart)
	}
	return errors.Join(cause, err)
}

// begin starts a segment.
func (l *Log) begin(first uint64) error {
	f, err := disk.OpenFile(l.path(first), os.O_RDWR|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return err
	}
	if err := disk.SyncDir(l.dir); err != nil {
		f.Close()
		disk.Remove(l.path(first))
		return err
	}
	if l.f != nil {
		l.f.Close()
	}
	l.f = f
	l.segs = append(l.segs, segment{first: first})
	return nil
}

// Drop removes the segments whose frames are all of revision rev or older, except
// the last one.
func (l *Log) Drop(rev uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.segs) > 1 && l.segs[1].first <= rev+1 {
		if err := disk.Remove(l.path(l.segs[0].first)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		l.segs = l.segs[1:]
	}
	return nil
}

// ErrGone: the frames after a revision are not kept any more, or it is of another
// epoch. Fetch a snapshot.
var ErrGone = errors.New("the changes since that revision are not kept; fetch a snapshot")

// LogReader reads the frames of a log's directory in their order, also while they
// are written, by this process or another. It is not safe for concurrent use.
type LogReader struct {
	dir   string
	epoch registry.Epoch
	next  uint64
	f     *os.File
	r     *bufio.Reader
	at    int64 // where the next frame begins in f
	buf   []byte
}

// ReadLog returns a reader of the frames after a revision.
func ReadLog(dir string, after registry.Revision) *LogReader {
	return &LogReader{dir: dir, epoch: after.Epoch, next: after.Rev + 1}
}

// Close ends the reader.
func (r *LogReader) Close() {
	if r.f != nil {
		r.f.Close()
		r.f = nil
	}
}

// Next returns the next frame, valid until the next call. Where there is none yet
// it returns io.EOF, and may be asked again; where it is not kept any more,
// ErrGone.
func (r *LogReader) Next() ([]byte, error) {
	for {
		if r.f == nil {
			if err := r.open(); err != nil {
				return nil, err
			}
		}
		b, err := ReadFrame(r.r, r.buf)
		if err == nil {
			wanted, err := r.take(b)
			if wanted || err != nil {
				return b, err
			}
			continue
		}
		// Nothing whole follows. If the segment after this begins with the wanted
		// revision, it does there; else it is being written, or there is none yet.
		if _, statErr := os.Stat(segmentPath(r.dir, r.next)); statErr == nil && r.next > 0 && !r.begins() {
			r.Close()
			continue
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			r.rewind()
			return nil, io.EOF
		}
		return nil, fmt.Errorf("log %s: %w", r.dir, err)
	}
}

// begins reports whether the open segment is the one that begins with next.
func (r *LogReader) begins() bool { return r.f.Name() == segmentPath(r.dir, r.next) }

// take moves on beyond a frame and reports whether it is the wanted one.
func (r *LogReader) take(b []byte) (wanted bool, err error) {
	r.buf = b
	h, err := ParseHead(b)
	if err != nil {
		r.rewind()
		return false, fmt.Errorf("log %s: at byte %d of %s: %w", r.dir, r.at, filepath.Base(r.f.Name()), err)
	}
	r.at += int64(len(b))
	if h.Revision.Epoch != r.epoch || h.Revision.Rev > r.next {
		return false, ErrGone
	}
	wanted = h.Revision.Rev == r.next
	if wanted {
		r.next++
	}
	return wanted, nil
}

// rewind goes back to where the next frame begins.
func (r *LogReader) rewind() {
	if _, err := r.f.Seek(r.at, io.SeekStart); err != nil {
		r.Close() // and opened again
		return
	}
	r.r.Reset(r.f)
}

// open opens the segment with the next revision.
func (r *LogReader) open() error {
	segs, err := segmentsIn(r.dir)
	if err != nil {
		return err
	}
	at := -1
	for i, s := range segs {
		if s.first <= r.next {
			at = i
		}
	}
	switch {
	case len(segs) == 0:
		return io.EOF
	case at < 0:
		return ErrGone
	}
	if r.f, err = os.Open(segmentPath(r.dir, segs[at].first)); err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return ErrGone
		}
		return err
	}
	r.at = 0
	r.r = bufio.NewReaderSize(r.f, 64<<10)
	return nil
}
