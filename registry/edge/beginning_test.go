package edge_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/icpgate/icpgate/registry/edge"
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
