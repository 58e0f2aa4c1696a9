package gate_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/icpgate/icpgate/gate"
	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/index"
)

// newEcho is a server with TLS that sends back the lines that it gets.
func newEcho(t testing.TB) string {
	t.Helper()
	c := newCertificate(t, "filed.example", "cancelled.example")
	cert, err := tls.LoadX509KeyPair(c.Cert, c.Key)
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{cert}}
	return gate.LocalTCP(t, func(c net.Conn) {
		s := tls.Server(c, config)
		defer s.Close()
		_, _ = io.Copy(s, s)
	})
}

// tunnel is a TLS connection through a gate to an echo.
type tunnel struct {
	*tls.Conn
	lines *bufio.Reader
}

func newTunnel(t testing.TB, addr, name string) tunnel {
	t.Helper()
	return tunnelOver(t, dialTCP(t, addr), name)
}

// tunnelOver makes one of a connection.
func tunnelOver(t testing.TB, nc net.Conn, name string) tunnel {
	t.Helper()
	c := tls.Client(nc, &tls.Config{ServerName: name, InsecureSkipVerify: true})
	if err := c.Handshake(); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return tunnel{c, bufio.NewReader(c)}
}

// echo sends a line and returns what comes back; the error where none does.
func (c tunnel) echo(t testing.TB, line string) string {
	t.Helper()
	if _, err := io.WriteString(c, line+"\n"); err != nil {
		return err.Error()
	}
	got, err := c.lines.ReadString('\n')
	if err != nil {
		return err.Error()
	}
	return got[:len(got)-1]
}

// startLive starts a gate here whose registry is changed by live.
func startLive(t testing.TB, text string, live *index.Live) (*gate.Gate, *prometheus.Registry) {
	t.Helper()
	reg := prometheus.NewRegistry()
	g, err := gate.Start(liveConfig(t, live, text), gate.Options{Metrics: reg})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Close() })
	return g, reg
}

// liveConfig reads a configuration whose blocks have a registry of the test's.
func liveConfig(t testing.TB, live *index.Live, text string) gate.Config {
	t.Helper()
	cfg, err := parseConf(confDir(t), text)
	if err != nil {
		t.Fatal(err)
	}
	for i := range cfg.Servers {
		cfg.Servers[i].ICP.Registry, cfg.Servers[i].ICP.Live = "", live
		cfg.Servers[i].ICP.Provider = registry.Aliyun
	}
	return cfg
}

// TestEstablishedCountsOnce: a connection that is given time to end is counted
// when it is told to, and not again with every revision until it has.
func TestEstablishedCountsOnce(t *testing.T) {
	names := []string{"running.example", "second.example", "third.example"}
	cancelled := map[string]bool{}
	live := new(index.Live)
	revise := func(rev uint64) {
		var list []registry.Filing
		for _, name := range names {
			f := filing(name, registry.Aliyun)
			if cancelled[name] {
				f.Status = registry.StatusCancelled
			}
			list = append(list, f)
		}
		live.Swap(newIndex(t, rev, list...))
	}
	revise(1)
	begun, finish := make(chan struct{}), make(chan struct{})
	web := newRawOrigin(t, func(c net.Conn, r *bufio.Reader) {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		if req.Host == "running.example" {
			close(begun)
			<-finish
		}
		fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	})
	g, reg := startLive(t, "http://127.0.0.1:0 {\nicp {\nregistry r.snap\n}\nserves mainland\nestablished close 1h\nupstream "+web+"\n}\n", live)
	t.Cleanup(func() { close(finish) })
	var addr string
	for _, a := range g.Listeners() {
		addr = a.String()
	}
	clients := map[string]*bufio.Reader{}
	for _, name := range names {
		c := dialTCP(t, addr)
		clients[name] = bufio.NewReader(c)
		fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", name)
	}
	<-begun
	for rev, name := range names {
		if name != "running.example" {
			answered(t, clients[name], "GET")
		}
		cancelled[name] = true
		revise(uint64(rev) + 2)
		if name == "running.example" {
			eventually(t, "it was told to end", func() bool { return metric(t, reg, "icp_gate_ended_total") == 1 })
		} else if _, err := clients[name].ReadByte(); err != io.EOF {
			t.Errorf("%s, which is idle: got %v; want the end", name, err)
		}
	}
	// The third has ended: all of the revision before it have been looked at.
	if got := metric(t, reg, "icp_gate_ended_total"); got != 3 {
		t.Errorf("%v connections were counted; want 3", got)
	}
}

