package feed_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/icpgate/icpgate/registry/feed"
)

// TestStalls: an answer that begins and does not go on is given up, whatever it is of;
// what came of a file stays.
func TestStalls(t *testing.T) {
	s := newService(t, 40)
	release := make(chan struct{})
	const part = 3 // bytes that are let through
	stalled := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := httptest.NewRecorder()
		s.hub.Handler(nil).ServeHTTP(rec, r)
		for k, v := range rec.Header() {
			w.Header()[k] = v
		}
		w.WriteHeader(rec.Code)
		_, _ = w.Write(rec.Body.Bytes()[:part])
		w.(http.Flusher).Flush()
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	defer stalled.Close()
	defer close(release)
	c, err := feed.NewClient(stalled.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.StallAfter(20 * time.Millisecond)
	keys, ctx := feed.Trust(s.signer), context.Background()
	good, err := feed.NewClient(s.url, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer good.Close()
	m, _, err := good.Manifest(ctx, keys)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "file")
	for what, ask := range map[string]func() error{
		"manifest": func() error { _, _, err := c.Manifest(ctx, keys); return err },
		"file":     func() error { return c.Fetch(ctx, m.Index, path) },
		"digests":  func() error { _, _, err := c.Digest(ctx, keys); return err },
		"repair":   func() error { _, err := c.Repair(ctx, s.rev, []int{1}, keys); return err },
	} {
		if err := ask(); err == nil || !strings.Contains(err.Error(), "nothing came") {
			t.Errorf("%s: %v; want that nothing came", what, err)
		}
	}
	if got := readFile(t, path); len(got) != part {
		t.Errorf("of the file %d bytes stay; want %d", len(got), part)
	}
	if err := good.Fetch(ctx, m.Index, path); err != nil {
		t.Errorf("the rest of the file: %v", err)
	}
}

// TestRepairAgain: a relay that sends a good repair again and again takes no more memory
// than a repair may.
func TestRepairAgain(t *testing.T) {
	s := newService(t, 40)
	signed, err := s.hub.Replica().RepairFrames([]int{1, 2, 3}, s.signer)
	if err != nil {
		t.Fatal(err)
	}
	relay := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/vnd.icpgate.frames")
		for range 10_000 {
			if _, err := w.Write(signed[0]); err != nil {
				return
			}
		}
	}))
	defer relay.Close()
	c, err := feed.NewClient(relay.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if frames, err := c.Repair(context.Background(), s.rev, []int{1, 2, 3}, feed.Trust(s.signer)); err == nil || !strings.Contains(err.Error(), "repair of more than") {
		t.Errorf("%d frames, %v; want an error", len(frames), err)
	}
}
