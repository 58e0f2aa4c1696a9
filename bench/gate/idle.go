package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// idleTable measures what connections cost that have had one answer and say no
// more.
func (o options) idleTable(proxies []*proxy) error {
	fmt.Printf("| proxy | bytes for each of %d idle connections | open files |\n|---|---|---|\n", o.idle)
	for _, p := range proxies {
		r := roleHTTP
		if _, ok := p.ports[r]; !ok {
			r = roleReuse
		}
		if err := p.check(r, o.world); err != nil {
			return fmt.Errorf("%s: %w", p.kind.name, err)
		}
		each, files, err := o.idleOf(p, p.ports[r])
		if err != nil {
			return fmt.Errorf("%s: %w", p.kind.name, err)
		}
		fmt.Printf("| %s | %d | %d |\n", p.kind.name, each, files)
	}
	return nil
}

// idleOf opens the connections, asks once over each, waits until the proxy has
// done with that, and compares its memory with that before.
func (o options) idleOf(p *proxy, port int) (each int64, files int, err error) {
	if _, err := wrk(world.keepAliveScript)(o, port); err != nil { // what grows once has grown
		return 0, 0, err
	}
	// With what is about to be given back in it, the connections would seem to cost
	// less by that.
	_, before, err := p.settle()
	if err != nil {
		return 0, 0, err
	}
	name := o.world.names()[0]
	conns := make([]net.Conn, 0, o.idle)
	defer func() {
		for _, c := range conns {
			c.Close()
		}
	}()
	for range o.idle {
		c, err := askOnce(port, name)
		if err != nil {
			return 0, 0, err
		}
		conns = append(conns, c)
	}
	files, after, err := p.settle()
	if err != nil {
		return 0, 0, err
	}
	if files < o.idle {
		return 0, 0, fmt.Errorf("only %d descriptors are open for %d connections", files, o.idle)
	}
	return (after - before) / int64(o.idle), files, nil
}

func askOnce(port int, name string) (net.Conn, error) {
	c, err := net.Dial("tcp", addr(port))
	if err != nil {
		return nil, err
	}
	if _, err = fmt.Fprintf(c, head, name, "keep-alive"); err == nil {
		var resp *http.Response
		if resp, err = http.ReadResponse(bufio.NewReader(c), nil); err == nil {
			_, err = io.Copy(io.Discard, resp.Body)
		}
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// settle waits until neither the number of open files nor the memory changes any
// more, and returns both.
func (p *proxy) settle() (files int, memory int64, err error) {
	const look, enough = 500 * time.Millisecond, 12
	same := 0
	for range 240 {
		list, err := os.ReadDir(filepath.Join("/proc", fmt.Sprint(p.cmd.Process.Pid), "fd"))
		if err != nil {
			return 0, 0, err
		}
		m, err := p.rssAnon()
		if err != nil {
			return 0, 0, err
		}
		if same++; len(list) != files || m != memory {
			files, memory, same = len(list), m, 0
		}
		if same == enough {
			return files, memory, nil
		}
		time.Sleep(look)
	}
	return 0, 0, errors.New("its open files and its memory do not come to rest")
}
