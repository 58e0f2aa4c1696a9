package gate

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
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

// takeInherited takes the socket of a listener from those that the process was
// handed; nil if there is none.
func (g *Gate) takeInherited(key Listener) net.Listener {
	for i, l := range g.inherited {
		if isAt(l.Addr(), key) {
			g.inherited = slices.Delete(g.inherited, i, i+1)
			return l
		}
	}
	return nil
}

// listenAdmin opens an admin port: the one that was handed over, if it was.
func (g *Gate) listenAdmin(network, address string) (l net.Listener, err error) {
	key := Listener{Network: network, Address: address}
	if key.Addr, err = netip.ParseAddrPort(address); err != nil {
		return nil, err
	}
	if l = g.takeInherited(key); l == nil {
		if l, err = net.Listen(network, address); err != nil {
			return nil, err
		}
	}
	g.admins = append(g.admins, l)
	return l, nil
}

// listenNowhere is for who only looks whether a configuration is right, while
// another process may serve it.
func listenNowhere(string, string) (net.Listener, error) { return net.Listen("tcp", "127.0.0.1:0") }

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
		f, err := fileOf(l.Listener)
		if err != nil {
			return files, fmt.Errorf("%s cannot be handed over: %w", name, err)
		}
		files = append(files, f)
	}
	for _, l := range g.admins {
		if f, err := fileOf(l); err == nil { // or it was closed by a reload
			files = append(files, f)
		}
	}
	return files, nil
}

// fileOf is the socket of a listener.
func fileOf(l net.Listener) (*os.File, error) {
	s, ok := l.(interface{ File() (*os.File, error) })
	if !ok {
		return nil, errors.New("it is no socket")
	}
	return s.File()
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
