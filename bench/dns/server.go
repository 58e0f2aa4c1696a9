//go:build linux

package main

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/icpgate/icpgate/bench/corpus"
	"github.com/icpgate/icpgate/bench/rig"
	"github.com/miekg/dns"
)

// server is a running name server under test.
type server struct {
	kind     kind
	port     int
	cmd      *exec.Cmd
	loadTime time.Duration // from its start to its first answer by the policy
	asked    int           // queries in all runs so far
}

// serverCore and loadCore keep server and load apart.
const (
	serverCore = 0
	loadCore   = 1
)

// startLimit is for loading 5 M names as RPZ.
const startLimit = 3 * time.Minute

// startTries is for ports that somebody else takes between freePort and the server.
const startTries = 3

var errEnded = errors.New("it has ended")

// start runs a server and waits for its first answer.
func start(k kind, w world, upstream int) (s *server, err error) {
	for range startTries {
		if s, err = startOnce(k, w, upstream); !errors.Is(err, errEnded) {
			break
		}
	}
	return s, err
}

func startOnce(k kind, w world, upstream int) (*server, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	dir := w.path(strings.ReplaceAll(k.name, " ", "-"))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	args, err := k.configure(w, dir, port, upstream)
	if err != nil {
		return nil, err
	}
	logFile, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	defer logFile.Close()
	s := &server{kind: k, port: port, cmd: exec.Command("taskset", append([]string{"-c", strconv.Itoa(serverCore)}, args...)...)}
	s.cmd.Stdout, s.cmd.Stderr = logFile, logFile
	begin := time.Now()
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	err = s.await(begin)
	if err == nil && k.policy {
		err = s.awaitPolicy(begin)
	}
	if err != nil {
		s.stop()
		return nil, fmt.Errorf("%s: %w; its log is %s", k.name, err, logFile.Name())
	}
	return s, nil
}

// await waits for an answer and checks that no other process gives it: several
// sockets may share a port.
func (s *server) await(begin time.Time) error {
	m := new(dns.Msg).SetQuestion("await.example.", dns.TypeA)
	for time.Since(begin) < startLimit {
		if r, err := dns.Exchange(m, s.addr()); err == nil && r.Rcode != dns.RcodeServerFailure {
			s.loadTime = time.Since(begin)
			return s.owns()
		}
		if s.pidGone() {
			return errEnded
		}
		time.Sleep(20 * time.Millisecond)
	}
	return fmt.Errorf("no answer within %s", startLimit)
}

// awaitPolicy waits until a name is blocked that is to be: BIND answers while it
// loads its policy. Each time another name is asked for, since what is in a cache
// might stay as it was.
func (s *server) awaitPolicy(begin time.Time) error {
	for i := 0; time.Since(begin) < startLimit; i++ {
		name := fmt.Sprintf("await%d.%s", i, corpus.Unfiled(0))
		m := new(dns.Msg).SetQuestion(dns.Fqdn(name), dns.TypeA)
		if r, err := dns.Exchange(m, s.addr()); err == nil && right(r, name, true) {
			s.loadTime = time.Since(begin)
			return nil
		}
		if s.pidGone() {
			return errEnded
		}
		time.Sleep(20 * time.Millisecond)
	}
	return fmt.Errorf("no policy in force within %s", startLimit)
}

func (s *server) addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// pidGone reports whether the process is a zombie or no more.
func (s *server) pidGone() bool {
	fields, err := s.stat()
	return err != nil || fields[0] == "Z"
}

func (s *server) stop() {
	s.cmd.Process.Kill()
	s.cmd.Wait()
}

// stat returns the fields of /proc/PID/stat behind the command's name.
func (s *server) stat() ([]string, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	if err != nil {
		return nil, err
	}
	text := string(b)
	return strings.Fields(text[strings.LastIndexByte(text, ')')+1:]), nil
}

// cpu returns the time that the threads of the process have used. /proc/PID/stat
// has it too, but in hundredths of a second.
func (s *server) cpu() (sum time.Duration, err error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", s.cmd.Process.Pid))
	if err != nil || len(files) == 0 {
		return 0, errors.Join(err, errors.New("the kernel tells no CPU time of threads"))
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			return 0, err
		}
		used, _, _ := strings.Cut(string(b), " ")
		ns, err := strconv.ParseInt(used, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", f, err)
		}
		sum += time.Duration(ns)
	}
	return sum, nil
}

// rss returns the resident memory in MiB.
func (s *server) rss() int {
	fields, err := s.stat()
	if err != nil {
		return 0
	}
	pages, _ := strconv.Atoi(fields[21])
	return pages * os.Getpagesize() >> 20
}

// owns checks that the process alone has sockets on its port.
func (s *server) owns() error {
	f, err := os.Open("/proc/net/udp")
	if err != nil {
		return err
	}
	defer f.Close()
	mine := rig.Sockets(s.cmd.Process.Pid)
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if strings.HasSuffix(fields[1], fmt.Sprintf(":%04X", s.port)) && !mine["socket:["+fields[9]+"]"] {
			return fmt.Errorf("another process listens on port %d too", s.port)
		}
	}
	return nil
}

// freePort returns a port that nobody has for UDP or TCP: most servers want both.
func freePort() (int, error) {
	var err error
	for range 20 {
		var pc net.PacketConn
		if pc, err = net.ListenPacket("udp", "127.0.0.1:0"); err != nil {
			return 0, err
		}
		var l net.Listener
		l, err = net.Listen("tcp", pc.LocalAddr().String())
		pc.Close()
		if err == nil {
			l.Close()
			return pc.LocalAddr().(*net.UDPAddr).Port, nil
		}
	}
	return 0, err
}
