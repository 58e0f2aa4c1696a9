package feed_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/icpgate/icpgate/registry/feed"
)

// evil is a reverse proxy before a hub that does to streams what networks and
// thieves do.
type evil struct {
	mu     sync.Mutex
	rand   *rand.Rand
	fault  string        // "" is none
	hold   chan struct{} // closed to let a stalled stream go
	past   [][]byte      // frames that were seen
	signer *feed.Signer  // of somebody else
}

var faults = []string{"", "cut", "cut inside", "twice", "swapped", "left out", "bit", "old", "forged", "stalled", "slow", "refused"}

func (e *evil) set(fault string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.hold != nil {
		close(e.hold)
	}
	e.fault, e.hold = fault, make(chan struct{})
}

// pass hands frames on to a client, with the fault of the moment.
func (e *evil) pass(w http.ResponseWriter, body io.Reader) {
	r, to := bufio.NewReader(body), http.NewResponseController(w)
	_ = to.Flush()
	var waiting []byte // for the next one to pass it by
	for {
		b, err := feed.ReadFrame(r, nil)
		if err != nil {
			return
		}
		e.mu.Lock()
		fault, hold := e.fault, e.hold
		e.past = append(e.past, b)
		old := e.past[e.rand.IntN(len(e.past))]
		at := e.rand.IntN(len(b))
		e.mu.Unlock()
		out := [][]byte{b}
		switch fault {
		case "cut":
			return
		case "cut inside":
			_, _ = w.Write(b[:at])
			return
		case "twice":
			out = [][]byte{b, b}
		case "swapped":
			if waiting == nil {
				waiting = b
				continue
			}
			out, waiting = [][]byte{b, waiting}, nil
		case "left out":
			continue
		case "bit":
			c := bytes.Clone(b)
			c[at] ^= 1 << (at % 8)
			out = [][]byte{c}
		case "old":
			out = [][]byte{old, b}
		case "forged":
			out = [][]byte{feed.Resign(bytes.Clone(b), e.signer)}
		case "stalled":
			<-hold
		case "slow":
			for i := range b {
				if _, err := w.Write(b[i : i+1]); err != nil || i%16 == 0 && to.Flush() != nil {
					return
				}
			}
			out = nil
		}
		for _, b := range out {
			if _, err := w.Write(b); err != nil {
				return
			}
		}
		if to.Flush() != nil {
			return
		}
	}
}

// serve is the proxy.
func (e *evil) serve(upstream string) http.Handler {
	target, _ := url.Parse(upstream)
	plain := httputil.NewSingleHostReverseProxy(target)
	plain.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e.mu.Lock()
		refused := e.fault == "refused"
		e.mu.Unlock()
		if refused {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		if r.URL.Path != feed.FeedPath {
			plain.ServeHTTP(w, r)
			return
		}
		req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, upstream+r.URL.RequestURI(), nil)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer resp.Body.Close()
		w.Header().Set("Content-Type", resp.Header.Get("Content-Type"))
		w.WriteHeader(resp.StatusCode)
		if resp.StatusCode == http.StatusOK {
			e.pass(w, resp.Body)
		}
	})
}

// TestFeedModel: whatever happens to the stream, the edge is at every moment what
// the registry was at the revision that the edge says it is at, and once the
// faults are over it is at the registry's.
func TestFeedModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := newService(t, 60)
		e := &evil{rand: rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1)), hold: make(chan struct{}), signer: signer(t)}
		proxy := httptest.NewServer(e.serve(s.url))
		dir := t.TempDir()
		o := feed.FollowOptions{Silence: 400 * time.Millisecond}
		follower := s.follow(t, dir, proxy.URL, o)
		check := func() {
			rev, sums, _ := follower.r.State()
			if want, ok := s.history[rev.Rev]; rev.Rev != 0 && (!ok || sums != want || rev.Epoch != s.rev.Epoch) {
				rt.Fatalf("the edge is at %s with %x; the registry had %x there", rev, sums, want)
			}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"publish": func(rt *rapid.T) { s.publish(rapid.IntRange(0, 5).Draw(rt, "changes")) },
			"beat":    func(*rapid.T) { s.clock.putOn(time.Second); s.hub.Beat() },
			"fault":   func(rt *rapid.T) { e.set(rapid.SampledFrom(faults).Draw(rt, "fault")) },
			"catch up": func(*rapid.T) {
				e.set("")
				s.hub.Beat()
				follower.awaitRevision(s.rev)
			},
			"compact":        func(*rapid.T) { _ = s.hub.Replica().Compact(context.Background()) },
			"compact edge":   func(*rapid.T) { _ = follower.r.Compact(context.Background()) },
			"registry again": func(*rapid.T) { s.hub.Restart() },
			"edge again": func(*rapid.T) {
				e.set(e.fault)
				follower.stop()
				follower = s.follow(t, dir, proxy.URL, o)
			},
			"": func(*rapid.T) { check() },
		})
		e.set("")
		s.publish(1)
		follower.awaitRevision(s.rev)
		check()
		s.same(follower.r)
		follower.stop()
		s.hub.Close()
		proxy.CloseClientConnections()
		proxy.Close()
		s.server.CloseClientConnections()
	})
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func writeFile(t testing.TB, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o640); err != nil {
		t.Fatal(err)
	}
}
