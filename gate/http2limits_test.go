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
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/net/http2"

	"github.com/icpgate/icpgate/gate"
)

// startH2C runs the program with HTTP/2 in plaintext before an origin.
func startH2C(t testing.TB, origin, lines string) string {
	t.Helper()
	return start(t, 1, "http://127.0.0.1:0 {\nICP\nh2c on\nupstream "+origin+"\n"+lines+"\n}", nil).addr(t, "http:")
}

// TestHeadDeadlineH2: a head must be there in its time, however it comes, and
// whatever else of the connection is alive.
func TestHeadDeadlineH2(t *testing.T) {
	hasty(t, 300*time.Millisecond, func(t testing.TB, head time.Duration) {
		web := newHolding(t)
		addr := startH2C(t, web.addr, fmt.Sprintf("timeouts head %s idle 10m", head))
		get := []string{":method", "GET", ":scheme", "http", ":authority", "filed.example", ":path", "/"}
		for name, say := range map[string]func(*framed){
			"nothing behind the preface": func(*framed) {},
			"half a frame":               func(c *framed) { _, _ = c.Write([]byte{0, 0, 8, 6, 0}) },
			"half a ping":                func(c *framed) { _, _ = c.Write([]byte{0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2}) },
			"a head without its end": func(c *framed) {
				_ = c.WriteHeaders(http2.HeadersFrameParam{StreamID: 3, BlockFragment: c.fields(get...)})
			},
			"a head that dribbles": func(c *framed) {
				_ = c.WriteHeaders(http2.HeadersFrameParam{StreamID: 3, BlockFragment: c.fields(get...)})
				go func() {
					dribble := time.NewTicker(10 * time.Millisecond)
					defer dribble.Stop()
					for c.WriteContinuation(3, false, c.fields("x-a", "b")) == nil {
						<-dribble.C
					}
				}()
			},
		} {
			c := dialTCP(t, addr)
			if name == "nothing behind the preface" {
				_, _ = io.WriteString(c, http2.ClientPreface)
				(&framed{Conn: c, t: t}).ends()
				continue
			}
			f := overFrames(t, c)
			f.ask(1, "GET", "filed.example", "/slow", true) // an open stream keeps no one
			web.wasAsked(t)
			say(f)
			f.ends()
		}
		close(web.finish)
		// What came in time, nothing ends.
		f := newFramed(t, addr)
		apart := time.NewTicker(head / 3) // all of them take longer than one head may
		defer apart.Stop()
		for i := range 5 {
			id := uint32(2*i + 1)
			b := f.fields(get...)
			_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: b[:3], EndStream: true})
			_ = f.WriteContinuation(id, true, b[3:])
			if got := f.answers(id); got[id] != "200 filed.example" {
				t.Fatalf("stream %d: got %v", id, got)
			}
			<-apart.C
		}
	})
}

