//lint:file-ignore SA1019 the same as in evasions_test.go: a client of one connection.

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
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/index"
)

// holding is an origin that answers /slow when it is told to finish, and tells of
// every request for that.
type holding struct {
	addr   string
	asked  chan struct{}
	finish chan struct{}
}

func newHolding(t testing.TB) *holding {
	t.Helper()
	h := &holding{asked: make(chan struct{}, 100), finish: make(chan struct{})}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			select {
			case h.asked <- struct{}{}:
			case <-t.Context().Done(): // more than anybody has waited for
				return
			}
			select {
			case <-h.finish:
			case <-t.Context().Done(): // it has failed
			case <-r.Context().Done():
			}
		}
		fmt.Fprint(w, r.Host)
	}))
	t.Cleanup(srv.Close)
	h.addr = srv.Listener.Addr().String()
	return h
}

// wasAsked waits until somebody has asked for /slow.
func (h *holding) wasAsked(t testing.TB) {
	t.Helper()
	select {
	case <-h.asked:
	case <-time.After(30 * time.Second):
		t.Fatal("the origin is not asked")
	}
}

// TestDrainH2: when the program is to end, clients with HTTP/2 are told which
// streams it still brings to an end, and those it does; idle ones go, and one that
// has not said anything yet is told when it does.
func TestDrainH2(t *testing.T) {
	web := newHolding(t)
	p := start(t, 1, "http://127.0.0.1:0 {\nICP\nh2c on\nupstream "+web.addr+"\n}", nil)
	addr := p.addr(t, "http:")
	idle, busy := newFramed(t, addr), newFramed(t, addr)
	idle.ask(1, "GET", "filed.example", "/", true)
	if got := idle.answers(1); got[1] != "200 filed.example" {
		t.Fatalf("got %v", got)
	}
	busy.ask(1, "GET", "filed.example", "/slow", true)
	web.wasAsked(t)
	p.signal(t, syscall.SIGTERM)
	if got := idle.answers(0); got[0] != "GOAWAY 1 NO_ERROR " {
		t.Errorf("an idle connection: got %q; want GOAWAY", got[0])
	}
	idle.ends()
	if got := busy.answers(0); got[0] != "GOAWAY 1 NO_ERROR " {
		t.Errorf("a busy connection: got %q; want GOAWAY", got[0])
	}
	busy.ask(3, "GET", "filed.example", "/", true)
	close(web.finish)
	if got := busy.answers(1, 3); got[1] != "200 filed.example" || got[3] != "" || got[0] != "ended" {
		t.Errorf("behind GOAWAY: got %v; want stream 1 answered, 3 not, and the end", got)
	}
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("the program: %v", err)
	}
}

// TestDrainH2Ends: streams that do not come to their end are cut off when the
// time is over.
func TestDrainH2Ends(t *testing.T) {
	web := newHolding(t)
	p := start(t, 1, "http://127.0.0.1:0 {\nICP\nh2c on\ntimeouts drain 100ms\nupstream "+web.addr+"\n}", nil)
	c := newFramed(t, p.addr(t, "http:"))
	c.ask(1, "GET", "filed.example", "/slow", true)
	web.wasAsked(t)
	p.signal(t, syscall.SIGTERM)
	c.ends()
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("the program: %v", err)
	}
}

