package edge_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/edge"
	"github.com/icpgate/icpgate/registry/feed"
)

// taker is a service that takes batches of sightings, or answers with a status.
type taker struct {
	mu      sync.Mutex
	status  int
	batches []feed.SightingBatch
}

func (k *taker) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if r.URL.Path != feed.SightingsPath {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	text, _ := io.ReadAll(r.Body)
	var b feed.SightingBatch
	if k.status == http.StatusNoContent && json.Unmarshal(text, &b) == nil {
		k.batches = append(k.batches, b)
	}
	w.WriteHeader(k.status)
}

func (k *taker) answer(status int) { k.mu.Lock(); k.status = status; k.mu.Unlock() }

// TestHandOver: what is seen waits on disk until the service takes it, through
// restarts, and goes where it never will.
func TestHandOver(t *testing.T) {
	p := newPublishing(t)
	k := &taker{status: http.StatusInternalServerError}
	server := httptest.NewServer(k)
	defer server.Close()
	c := p.config(t.TempDir())
	c.Service = server.URL
	e := open(t, c)
	see := func(host string) {
		edge.ProcessSightings().Add(edge.Sighted{Host: registry.MustParseDomain(host), Reason: registry.Unfiled, Channel: registry.ChannelHTTPS})
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	see("www.handover-a.test")
	if err := e.HandOver(ctx); err == nil {
		t.Error("a service that fails took it")
	}
	see("www.handover-a.test")
	see("www.handover-b.test")
	e.Close()
	e = open(t, c)
	k.answer(http.StatusNoContent)
	if err := e.HandOver(ctx); err != nil {
		t.Fatal(err)
	}
	hits := map[string]uint64{}
	seen := map[uint64]bool{}
	for _, b := range k.batches {
		if seen[b.Seq] {
			t.Errorf("batch %d came twice", b.Seq)
		}
		seen[b.Seq] = true
		for _, r := range b.Rows {
			hits[r.Name] += r.Hits
			if _, err := r.Read(); err != nil {
				t.Errorf("row %+v: %v", r, err)
			}
		}
	}
	if hits["handover-a.test"] != 2 || hits["handover-b.test"] != 1 {
		t.Errorf("the service was told of %v", hits)
	}
	n := len(k.batches)
	see("www.handover-c.test")
	k.answer(http.StatusUnprocessableEntity)
	if err := e.HandOver(ctx); err != nil {
		t.Errorf("what is refused for good: %v", err)
	}
	k.answer(http.StatusNoContent)
	if err := e.HandOver(ctx); err != nil || len(k.batches) != n {
		t.Errorf("what was refused for good came again: %d batches, %v", len(k.batches)-n, err)
	}
}
