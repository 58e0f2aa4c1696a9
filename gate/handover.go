package gate

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
)

// listenOn opens a listener. A socket of the file system that a process has left
// behind is put away first.
func listenOn(key Listener, transparent bool) (net.Listener, error) {
	config := net.ListenConfig{KeepAlive: -1, Control: controlListen}
	config.SetMultipathTCP(false) // whose sockets the kernel does not splice, and makes dearer
	if transparent {
		config.Control = controlTransparent
	}
	if key.Network == "unix" {
		if c, err := net.Dial("unix", key.Address); err == nil {
			c.Close()
			return nil, errors.New("another process listens there")
		}
		if info, err := os.Lstat(key.Address); err == nil && info.Mode()&os.ModeSocket != 0 {
			_ = os.Remove(key.Address)
		}
	}
	return config.Listen(context.Background(), key.Network, key.Address)
}

// takeInherited finds the socket of a listener among those that the process was
// handed, and returns the others.
func takeInherited(list []net.Listener, key Listener) (net.Listener, []net.Listener) {
	for i, l := range list {
		if isAt(l.Addr(), key) {
			rest := append(append([]net.Listener(nil), list[:i]...), list[i+1:]...)
			return l, rest
		}
	}
	return nil, list
}

func isAt(a net.Addr, key Listener) bool {
	if u, ok := a.(*net.UnixAddr); ok {
		return key.Network == "unix" && u.Name == key.Address
	}
	ap := addrOf(a)
	return key.Network == "tcp" && ap.IsValid() && ap.Port() == key.Addr.Port() &&
		(ap.Addr() == key.Addr.Addr().Unmap() || ap.Addr().IsUnspecified() && key.Addr.Addr().IsUnspecified())
}

// firstInherited is where sd_listen_fds(3) begins to count.
const firstInherited = 3

// Inherited returns the listening sockets that the process was handed, by systemd
// or by the process before it (LISTEN_FDS, and LISTEN_PID where it is given), and
// takes the variables out of the environment.
func Inherited() (list []net.Listener, err error) {
	pid, count := os.Getenv("LISTEN_PID"), os.Getenv("LISTEN_FDS")
	for _, name := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} {
		os.Unsetenv(name)
	}
	if count == "" || pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return nil, nil
	}
	n, err := strconv.Atoi(count)
	if err != nil || n < 0 {
		return nil, fmt.Errorf("LISTEN_FDS is %q; expect a number of sockets", count)
	}
	for fd := firstInherited; fd < firstInherited+n; fd++ {
		f := os.NewFile(uintptr(fd), "listener "+strconv.Itoa(fd))
		l, err := net.FileListener(f)
		f.Close()
		if err != nil {
			closeAll(list)
			return nil, fmt.Errorf("descriptor %d of LISTEN_FDS is no listening socket: %w", fd, err)
		}
		list = append(list, l)
	}
	return list, nil
}

// Files returns the listening sockets, to be handed to another process: it takes
// connections from the same queue, so that none is lost between the two. The
// caller closes them.
func (g *Gate) Files() (files []*os.File, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	defer func() {
		if err != nil {
			for _, f := range files {
				f.Close()
			}
			files = nil
		}
	}()
	for name, l := range g.listeners {
		s, ok := l.Listener.(interface{ File() (*os.File, error) })
		if !ok {
			return files, fmt.Errorf("%s is no socket that can be handed over", name)
		}
		f, err := s.File()
		if err != nil {
			return files, fmt.Errorf("%s cannot be handed over: %w", name, err)
		}
		files = append(files, f)
	}
	return files, nil
}

// KeepSockets leaves the files of sockets in the file system in place when the
// gate ends: the process that it was handed to listens there.
func (g *Gate) KeepSockets() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, l := range g.listeners {
		if u, ok := l.Listener.(*net.UnixListener); ok {
			u.SetUnlinkOnClose(false)
		}
	}
}
