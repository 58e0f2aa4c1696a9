package feed

import (
	"bytes"
	"os"
	"path/filepath"
	"time"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/disk"
)

// heardName is the file with the last heartbeat, for the next start and for those who
// read along: where nothing changes, the log tells nothing of how old it is. It is
// written in place and not synced. After a power cut it tells of an earlier time or,
// torn, of none.
const heardName = "heard"

// keepHeard writes a heartbeat down. Where that fails, it tells of an earlier time.
func (r *Replica) keepHeard(b []byte) {
	if r.heardFile == nil {
		f, err := disk.OpenFile(filepath.Join(r.dir, heardName), os.O_RDWR|os.O_CREATE, fileMode)
		if err != nil {
			return
		}
		r.heardFile = f
	}
	_, _ = r.heardFile.WriteAt(b, 0)
}

// heardIn is the time of the heartbeat that lies in a directory; zero where there is
// none, or where it is not of what a copy at a revision holds.
func heardIn(dir string, at registry.Revision) (t time.Time) {
	text, err := os.ReadFile(filepath.Join(dir, heardName))
	if err != nil {
		return t
	}
	b, err := ReadFrame(bytes.NewReader(text), nil)
	if err != nil {
		return t
	}
	f, err := parseFrame(b)
	if err != nil || f.Type != FrameHeartbeat || f.Revision.Epoch != at.Epoch || f.Revision.Rev > at.Rev {
		return t
	}
	return f.Time
}

// later is the later of two times.
func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
