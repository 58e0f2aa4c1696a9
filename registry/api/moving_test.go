package api_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/icpgate/icpgate/registry/api"
)

// TestLeastRate: what takes long ends for a client that takes it too slowly on the
// whole, though it always takes something; one that takes it fast gets all of it,
// however slowly the service makes it.
func TestLeastRate(t *testing.T) {
	const size = 2 << 20
	// All of it in 2.5 seconds for a fast client, on whatever machine; a slow one is
	// given what takes it 13 seconds.
	api.SetLeast(t, 1<<20, 500*time.Millisecond)
	w := newWorld(t)
	ended := make(chan error, 1)
	tick := time.NewTicker(100 * time.Millisecond) // a piece at each is 164 kB/s
	defer tick.Stop()
	handler := w.Moves(func(rw http.ResponseWriter, r *http.Request) error {
		pause := r.URL.Query().Get("pause") != ""
		piece := make([]byte, 16<<10)
		for sent := 0; sent < size; sent += len(piece) {
			if pause && sent%(size/4) == 0 {
				for range 7 {
					<-tick.C // the database is at work
				}
			}
			if _, err := rw.Write(piece); err != nil {
				ended <- err
				panic(http.ErrAbortHandler)
			}
		}
		ended <- nil
		return nil
	})
	server := httptest.NewUnstartedServer(handler)
	server.Listener = narrow{server.Listener}
	server.Start()
	t.Cleanup(server.Close)
	c := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, address)
		if t, ok := c.(*net.TCPConn); ok {
			err = errors.Join(err, t.SetReadBuffer(64<<10))
		}
		return c, err
	}}}
	get := func(query string, wait func()) (int64, error) {
		t.Helper()
		resp, err := c.Get(server.URL + query)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		n := int64(0)
		for {
			wait()
			m, err := io.CopyN(io.Discard, resp.Body, 16<<10)
			n += m
			if err == io.EOF {
				return n, nil
			}
			if err != nil {
				return n, err
			}
		}
	}
	for tries := 1; ; tries++ {
		begun := time.Now()
		n, err := get("?pause=1", func() {})
		took, end := time.Since(begun), <-ended
		// Its pauses take 2.8 seconds. Where all takes much longer the machine has stood
		// still, and that counts as the client's.
		if end != nil && took > 4*time.Second && tries < 20 {
			continue
		}
		if n != size || err != nil {
			t.Errorf("a fast client: got %d bytes, %v; want %d", n, err, size)
		}
		if end != nil {
			t.Errorf("a fast client: %v", end)
		}
		break
	}
	if n, err := get("", func() { <-tick.C }); n == size || err == nil {
		t.Errorf("a slow client got %d bytes, %v; want it cut off", n, err)
	}
	if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a slow client: got %v; want that it was too slow", err)
	}
}

// narrow gives connections small buffers.
type narrow struct{ net.Listener }

func (l narrow) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if t, ok := c.(*net.TCPConn); ok {
		err = errors.Join(err, t.SetWriteBuffer(64<<10))
	}
	return c, err
}

// timed notes how long each write may take.
type timed struct {
	http.ResponseWriter
	until time.Time
	write func(n int, most time.Duration)
}

func (t *timed) SetWriteDeadline(at time.Time) error { t.until = at; return nil }

func (t *timed) Write(b []byte) (int, error) {
	t.write(len(b), time.Until(t.until))
	return len(b), nil
}

// TestLeastRateOfMuch: what is written in one piece has the time that it takes at the
// least rate, too, and what stands still ends no later for it.
func TestLeastRateOfMuch(t *testing.T) {
	const size = 9<<20 + 1
	w, sent := newWorld(t), 0
	answer := &timed{ResponseWriter: httptest.NewRecorder(), write: func(n int, most time.Duration) {
		sent += n
		if least := time.Duration(n) * time.Second / api.LeastRate; most < least || most > 31*time.Second {
			t.Errorf("%d bytes have %v; want %v at least, and 30 s at most", n, most, least)
		}
	}}
	w.Moves(func(rw http.ResponseWriter, _ *http.Request) error {
		n, err := rw.Write(make([]byte, size))
		if n != size {
			t.Errorf("%d bytes of %d were written", n, size)
		}
		return err
	}).ServeHTTP(answer, httptest.NewRequest("GET", "/", nil))
	if sent != size {
		t.Errorf("%d bytes of %d have gone", sent, size)
	}
}