// loadH2 asks for a filed name over HTTP/2 without end, several streams a
// connection, until stop is called.
func loadH2(t testing.TB, addr string, secure bool) (done func() int64, stop func() []error) {
	t.Helper()
	tr := &http2.Transport{AllowHTTP: true, DialTLS: func(string, string, *tls.Config) (net.Conn, error) {
		if !secure {
			return net.Dial("tcp", addr)
		}
		return tls.Dial("tcp", addr, &tls.Config{ServerName: "filed.example", InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	}}
	t.Cleanup(tr.CloseIdleConnections)
	return loadBy(4, func(i int) error {
		method, body := http.MethodGet, io.Reader(nil)
		if i%2 == 1 {
			method, body = http.MethodPost, strings.NewReader("hello")
		}
		req, err := http.NewRequest(method, "http://filed.example/", body)
		if err != nil {
			return err
		}
		resp, err := tr.RoundTrip(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if want := fmt.Sprintf("%s filed.example %d", method, 5*(i%2)); err != nil || resp.StatusCode != 200 || string(b) != want {
			return fmt.Errorf("got %s %q, %v; want %q", resp.Status, b, err, want)
		}
		return nil
	})
}

// TestReloadH2: no stream is lost when the configuration is read anew, and when
// another process takes the place of the program.
func TestReloadH2(t *testing.T) {
	plain, secure := freePort(t), freePort(t)
	cert := newCertificate(t, "filed.example")
	p := start(t, 2, fmt.Sprintf(`
http://%[1]s {
	ICP
	h2c on
	upstream %[2]s
}
tls://%[3]s {
	ICP
	tls %[4]s %[5]s
	upstream %[2]s
}`, plain, newOrigin(t, new(seen)), secure, cert.Cert, cert.Key), nil)
	done, stop := loadH2(t, plain, false)
	doneTLS, stopTLS := loadH2(t, secure, true)
	both := func() {
		t.Helper()
		goesOn(t, done, 100)
		goesOn(t, doneTLS, 100)
	}
	both()
	for i := range 3 {
		p.signal(t, syscall.SIGHUP)
		p.log.await(t, fmt.Sprintf(`(?s)(?:configuration read anew.*?){%d}`, i+1))
		both()
	}
	p.signal(t, sigHandOver)
	p.log.await(t, `msg=ended`)
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("the process before: %v", err)
	}
	both()
	for name, errs := range map[string][]error{"plaintext": stop(), "TLS": stopTLS()} {
		if len(errs) > 0 {
			t.Errorf("%s: streams were lost: %v", name, errs)
		}
	}
}

// TestReloadTellsH2: a client with HTTP/2 is told when what it is served by is
// not in force any more, or its listener is gone, and what runs comes to its end.
func TestReloadTellsH2(t *testing.T) {
	web := newHolding(t)
	block := func(addr string) string {
		return "http://" + addr + " {\nICP\nh2c on\nupstream " + web.addr + "\n}\n"
	}
	stays, goes := freePort(t), freePort(t)
	p := start(t, 2, block(stays)+block(goes), nil)
	clients := map[string]*framed{stays: newFramed(t, stays), goes: newFramed(t, goes)}
	for _, c := range clients {
		c.ask(1, "GET", "filed.example", "/slow", true)
		web.wasAsked(t)
	}
	idle := dialTCP(t, goes) // of HTTP/1, between two requests
	fmt.Fprint(idle, "GET / HTTP/1.1\r\nHost: filed.example\r\n\r\n")
	in := bufio.NewReader(idle)
	got, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(got.Body); err != nil || string(b) != "filed.example" {
		t.Fatalf("HTTP/1 before the reload: %s %q, %v", got.Status, b, err)
	}
	p.write(t, block(stays))
	p.signal(t, syscall.SIGHUP)
	for addr, c := range clients {
		if got := c.answers(0); got[0] != "GOAWAY 1 NO_ERROR " {
			t.Errorf("%v: got %q; want GOAWAY", addr == stays, got[0])
		}
	}
	if b, err := io.ReadAll(in); err != nil || len(b) > 0 {
		t.Errorf("an idle connection with HTTP/1: got %q, %v; want the end", b, err)
	}
	close(web.finish)
	for addr, c := range clients {
		if got := c.answers(1); got[1] != "200 filed.example" {
			t.Errorf("%v: got %v; want the answer", addr == stays, got)
		}
		c.ends()
	}
}

// TestEstablishedStreams: a name that is blocked by a later revision has its
// streams ended, and those of other names on the same connection go on. Where it
// is the one in the hello, the connection ends.
func TestEstablishedStreams(t *testing.T) {
	live := new(index.Live)
	gone := filing("gone.example", registry.Aliyun)
	live.Swap(newIndex(t, 1, filing("filed.example", registry.Aliyun), gone))
	web := newHolding(t)
	cert := newCertificate(t, "filed.example", "gone.example")
	at := func(lines string) string {
		return " {\nicp {\nregistry r.snap\n}\nserves mainland\nestablished close 1ms\nupstream " + web.addr + "\n" + lines + "\n}\n"
	}
	g, reg := startLive(t, "http://127.0.0.1:0"+at("h2c on")+"tls://127.0.0.2:0"+at("tls "+cert.Cert+" "+cert.Key), live)
	addrs := map[string]string{}
	for _, a := range g.Listeners() {
		host, _, _ := net.SplitHostPort(a.String())
		addrs[host] = a.String()
	}
	begin := func(c *framed) {
		c.ask(1, "GET", "gone.example", "/slow", true)
		c.ask(3, "GET", "filed.example", "/slow", true)
		web.wasAsked(t)
		web.wasAsked(t)
	}
	named := func(name string) *framed {
		c := tls.Client(dialTCP(t, addrs["127.0.0.2"]), &tls.Config{ServerName: name, InsecureSkipVerify: true, NextProtos: []string{"h2"}})
		return overFrames(t, c)
	}
	streams, sni := []*framed{newFramed(t, addrs["127.0.0.1"]), named("filed.example")}, named("gone.example")
	for _, c := range append(streams, sni) {
		begin(c)
	}
	gone.Status = registry.StatusCancelled
	live.Swap(newIndex(t, 2, filing("filed.example", registry.Aliyun), gone))
	for i, c := range streams {
		if got := c.answers(1); !strings.HasSuffix(got[1], "INTERNAL_ERROR") || got[3] != "" || got[0] != "" {
			t.Errorf("connection %d: got %v; want stream 1 reset, and nothing else", i, got)
		}
	}
	sni.ends()
	eventually(t, "two streams and a connection were counted", func() bool { return metric(t, reg, "icp_gate_ended_total") == 3 })
	close(web.finish)
	for i, c := range streams {
		c.ask(5, "GET", "filed.example", "/", true)
		c.ask(7, "GET", "gone.example", "/", true)
		got := c.answers(3, 5, 7)
		if got[3] != "200 filed.example" || got[5] != "200 filed.example" || !strings.HasPrefix(got[7], "403") {
			t.Errorf("connection %d goes on: got %v", i, got)
		}
	}
}
