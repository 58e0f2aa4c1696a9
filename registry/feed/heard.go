package feed

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"time"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/disk"
)

// heardName is the file that tells when the registry was last heard of, for the next
// start and for those who read along: where nothing changes, the log tells nothing of
// how old it is. It is written in place and not synced. After a power cut it tells of
// an earlier time or, torn, of none.
const heardName = "heard"

// heard is what that file says. The zero value says nothing. All numbers are
// little-endian, after heardHead:
//
//	 8  i64      epoch: Unix milliseconds of its making
//	16  u64      epoch: random part
//	24  u64      revision within the epoch
//	32  i64      until when the registry is known to be there, Unix milliseconds
//	40  u64      uncounted
//	48  u32      CRC-32C of what precedes
type heard struct {
	at    registry.Revision
	until time.Time
	// uncounted is the last revision that was taken while flips did not count.
	uncounted uint64
}

const (
	heardHead = "heard 1\n"
	heardSize = 52
)

func (h *heard) append(b []byte) []byte {
	start, le := len(b), binary.LittleEndian
	b = append(b, heardHead...)
	b = le.AppendUint64(b, uint64(h.at.Epoch.Made))
	b = le.AppendUint64(b, h.at.Epoch.Random)
	b = le.AppendUint64(b, h.at.Rev)
	b = le.AppendUint64(b, uint64(h.until.UnixMilli()))
	b = le.AppendUint64(b, h.uncounted)
	return le.AppendUint32(b, crc32.Checksum(b[start:], castagnoli))
}

// heardIn reads the file of a directory; false where there is none that is whole and
// of an epoch.
func heardIn(dir string, of registry.Epoch) (h heard, ok bool) {
	b, err := os.ReadFile(filepath.Join(dir, heardName))
	le := binary.LittleEndian
	if err != nil || len(b) < heardSize || string(b[:len(heardHead)]) != heardHead ||
		le.Uint32(b[heardSize-4:]) != crc32.Checksum(b[:heardSize-4], castagnoli) {
		return h, false
	}
	h.at.Epoch = registry.Epoch{Made: int64(le.Uint64(b[8:])), Random: le.Uint64(b[16:])}
	h.at.Rev = le.Uint64(b[24:])
	h.until = time.UnixMilli(int64(le.Uint64(b[32:]))).UTC()
	h.uncounted = le.Uint64(b[40:])
	return h, h.at.Epoch == of
}

// keepHeard writes down when the registry was heard of; r.mu is held. Where that
// fails, the file tells of an earlier time.
func (r *Replica) keepHeard() {
	if r.heardFile == nil {
		f, err := disk.OpenFile(filepath.Join(r.dir, heardName), os.O_RDWR|os.O_CREATE, fileMode)
		if err != nil {
			return
		}
		r.heardFile = f
	}
	h := heard{at: r.live.View().Revision(), until: r.heard, uncounted: r.brake.uncounted}
	_, _ = r.heardFile.WriteAt(h.append(nil), 0)
}

// hearUntil takes in that the registry said at t, by its clock, that it is what is in
// force; r.mu is held. It cannot have been heard of later than now: where its clock
// is ahead, the time of receipt counts, or the copy would seem fresh for as long after
// it was cut off. What a relay recorded meanwhile makes it seem fresh for so long all
// the same.
func (r *Replica) hearUntil(t time.Time) {
	now := r.o.Now()
	if t = notAfter(t, now); t.After(r.heard) || r.heard.After(now) {
		r.heard = t
	}
}

// notAfter is t, or now if that is earlier, by the clock that is now's: a monotonic
// one sees time pass also where somebody sets the other.
func notAfter(t, now time.Time) time.Time { return now.Add(-max(0, now.Sub(t))) }

// recall tells from what a directory keeps until when the registry is known to be at
// a revision: base is when the snapshot was known to be, and log the time of the
// newest frame after it, which counts only where the file says nothing. Times that are
// later than now are of a clock that was wrong, and tell nothing: late is the last of
// them. Where there is no other, nobody knows when it was: as good as never, at the
// beginning of 1970.
func recall(dir string, at registry.Revision, base, log, now time.Time) (until time.Time, h heard, late time.Time) {
	h, ok := heardIn(dir, at.Epoch)
	kept := []time.Time{base, log}
	if ok && h.at.Rev <= at.Rev {
		kept[1] = h.until
	}
	for _, t := range kept {
		if t.After(now) {
			late = later(late, t)
		} else {
			until = later(until, t)
		}
	}
	if until.IsZero() && !late.IsZero() {
		until = time.Unix(0, 0)
	}
	if !ok {
		h = heard{}
	}
	return until, h, late
}

// lateWarning tells an operator of a kept time that is later than now.
func lateWarning(late, now time.Time) string {
	return fmt.Sprintf("the registry was heard of at %s, as it was kept, and now it is %s: that time is not believed, and the registry counts as older until it is heard of; see to the clock of this host and to that of the registry",
		late.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
}

// later is the later of two times.
func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
