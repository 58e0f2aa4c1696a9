package main

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// operation is something that proxies do.
type operation struct {
	name, title string
	role        role
	orRole      role    // where a proxy has no such port
	bar         float64 // of the gate to the better peer; 0 is none
	// load puts a port under load and returns how many operations were done.
	load func(o options, port int) (float64, error)
}

// ops are in the order of the table.
var ops = []operation{
	{"keep-alive", "keep-alive request, µs", roleReuse, roleHTTP, 1.5, wrk(world.keepAliveScript)},
	{"closed", "closed request, µs", roleHTTP, "", 1.8, wrk(world.closedScript)},
	{"closed-reuse", "closed request, upstream connections kept, µs", roleReuse, "", 0, wrk(world.closedScript)},
	{"sni", "SNI passthrough connection, µs", roleSNI, "", 1.35, connections(world.names, true)},
	{"reject", "SNI reject, µs", roleSNI, "", 2.0, connections(world.unfiled, false)},
	{"bulk", "bulk over HTTP, µs a GB", roleHTTP, "", 0.6, bulkHTTP},
	{"bulk-sni", "bulk over TLS passed through, µs a GB", roleSNI, "", 0.6, bulkTLS},
}

func opNames() (list []string) {
	for _, op := range ops {
		list = append(list, op.name)
	}
	return list
}

// luaQuote writes a string for Lua.
func luaQuote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\r", `\r`, "\n", `\n`).Replace(s) + `"`
}

var (
	wrkDone   = regexp.MustCompile(`(\d+) requests in `)
	wrkFailed = regexp.MustCompile(`Socket errors: connect (\d+), read \d+, write \d+, timeout (\d+)|Non-2xx or 3xx responses: \d+`)
)

// wrk has wrk send what a script says, over 64 connections.
func wrk(script func(world) string) func(options, int) (float64, error) {
	return func(o options, port int) (float64, error) {
		out, err := exec.Command("wrk", "-t1", "-c64", "-d", fmt.Sprintf("%ds", max(1, int(o.run.Seconds()))), "-s", script(o.world),
			"http://"+addr(port)+"/").CombinedOutput()
		if err != nil {
			return 0, fmt.Errorf("wrk: %w: %s", err, out)
		}
		done := wrkDone.FindSubmatch(out)
		if done == nil {
			return 0, fmt.Errorf("wrk says nothing of requests:\n%s", out)
		}
		if bad := wrkFailed.Find(out); bad != nil && !bytes.Contains(bad, []byte("connect 0")) {
			return 0, fmt.Errorf("wrk: %s", bad)
		}
		return strconv.ParseFloat(string(done[1]), 64)
	}
}

// bulkProtocol is what a hello offers that asks for bulk.
const bulkProtocol = "bulk"

// hello is a ClientHello as Go's client sends it.
func hello(name string, protocols ...string) []byte {
	ours, theirs := net.Pipe()
	defer ours.Close()
	go func() {
		_ = tls.Client(theirs, &tls.Config{ServerName: name, NextProtos: protocols}).Handshake()
	}()
	b := make([]byte, 16<<10)
	n, _ := ours.Read(b)
	return b[:n]
}

func hellos(names []string) [][]byte {
	list := make([][]byte, len(names))
	for i, name := range names {
		list[i] = hello(name, "h2", "http/1.1")
	}
	return list
}

// clients are at work at the same time.
const clients = 32

// connections opens connections with hellos: one that passes is answered and
// then closed by the client, another ends without a byte.
func connections(names func(world) []string, pass bool) func(options, int) (float64, error) {
	return func(o options, port int) (float64, error) {
		list := hellos(names(o.world))
		end := time.Now().Add(o.run)
		var (
			n      atomic.Int64
			failed atomic.Pointer[error]
			wait   sync.WaitGroup
		)
		for c := range clients {
			wait.Go(func() {
				b := make([]byte, 16<<10)
				for i := c; time.Now().Before(end) && failed.Load() == nil; i++ {
					if err := connection(port, list[i%len(list)], pass, b); err != nil {
						failed.Store(&err)
						return
					}
					n.Add(1)
				}
			})
		}
		wait.Wait()
		if err := failed.Load(); err != nil {
			return 0, *err
		}
		return float64(n.Load()), nil
	}
}

// connection is one of them; b is to read into.
func connection(port int, hello []byte, pass bool, b []byte) error {
	c, err := net.DialTCP("tcp", nil, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.Write(hello); err != nil {
		return err
	}
	want := 0
	if pass {
		want = answerSize + 5
	}
	got := 0
	for got < want || !pass {
		n, err := c.Read(b)
		got += n
		if err != nil && (pass || !refused(err) || got > 0) {
			return fmt.Errorf("%d bytes instead of %d: %w", got, want, err)
		}
		if err != nil {
			return nil
		}
	}
	return nil
}

// refused reports whether a connection ended in a way that refuses it: by a FIN,
// or by a reset, as nginx does it.
func refused(err error) bool {
	var reset *net.OpError
	return err == io.EOF || errors.As(err, &reset)
}

// bulkHTTP fetches a large file and returns how many GB came.
func bulkHTTP(o options, port int) (float64, error) {
	return fetch(o, port, fmt.Appendf(nil, "GET /bulk HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", o.world.names()[0]))
}

func bulkTLS(o options, port int) (float64, error) {
	return fetch(o, port, hello(o.world.names()[0], bulkProtocol))
}

// fetch asks and reads to the end, again and again.
func fetch(o options, port int, ask []byte) (float64, error) {
	b, total := make([]byte, 1<<20), 0
	for end := time.Now().Add(o.run); time.Now().Before(end); {
		n, err := fetchOnce(port, ask, b)
		if total += n; err != nil {
			return 0, err
		}
		if n < bulkSize {
			return 0, fmt.Errorf("%d bytes came instead of %d", n, bulkSize)
		}
	}
	return float64(total) / 1e9, nil
}

func fetchOnce(port int, ask, b []byte) (total int, err error) {
	c, err := net.Dial("tcp", addr(port))
	if err != nil {
		return 0, err
	}
	defer c.Close()
	if _, err := c.Write(ask); err != nil {
		return 0, err
	}
	for {
		n, err := c.Read(b)
		total += n
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}