// TestSilentStreams: a stream whose client sends nothing of its body, takes
// nothing of the response, is ended alone; the connection goes on with others.
func TestSilentStreams(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.URL.Path == "/long" {
			_, _ = w.Write(make([]byte, 1<<20))
			return
		}
		fmt.Fprint(w, "ok")
	}))
	t.Cleanup(srv.Close)
	var tooMany []string
	for range 15 {
		tooMany = append(tooMany, "x-long", strings.Repeat("a", 3000))
	}
	for name, tt := range map[string]struct {
		silent func(c *framed)
		want   string
	}{
		"no body": {func(c *framed) { c.ask(1, "POST", "filed.example", "/", false) }, "408"},
		"half a body": {func(c *framed) {
			c.ask(1, "POST", "filed.example", "/", false)
			_ = c.WriteData(1, false, []byte("half"))
		}, "408"},
		"takes nothing": {func(c *framed) { c.ask(1, "GET", "filed.example", "/long", true) }, "INTERNAL_ERROR"},
		"takes no page": {func(c *framed) { c.ask(1, "GET", "unfiled.example", "/", true) }, "INTERNAL_ERROR"},
		"no 431 either": {func(c *framed) { c.ask(1, "GET", "filed.example", "/", true, tooMany...) }, "INTERNAL_ERROR"},
	} {
		t.Run(name, func(t *testing.T) {
			hasty(t, 500*time.Millisecond, func(t testing.TB, idle time.Duration) {
				var settings []http2.Setting
				if tt.want == "INTERNAL_ERROR" {
					settings = []http2.Setting{{ID: http2.SettingInitialWindowSize, Val: 0}}
				}
				c := newFramed(t, startH2C(t, srv.Listener.Addr().String(), fmt.Sprintf("timeouts idle %s", idle)), settings...)
				tt.silent(c)
				alive := make(chan struct{})
				go func() {
					defer close(alive)
					hurry := time.NewTicker(idle / 25) // the others are in none
					defer hurry.Stop()
					for id := uint32(3); id < 1000; id += 2 {
						b := c.fields(":method", "HEAD", ":scheme", "http", ":authority", "filed.example", ":path", "/")
						if c.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: b, EndStream: true, EndHeaders: true}) != nil {
							return
						}
						<-hurry.C
					}
				}()
				got := c.answers(1)
				if !strings.Contains(got[1], tt.want) || got[0] != "" {
					t.Errorf("got %v; want stream 1 ended with %s, and the connection open", got, tt.want)
				}
				if got[3] != "200" {
					t.Errorf("got %v; want stream 3 answered beside it", got)
				}
				c.Close()
				<-alive
			})
		})
	}
}

// halfData sends half a frame of a body.
func (f *framed) halfData(id uint32) {
	_, _ = f.Write([]byte{0, 0, 10, 0, 1, 0, 0, 0, byte(id), 'h', 'a', 'l', 'f'})
}

// TestBodyRateH2: a body that comes more slowly than it must is given up, though
// it is never silent for long, and others on the connection are not.
func TestBodyRateH2(t *testing.T) {
	t.Parallel()
	addr := startH2C(t, newOrigin(t, new(seen)), "")
	c := newFramed(t, addr)
	c.ask(1, "POST", "filed.example", "/", false)
	c.ask(3, "POST", "filed.example", "/", false)
	go func() {
		rate := time.NewTicker(100 * time.Millisecond) // which is too slow
		defer rate.Stop()
		fast := make([]byte, 2000) // much more than must come, so that it is enough beside times of standing still
		for i := 0; c.WriteData(1, false, []byte("a")) == nil && i < 600; i++ {
			if i%5 == 0 && c.WriteData(3, i == 150, fast) != nil {
				return
			}
			<-rate.C
		}
	}()
	got := c.answers(1, 3)
	if !strings.HasPrefix(got[1], "408") || got[3] != "200 POST filed.example 62000" {
		t.Errorf("got %v; want 408 for the slow body, and the other answered", got)
	}
}

// TestBodyAsItComes: what comes of a body goes on at once, and not only when its
// frame is complete; padding is taken out, and lengths stay right.
func TestBodyAsItComes(t *testing.T) {
	came := make(chan string, 1000)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for b := make([]byte, 100); ; {
			n, err := r.Body.Read(b)
			if n > 0 {
				came <- string(b[:n])
			}
			if err != nil {
				fmt.Fprint(w, err)
				return
			}
		}
	}))
	t.Cleanup(srv.Close)
	c := newFramed(t, startH2C(t, srv.Listener.Addr().String(), ""))
	c.ask(1, "POST", "filed.example", "/", false, "content-length", "10")
	c.halfData(1)
	if got := <-came; got != "half" {
		t.Errorf("got %q; want half a frame", got)
	}
	_, _ = c.Write([]byte("a frame"[1:]))
	if got := <-came; got != " frame" {
		t.Errorf("got %q; want the rest", got)
	}
	if got := c.answers(1); got[1] != "200 EOF" {
		t.Errorf("got %v; want the body's end", got)
	}
	c.ask(3, "POST", "filed.example", "/", false)
	padded := strings.Repeat("padded", 1000) // more than is read at once
	_ = c.WriteDataPadded(3, true, []byte(padded), make([]byte, 200))
	if got := c.answers(3); got[3] != "200 EOF" {
		t.Errorf("got %v; want the body's end", got)
	}
	close(came)
	got := ""
	for piece := range came {
		got += piece
	}
	if got != padded {
		t.Errorf("got %d bytes; want the %d between head and padding", len(got), len(padded))
	}
}

