package gate_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/icpgate/icpgate/gate"
)

// load asks for a filed name without end, over connections that are kept and
// others that are not, until stop is called, which returns how many answers there
// were and what went wrong.
func load(t testing.TB, addr string) (done func() int64, stop func() []error) {
	t.Helper()
	var clients []*http.Client
	for i := range 4 {
		tr := &http.Transport{DisableKeepAlives: i%2 == 0}
		t.Cleanup(tr.CloseIdleConnections)
		clients = append(clients, &http.Client{Transport: tr, Timeout: 30 * time.Second})
	}
	return loadBy(len(clients), func(i int) error { return askFiled(clients[i], addr) })
}

// loadBy has some clients ask without end, each until it fails.
func loadBy(clients int, ask func(client int) error) (done func() int64, stop func() []error) {
	var (
		n     atomic.Int64
		tasks sync.WaitGroup
		mu    sync.Mutex
		errs  []error
	)
	end := make(chan struct{})
	for i := range clients {
		tasks.Go(func() {
			for {
				select {
				case <-end:
					return
				default:
				}
				if err := ask(i); err != nil {
					mu.Lock()
					errs = append(errs, err)
					mu.Unlock()
					return
				}
				n.Add(1)
			}
		})
	}
	return n.Load, func() []error {
		close(end)
		tasks.Wait()
		return errs
	}
}

func askFiled(client *http.Client, addr string) error {
	req, err := http.NewRequest(http.MethodGet, "http://"+addr+"/", nil)
	if err != nil {
		return err
	}
	req.Host = "filed.example"
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || string(body) != "GET filed.example 0" {
		return fmt.Errorf("got %s %q, %v", resp.Status, body, err)
	}
	return nil
}

func (p *program) signal(t testing.TB, s os.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// hang stops the program, and returns when none of its threads runs any more: the
// signal alone has only been sent by then.
func (p *program) hang(t testing.TB) {
	t.Helper()
	p.signal(t, sigHalt)
	eventually(t, "the program has stopped", func() bool {
		threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", p.cmd.Process.Pid))
		for _, thread := range threads {
			b, _ := os.ReadFile(thread)
			_, state, _ := strings.Cut(string(b), ") ") // behind the name, which stands in parentheses
			if !strings.HasPrefix(state, "T") {
				return false
			}
		}
		return len(threads) > 0
	})
}

// goesOn waits until n more requests were answered.
func goesOn(t testing.TB, done func() int64, n int64) {
	t.Helper()
	want := done() + n
	eventually(t, fmt.Sprintf("%d more answers", n), func() bool { return done() >= want })
}

// TestReloadUnderLoad: no request is lost when the configuration is read anew,
// whether it is right or wrong, and what it says is in force.
func TestReloadUnderLoad(t *testing.T) {
	web := newOrigin(t, new(seen))
	config := "http://127.0.0.1:0 {\nICP\nupstream " + web + "\n%s\n}"
	p := start(t, 1, fmt.Sprintf(config, ""), nil)
	addr := p.addr(t, "http:")
	done, stop := load(t, addr)
	goesOn(t, done, 100)
	for i, signal := range []os.Signal{syscall.SIGHUP, sigLog, syscall.SIGHUP} {
		p.write(t, fmt.Sprintf(config, fmt.Sprintf("block page status 451\nlimits connections %d", 100+i)))
		p.signal(t, signal)
		p.log.await(t, fmt.Sprintf(`(?s)(?:configuration read anew.*?){%d}`, i+1))
		goesOn(t, done, 100)
		p.write(t, fmt.Sprintf(config, "block pages"))
		p.signal(t, signal)
		p.log.await(t, fmt.Sprintf(`(?s)(?:what was in force stays.*?gate.conf:\d+.*?pages.*?){%d}`, i+1))
		goesOn(t, done, 100)
	}
	if errs := stop(); len(errs) > 0 {
		t.Errorf("requests were lost: %v", errs)
	}
	if got := strings.Join(statuses(t, talk(t, addr, "GET / HTTP/1.1\r\nHost: unfiled.example\r\n\r\n")), " "); got != "451" {
		t.Errorf("a blocked request: got %s; want 451, as read anew", got)
	}
}

// freePort is an address that nobody listens on: one that the system chooses
// cannot be handed to another process, which is given the configuration's.
func freePort(t testing.TB) string {
	t.Helper()
	return gate.FreePort(t)
}

// TestRestartUnderLoad: SIGUSR2 puts another process in place, and neither a
// request nor a tunnel is lost.
func TestRestartUnderLoad(t *testing.T) {
	addr, secure := freePort(t), freePort(t)
	p := start(t, 3, fmt.Sprintf(`
http://%[1]s http://unix:web.sock {
	ICP
	upstream %[2]s
}
tls://%[3]s {
	ICP
	upstream %[4]s
	timeouts drain 30s
}`, addr, newOrigin(t, new(seen)), secure, newEcho(t)), nil)
	tunnel := newTunnel(t, secure, "filed.example")
	done, stop := load(t, addr)
	goesOn(t, done, 200)
	p.signal(t, sigHandOver)
	p.log.await(t, `msg=ending`)
	if got := tunnel.echo(t, "while two processes run"); got != "while two processes run" {
		t.Errorf("the tunnel: got %q", got)
	}
	goesOn(t, done, 200)
	tunnel.Close()
	p.log.await(t, `msg=ended`)
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("the process before: %v", err)
	}
	goesOn(t, done, 200)
	if errs := stop(); len(errs) > 0 {
		t.Errorf("requests were lost: %v", errs)
	}
	c, err := net.Dial("unix", filepath.Join(p.dir, "web.sock"))
	if err != nil {
		t.Fatalf("the socket of the file system: %v", err)
	}
	c.Close()
}

