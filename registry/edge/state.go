package edge

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/icpgate/icpgate/registry/disk"
)

// What lies in the directory of a source.
const (
	snapshotName = "registry.icpidx"
	lockName     = "lock"
)

// rootState is where root keeps its state when no HOME says otherwise, as for a
// service that was started at boot: the place that the FHS (§5.8) gives it.
const rootState = "/var/lib/icpgate"

// DefaultState is the directory where a block without the option "state" keeps
// its snapshots: icpgate below $XDG_STATE_HOME, or else below ~/.local/state (XDG
// Base Directory Specification 0.8); for root without a HOME /var/lib/icpgate.
func DefaultState() (string, error) {
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "icpgate"), nil
	}
	if home := os.Getenv("HOME"); home == "" && os.Geteuid() == 0 {
		return rootState, nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("no state directory: neither XDG_STATE_HOME nor HOME is set: %w", err)
	}
	return filepath.Join(home, ".local", "state", "icpgate"), nil
}

// state is the directory in which the snapshot of one source is kept. One process
// of the host, that which holds its lock, writes there; others map what it wrote.
// It is not safe for concurrent use.
type state struct {
	dir  string
	lock *os.File
	held bool
}

// openState makes the directory of a source below dir, if it is not there.
func openState(dir, source string) (*state, error) {
	if err := disk.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("state directory %q cannot be made: %w", dir, err)
	}
	s := &state{dir: filepath.Join(dir, dirOf(source))}
	if err := disk.MkdirAll(s.dir, 0o700); err != nil {
		return nil, fmt.Errorf("state directory %q cannot be used: %w", dir, err)
	}
	info, err := os.Lstat(s.dir)
	switch {
	case err != nil:
		return nil, fmt.Errorf("state directory %q cannot be used: %w", dir, err)
	case !info.IsDir():
		return nil, fmt.Errorf("state directory %q cannot be used: %q is not a directory", dir, s.dir)
	}
	if err := checkOwner(s.dir, info); err != nil {
		return nil, fmt.Errorf("state directory %q cannot be used: %w", dir, err)
	}
	if s.lock, err = os.OpenFile(filepath.Join(s.dir, lockName), os.O_CREATE|os.O_RDWR, 0o600); err != nil {
		return nil, fmt.Errorf("state directory %q cannot be used: %w", dir, err)
	}
	if _, err := s.hold(); err != nil {
		s.release()
		return nil, fmt.Errorf("state directory %q cannot be used: %w", dir, err)
	}
	return s, nil
}

// maxReadable is how much of the name of a source stands in that of its
// directory, which may have 255 bytes in all.
const maxReadable = 200

// dirOf names the directory of a source: readable, and different for each.
func dirOf(source string) string {
	sum := sha256.Sum256([]byte(source))
	base := filepath.Base(source)
	base = strings.ToValidUTF8(base[:min(len(base), maxReadable)], "")
	return fmt.Sprintf("%s-%x", base, sum[:8])
}

// snapshot is the path of the copy.
func (s *state) snapshot() string { return filepath.Join(s.dir, snapshotName) }

// hold takes the lock if nobody else has it, and reports whether it did so now.
func (s *state) hold() (taken bool, err error) {
	if s.held {
		return false, nil
	}
	s.held, err = lockFile(s.lock)
	if s.held {
		s.clean()
	}
	return s.held, err
}

// clean removes what a process that died left half written. Only the holder of
// the lock writes, so nobody is still at it.
func (s *state) clean() {
	// Not filepath.Glob: a directory may be called "a[1]".
	left, _ := os.ReadDir(s.dir) // what stays is in nobody's way, and is tried again
	for _, e := range left {
		if strings.HasPrefix(e.Name(), "."+snapshotName+".") {
			_ = os.Remove(filepath.Join(s.dir, e.Name()))
		}
	}
}

// release gives the lock to whoever wants it next.
func (s *state) release() { _ = s.lock.Close() }
