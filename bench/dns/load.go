//go:build linux

package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"
)

// A load asks one name after the other and never sleeps: it polls its sockets.
// A client that waits in the kernel has to be woken by each answer, and that is
// counted as work of the server, several µs of it where cores are virtual. A
// client waits the more the slower the server is, so that every µs that a server
// itself takes longer would count for two or more.
type load struct {
	sockets []int
	queries [][]byte
	next    int // of queries
	sent    int
	got     int
	buf     [4096]byte
}

const (
	loadSockets = 4
	underWay    = 100                    // queries, of all sockets
	lost        = 200 * time.Millisecond // without any answer, until all are given up
)

// newLoad opens sockets to a port of the loopback. It will begin with a query of
// the given number.
func newLoad(port int, queries [][]byte, first int) (*load, error) {
	l := &load{queries: queries, next: first}
	for range loadSockets {
		s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if err == nil {
			l.sockets = append(l.sockets, s)
			err = unix.Connect(s, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}})
		}
		if err != nil {
			l.close()
			return nil, fmt.Errorf("socket for the load: %w", err)
		}
	}
	return l, nil
}

func (l *load) close() {
	for _, s := range l.sockets {
		unix.Close(s)
	}
}

// run asks until limit, or until count queries are asked if it is not 0, and
// returns how many were answered.
func (l *load) run(limit time.Duration, count int) (int, error) {
	runtime.LockOSThread() // for good: the thread ends with the goroutine
	if err := pin(loadCore); err != nil {
		return 0, err
	}
	end, heard := time.Now().Add(limit), time.Time{}
	for {
		now := time.Now()
		if done := count > 0 && l.got >= count; done || now.After(end) {
			return l.got, nil
		}
		if now.Sub(heard) > lost { // at first, and if answers got lost
			heard = now
			if err := l.refill(count); err != nil {
				return l.got, err
			}
		}
		before := l.got
		for _, s := range l.sockets {
			if err := l.poll(s, count); err != nil {
				return l.got, err
			}
		}
		if l.got > before {
			heard = now
		}
	}
}

// refill gives up what is under way and asks as much anew.
func (l *load) refill(count int) error {
	if count > 0 && l.sent >= count {
		l.got = count // the rest got lost
		return nil
	}
	for i := range underWay {
		if err := l.ask(l.sockets[i%loadSockets], count); err != nil {
			return err
		}
	}
	return nil
}

// poll takes what has arrived at a socket, and asks the next for each.
func (l *load) poll(s, count int) error {
	for {
		_, err := unix.Read(s, l.buf[:])
		switch {
		case errors.Is(err, syscall.EAGAIN):
			return nil
		case err != nil:
			return fmt.Errorf("load: %w", err)
		}
		l.got++
		if err := l.ask(s, count); err != nil {
			return err
		}
	}
}

func (l *load) ask(s, count int) error {
	if count > 0 && l.sent >= count {
		return nil
	}
	l.sent++
	l.next++
	_, err := unix.Write(s, l.queries[l.next%len(l.queries)])
	if err != nil {
		return fmt.Errorf("load: %w", err)
	}
	return nil
}

// pin keeps the thread on one core.
func pin(core int) error {
	var set unix.CPUSet
	set.Set(core)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("core %d for the load: %w", core, err)
	}
	return nil
}

// readQueries packs the queries of a file, one name and type a line.
func readQueries(file string) ([][]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var queries [][]byte
	for lines := bufio.NewScanner(f); lines.Scan(); {
		name, _, _ := strings.Cut(lines.Text(), " ")
		b, err := new(dns.Msg).SetQuestion(dns.Fqdn(name), dns.TypeA).Pack()
		if err != nil {
			return nil, fmt.Errorf("%s: %q: %w", file, name, err)
		}
		queries = append(queries, b)
	}
	return queries, nil
}