// TestSilentUpstreamH2: an upstream that stops in the middle of a response, takes
// nothing of a body or says nothing at all is not waited for any longer.
func TestSilentUpstreamH2(t *testing.T) {
	hasty(t, 300*time.Millisecond, func(t testing.TB, short time.Duration) {
		over := make(chan struct{}, 10)
		web := newRawOrigin(t, func(c net.Conn, r *bufio.Reader) {
			line, _ := r.ReadString('\n')
			if strings.Contains(line, "/half") {
				fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
			}
			if !strings.Contains(line, "/full") {
				_, _ = io.Copy(io.Discard, r) // to the end of the connection
			} else {
				<-t.Context().Done()
			}
			over <- struct{}{}
		})
		l := serve(t, gate.TestService{Upstream: web, H2C: true, Response: short, Idle: short})
		for path, want := range map[string]string{"/half": "200 half INTERNAL_ERROR", "/nothing": "504"} {
			c := newFramed(t, l.Addr())
			c.ask(1, "GET", "filed.example", path, true)
			if got := c.answers(1); !strings.HasPrefix(got[1], want) {
				t.Errorf("%s: got %v; want %s", path, got, want)
			}
			<-over
		}
	})
}

// TestFloodsH2: a client that sends frames without end that ask for nothing is
// ended, and costs neither the others nor the upstream.
func TestFloodsH2(t *testing.T) {
	var dials atomic.Int64
	web := newHolding(t)
	origin := gate.LocalTCP(t, func(c net.Conn) {
		dials.Add(1)
		up, err := net.Dial("tcp", web.addr)
		if err != nil {
			return
		}
		defer up.Close()
		go func() { _, _ = io.Copy(c, up); c.Close() }()
		_, _ = io.Copy(up, c)
	})
	addr := startH2C(t, origin, "timeouts idle 10m")
	const many = 20_000
	for name, one := range map[string]func(c *framed, i uint32) error{
		"ping":           func(c *framed, _ uint32) error { return c.WritePing(false, [8]byte{}) },
		"settings":       func(c *framed, _ uint32) error { return c.WriteSettings() },
		"priority":       func(c *framed, i uint32) error { return c.WritePriority(2*i+3, http2.PriorityParam{}) },
		"unknown":        func(c *framed, _ uint32) error { return c.WriteRawFrame(0xbe, 0, 0, nil) },
		"empty body":     func(c *framed, _ uint32) error { return c.WriteData(1, false, nil) },
		"empty head":     func(c *framed, _ uint32) error { return c.WriteContinuation(3, false, nil) },
		"rapid reset":    func(c *framed, i uint32) error { return c.reset(2*i + 3) },
		"rapid reset, 2": func(c *framed, i uint32) error { return c.reset(2*i + 3) },
	} {
		c := newFramed(t, addr)
		c.ask(1, "POST", "filed.example", "/", false)
		if name == "empty head" {
			_ = c.WriteHeaders(http2.HeadersFrameParam{StreamID: 3, BlockFragment: c.fields(":method", "GET")})
		}
		go func() { _, _ = io.Copy(io.Discard, c.Conn) }()
		var err error
		for i := uint32(0); i < many && err == nil; i++ {
			err = one(c, i)
		}
		for end := time.Now().Add(time.Minute); err == nil && time.Now().Before(end); {
			err = one(c, many) // what was written is on its way still
		}
		if err == nil {
			t.Errorf("%s: %d frames were taken", name, many)
		}
	}
	if n := dials.Load(); n > 4*1000 {
		t.Errorf("the upstream was dialled %d times", n)
	}
	if err := askFiledHost(addr); err != nil {
		t.Error(err)
	}
}

// reset begins a stream and resets it.
func (f *framed) reset(id uint32) error {
	b := f.fields(":method", "GET", ":scheme", "http", ":authority", "filed.example", ":path", "/slow")
	if err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: b, EndStream: true, EndHeaders: true}); err != nil {
		return err
	}
	return f.WriteRSTStream(id, http2.ErrCodeCancel)
}

