package edge_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/edge"
	"github.com/icpgate/icpgate/registry/feed"
)

// held is an answer of which no more than some frames go out, of all answers
// together, before it is let go.
type held struct {
	http.ResponseWriter
	frames *atomic.Int32
	free   <-chan struct{}
}

func (h *held) Write(b []byte) (int, error) {
	if h.frames.Add(-1) < 0 {
		<-h.free
		return h.ResponseWriter.Write(b)
	}
	defer h.ResponseWriter.(http.Flusher).Flush()
	return h.ResponseWriter.Write(b)
}

func (h *held) Unwrap() http.ResponseWriter { return h.ResponseWriter }

// TestServiceBeginning: an edge that begins with a snapshot does not decide before
// it has what was filed since; also not where it reads along, nor after a restart
// half way.
func TestServiceBeginning(t *testing.T) {
	p := newPublishing(t)
	p.publish("a.test")
	last := p.publish("b.test")
	free := make(chan struct{})
	release := sync.OnceFunc(func() { close(free) })
	var frames atomic.Int32
	frames.Store(1)
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/feed" {
			w = &held{w, &frames, free}
		}
		p.hub.Handler(nil).ServeHTTP(w, r)
	}))
	defer slow.Close()
	defer slow.CloseClientConnections()
	defer release()

	state := t.TempDir()
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(state, link); err != nil {
		t.Fatal(err)
	}
	c := p.config(state)
	c.Service = slow.URL
	e := open(t, c)
	half := func() bool {
		f := e.Status().Registry.Feed
		return f.Connected && f.Lag == 1
	}
	p.await("the first revision", half)
	c.State = link
	along := open(t, c)
	for name, e := range map[string]*edge.Edge{"follows": e, "reads along": along} {
		if e.Loaded() || e.View() != nil || !e.Status().Registry.Feed.Beginning {
			t.Errorf("who %s decides by revision %s; the registry is at %s", name, e.View().Revision(), last)
		}
	}
	along.Close()
	e.Close()
	c.State = state
	e = open(t, c)
	if e.Loaded() {
		t.Error("after a restart half way it decides by what it has")
	}
	c.State = link
	along = open(t, c)
	release()
	p.await("the last revision", func() bool { return e.View().Revision() == last })
	if !along.ReadOn() {
		t.Fatal("both follow")
	}
	for name, e := range map[string]*edge.Edge{"follows": e, "reads along": along} {
		if !filedAt(e, "a.test") || !filedAt(e, "b.test") || e.Status().Registry.Feed.Beginning {
			t.Errorf("who %s does not decide", name)
		}
	}
	along.Close()
	e.Close()
	slow.CloseClientConnections()
	slow.Close()
	c.State = state
	if e = open(t, c); !filedAt(e, "b.test") {
		t.Error("once it has begun it does not start from its files")
	}
}

// TestServiceBeginningMassChange: what was lost within minutes, by changes that were
// too small each to be announced, stops an edge that has it in force, and none that
// begins.
func TestServiceBeginningMassChange(t *testing.T) {
	p := newPublishing(t)
	const half = 6000
	change := func(of, to int, status registry.Status) (last registry.Revision) {
		for n := of; n < to; {
			f := &feed.Frame{Time: time.Now()}
			for ; n < to && len(f.Changes) < 2000; n++ {
				d := registry.MustParseDomain(fmt.Sprintf("n%d.test", n))
				f.Changes = append(f.Changes, registry.Change{Kind: registry.ChangeFilings, Name: d, Filings: []registry.Filing{{Status: status, Site: registry.Site{Domains: []registry.Domain{d}}}}})
			}
			if err := p.hub.Publish(f); err != nil {
				t.Fatal(err)
			}
			last = f.Revision
		}
		return last
	}
	change(0, half, registry.StatusNormal)
	filed := change(half, 2*half, registry.StatusNormal)
	old := open(t, p.config(t.TempDir()))
	p.await("what is filed", func() bool { return old.View().Revision() == filed })
	change(0, half, registry.StatusCancelled)
	last := change(half, 2*half, registry.StatusCancelled)
	e := open(t, p.config(t.TempDir()))
	p.await("all that has come", func() bool { return e.View().Revision() == last })
	p.await("the edge before to stop", func() bool { return old.Status().Registry.Feed.Stopped })
	if at := old.View().Revision(); at.Compare(last) >= 0 {
		t.Errorf("an edge that had it in force is at %s", at)
	}
	// What it took then does not count against what comes.
	next := change(2*half-1, 2*half, registry.StatusNormal)
	p.await("one more", func() bool { return e.View().Revision() == next })
}