// TestEstablished: a revision that cancels a name ends its tunnels and its
// requests, the latter with their responses, and nobody else's.
func TestEstablished(t *testing.T) {
	live := new(index.Live)
	cancelled := filing("cancelled.example", registry.Aliyun)
	live.Swap(newIndex(t, 1, filing("filed.example", registry.Aliyun), cancelled))
	asked, finish := make(chan struct{}), make(chan struct{})
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(asked)
		<-finish
		fmt.Fprint(w, "to its end")
	}))
	defer web.Close()
	echo := newEcho(t)
	at := func(lines string) string {
		return " {\nicp {\nregistry r.snap\n}\nserves mainland\n" + lines + "\n}\n"
	}
	g, reg := startLive(t, "tls://127.0.0.1:0"+at("upstream "+echo)+"tls://127.0.0.2:0"+at("established keep\nupstream "+echo)+
		"http://127.0.0.3:0"+at("established close 1h\nupstream "+web.Listener.Addr().String()), live)
	addrs := map[string]string{}
	for _, a := range g.Listeners() {
		host, _, _ := net.SplitHostPort(a.String())
		addrs[host] = a.String()
	}
	filed, gone := newTunnel(t, addrs["127.0.0.1"], "filed.example"), newTunnel(t, addrs["127.0.0.1"], "cancelled.example")
	kept := newTunnel(t, addrs["127.0.0.2"], "cancelled.example")
	running := dialTCP(t, addrs["127.0.0.3"])
	fmt.Fprint(running, "GET / HTTP/1.1\r\nHost: cancelled.example\r\n\r\n")
	<-asked

	cancelled.Status = registry.StatusCancelled
	live.Swap(newIndex(t, 2, filing("filed.example", registry.Aliyun), cancelled))
	if got := gone.echo(t, "hello"); got == "hello" {
		if _, err := gone.Read(make([]byte, 1)); err == nil {
			t.Error("the cancelled name's tunnel goes on")
		}
	}
	eventually(t, "two connections were ended", func() bool { return metric(t, reg, "icp_gate_ended_total") == 2 })
	for name, c := range map[string]tunnel{"filed": filed, "kept": kept} {
		if got := c.echo(t, "still here"); got != "still here" {
			t.Errorf("the tunnel %s: got %s", name, got)
		}
	}
	close(finish)
	r := bufio.NewReader(running)
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "to its end" {
		t.Errorf("the running response: got %q, %v", body, err)
	}
	if _, err := r.ReadByte(); err != io.EOF {
		t.Errorf("behind it: got %v; want the end", err)
	}
	if err := handshake(addrs["127.0.0.2"], "cancelled.example"); err == nil {
		t.Error("a new connection for the cancelled name was taken")
	}
}

// TestEstablishedHello: where TLS is ended, a connection whose name in the hello is
// cancelled ends, whatever its requests are for. One without such a name is judged
// by its requests alone, and one that is only shown the page is nobody's to end.
func TestEstablishedHello(t *testing.T) {
	live := new(index.Live)
	filed := []registry.Filing{filing("filed.example", registry.Aliyun), filing("first.example", registry.Aliyun), filing("second.example", registry.Aliyun)}
	live.Swap(newIndex(t, 1, filed...))
	c := newCertificate(t, "filed.example", "first.example", "second.example", "unfiled.example")
	g, reg := startLive(t, "tls://127.0.0.1:0 {\nicp {\nregistry r.snap\npolicy no-host block\n}\nserves mainland\ntimeouts head 1m\ntls "+c.Cert+" "+c.Key+"\nupstream "+newOrigin(t, new(seen))+"\n}\n", live)
	var addr string
	for _, a := range g.Listeners() {
		addr = a.String()
	}
	conns, answers := map[string]*tls.Conn{}, map[string]*bufio.Reader{}
	ask := func(name string) {
		t.Helper()
		fmt.Fprint(conns[name], "GET / HTTP/1.1\r\nHost: filed.example\r\n\r\n")
		if got := answered(t, answers[name], "GET"); got[:3] != "200" {
			t.Errorf("%q: got %s", name, got)
		}
	}
	for _, name := range []string{"filed.example", "first.example", "second.example", "unfiled.example", "", "silent"} {
		conns[name] = tls.Client(dialTCP(t, addr), &tls.Config{ServerName: strings.TrimSuffix(name, "silent"), InsecureSkipVerify: true})
		answers[name] = bufio.NewReader(conns[name])
		if err := conns[name].Handshake(); err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		if name != "unfiled.example" && name != "silent" {
			ask(name)
		}
	}
	h2, end := over(addr, "", true)
	defer end()
	askH2 := func() {
		t.Helper()
		resp, err := h2.Get("https://filed.example/")
		if err != nil {
			t.Fatalf("over HTTP/2, without a name in the hello: %v", err)
		}
		resp.Body.Close()
	}
	askH2()
	// One that was refused is still there, for a while: its client does not hang up.
	refused := tls.Client(dialTCP(t, addr), &tls.Config{ServerName: "filed.example", InsecureSkipVerify: true})
	fmt.Fprint(refused, "GET / HTTP/1.1\r\nHost: unfiled.example\r\n\r\n")
	if got := answered(t, bufio.NewReader(refused), "GET"); got[:3] != "403" {
		t.Errorf("an unfiled name: got %s", got)
	}
	for i, name := range []string{"first.example", "second.example"} {
		filed[i+1].Status = registry.StatusCancelled
		live.Swap(newIndex(t, uint64(i+2), filed...))
		if _, err := conns[name].Read(make([]byte, 1)); err == nil || !ended(err) {
			t.Errorf("%s: got %v; want the end", name, err)
		}
	}
	// The second has ended: all of the revision before it have been looked at.
	for _, name := range []string{"filed.example", "", "silent"} {
		ask(name)
	}
	askH2()
	if got := metric(t, reg, "icp_gate_ended_total"); got != 2 {
		t.Errorf("%v connections were ended; want 2", got)
	}
}
