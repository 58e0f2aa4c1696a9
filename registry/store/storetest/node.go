package storetest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// Node is one PostgreSQL server with a directory of its own, in which its socket
// lies too. It is not safe for concurrent use.
type Node struct {
	Dir      string
	name     string // of a standby
	settings []string
	attr     *syscall.SysProcAttr
	cmd      *exec.Cmd      // nil: it does not run
	over     chan struct{}  // closed when it has ended
	log      sync.WaitGroup // reads what it says
}

// NewNode makes a cluster in an empty directory, which it takes over. Settings are
// such as "fsync=off". It does not run before Start.
func NewNode(dir string, settings ...string) (*Node, error) {
	n, err := newNode(dir, settings)
	if err != nil {
		return nil, err
	}
	return n, n.run("initdb", "-D", n.data(), "-U", User, "-A", "trust", "-E", "UTF8", "--no-sync")
}

// Standby makes a server in a directory that follows n, in place of what lay
// there; its name is what synchronous_standby_names may name.
func (n *Node) Standby(dir, name string, settings ...string) (*Node, error) {
	s, err := newNode(dir, settings)
	if err != nil {
		return nil, err
	}
	s.name = name
	if err := os.RemoveAll(s.data()); err != nil {
		return nil, err
	}
	if err := s.run("pg_basebackup", "-h", n.Dir, "-U", User, "-D", s.data(), "-R", "-X", "stream", "-c", "fast", "--no-sync"); err != nil {
		return nil, err
	}
	return s, s.configure("primary_conninfo", s.following(n))
}

func (n *Node) following(primary *Node) string {
	return fmt.Sprintf("host=%s user=%s application_name=%s", primary.Dir, User, n.name)
}

// Follow has a standby that runs follow another server, or none.
func (n *Node) Follow(primary *Node) error {
	value := ""
	if primary != nil {
		value = n.following(primary)
	}
	if err := n.configure("primary_conninfo", value); err != nil {
		return err
	}
	out, err := n.SQL("postgres", "SELECT pg_reload_conf()")
	if err != nil {
		return fmt.Errorf("reload: %w: %s", err, out)
	}
	return nil
}

// configure appends to the settings; the last one counts.
func (n *Node) configure(key, value string) error {
	f, err := os.OpenFile(filepath.Join(n.data(), "postgresql.auto.conf"), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "%s = '%s'\n", key, value)
	return errors.Join(err, f.Close())
}

// Received is how far a standby has what was written, in bytes.
func (n *Node) Received() (bytes int64, err error) {
	out, err := n.SQL("postgres", "SELECT (pg_last_wal_receive_lsn() - '0/0')::bigint")
	if err != nil {
		return 0, fmt.Errorf("received: %w: %s", err, out)
	}
	return strconv.ParseInt(out, 10, 64)
}

func newNode(dir string, settings []string) (*Node, error) {
	if _, err := Tool("initdb"); err != nil {
		return nil, errors.New("postgresql-15 is not installed")
	}
	attr, err := Unprivileged(dir)
	if err != nil {
		return nil, err
	}
	return &Node{Dir: dir, settings: settings, attr: attr}, nil
}

func (n *Node) data() string { return filepath.Join(n.Dir, "data") }

// command is a program of PostgreSQL, run as a user without rights, since the
// server refuses root.
func (n *Node) command(name string, args ...string) (*exec.Cmd, error) {
	path, err := Tool(name)
	if err != nil {
		return nil, err
	}
	attr := *n.attr
	cmd := exec.Command(path, args...)
	cmd.Dir, cmd.SysProcAttr = n.Dir, &attr
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8", "TZ=UTC"}
	return cmd, nil
}

func (n *Node) run(name string, args ...string) error {
	cmd, err := n.command(name, args...)
	if err != nil {
		return err
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, out)
	}
	return nil
}

// Start starts the server and returns when it takes connections.
func (n *Node) Start() error {
	args := []string{"-D", n.data(), "-k", n.Dir, "-c", "listen_addresses="}
	for _, s := range n.settings {
		args = append(args, "-c", s)
	}
	cmd, err := n.command("postgres", args...)
	if err != nil {
		return err
	}
	apart(cmd.SysProcAttr)
	log, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	// The server is killed when the thread ends that started it, which Go may end
	// before the process: this one stays.
	started, over := make(chan error), make(chan struct{})
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		started <- cmd.Start()
		<-over
	}()
	if err := <-started; err != nil {
		close(over)
		return err
	}
	n.cmd, n.over = cmd, over
	return n.ready(log)
}

// ready waits until the server says that it takes connections. Its log is read on
// until it ends, and kept in its directory.
func (n *Node) ready(log io.Reader) error {
	kept, err := os.OpenFile(filepath.Join(n.Dir, "log"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	said := make(chan error, 1)
	n.log.Go(func() {
		defer kept.Close()
		var all []string
		up := false
		for lines := bufio.NewScanner(log); lines.Scan(); {
			fmt.Fprintln(kept, lines.Text())
			if !up && (strings.Contains(lines.Text(), "ready to accept connections") || strings.Contains(lines.Text(), "ready to accept read-only connections")) {
				up = true
				said <- nil
			}
			if !up {
				all = append(all, lines.Text())
			}
		}
		if !up {
			said <- fmt.Errorf("postgres ended: %s", strings.Join(all, "\n"))
		}
	})
	return <-said
}

// DSN tells how to connect to a database of the server.
func (n *Node) DSN(database string) string {
	return fmt.Sprintf("host=%s user=%s dbname=%s", n.Dir, User, database)
}

// SQL runs a query in a database of the server.
func (n *Node) SQL(database, query string) (string, error) {
	path, err := Tool("psql")
	if err != nil {
		return "", err
	}
	out, err := exec.Command(path, "-h", n.Dir, "-U", User, "-d", database, "-AtXc", query).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// Kill ends the server and all its processes as a machine does that dies. Elsewhere
// than on Linux those of its connections end by themselves, a moment later.
func (n *Node) Kill() {
	if n.cmd == nil {
		return
	}
	children := n.children()
	_ = n.cmd.Process.Kill() // it may have ended by itself
	for _, pid := range children {
		if p, err := os.FindProcess(pid); err == nil {
			_ = p.Kill()
		}
	}
	n.ended()
}

// children are the processes of the server.
func (n *Node) children() (pids []int) {
	pid := n.cmd.Process.Pid
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", pid)) // it may have ended
	for _, f := range bytes.Fields(text) {
		if child, err := strconv.Atoi(string(f)); err == nil {
			pids = append(pids, child)
		}
	}
	return pids
}

// CPU is the time that the server's processes have run which have ended, in
// seconds: those of connections that are closed.
func (n *Node) CPU() (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", n.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	ticks := 0
	for _, f := range strings.Fields(rest)[13:15] { // cutime and cstime, proc_pid_stat(5)
		n, err := strconv.Atoi(f)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return float64(ticks) / 100, nil
}

// Stop ends the server and removes its directory.
func (n *Node) Stop() {
	if n.cmd != nil {
		_ = n.cmd.Process.Signal(syscall.SIGINT) // it may have ended by itself
		n.ended()
	}
	os.RemoveAll(n.Dir)
}

func (n *Node) ended() {
	n.log.Wait()
	_ = n.cmd.Wait()
	close(n.over)
	n.cmd = nil
}

// Promote makes a standby a primary, and returns when it is one.
func (n *Node) Promote() error {
	out, err := n.SQL("postgres", "SELECT pg_promote(true, 60)")
	if err != nil || out != "t" {
		return fmt.Errorf("promote: %w: %s", err, out)
	}
	return nil
}
