package gate_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/icpgate/icpgate/gate"
	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/index"
)

// resting are the connections of this process that rest.
func resting() int {
	for b := make([]byte, 1<<20); ; b = make([]byte, 2*len(b)) {
		if n := runtime.Stack(b, true); n < len(b) {
			return strings.Count(string(b[:n]), "(*httpConn).rest(")
		}
	}
}

// rests waits until so many connections rest.
func rests(t testing.TB, n int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d connections rest", n), func() bool { return resting() == n })
}

// asking is a client that asks again over its connection.
type asking struct {
	net.Conn
	r *bufio.Reader
}

func newAsking(t testing.TB, addr string) asking {
	c := dialTCP(t, addr)
	return asking{c, bufio.NewReader(c)}
}

// ask returns the status of the answer; 0 is the end of the connection.
func (a asking) ask(t testing.TB, host string) int {
	t.Helper()
	fmt.Fprintf(a, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", host)
	resp, err := http.ReadResponse(a.r, nil)
	if err != nil {
		return 0
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Error(err)
	}
	return resp.StatusCode
}

// ends checks that the connection ends, and that nothing comes before.
func (a asking) ends(t testing.TB, which string) {
	t.Helper()
	if b, err := a.r.ReadByte(); err != io.EOF {
		t.Errorf("%s: got %q, %v; want its end", which, b, err)
	}
}

// TestHTTPRest: a connection that has been silent for long is served as any other when
// its client asks again; it ends as any other by its client, by its time, by a name
// that is cancelled and with the gate, and is given back to its client then.
func TestHTTPRest(t *testing.T) {
	hasty(t, 3*time.Second, func(t testing.TB, idle time.Duration) {
		live := new(index.Live)
		cancelled := filing("cancelled.example", registry.Aliyun)
		live.Swap(newIndex(t, 1, filing("filed.example", registry.Aliyun), cancelled))
		rest := " {\nicp {\nregistry r.snap\n}\nserves mainland\nlimits connections 9 per-client 3\nupstream " + newOrigin(t, new(seen)) + "\n"
		g, reg := startLive(t, "http://127.0.0.1:0"+rest+fmt.Sprintf("}\nhttp://127.0.0.2:0%stimeouts idle %s\n}\n", rest, idle), live)
		addrs := map[string]string{}
		for _, a := range g.Listeners() {
			host, _, _ := net.SplitHostPort(a.String())
			addrs[host] = a.String()
		}
		addr := addrs["127.0.0.1"]
		open := func(host string) asking {
			t.Helper()
			c := newAsking(t, addr)
			if got := c.ask(t, host); got != 200 {
				t.Fatalf("got %d; want 200", got)
			}
			return c
		}

		short, begun := newAsking(t, addrs["127.0.0.2"]), time.Now()
		if got := short.ask(t, "filed.example"); got != 200 {
			t.Fatalf("got %d; want 200", got)
		}
		stays, blocked, goes := open("filed.example"), open("filed.example"), open("filed.example")
		rests(t, 4)
		short.ends(t, "one that is idle for too long")
		if d := time.Since(begun); d < idle {
			t.Errorf("it ended after %s; want %s", d, idle)
		}
		rests(t, 3)
		switch c, err := net.Dial("tcp", addr); { // the reset may come before the dial has returned
		case errors.Is(err, syscall.ECONNRESET):
		case err != nil:
			t.Fatal(err)
		default:
			if got := (asking{c, bufio.NewReader(c)}).ask(t, "filed.example"); got != 0 {
				t.Errorf("a fourth of the client: got %d; want its end", got)
			}
			c.Close()
		}
		if got := blocked.ask(t, "unfiled.example"); got != 403 {
			t.Errorf("an unfiled name: got %d; want 403", got)
		}
		blocked.ends(t, "one that was blocked")
		goes.Close()
		eventually(t, "they are counted no more", func() bool { return g.Open() == 1 && metric(t, reg, "icp_gate_open_connections") == 1 })

		for range 2 { // in the place of those
			open("cancelled.example")
		}
		for range 3 { // it rests after each
			if got := stays.ask(t, "filed.example"); got != 200 {
				t.Errorf("got %d; want 200", got)
			}
			rests(t, 3)
		}
		cancelled.Status = registry.StatusCancelled
		live.Swap(newIndex(t, 2, filing("filed.example", registry.Aliyun), cancelled))
		rests(t, 1)
		eventually(t, "those of the cancelled name are counted", func() bool { return g.Open() == 1 && metric(t, reg, "icp_gate_ended_total") == 2 })

		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := g.Shutdown(ctx); err != nil {
			t.Errorf("shut down: got %v", err)
		}
		stays.ends(t, "the last")
		if n := resting(); n != 0 || g.Open() != 0 {
			t.Errorf("%d connections rest, %d are open; want none", n, g.Open())
		}
	})
}

// TestHTTPRestPanic: a defect that a connection meets behind its rest ends that one, and
// is counted once.
func TestHTTPRestPanic(t *testing.T) {
	reg := prometheus.NewRegistry()
	web, dials := newOrigin(t, new(seen)), 0
	dial := func() (net.Conn, error) { // of the one connection, one after the other
		c, err := net.Dial("tcp", web)
		if dials++; err != nil || dials == 1 {
			return c, err
		}
		return &faulty{Conn: c, write: panicsAt(1)}, nil
	}
	l := serve(t, gate.TestService{Dial: dial, Metrics: reg})
	c := newAsking(t, l.Addr())
	if got := c.ask(t, "filed.example"); got != 200 {
		t.Fatalf("got %d; want 200", got)
	}
	rests(t, 1)
	if got := c.ask(t, "filed.example"); got != 0 {
		t.Errorf("got %d; want the end", got)
	}
	eventually(t, "it has ended", func() bool { return l.Open() == 0 })
	if got := metric(t, reg, "icp_gate_panics_total"); got != 1 {
		t.Errorf("%v panics were counted; want 1", got)
	}
}

// TestHTTPRestRestart: a connection that rests ends when another process is put in
// place, whose clients lose nothing by that: it is at once that they can ask there.
func TestHTTPRestRestart(t *testing.T) {
	admin, addr := freePort(t), freePort(t)
	icp := strings.Replace(withAdmin(admin), "admin "+admin, "admin "+admin+" pprof", 1)
	p := start(t, 1, "http://"+addr+" {\n"+icp+"\nupstream "+newOrigin(t, new(seen))+"\ntimeouts drain 1m\n}\n", nil)
	var list []asking
	for range 3 {
		c := newAsking(t, addr)
		if got := c.ask(t, "filed.example"); got != 200 {
			t.Fatalf("got %d; want 200", got)
		}
		list = append(list, c)
	}
	eventually(t, "they rest", func() bool {
		return strings.Count(adminAsked(t, admin, "/debug/pprof/goroutine?debug=2", "text/plain"), "(*httpConn).rest(") == len(list)
	})
	p.signal(t, sigHandOver)
	for _, c := range list {
		c.ends(t, "one that rests")
		if got := newAsking(t, addr).ask(t, "filed.example"); got != 200 {
			t.Errorf("got %d; want 200 of the other process", got)
		}
	}
	p.log.await(t, "msg=ended")
}
