package api_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/api"
	"github.com/icpgate/icpgate/registry/feed"
	"github.com/icpgate/icpgate/registry/index"
	"github.com/icpgate/icpgate/registry/store"
	"github.com/icpgate/icpgate/registry/store/storetest"
)

// cluster is three PostgreSQL servers, of which one is the primary, and two
// services on them with an edge each.
type cluster struct {
	*testing.T
	*rand.Rand
	names    []string
	nodes    map[string]*storetest.Node
	primary  string
	settings []string
	store    *store.Store
	edges    []*clusterEdge

	mu    sync.Mutex
	filed int
	acked map[string]registry.Revision // by key
}

// clusterEdge follows a service of its own.
type clusterEdge struct {
	live *index.Live
	told chan struct{}
}

// newCluster starts all. Commits wait for one standby unless they are not to.
func newCluster(t *testing.T, synchronous bool) *cluster {
	c := &cluster{T: t, Rand: rand.New(rand.NewPCG(8, 9)), names: []string{"n1", "n2", "n3"}, nodes: map[string]*storetest.Node{}, primary: "n1", acked: map[string]registry.Revision{}}
	c.settings = []string{"fsync=off", "shared_buffers=32MB", "max_connections=60", "wal_level=replica", "max_wal_senders=10", "wal_keep_size=64MB"}
	if synchronous {
		c.settings = append(c.settings, "synchronous_standby_names=ANY 1 (n1, n2, n3)")
	}
	root, err := os.MkdirTemp("", "icpcluster") // the path of a socket has to be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, n := range c.nodes {
			n.Stop()
		}
		os.RemoveAll(root)
	})
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	var hosts []string
	for _, name := range c.names {
		dir := filepath.Join(root, name)
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		hosts = append(hosts, dir)
	}
	first, err := storetest.NewNode(hosts[0], c.settings...)
	if err != nil {
		if os.Getenv("REQUIRE_PEERS") == "1" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	c.nodes["n1"] = first
	c.must(first.Start())
	for i, name := range c.names[1:] {
		c.join(name, hosts[i+1])
	}
	if out, err := first.SQL("postgres", "CREATE DATABASE icp"); err != nil {
		t.Fatal(err, out)
	}
	dsn := fmt.Sprintf("host=%s user=%s dbname=icp target_session_attrs=read-write", strings.Join(hosts, ","), storetest.User)
	signer, err := feed.GenerateSigner()
	c.must(err)
	key := store.NewKey()
	for range 2 {
		c.serve(dsn, key, signer)
	}
	return c
}

func (c *cluster) must(err error) {
	c.Helper()
	if err != nil {
		c.Fatal(err)
	}
}

// join makes a server a standby of the primary, with nothing left of what it was.
func (c *cluster) join(name, dir string) {
	c.Helper()
	n, err := c.nodes[c.primary].Standby(dir, name, c.settings...)
	c.must(err)
	c.nodes[name] = n
	c.must(n.Start())
}

// serve starts a service, and an edge that follows it.
func (c *cluster) serve(dsn string, key *store.Key, signer *feed.Signer) {
	c.Helper()
	s, err := store.Open(context.Background(), dsn, store.Options{Key: key, What: "a test"})
	c.must(err)
	c.Cleanup(func() { s.Close() })
	c.store = s
	p, _, err := api.OpenPublisher(context.Background(), s, c.TempDir(), api.PublisherOptions{Signer: signer})
	c.must(err)
	server := httptest.NewServer(p.Hub().Handler(nil))
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { p.Run(ctx) })
	c.Cleanup(func() {
		cancel()
		work.Wait()
		p.Close()
		server.CloseClientConnections()
		server.Close()
	})
	c.edges = append(c.edges, followAs(c.T, server.URL, signer))
}

// file makes a filing of its own; acknowledged tells whether the registry says that
// it is kept.
func (c *cluster) file() error {
	c.mu.Lock()
	c.filed++
	n := c.filed
	c.mu.Unlock()
	number := registry.MustParseNumber(fmt.Sprintf("沪ICP备%08d号", 10_000_000+n))
	f := registry.Filing{
		Site:   registry.Site{Number: number.Site(1, registry.KindSite), Name: "Example", Domains: []registry.Domain{registry.MustParseDomain(clusterName(n))}},
		Entity: registry.Entity{Number: number, Name: "Example Ltd.", Nature: registry.Enterprise}, AccessesKnown: true,
	}
	rev, err := c.store.Edit(context.Background(), by, func(e *store.Edit) error { return e.PutFiling(f) })
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.acked[store.KeyOf(&f)] = rev
	return nil
}

func clusterName(n int) string { return fmt.Sprintf("c%d.example.org", n) }

