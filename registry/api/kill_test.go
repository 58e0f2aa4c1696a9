package api_test

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/api"
	"github.com/icpgate/icpgate/registry/feed"
	"github.com/icpgate/icpgate/registry/index"
	"github.com/icpgate/icpgate/registry/store"
	"github.com/icpgate/icpgate/registry/store/storetest"
)

// killedNames are the names of an import; each import tells something new of all.
const killedNames = 1500

func killedName(n int) string { return fmt.Sprintf("k%d.example.org", n) }

func killedFiling(n int, name, says string) registry.Filing {
	number := registry.MustParseNumber(fmt.Sprintf("沪ICP备%08d号", 10_000_000+n))
	return registry.Filing{
		Site:   registry.Site{Number: number.Site(1, registry.KindSite), Name: says, Domains: []registry.Domain{registry.MustParseDomain(name)}},
		Entity: registry.Entity{Number: number, Name: "Example Ltd.", Nature: registry.Enterprise}, AccessesKnown: true,
	}
}

// killedService is the process that is killed: a service that serves edges while
// it edits and imports for ever. It tells what is acknowledged.
func killedService() {
	failed := func(err error) {
		if err != nil {
			fmt.Println("failed", err)
			os.Exit(1)
		}
	}
	raw, _ := hex.DecodeString(os.Getenv("ICP_API_KEY"))
	key := store.Key(raw)
	s, err := store.Open(context.Background(), os.Getenv("ICP_API_CHILD"), store.Options{Key: &key, What: "the child"})
	failed(err)
	signer, err := feed.OpenSigner(os.Getenv("ICP_API_SIGNER"))
	failed(err)
	p, _, err := api.OpenPublisher(context.Background(), s, os.Getenv("ICP_API_DIR"), api.PublisherOptions{Signer: signer})
	failed(err)
	server := httptest.NewServer(p.Hub().Handler(nil))
	fmt.Println("serves", server.URL)
	go p.Run(context.Background())
	told := make(chan string)
	round := os.Getenv("ICP_API_ROUND")
	go func() {
		for n := 0; ; n++ {
			f := killedFiling(1_000_000+n, fmt.Sprintf("e%s-%d.example.org", round, n), "Edited")
			f.Site.Number = registry.Number{}
			rev, err := s.Edit(context.Background(), by, func(e *store.Edit) error { return e.PutFiling(f) })
			failed(err)
			told <- fmt.Sprint("edited ", rev, " ", f.Site.Domains[0])
		}
	}()
	go func() {
		if i, err := s.Unfinished(context.Background()); err == nil {
			_, err := s.Publish(context.Background(), i.ID, nil)
			failed(err)
		}
		for n := 0; ; n++ {
			i, err := s.Stage(context.Background(), by, store.ImportOptions{}, func(adder func() func(registry.Filing) error) error {
				add := adder()
				for k := range killedNames {
					if err := add(killedFiling(k, killedName(k), fmt.Sprint("Imported ", round, n))); err != nil {
						return err
					}
				}
				return nil
			})
			failed(err)
			_, err = s.Publish(context.Background(), i.ID, func(p store.ImportProgress) { told <- fmt.Sprintf("published %d of %d", p.Done, p.Of) })
			failed(err)
		}
	}()
	for line := range told {
		fmt.Println(line)
	}
}

// killWorld is what outlives a service: its files, and edges that follow it
// wherever it is.
type killWorld struct {
	*testing.T
	dsn, dir, signerPath string
	key                  *store.Key
	at                   atomic.Pointer[url.URL] // of the service
	edges                []*clusterEdge
	acked                map[string]registry.Revision // by name
}

// TestKillService kills a service at random places while it imports, edits and
// serves. What it has acknowledged is there when it is started again, and its edges
// end equal to it.
func TestKillService(t *testing.T) {
	rounds := 3
	if os.Getenv("ICP_SOAK") != "" {
		rounds = 200
	}
	for _, e := range []struct {
		name string
		dsn  func(*testing.T) string
	}{
		{"sqlite", func(t *testing.T) string { return filepath.Join(t.TempDir(), "registry.db") }},
		{"postgres", func(t *testing.T) string { return storetest.Database(t, "") }},
	} {
		t.Run(e.name, func(t *testing.T) {
			w := newKillWorld(t, e.dsn(t))
			random := rand.New(rand.NewPCG(5, 7))
			w.settle()
			for round := range rounds {
				w.round(round, 1+random.IntN(60))
				w.settle()
			}
			t.Logf("%d rounds, %d edits acknowledged", rounds, len(w.acked))
		})
	}
}

// serviceURL is where a request goes.
type serviceURL struct{}

func newKillWorld(t *testing.T, dsn string) *killWorld {
	t.Helper()
	w := &killWorld{T: t, dsn: dsn, dir: filepath.Join(t.TempDir(), "served"), signerPath: filepath.Join(t.TempDir(), "signing.pem"), key: store.NewKey(), acked: map[string]registry.Revision{}}
	signer, err := feed.GenerateSigner()
	if err != nil {
		t.Fatal(err)
	}
	text, err := signer.MarshalPEM()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(w.signerPath, text, 0o600); err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(r.In.Context().Value(serviceURL{}).(*url.URL)) },
		FlushInterval: -1,
		ErrorLog:      log.New(io.Discard, "", 0), // that the service dies is no news
		ErrorHandler:  func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		at := w.at.Load()
		if at == nil { // between two services
			rw.WriteHeader(http.StatusBadGateway)
			return
		}
		proxy.ServeHTTP(rw, r.WithContext(context.WithValue(r.Context(), serviceURL{}, at)))
	}))
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	for range 2 {
		w.edges = append(w.edges, followAs(t, server.URL, signer))
	}
	return w
}

