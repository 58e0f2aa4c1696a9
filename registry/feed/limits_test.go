package feed_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/icpgate/icpgate/registry/feed"
)

// held is a client that takes the head of an answer, and no more until it is let go.
type held struct {
	http.ResponseWriter
	begun chan struct{}
	free  chan struct{}
}

func (h *held) Write(b []byte) (int, error) {
	select {
	case <-h.begun:
	default:
		close(h.begun)
	}
	<-h.free
	return h.ResponseWriter.Write(b)
}

// TestDownloads: only so many snapshots go out at a time; the others are told when
// to come again, and a follower does.
func TestDownloads(t *testing.T) {
	s := newService(t, 50)
	hub := feed.NewHub(s.hub.Replica(), feed.HubOptions{Signer: s.signer, Downloads: 2})
	server := httptest.NewServer(hub.Handler(nil))
	t.Cleanup(func() { hub.Close(); server.Close() })
	c, err := feed.NewClient(server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	m, _, err := c.Manifest(context.Background(), feed.Trust(s.signer))
	if err != nil {
		t.Fatal(err)
	}
	path := feed.SnapshotPath + "/" + m.Index.SHA256
	free := make(chan struct{})
	done := make(chan struct{}, 2)
	for range 2 {
		h := &held{httptest.NewRecorder(), make(chan struct{}), free}
		go func() {
			hub.Handler(nil).ServeHTTP(h, httptest.NewRequest(http.MethodGet, path, nil))
			done <- struct{}{}
		}()
		<-h.begun
	}
	resp, err := http.Get(server.URL + path)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusTooManyRequests || resp.Header.Get("Retry-After") != "5" {
		t.Errorf("a third download: %s, Retry-After %q", resp.Status, resp.Header.Get("Retry-After"))
	}
	var busy *feed.BusyError
	if err := c.Fetch(context.Background(), m.Index, t.TempDir()+"/file"); !errors.As(err, &busy) || busy.After != 5*time.Second {
		t.Errorf("a client is told %v", err)
	}
	if resp, err = http.Get(server.URL + feed.SnapshotPath); err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("a manifest meanwhile: %v, %v", resp.Status, err)
	}
	close(free)
	<-done
	<-done
	if err := c.Fetch(context.Background(), m.Index, t.TempDir()+"/file"); err != nil {
		t.Errorf("after the others: %v", err)
	}
}

// TestSlowReader: who does not read is cut off, and those who do get everything.
func TestSlowReader(t *testing.T) {
	s := newService(t, 3000)
	hub := feed.NewHub(s.hub.Replica(), feed.HubOptions{Signer: s.signer, WriteTimeout: time.Second})
	server := httptest.NewUnstartedServer(hub.Handler(nil))
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	gone := make(chan struct{})
	server.Config.ConnState = func(c net.Conn, state http.ConnState) {
		if c.RemoteAddr().String() != conn.LocalAddr().String() {
			return
		}
		switch state {
		case http.StateNew: // no system's buffers hold all that is published
			if err := c.(*net.TCPConn).SetWriteBuffer(4096); err != nil {
				t.Error(err)
			}
		case http.StateClosed:
			close(gone)
		}
	}
	server.Start()
	t.Cleanup(func() { hub.Close(); server.CloseClientConnections(); server.Close() })
	s.hub = hub
	if err := conn.(*net.TCPConn).SetReadBuffer(4096); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "GET %s?from=%s HTTP/1.1\r\nHost: a\r\n\r\n", feed.FeedPath, s.rev)
	if _, err := io.ReadFull(conn, make([]byte, 12)); err != nil { // the stream is there
		t.Fatal(err)
	}
	e := s.follow(t, t.TempDir(), server.URL, feed.FollowOptions{})
	e.awaitRevision(s.rev)
	limit := time.NewTimer(time.Minute)
	defer limit.Stop()
	for frames := 0; ; frames++ {
		s.clock.putOn(11 * time.Minute) // or the edge takes it for a mass change
		s.publish(1000)
		e.awaitRevision(s.rev) // it keeps up
		select {
		case <-gone:
		case <-limit.C:
			t.Fatalf("after %d frames who does not read is still there", frames)
		default:
			continue
		}
		break
	}
	// A machine that stands still for as long makes whoever reads slow as well: he comes
	// again, and misses nothing.
	if _, cut := hub.Status(); cut == 0 {
		t.Error("nobody was cut off; want who does not read to be counted")
	}
	e.await("a stream alone", func(feed.FollowStatus) bool { streams, _ := hub.Status(); return streams == 1 })
	if got := e.f.Status(); got.Snapshots != 1 {
		t.Errorf("who reads had to begin anew: %+v", got)
	}
}