// load has several write until they cannot, and kills the primary after so many
// acknowledged filings.
func (c *cluster) load(filings int) {
	c.Helper()
	left := make(chan struct{}, filings)
	for range filings {
		left <- struct{}{}
	}
	var work sync.WaitGroup
	var kill sync.Once
	for range 4 {
		work.Go(func() {
			for c.file() == nil {
				select {
				case <-left:
				default:
					kill.Do(c.nodes[c.primary].Kill)
				}
			}
		})
	}
	work.Wait()
}

// standbys waits until so many follow the primary for which a condition holds.
func (c *cluster) standbys(want int, where string) {
	c.Helper()
	for end := time.Now().Add(5 * time.Minute); ; {
		out, err := c.nodes[c.primary].SQL("postgres", "SELECT count(*) FROM pg_stat_replication "+where)
		if err != nil || time.Now().After(end) {
			c.Fatalf("%v: %s standbys %s; want %d", err, out, where, want)
		}
		if out == fmt.Sprint(want) {
			return
		}
	}
}

// failOver makes the standby the primary that has most, and the dead one a standby.
func (c *cluster) failOver() {
	c.Helper()
	dead, best, most := c.primary, "", int64(-1)
	for _, name := range c.names {
		if name == dead {
			continue
		}
		n, err := c.nodes[name].Received()
		c.must(err)
		if n > most {
			best, most = name, n
		}
	}
	c.must(c.nodes[best].Promote())
	c.primary = best
	for _, name := range c.names {
		if name != dead && name != best {
			c.must(c.nodes[name].Follow(c.nodes[best]))
		}
	}
	// Connections to the dead one are found out by use.
	var err error
	for range 50 {
		if err = c.file(); err == nil {
			break
		}
	}
	c.must(err)
	c.join(dead, c.nodes[dead].Dir)
}

// lost counts the acknowledged filings that the registry does not have.
func (c *cluster) lost() (n int) {
	c.Helper()
	for key, rev := range c.acked {
		got, err := c.store.Filing(context.Background(), key)
		if errors.Is(err, store.ErrNotFound) || err == nil && got.Rev != rev.Rev {
			n++
		} else if err != nil {
			c.Fatal(err)
		}
	}
	return n
}

// converge waits until the edges are where the registry is, and compares.
func (c *cluster) converge() {
	c.Helper()
	rev, err := c.store.Revision(context.Background())
	c.must(err)
	there := map[string]bool{}
	c.must(c.store.View(context.Background(), func(v *store.View) error {
		return v.Filings(func(f registry.Filing) error { there[f.Site.Domains[0].String()] = true; return nil })
	}))
	awaitAll(c.T, c.edges, rev)
	for i, e := range c.edges {
		for n := range c.filed {
			name := clusterName(n + 1)
			if filed := len(e.live.View().Cover(registry.MustParseDomain(name)).Filings) > 0; filed != there[name] {
				c.Fatalf("edge %d at %s: %s is filed: %v; in the registry: %v", i, rev, name, filed, there[name])
			}
		}
	}
}

// TestClusterFailover kills the primary under load, again and again. Commits wait
// for a standby, so nothing that was acknowledged may be lost; the services go on
// with the new primary, in a new epoch, and the edges end where it is.
func TestClusterFailover(t *testing.T) {
	rounds := 2
	if os.Getenv("ICP_SOAK") != "" {
		rounds = 20
	}
	c := newCluster(t, true)
	before, err := c.store.Revision(context.Background())
	c.must(err)
	for round := range rounds {
		c.load(20 + c.IntN(150))
		c.failOver()
		if n := c.lost(); n > 0 {
			t.Fatalf("round %d: %d of %d acknowledged filings are lost", round, n, len(c.acked))
		}
		if wrong, err := c.store.Check(context.Background()); err != nil || len(wrong) > 0 {
			t.Fatalf("round %d: %q, %v", round, wrong, err)
		}
		now, err := c.store.Revision(context.Background())
		c.must(err)
		if now.Epoch == before.Epoch || now.Compare(before) <= 0 {
			t.Fatalf("round %d: after a promotion at %s, before it at %s; want a later epoch", round, now, before)
		}
		before = now
		c.converge()
	}
	t.Logf("%d rounds, %d filings acknowledged, none lost", rounds, len(c.acked))
}

// TestClusterLoses is the control: where commits wait for nobody and the standbys
// have not heard of the newest, it is lost, this test sees it, and the edges follow
// the registry back.
func TestClusterLoses(t *testing.T) {
	c := newCluster(t, false)
	for range 20 {
		c.must(c.file())
	}
	c.converge()
	// The standbys have all that is so far, and hear of no more, each in its own time.
	c.standbys(2, "WHERE flush_lsn >= pg_current_wal_lsn()")
	for _, name := range c.names[1:] {
		c.must(c.nodes[name].Follow(nil))
	}
	c.standbys(0, "")
	c.load(30)
	c.failOver()
	n := c.lost()
	if n == 0 {
		t.Fatal("nothing is lost: the other test proves nothing")
	}
	c.converge()
	t.Logf("%d of %d acknowledged filings are lost", n, len(c.acked))
}