// followAs starts an edge that follows a service.
func followAs(t *testing.T, service string, signer *feed.Signer) *clusterEdge {
	t.Helper()
	e := &clusterEdge{live: new(index.Live), told: make(chan struct{}, 1)}
	r, _, err := feed.OpenReplica(t.TempDir(), feed.ReplicaOptions{Keys: feed.Trust(signer), Live: e.live})
	if !errors.Is(err, feed.ErrEmpty) {
		t.Fatal(err)
	}
	client, err := feed.NewClient(service, nil)
	if err != nil {
		t.Fatal(err)
	}
	f := feed.NewFollower(r, client, feed.FollowOptions{
		Keys: feed.Trust(signer), BackOff: time.Millisecond, BackOffMost: 20 * time.Millisecond, Jitter: -1, Report: -1,
		Changed: func(feed.FollowStatus) {
			select {
			case e.told <- struct{}{}:
			default:
			}
		},
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); f.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done; client.Close(); r.Close() })
	return e
}

// awaitAll waits until edges are at a revision.
func awaitAll(t *testing.T, edges []*clusterEdge, rev registry.Revision) {
	t.Helper()
	limit := time.NewTimer(5 * time.Minute)
	defer limit.Stop()
	for i, e := range edges {
		for e.live.View().Revision() != rev {
			select {
			case <-e.told:
			case <-limit.C:
				t.Fatalf("edge %d is at %s; want %s", i, e.live.View().Revision(), rev)
			}
		}
	}
}

// round starts a service and kills it after it has told so many lines.
func (w *killWorld) round(round, lines int) {
	w.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "ICP_API_CHILD="+w.dsn, "ICP_API_KEY="+hex.EncodeToString(w.key[:]), "ICP_API_SIGNER="+w.signerPath,
		"ICP_API_DIR="+w.dir, fmt.Sprintf("ICP_API_ROUND=%03d", round))
	out, err := cmd.StdoutPipe()
	if err != nil {
		w.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		w.Fatal(err)
	}
	for in := bufio.NewScanner(out); in.Scan(); {
		words := strings.Fields(in.Text())
		switch words[0] {
		case "failed":
			w.Error(in.Text())
		case "serves":
			u, err := url.Parse(words[1])
			if err != nil {
				w.Error(err)
			}
			w.at.Store(u)
		case "edited":
			rev, err := registry.ParseRevision(words[1])
			if err != nil {
				w.Error(err)
			}
			w.acked[words[2]] = rev
		}
		if lines--; lines == 0 {
			_ = cmd.Process.Signal(syscall.SIGKILL) // what it has told by then counts
		}
	}
	_ = cmd.Wait() // it was killed
	storetest.EndLeases(w, w.dsn)
}

// settle serves what is left until the edges are equal to it.
func (w *killWorld) settle() {
	w.Helper()
	s, err := store.Open(context.Background(), w.dsn, store.Options{Key: w.key, What: "a test"})
	if err != nil {
		w.Fatal(err)
	}
	defer s.Close()
	if wrong, err := s.Check(context.Background()); err != nil || len(wrong) > 0 {
		w.Fatal(wrong, err)
	}
	signer, err := feed.OpenSigner(w.signerPath)
	if err != nil {
		w.Fatal(err)
	}
	p, warnings, err := api.OpenPublisher(context.Background(), s, w.dir, api.PublisherOptions{Signer: signer})
	if err != nil {
		w.Fatal(err, warnings)
	}
	server := httptest.NewServer(p.Hub().Handler(nil))
	defer func() {
		w.at.Store(nil)
		p.Hub().Close() // ends the streams
		server.CloseClientConnections()
		server.Close()
		p.Close()
	}()
	u, err := url.Parse(server.URL)
	if err != nil {
		w.Fatal(err)
	}
	w.at.Store(u)
	rev, err := s.Revision(context.Background())
	if err != nil {
		w.Fatal(err)
	}
	awaitAll(w.T, w.edges, rev)
	w.compare(s)
	if p.Hub().Replica().Log().Size() > 1<<20 { // a start need not read all rounds
		if err := p.Hub().Replica().Compact(context.Background()); err != nil {
			w.Fatal(err)
		}
	}
}

// compare holds the edges against the registry.
func (w *killWorld) compare(s *store.Store) {
	w.Helper()
	filed := map[string]bool{}
	err := s.View(context.Background(), func(v *store.View) error {
		return v.Filings(func(f registry.Filing) error { filed[f.Site.Domains[0].String()] = true; return nil })
	})
	if err != nil {
		w.Fatal(err)
	}
	for name := range w.acked {
		if !filed[name] {
			w.Fatalf("%s was acknowledged and is not there", name)
		}
	}
	for i, e := range w.edges {
		if n := e.live.View().Info().Filings; n != len(filed) {
			w.Fatalf("edge %d has %d filings; the registry has %d", i, n, len(filed))
		}
		for name := range filed {
			if len(e.live.View().Cover(registry.MustParseDomain(name)).Filings) == 0 {
				w.Fatalf("edge %d lacks %s", i, name)
			}
		}
	}
}
