package edge

import (
	"os"
	"path/filepath"

	"github.com/icpgate/icpgate/registry/disk"
	"github.com/icpgate/icpgate/registry/feed"
	"github.com/icpgate/icpgate/registry/index"
)

// beginningName is a file in the state directory that is there while beginning: for
// the processes that read along, and for the next start.
const beginningName = "beginning"

// marked reports whether the file is there.
func (s *service) marked() bool {
	_, err := os.Stat(filepath.Join(s.state.dir, beginningName))
	return err == nil
}

// begin holds a copy back that holds nothing yet, or went no further at the last
// start.
func (s *service) begin(empty bool) {
	if empty {
		// Where it cannot be written, the copy cannot either, and says so.
		_ = disk.WriteFile(filepath.Join(s.state.dir, beginningName), nil, 0o640)
	}
	s.beginning.Store(empty || s.marked())
}

// begun puts the copy in force; those who read along see it by the file.
func (s *service) begun() {
	if s.beginning.Load() {
		_ = disk.Remove(filepath.Join(s.state.dir, beginningName)) // if it stays, the next start waits in vain for as long as the service is away
		s.beginning.Store(false)
	}
}

// massChange is feed.MassLimit for a copy that is in force. One that begins takes what
// has come, however much of it came within minutes: nobody decides by what it would
// lose, and stopped there it would never be in force.
func (s *service) massChange(filings int) int {
	if s.beginning.Load() {
		return -1
	}
	return feed.MassLimit(filings)
}

// view is the registry in force; nil without one, and while beginning.
func (s *service) view() *index.View {
	if s.beginning.Load() {
		return nil
	}
	return s.live.View()
}
