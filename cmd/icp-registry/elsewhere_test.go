package main

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/store"
	"github.com/icpgate/icpgate/registry/store/storetest"
)

// TestPublishedElsewhere: a command waits for an import that another node of the
// service publishes, however long a part takes, and has the service go on when that
// node is gone.
func TestPublishedElsewhere(t *testing.T) {
	dir := t.TempDir()
	dsn := storetest.Database(t, "")
	where := []string{"--dir", filepath.Join(dir, "registry"), "--db", dsn}
	token(t, dir, "ann", "read,import", where...)
	_, at := startServe(t, append([]string{"--listen", "127.0.0.1:0"}, where...)...)
	key, err := store.ReadKey(filepath.Join(dir, "registry", personalName))
	if err != nil {
		t.Fatal(err)
	}
	other, err := store.Open(t.Context(), dsn, store.Options{Key: key, What: "another node"})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	by := store.By{Who: "ann", Owner: "ann", Why: "a list"}
	i, err := other.Stage(t.Context(), by, store.ImportOptions{}, func(adder func() func(registry.Filing) error) error {
		add := adder()
		for n := range 900 {
			d := registry.MustParseDomain("n" + strings.Repeat("x", n%50) + "-" + string(rune('a'+n/50)) + ".example")
			if err := add(registry.Filing{Site: registry.Site{Domains: []registry.Domain{d}}}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil || i.Chunks < 3 {
		t.Fatalf("%+v, %v", i, err)
	}
	// The other node stands still after the first part.
	stands, dies := make(chan struct{}), make(chan struct{})
	ctx, die := context.WithCancel(t.Context())
	other.Pace(func(context.Context, registry.Revision) { close(stands); <-dies; die() })
	gone := make(chan struct{})
	go func() { defer close(gone); other.Publish(ctx, i.ID, nil) }()
	<-stands

	defer func(d time.Duration) { abandoned = d }(abandoned)
	abandoned = 2 * polling
	var asked, begun atomic.Int32
	target, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	enough := make(chan struct{})
	proxy := httputil.NewSingleHostReverseProxy(target)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			begun.Add(1)
		} else if asked.Add(1) == 10 { // five times what it waits for nobody
			close(enough)
		}
		proxy.ServeHTTP(w, r)
	}))
	defer front.Close()
	var out, errs bytes.Buffer
	ended := make(chan int, 1)
	go func() {
		ended <- run(t.Context(), []string{"import", "publish", i.ID, "--server", front.URL, "--token-file", filepath.Join(dir, "ann.txt")}, env{os.Stdin, &out, &errs, os.Getenv, time.Now})
	}()
	select {
	case <-enough:
	case code := <-ended:
		t.Fatalf("it ended with %d: %s%s; want it to wait for the other node", code, &out, &errs)
	}
	if now, err := other.Import(t.Context(), i.ID); err != nil || now.Done != 1 || begun.Load() != 1 {
		t.Errorf("while another node is at it: %d parts are in force after %d requests, %v; want one", now.Done, begun.Load(), err)
	}
	close(dies)
	<-gone
	if code := <-ended; code != 0 || !strings.Contains(out.String(), "done") || !strings.Contains(errs.String(), "asking the service to go on") || begun.Load() != 2 {
		t.Errorf("got %d after %d requests to publish: %s%s; want it done by the second", code, begun.Load(), &out, &errs)
	}
}
