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
	for i, l := range g.inherited.streams {
		if isAt(l.Addr(), key) {
			g.inherited.streams = slices.Delete(g.inherited.streams, i, i+1)
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
	return key.Network == "tcp" && isBound(ap, key)
}

// isBound reports whether a socket with a local address is that of a listener.
func isBound(ap netip.AddrPort, key Listener) bool {
	return ap.IsValid() && ap.Port() == key.Addr.Port() &&
		(ap.Addr() == key.Addr.Addr().Unmap() || ap.Addr().IsUnspecified() && key.Addr.Addr().IsUnspecified())
}

// firstInherited is where sd_listen_fds(3) begins to count.
const firstInherited = 3

// Inherited returns the listening sockets that the process was handed, by systemd
// or by the process before it (LISTEN_FDS, and LISTEN_PID where it is given), and
// takes the variables out of the environment.
func Inherited() (list Sockets, err error) {
	pid, count := os.Getenv("LISTEN_PID"), os.Getenv("LISTEN_FDS")
	for _, name := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} {
		os.Unsetenv(name)
	}
	if count == "" || pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return list, nil
	}
	n, err := strconv.Atoi(count)
	if err != nil || n < 0 {
		return list, fmt.Errorf("LISTEN_FDS is %q; expect a number of sockets", count)
	}
	if fd, err := strconv.Atoi(os.Getenv(handEnv)); err == nil {
		list.before = os.NewFile(uintptr(fd), "quic")
	}
	os.Unsetenv(handEnv)
	for fd := firstInherited; fd < firstInherited+n; fd++ {
		if err := list.take(os.NewFile(uintptr(fd), "listener "+strconv.Itoa(fd))); err != nil {
			list.close()
			return Sockets{}, fmt.Errorf("descriptor %d of LISTEN_FDS is no listening socket: %w", fd, err)
		}
	}
	return list, nil
}

// Sockets are those that a process was handed. The zero value is none.
type Sockets struct {
	streams []net.Listener
	packets []packetSocket
	before  *os.File // to the process before; nil without
}

// packetSocket is a socket of UDP.
type packetSocket struct {
	file *os.File
	addr netip.AddrPort
}

// take takes one of them: a socket of TCP or of the file system that listens, or
// one of UDP.
func (s *Sockets) take(f *os.File) error {
	l, err := net.FileListener(f)
	if err == nil {
		f.Close()
		s.streams = append(s.streams, l)
		return nil
	}
	c, again := net.FilePacketConn(f)
	if again != nil {
		f.Close()
		return err
	}
	defer c.Close()
	u, ok := c.LocalAddr().(*net.UDPAddr)
	if !ok {
		f.Close()
		return err
	}
	s.packets = append(s.packets, packetSocket{f, u.AddrPort()})
	return nil
}

// close closes what nobody has used.
func (s *Sockets) close() {
	closeAll(s.streams)
	for _, p := range s.packets {
		p.file.Close()
	}
	if s.before != nil {
		s.before.Close()
	}
	*s = Sockets{}
}

// takePackets takes the sockets of a listener of QUIC, of which it may have had
// several. The caller closes them.
func (s *Sockets) takePackets(key Listener) (files []*os.File) {
	s.packets = slices.DeleteFunc(s.packets, func(p packetSocket) bool {
		if !isBound(p.addr, key) {
			return false
		}
		files = append(files, p.file)
		return true
	})
	return files
}

// Files returns the listening sockets, to be handed to another process: it takes
// connections from the same queue, so that none is lost between the two. Variables
// for its environment tell it of what is no listening socket, and follows those;
// first is the descriptor that the first file gets. The caller closes the files.
func (g *Gate) Files(first int) (files []*os.File, env []string, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if files, err = g.listeningFiles(); err != nil {
		return nil, nil, err
	}
	env = []string{"LISTEN_FDS=" + strconv.Itoa(len(files))}
	if len(g.quic) > 0 {
		f, err := g.linkAfter()
		if err != nil {
			for _, f := range files {
				f.Close()
			}
			return nil, nil, fmt.Errorf("datagrams cannot be handed over: %w", err)
		}
		env = append(env, handEnv+"="+strconv.Itoa(first+len(files)))
		files = append(files, f)
	}
	return files, env, nil
}

func (g *Gate) listeningFiles() (files []*os.File, err error) {
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
	for name, l := range g.quic {
		for _, loop := range l.loops {
			f, err := loop.sock.File()
			if err != nil {
				return files, fmt.Errorf("%s cannot be handed over: %w", name, err)
			}
			files = append(files, f)
		}
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

// KeepSockets leaves the listening sockets to the process that they were handed to
// when the gate ends: what waits there, and their files in the file system.
func (g *Gate) KeepSockets() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, l := range g.listeners {
		l.handed.Store(true)
		if u, ok := l.Listener.(*net.UnixListener); ok {
			u.SetUnlinkOnClose(false)
		}
	}
}
