package feed

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/index"
)

// Tail is a registry that another process of this host keeps as a Replica, read
// along: its snapshots are mapped and its log is read, and nothing is written. It
// is not safe for concurrent use; its Live is.
type Tail struct {
	dir    string
	o      ReplicaOptions
	live   *index.Live
	base   base
	lists  *Lists
	reader *LogReader
	heard  time.Time
	newest time.Time // of the frames after the snapshot
	beat   time.Time // when the file was changed that tells when the registry was heard of
}

// NewTail returns a tail of a replica's directory. Of the options, Live,
// Changed and Now count.
func NewTail(dir string, o ReplicaOptions) *Tail {
	t := &Tail{dir: dir, o: o, live: o.Live}
	if t.live == nil {
		t.live = new(index.Live)
	}
	if t.o.Now == nil {
		t.o.Now = time.Now
	}
	return t
}

// Live is where the registry is in force.
func (t *Tail) Live() *index.Live { return t.live }

// Heard is until when the registry is known to be what is in force, as far as the
// files tell.
func (t *Tail) Heard() time.Time { return t.heard }

// File returns one list as the data file that an operator would write.
func (t *Tail) File(list registry.List) []byte {
	if t.lists == nil {
		return nil
	}
	return t.lists.File(list)
}

// Close ends the tail. What is in force stays.
func (t *Tail) Close() {
	if t.reader != nil {
		t.reader.Close()
		t.reader = nil
	}
}

// Next takes in what the other process has written since, and reports whether
// there was anything. ErrEmpty tells that there is no snapshot yet. After other
// errors it may be asked again.
func (t *Tail) Next() (news bool, err error) {
	if t.reader == nil {
		if err := t.open(); err != nil {
			return false, err
		}
		news = true
	}
	for {
		b, err := t.reader.Next()
		if errors.Is(err, io.EOF) {
			t.hear()
			again, err := t.renew()
			if !again || err != nil {
				return news, err
			}
			news = true
			continue
		}
		if err == nil {
			err = t.take(b)
		}
		if err != nil {
			// Another snapshot is in force there.
			if e := t.open(); e != nil {
				return news, errors.Join(err, e)
			}
		}
		news = true
	}
}

// hear looks for when the registry was heard of.
func (t *Tail) hear() {
	info, err := os.Stat(filepath.Join(t.dir, heardName))
	if err == nil && info.ModTime().Equal(t.beat) {
		return
	}
	now, at := t.o.Now(), t.live.View().Revision()
	until, h, _ := recall(t.dir, at, t.base.Time, t.newest, now)
	if err == nil && h.at.Epoch == at.Epoch && h.at.Rev <= at.Rev { // else half written, or of a revision that is read next
		t.beat = info.ModTime()
	}
	t.heard = later(t.heard, notAfter(until, now))
}

func (t *Tail) take(b []byte) error {
	f, err := parseFrame(b)
	if err != nil {
		return err
	}
	changes := f.Changes
	if len(changes) == 0 {
		changes = []registry.Change{{Revision: f.Revision}}
	}
	if err := t.live.Apply(changes...); err != nil {
		return err
	}
	changed := map[registry.List]bool{}
	for _, e := range f.Entries {
		if err := t.lists.Apply(e); err != nil {
			return err
		}
		changed[e.List] = true
	}
	t.newest = f.Time
	tell(t.o.Changed, changed)
	return nil
}

// open puts the newest snapshot in force.
func (t *Tail) open() error {
	bases, err := basesIn(t.dir)
	if err != nil {
		return err
	}
	bad := error(ErrEmpty)
	for i := range bases {
		b := &bases[i]
		x, _, lists, err := b.open()
		if err != nil {
			bad = err
			continue
		}
		t.Close()
		t.live.Swap(nil)
		t.live.Swap(x)
		t.base, t.lists, t.newest, t.beat = *b, lists, time.Time{}, time.Time{}
		t.heard, _, _ = recall(t.dir, b.Revision, b.Time, time.Time{}, t.o.Now())
		t.reader = ReadLog(logDir(t.dir, b.Revision.Epoch), b.Revision)
		tell(t.o.Changed, everyList())
		return nil
	}
	return fmt.Errorf("%s: %w", t.dir, bad)
}

// renew looks for a newer snapshot: one of what is in force, to rest on, or one
// that was put in force there in another way than by frames, after which it
// reports that there is more to read.
func (t *Tail) renew() (bool, error) {
	bases, err := basesIn(t.dir)
	if err != nil || len(bases) == 0 || bases[0].Revision == t.base.Revision {
		return false, err
	}
	b, at := &bases[0], t.live.View().Revision()
	if b.Revision.Epoch != at.Epoch || b.Revision.Rev > at.Rev {
		return true, t.open()
	}
	x, _, _, err := b.open()
	if err != nil {
		return false, err
	}
	t.live.Swap(x)
	t.base = *b
	return false, nil
}

func everyList() map[registry.List]bool {
	all := map[registry.List]bool{}
	for _, l := range registry.AllLists() {
		all[l] = true
	}
	return all
}

// tell tells which lists have changed, in their order.
func tell(to func([]registry.List), changed map[registry.List]bool) {
	if to == nil || len(changed) == 0 {
		return
	}
	var lists []registry.List
	for _, l := range registry.AllLists() {
		if changed[l] {
			lists = append(lists, l)
		}
	}
	to(lists)
}
