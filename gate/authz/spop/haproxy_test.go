package spop_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/icpgate/icpgate/gate/authz/spop"
)

// agent answers one HAProxy: it blocks what is named unfiled, and keeps what came.
type agent struct {
	ln   net.Listener
	mu   sync.Mutex
	came [][]byte      // by connection
	more chan struct{} // told of all that comes
}

func newAgent(t *testing.T) *agent {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	a := &agent{ln: ln, more: make(chan struct{}, 1)}
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go a.serve(c)
		}
	}()
	return a
}

func (a *agent) serve(c net.Conn) {
	defer c.Close()
	a.mu.Lock()
	i := len(a.came)
	a.came = append(a.came, nil)
	a.mu.Unlock()
	var s spop.Session
	q := new(asker)
	q.wants = func(ack *spop.Ack) {
		blocked := strings.Contains(q.now.String(), "unfiled.example")
		ack.SetBool("block", blocked)
		ack.SetString("reason", map[bool]string{true: "unfiled", false: "filed"}[blocked])
	}
	var in, out []byte
	buf := make([]byte, 16<<10)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		a.mu.Lock()
		a.came[i] = append(a.came[i], buf[:n]...)
		a.mu.Unlock()
		select {
		case a.more <- struct{}{}:
		default: // who waits has yet to look
		}
		in = append(in, buf[:n]...)
		used, answers, done := s.Take(in, out[:0], q)
		in, out = in[used:], answers
		if _, err := c.Write(out); err != nil || done {
			return
		}
	}
}

// await waits until what came is as it should be.
func (a *agent) await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for late := time.After(time.Minute); !ok(); {
		select {
		case <-a.more:
		case <-late:
			t.Fatalf("%s: not within a minute", what)
		}
	}
}

// connections are what came so far.
func (a *agent) connections() [][]byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	list := make([][]byte, len(a.came))
	for i, b := range a.came {
		list[i] = bytes.Clone(b)
	}
	return list
}

const haproxyConf = `
global
	nbthread 1
defaults
	timeout connect 10s
	timeout client 10s
	timeout server 10s
frontend plain
	mode http
	bind fd@3
	filter spoe engine icp config %[1]s
	http-request send-spoe-group icp icp-http
	http-request deny deny_status 403 hdr x-reason %%[var(txn.icp.reason)] if { var(txn.icp.block) -m bool }
	http-request return status 200 hdr x-reason %%[var(txn.icp.reason)]
listen secure
	mode tcp
	bind fd@4
	filter spoe engine icp config %[1]s
	tcp-request inspect-delay 10s
	tcp-request content reject unless { req.ssl_hello_type 1 }
	tcp-request content send-spoe-group icp icp-tls
	tcp-request content reject if { var(txn.icp.block) -m bool }
	server none 127.0.0.1:1
backend agents
	mode tcp
	option spop-check
	server agent %[2]s check inter 1s fall 1000
`

const spoeConf = `
[icp]
spoe-agent icp
	groups icp-http icp-tls
	option var-prefix icp
	option set-on-error error
	timeout hello 10s
	timeout idle 2s
	timeout processing 10s
	use-backend agents
spoe-message http
	args host=req.fhdr(host) src=src dst=dst secure=ssl_fc port=dst_port
spoe-message tls
	args sni=req.ssl_sni src=src dst=dst
spoe-group icp-http
	messages http
spoe-group icp-tls
	messages tls
`