// TestDrain: what runs when the program is to end is brought to its end, what is
// idle ends at once, and nothing new is taken.
func TestDrain(t *testing.T) {
	asked, finish := make(chan struct{}), make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			fmt.Fprint(w, "begun")
			w.(http.Flusher).Flush()
			close(asked)
			<-finish
		}
		fmt.Fprint(w, " and ended")
	}))
	defer srv.Close()
	p := start(t, 1, "http://127.0.0.1:0 {\nICP\nupstream "+srv.Listener.Addr().String()+"\n}", nil)
	addr := p.addr(t, "http:")
	idle := dialTCP(t, addr)
	fmt.Fprint(idle, "GET / HTTP/1.1\r\nHost: filed.example\r\n\r\n")
	r := bufio.NewReader(idle)
	if resp, err := http.ReadResponse(r, nil); err != nil || resp.StatusCode != 200 {
		t.Fatalf("got %v, %v", resp, err)
	} else if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
	slow := make(chan string)
	go func() { slow <- talk(t, addr, "GET /slow HTTP/1.1\r\nHost: filed.example\r\n\r\n") }()
	<-asked
	p.signal(t, syscall.SIGTERM)
	if _, err := r.ReadByte(); err != io.EOF {
		t.Errorf("an idle connection: got %v; want its end", err)
	}
	if c, err := net.Dial("tcp", addr); err == nil {
		c.Close()
		t.Error("a new connection was taken")
	}
	close(finish)
	if got := <-slow; !strings.Contains(got, "begun") || !strings.Contains(got, "and ended") {
		t.Errorf("the running response: got %q", got)
	}
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("the program: %v", err)
	}
}

// TestDrainEnds: tunnels that do not end are cut off when the time is over.
func TestDrainEnds(t *testing.T) {
	p := start(t, 1, "tls://127.0.0.1:0 {\nICP\nupstream "+newEcho(t)+"\ntimeouts drain 50ms\n}", nil)
	tunnel := newTunnel(t, p.addr(t, "tls:"), "filed.example")
	p.signal(t, syscall.SIGTERM)
	if _, err := tunnel.Read(make([]byte, 1)); err == nil {
		t.Error("the tunnel goes on")
	}
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("the program: %v", err)
	}
}

// TestDescriptorsUsedUp (D05): with no descriptor left the program waits until
// there are some again, and then serves as before.
func TestDescriptorsUsedUp(t *testing.T) {
	const limit = 48
	p := startBy(t, []string{"/bin/sh", "-c", fmt.Sprintf(`ulimit -n %d && exec "$@"`, limit), "sh"}, 1,
		"http://127.0.0.1:0 {\nICP\nupstream "+newOrigin(t, new(seen))+"\ntimeouts head 1m idle 1m\n}", nil)
	addr := p.addr(t, "http:")
	var held []net.Conn
	for range 2 * limit {
		held = append(held, dialTCP(t, addr))
	}
	eventually(t, "no descriptor left", func() bool {
		fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid))
		return err == nil && len(fds) >= limit
	})
	last := held[len(held)-1]
	for _, c := range held[:len(held)-1] {
		c.Close()
	}
	fmt.Fprint(last, "GET / HTTP/1.1\r\nHost: filed.example\r\n\r\n")
	if _, err := http.ReadResponse(bufio.NewReader(last), nil); err != nil {
		t.Errorf("the connection that waited: %v", err)
	}
	eventually(t, "requests are answered again", func() bool { return askFiled(http.DefaultClient, addr) == nil })
}

// TestClientStopped (D07): a client that takes nothing any more, and does not go
// away, is let go of, and with it the upstream's connection.
func TestClientStopped(t *testing.T) {
	hasty(t, 300*time.Millisecond, func(t testing.TB, idle time.Duration) {
		gone := make(chan error, 2)
		endless := func(w io.Writer) {
			piece := make([]byte, 64<<10)
			for {
				if _, err := w.Write(piece); err != nil {
					gone <- err
					return
				}
			}
		}
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { endless(w) }))
		defer srv.Close()
		secure := httptest.NewTLSServer(srv.Config.Handler)
		defer secure.Close()
		p := start(t, 2, fmt.Sprintf(`
http://127.0.0.1:0 {
	ICP
	upstream %[1]s
	timeouts idle %[3]s
}
tls://127.0.0.1:0 {
	ICP
	upstream %[2]s
	timeouts idle %[3]s
}`, srv.Listener.Addr(), secure.Listener.Addr(), idle), nil)
		for scheme, addr := range map[string]string{"http": p.addr(t, "http:"), "https": p.addr(t, "tls:")} {
			out := filepath.Join(t.TempDir(), "out")
			curl := command(t, "curl", "-sk", "-o", out, "--connect-to", "::"+addr, scheme+"://filed.example/")
			if err := curl.Start(); err != nil {
				t.Fatal(err)
			}
			eventually(t, "curl has begun to read", func() bool {
				info, err := os.Stat(out)
				return err == nil && info.Size() > 0
			})
			if err := curl.Process.Signal(sigHalt); err != nil {
				t.Fatal(err)
			}
			select {
			case <-gone:
			case <-time.After(30*time.Second + 2*idle):
				t.Errorf("%s: the upstream's connection is still there", scheme)
			}
			_ = curl.Process.Kill()
			_ = curl.Wait()
		}
	})
}

func dialTCP(t testing.TB, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return c
}
