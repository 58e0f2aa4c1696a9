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

	"github.com/icpgate/icpgate/bench/rig"
)

// The proxy has a core of its own.
const (
	proxyCore = "0"
	loadCore  = "1"
)

// process is a program that serves on ports.
type process struct {
	name  string
	cmd   *exec.Cmd
	ports map[role]int
}

// run starts a program on a core and waits until it listens on all its ports,
// alone. What it says goes into a file in dir.
func run(name, dir, core string, ports map[role]int, args ...string) (*process, error) {
	logFile, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	defer logFile.Close()
	p := &process{name: name, ports: ports, cmd: exec.Command("taskset", append([]string{"-c", core}, args...)...)}
	p.cmd.Stdout, p.cmd.Stderr = logFile, logFile
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	if err := p.await(); err != nil {
		p.stop()
		return nil, fmt.Errorf("%s: %w; its log is %s", name, err, logFile.Name())
	}
	return p, nil
}

// startLimit is for loading millions of names.
const startLimit = 3 * time.Minute

func (p *process) await() error {
	for begin := time.Now(); time.Since(begin) < startLimit; time.Sleep(20 * time.Millisecond) {
		listening, err := p.listens()
		if err != nil || listening {
			return err
		}
		if p.gone() {
			return errors.New("it has ended")
		}
	}
	return fmt.Errorf("it does not listen within %s", startLimit)
}

// listens reports whether the process has all its ports. It is an error if
// another one has one of them.
func (p *process) listens() (bool, error) {
	mine, n := rig.Sockets(p.cmd.Process.Pid), 0
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		f, err := os.Open(table)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return false, err
		}
		defer f.Close()
		for lines := bufio.NewScanner(f); lines.Scan(); {
			const listen = "0A" // of the kernel's states
			fields := strings.Fields(lines.Text())
			if len(fields) < 10 || fields[3] != listen || !p.has(fields[1]) {
				continue
			}
			if !mine["socket:["+fields[9]+"]"] {
				return false, fmt.Errorf("another process listens on %s too", fields[1])
			}
			n++
		}
	}
	return n >= len(p.ports), nil
}

// has reports whether an address of the kernel's table has one of the ports.
func (p *process) has(addr string) bool {
	for _, port := range p.ports {
		if strings.HasSuffix(addr, fmt.Sprintf(":%04X", port)) {
			return true
		}
	}
	return false
}

// gone reports whether the process is a zombie or no more.
func (p *process) gone() bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return true
	}
	text := string(b)
	return strings.HasPrefix(text[strings.LastIndexByte(text, ')')+1:], " Z")
}

func (p *process) stop() {
	p.cmd.Process.Kill()
	p.cmd.Wait()
}

// cost has a load run and returns the CPU-µs of the process for each operation,
// of which load returns the number.
func (p *process) cost(load func() (float64, error)) (float64, error) {
	return rig.Cost(p.cmd.Process.Pid, load)
}

// rssAnon returns the memory of the process that is no file's, in bytes.
func (p *process) rssAnon() (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(b), "RssAnon:")
	kb, err := strconv.ParseInt(strings.Fields(rest + " -")[0], 10, 64)
	return kb << 10, err
}

// firstPort begins the ports that are tried: below those that the kernel gives to
// clients, of which there will be many.
const firstPort, lastPort = 20000, 32000

var nextPort = firstPort + os.Getpid()%(lastPort-firstPort)

// freePorts finds one for each role.
func freePorts(roles ...role) (map[role]int, error) {
	ports := map[role]int{}
	for tries := 0; len(ports) < len(roles); tries++ {
		if nextPort++; nextPort > lastPort {
			nextPort = firstPort
		}
		l, err := net.Listen("tcp", addr(nextPort))
		if err == nil {
			l.Close()
			ports[roles[len(ports)]] = nextPort
		} else if tries > lastPort-firstPort {
			return nil, err
		}
	}
	return ports, nil
}