// TestHAProxy: the real one agrees on a hello, a health check and a farewell, and
// acts on what it is answered. With ICP_RECORD the bytes that it sends are written
// to testdata.
func TestHAProxy(t *testing.T) {
	path, err := exec.LookPath("haproxy")
	if err != nil {
		const missing = "haproxy is missing (Debian: haproxy)"
		if os.Getenv("REQUIRE_PEERS") == "1" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	a := newAgent(t)
	dir := t.TempDir()
	spoe := filepath.Join(dir, "spoe.conf")
	write(t, spoe, spoeConf)
	conf := filepath.Join(dir, "haproxy.conf")
	write(t, conf, fmt.Sprintf(haproxyConf, spoe, a.ln.Addr()))
	cmd := exec.Command(path, "-db", "-f", conf)
	var said bytes.Buffer
	cmd.Stderr = &said
	// Clients may connect before HAProxy is there to accept them.
	plain, secure := handedOver(t, cmd), handedOver(t, cmd)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := false
	end := func() {
		if !ended {
			ended = true
			_ = cmd.Process.Signal(os.Interrupt)
			_ = cmd.Wait()
		}
	}
	t.Cleanup(func() {
		if end(); t.Failed() {
			t.Logf("haproxy: %s", &said)
		}
	})
	for _, f := range cmd.ExtraFiles {
		f.Close()
	}
	for _, tt := range []struct {
		host   string
		status int
		reason string
	}{{"www.filed.example", 200, "filed"}, {"unfiled.example:80", 403, "unfiled"}, {"a.example, unfiled.example", 403, "unfiled"}} {
		if status, reason := get(t, plain, tt.host); status != tt.status || reason != tt.reason {
			t.Errorf("%s: %d %q; want %d %q", tt.host, status, reason, tt.status, tt.reason)
		}
	}
	for range 3 {
		var all sync.WaitGroup
		for i := range 20 {
			all.Go(func() {
				host := fmt.Sprintf("www%d.filed.example", i)
				if status, _ := get(t, plain, host); status != 200 {
					t.Errorf("%s: %d; want 200", host, status)
				}
			})
		}
		all.Wait()
	}
	for _, name := range []string{"unfiled.example", "filed.example"} {
		if c, err := tls.Dial("tcp", secure, &tls.Config{ServerName: name, InsecureSkipVerify: true}); err == nil {
			c.Close()
			t.Errorf("%s: a handshake with nobody", name)
		}
	}
	a.await(t, "farewells and a health check", func() bool {
		return count(a, "healthcheck") > 0 && count(a, "status-code") > 0 && count(a, "sni") > 0
	})
	end()
	for _, b := range a.connections() {
		if _, used, ended := slowSession(b); used != len(b) || ended == int(spop.Invalid) {
			t.Errorf("%d of %d bytes understood, ended with %d: %q", used, len(b), ended, b)
		}
	}
	record(t, a)
}

// count is in how many connections a word came.
func count(a *agent, word string) (n int) {
	for _, b := range a.connections() {
		if bytes.Contains(b, []byte(word)) {
			n++
		}
	}
	return n
}

// record writes one connection of each kind.
func record(t *testing.T, a *agent) {
	dir := os.Getenv("ICP_RECORD")
	if dir == "" {
		return
	}
	for name, word := range map[string]string{"check": "healthcheck", "http": "unfiled.example:80", "tls": "sni", "farewell": "status-code"} {
		var shortest []byte
		for _, b := range a.connections() {
			if bytes.Contains(b, []byte(word)) && (shortest == nil || len(b) < len(shortest)) {
				shortest = b
			}
		}
		if err := os.WriteFile(filepath.Join(dir, "haproxy-2.6-"+name+".spop"), shortest, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// get asks for a page by whatever is given as the host.
func get(t *testing.T, addr, host string) (status int, reason string) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Error(err)
		return 0, ""
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", host)
	all, err := io.ReadAll(c)
	if err != nil {
		t.Error(err)
		return 0, ""
	}
	head, _, _ := strings.Cut(string(all), "\r\n\r\n")
	h := http.Header{}
	for line := range strings.SplitSeq(head, "\r\n") {
		if name, value, ok := strings.Cut(line, ": "); ok {
			h.Add(name, value)
		}
	}
	_, _ = fmt.Sscanf(head, "HTTP/1.1 %d", &status)
	return status, h.Get("X-Reason")
}

// handedOver is the address of a listening socket, which a command gets as its next
// file.
func handedOver(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	f, err := ln.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	cmd.ExtraFiles = append(cmd.ExtraFiles, f)
	return ln.Addr().String()
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
