package gate

import (
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/user"
	"strconv"
)

// SocketAccess says who may connect to unix sockets that are listened on: whoever may
// write to them. The zero value leaves them as the process's umask has them made. It is
// a value.
type SocketAccess struct {
	// Mode are the permissions. Zero: as they are made, and Group counts for nothing.
	Mode fs.FileMode
	// Group is the group's number, where HasGroup. Default: as they are made.
	Group    int
	HasGroup bool
}

// apply gives a socket its access; other listeners have none.
func (a SocketAccess) apply(key Listener) error {
	if key.Network != "unix" || a.Mode == 0 {
		return nil
	}
	if a.HasGroup { // before anybody else has access
		if err := os.Chown(key.Address, -1, a.Group); err != nil {
			return fmt.Errorf("its group cannot be set, which must be one of this process's: %w", err)
		}
	}
	return os.Chmod(key.Address, a.Mode)
}

// change is apply for a socket that is listened on already, which goes on whatever
// becomes of it.
func (a SocketAccess) change(key Listener) {
	if err := a.apply(key); err != nil {
		slog.Warn("who may connect to a socket is not changed", "socket", key.Address, "error", err)
	}
}

// socketAccess reads who may connect to the block's unix sockets.
func (p *parser) socketAccess(args []string) error {
	if len(args) < 1 || len(args) > 2 {
		return errUsage("socket", args)
	}
	mode, err := strconv.ParseUint(args[0], 8, 32)
	if err != nil || mode&0o222 == 0 || mode > uint64(fs.ModePerm) { // who may not write may not connect
		return fmt.Errorf("mode %q; expect permissions as in 0660", args[0])
	}
	p.s.Socket.Mode = fs.FileMode(mode)
	if len(args) == 1 {
		return nil
	}
	p.s.Socket.Group, err = groupNumber(args[1])
	p.s.Socket.HasGroup = err == nil
	return err
}

// groupNumber reads a group's name or number.
func groupNumber(s string) (int, error) {
	if n, err := strconv.ParseUint(s, 10, 31); err == nil {
		return int(n), nil
	}
	g, err := user.LookupGroup(s)
	if err != nil {
		return 0, fmt.Errorf("group %q is not known here: %w; expect a group's name or number", s, err)
	}
	return strconv.Atoi(g.Gid)
}