// askFiledHost asks over HTTP/1.
func askFiledHost(addr string) error {
	req, err := http.NewRequest(http.MethodGet, "http://"+addr+"/", nil)
	if err != nil {
		return err
	}
	req.Host = "filed.example"
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("got %s", resp.Status)
	}
	return nil
}

// TestPingedH2: a client that is silent while a stream is open is asked whether it
// is there; one that says so stays, and one that does not is let go of.
func TestPingedH2(t *testing.T) {
	hasty(t, 400*time.Millisecond, func(t testing.TB, idle time.Duration) {
		web := newHolding(t)
		addr := startH2C(t, web.addr, fmt.Sprintf("timeouts idle %s", idle))
		alive, dead := newFramed(t, addr), newFramed(t, addr)
		for _, c := range []*framed{alive, dead} {
			c.ask(1, "GET", "filed.example", "/slow", true)
			web.wasAsked(t)
		}
		pings := 0
		alive.until("three pings", func(f http2.Frame) bool {
			if p, ok := f.(*http2.PingFrame); ok && !p.IsAck() {
				pings++
				_ = alive.WritePing(true, p.Data)
			}
			return pings == 3
		})
		dead.ends()
		close(web.finish)
		if got := alive.answers(1); got[1] != "200 filed.example" {
			t.Errorf("the client that is there: got %v", got)
		}
	})
}

// TestClientStoppedH2 (D07): a client that takes nothing any more of what TCP has
// for it is let go of, and with it the upstream's connection.
func TestClientStoppedH2(t *testing.T) {
	hasty(t, 300*time.Millisecond, func(t testing.TB, idle time.Duration) {
		gone := make(chan struct{}, 2)
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			for piece := make([]byte, 64<<10); ; {
				if _, err := w.Write(piece); err != nil {
					gone <- struct{}{}
					return
				}
			}
		}))
		t.Cleanup(srv.Close)
		cert := newCertificate(t, "filed.example")
		p := start(t, 2, fmt.Sprintf("http://127.0.0.1:0 {\nICP\nh2c on\ntimeouts idle %[4]s\nupstream %[1]s\n}\ntls://127.0.0.1:0 {\nICP\ntls %[2]s %[3]s\ntimeouts idle %[4]s\nupstream %[1]s\n}",
			srv.Listener.Addr(), cert.Cert, cert.Key, idle), nil)
		for _, secure := range []bool{false, true} {
			c := dialTCP(t, p.addr(t, map[bool]string{false: "http:", true: "tls:"}[secure]))
			if secure {
				c = tls.Client(c, &tls.Config{ServerName: "filed.example", InsecureSkipVerify: true, NextProtos: []string{"h2"}})
			}
			f := overFrames(t, c, wide)
			_ = f.WriteWindowUpdate(0, 1<<30)
			f.ask(1, "GET", "filed.example", "/", true)
			select {
			case <-gone:
			case <-time.After(30*time.Second + 2*idle):
				t.Error("the upstream's connection is still there")
			}
		}
	})
}

// wide lets a stream send without end.
var wide = http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1<<31 - 1}

// TestPanicsH2: a defect while a stream is served ends that stream alone, and is
// counted.
func TestPanicsH2(t *testing.T) {
	reg, origin := prometheus.NewRegistry(), newOrigin(t, new(seen))
	var dials atomic.Int32
	l := serve(t, gate.TestService{H2C: true, Metrics: reg, Dial: func() (net.Conn, error) {
		if dials.Add(1) == 1 {
			panic("a defect")
		}
		return net.Dial("tcp", origin)
	}})
	c := newFramed(t, l.Addr())
	for i, want := range []string{"502", "200"} {
		id := uint32(2*i + 1)
		c.ask(id, "GET", "filed.example", "/", true)
		if got := c.answers(id); !strings.HasPrefix(got[id], want) {
			t.Errorf("stream %d: got %v; want %s", id, got, want)
		}
	}
	if n := metric(t, reg, "icp_gate_panics_total"); n != 1 {
		t.Errorf("%v defects were counted; want 1", n)
	}
}
