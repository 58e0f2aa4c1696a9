package api_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/icpgate/icpgate/registry/api"
	"github.com/icpgate/icpgate/registry/feed"
)

// TestDefects: a request that meets a defect is answered with a problem and logged
// with the place of the defect; a stream is cut off; the service goes on.
func TestDefects(t *testing.T) {
	w := newWorld(t)
	failures := make(chan error, 10)
	var broken atomic.Int32 // 1: the clock panics; 2: it tells a year that JSON has no word for
	now := func() time.Time {
		switch broken.Load() {
		case 1:
			panic("the clock is broken")
		case 2:
			return time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)
		}
		return w.clock.now()
	}
	// No heartbeat comes by itself, with which the stream would look at the clock.
	quiet := feed.NewHub(w.hub.Replica(), feed.HubOptions{Signer: w.signer})
	t.Cleanup(quiet.Close)
	w.url = w.again(t, api.Config{Hub: quiet, Now: now, Recheck: time.Hour, Failed: func(err error) { failures <- err }})
	stream := w.openStream(t, w.secret["feed"])
	defect := func(what, where, in string) {
		t.Helper()
		var p *api.Panic
		if err := <-failures; !errors.As(err, &p) || p.Where != where || !strings.Contains(string(p.Stack), in) {
			t.Errorf("%s: got %v; want a panic of %q with a stack that has %q", what, err, where, in)
		}
	}
	for kind, what := range map[int32]string{1: "within a handler", 2: "within an answer"} {
		broken.Store(kind)
		status, content, text := w.ask(t, "GET", api.CheckPath, w.bearer("admin"), "")
		broken.Store(0)
		var p api.Problem
		if err := json.Unmarshal([]byte(text), &p); err != nil || status != http.StatusInternalServerError || content != "application/problem+json" || p.Status != status || strings.Contains(text, "clock") {
			t.Errorf("%s: got %d %s %s; want a problem of status 500", what, status, content, text)
		}
		defect(what, "GET "+api.CheckPath, map[int32]string{1: "TestDefects", 2: "registry/api"}[kind])
	}
	broken.Store(1)
	quiet.Beat()
	if _, err := io.Copy(io.Discard, stream); err == nil {
		t.Error("the stream ended as if it were whole; want it cut off")
	}
	defect("a stream", "GET "+feed.FeedPath, "TestDefects")
	broken.Store(0)
	if status, _, text := w.ask(t, "GET", api.CheckPath, w.bearer("admin"), ""); status != http.StatusOK {
		t.Errorf("afterwards: got %d %s", status, text)
	}
}
