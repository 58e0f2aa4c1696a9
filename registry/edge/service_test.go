package edge_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/edge"
	"github.com/icpgate/icpgate/registry/feed"
	"github.com/icpgate/icpgate/registry/index"
)

// publishing is a registry service that is followed.
type publishing struct {
	t      *testing.T
	hub    *feed.Hub
	server *httptest.Server
	keys   string // file
	told   chan struct{}
}

func newPublishing(t *testing.T) *publishing {
	t.Helper()
	signer, err := feed.GenerateSigner()
	if err != nil {
		t.Fatal(err)
	}
	return publishingOf(t, signer, registry.Epoch{Made: 1_790_000_000_000, Random: 1})
}

// publishingOf is newPublishing with a key and an epoch.
func publishingOf(t *testing.T, signer *feed.Signer, epoch registry.Epoch) *publishing {
	t.Helper()
	dir := t.TempDir()
	p := &publishing{t: t, keys: filepath.Join(dir, "keys.pem"), told: make(chan struct{}, 1)}
	public, err := signer.PublicPEM()
	if err != nil {
		t.Fatal(err)
	}
	write(t, p.keys, string(public))
	r, _, err := feed.OpenReplica(filepath.Join(dir, "served"), feed.ReplicaOptions{Served: true, Keys: feed.Trust(signer)})
	if !errors.Is(err, feed.ErrEmpty) {
		t.Fatal(err)
	}
	rev := registry.Revision{Epoch: epoch}
	key := [16]byte{1}
	f := feed.Fetched{Index: r.FetchPath("index"), Lists: r.FetchPath("lists")}
	b := index.NewBuilder(index.Options{Key: key, Revision: rev})
	if _, err := b.WriteFile(f.Index); err != nil {
		t.Fatal(err)
	}
	write(t, f.Lists, string(feed.NewLists(key).Append(nil)))
	f.Manifest = &feed.Manifest{Revision: rev, Time: time.Now()}
	f.Manifest.SetSums(feed.Sums{})
	if err := r.Install(f, true); err != nil {
		t.Fatal(err)
	}
	p.hub = feed.NewHub(r, feed.HubOptions{Signer: signer})
	p.server = httptest.NewServer(p.hub.Handler(nil))
	edge.OnFollow(func(feed.FollowStatus) {
		select {
		case p.told <- struct{}{}:
		default:
		}
	})
	t.Cleanup(func() {
		edge.OnFollow(nil)
		p.hub.Close()
		p.server.CloseClientConnections()
		p.server.Close()
		r.Close()
	})
	return p
}

// publish makes a revision of a filing and entries of lists.
func (p *publishing) publish(name string, entries ...registry.Entry) registry.Revision {
	p.t.Helper()
	f := &feed.Frame{Time: time.Now(), Entries: entries}
	if name != "" {
		d := registry.MustParseDomain(name)
		f.Changes = []registry.Change{{Kind: registry.ChangeFilings, Name: d, Filings: []registry.Filing{{Site: registry.Site{Domains: []registry.Domain{d}}}}}}
	}
	if err := p.hub.Publish(f); err != nil {
		p.t.Fatal(err)
	}
	return f.Revision
}

// await waits until an Edge is as wanted.
func (p *publishing) await(what string, ok func() bool) {
	p.t.Helper()
	limit := time.NewTimer(5 * time.Minute)
	defer limit.Stop()
	for !ok() {
		select {
		case <-p.told:
		case <-limit.C:
			p.t.Fatal("in vain waited for " + what)
		}
	}
}

func (p *publishing) config(state string) edge.Config {
	return edge.Config{Service: p.server.URL, Keys: p.keys, State: state, Poll: time.Hour}
}

func filedAt(e *edge.Edge, name string) bool {
	return len(e.Coverage(registry.MustParseDomain(name)).Filings) > 0
}

// TestService: an edge follows, is in force from its own files while the service
// is away, and its lists beside what the operator's files say.
func TestService(t *testing.T) {
	p, state := newPublishing(t), t.TempDir()
	networks := filepath.Join(t.TempDir(), "networks")
	write(t, networks, "198.51.100.0/24 tencent ecs ap-guangzhou\n")
	c := p.config(state)
	c.Networks = networks
	observed := make(told, 100)
	c.Observer = observed
	e := open(t, c)
	rev := p.publish("a.test", registry.Entry{List: registry.ListNetworks, Key: "192.0.2.0/24", Value: "aliyun ecs cn-beijing"},
		registry.Entry{List: registry.ListNetworks, Key: "198.51.100.0/24", Value: "aliyun ecs cn-beijing"},
		registry.Entry{List: registry.ListExemptions, Key: "*.exempt.test", Value: "authority"})
	p.await("the first revision", func() bool { return e.View().Revision() == rev })
	if !filedAt(e, "www.a.test") || filedAt(e, "b.test") || !e.Ready() {
		t.Error("what is followed is not in force")
	}
	for len(observed) > 0 || e.Locate(netip.MustParseAddr("192.0.2.1")).Provider != "aliyun" {
		if r := <-observed; r.Err != nil {
			t.Fatal(r.Err)
		}
	}
	if got := e.Locate(netip.MustParseAddr("198.51.100.1")).Provider; got != "tencent" {
		t.Errorf("of what the operator and the registry list the registry counts: %q", got)
	}
	// The first revision is that of the snapshot: it is in force before the stream is
	// there.
	p.await("the stream", func() bool { f := e.Status().Registry.Feed; return f != nil && f.Connected })
	s := e.Status().Registry
	if s.Feed == nil || !s.Feed.Connected || !s.Feed.Leads || s.Feed.Snapshots != 1 || s.Feed.Error != "" || s.Source != p.server.URL {
		t.Errorf("status is %+v with %+v", s, s.Feed)
	}
	// A second block of the process shares it; so does one after a restart, without
	// the service.
	other := open(t, c)
	if !filedAt(other, "a.test") {
		t.Error("a second block has another registry")
	}
	other.Close()
	e.Close()
	p.server.CloseClientConnections()
	p.server.Close()
	e = open(t, c)
	if !filedAt(e, "a.test") || !e.Ready() || e.View().Revision() != rev {
		t.Error("without the service the edge does not start from its files")
	}
	if got := e.Locate(netip.MustParseAddr("192.0.2.1")).Provider; got != "aliyun" {
		t.Errorf("after a restart the registry's networks say %q", got)
	}
}

// TestServiceSetup: what cannot be followed fails setup and says why.
func TestServiceSetup(t *testing.T) {
	p := newPublishing(t)
	c := p.config(t.TempDir())
	c.Keys = filepath.Join(t.TempDir(), "none")
	if _, err := edge.Open(c); err == nil || !strings.Contains(err.Error(), "key") {
		t.Errorf("without a key file: %v", err)
	}
	c = p.config(t.TempDir())
	write(t, p.keys, "no key")
	if _, err := edge.Open(c); err == nil || !strings.Contains(err.Error(), "PEM") {
		t.Errorf("with a file that is none: %v", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	write(t, file, "")
	p = newPublishing(t)
	c = p.config(file)
	if _, err := edge.Open(c); err == nil || !strings.Contains(err.Error(), "state") {
		t.Errorf("with a file as state directory: %v", err)
	}
}

// TestAcceptEpoch: an edge stays where it is when the service falls back to an older
// epoch, says how to go there, and goes when it is told to.
func TestAcceptEpoch(t *testing.T) {
	signer, err := feed.GenerateSigner()
	if err != nil {
		t.Fatal(err)
	}
	restored := publishingOf(t, signer, registry.Epoch{Made: 1_780_000_000_000, Random: 7})
	p := publishingOf(t, signer, registry.Epoch{Made: 1_790_000_000_000, Random: 1})
	var now atomic.Pointer[publishing]
	now.Store(p)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { now.Load().hub.Handler(nil).ServeHTTP(w, r) }))
	t.Cleanup(func() { front.CloseClientConnections(); front.Close() })
	c := p.config(t.TempDir())
	c.Service = front.URL
	e := open(t, c)
	rev := p.publish("a.test")
	p.await("the first revision", func() bool { return e.View().Revision() == rev })
	back := restored.publish("b.test")
	now.Store(restored)
	p.hub.Close()
	p.await("the refusal", func() bool {
		return strings.Contains(e.Status().Registry.Feed.Error, "accept-epoch "+back.Epoch.String())
	})
	if !filedAt(e, "a.test") || filedAt(e, "b.test") || e.View().Revision() != rev {
		t.Errorf("the edge has left its epoch: it is at %s", e.View().Revision())
	}
	e.Close()
	c.AcceptEpoch = back.Epoch
	e = open(t, c)
	p.await("the accepted epoch", func() bool { return e.View().Revision() == back })
	if filedAt(e, "a.test") || !filedAt(e, "b.test") {
		t.Error("the accepted epoch is not in force")
	}
	// What was accepted once need not be told again.
	e.Close()
	c.AcceptEpoch = registry.Epoch{}
	e = open(t, c)
	rev = restored.publish("c.test")
	p.await("the next revision", func() bool { return e.View().Revision() == rev })
}

// TestServiceLost: an edge to which the service cannot tell what has changed since does
// not say that it is where the service is.
func TestServiceLost(t *testing.T) {
	signer, err := feed.GenerateSigner()
	if err != nil {
		t.Fatal(err)
	}
	restored := publishingOf(t, signer, registry.Epoch{Made: 1_790_000_000_000, Random: 1})
	p := publishingOf(t, signer, registry.Epoch{Made: 1_780_000_000_000, Random: 7})
	var now atomic.Pointer[publishing]
	now.Store(p)
	held := make(chan struct{})
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if now.Load() == restored && strings.HasPrefix(r.URL.Path, feed.SnapshotPath) {
			<-held
		}
		now.Load().hub.Handler(nil).ServeHTTP(w, r)
	}))
	t.Cleanup(func() { close(held); front.CloseClientConnections(); front.Close() })
	c := p.config(t.TempDir())
	c.Service = front.URL
	e := open(t, c)
	rev := p.publish("a.test")
	p.await("the first revision", func() bool {
		f := e.Status().Registry.Feed
		return f != nil && f.Connected && e.View().Revision() == rev
	})
	behind := func() (string, edge.Holding) {
		for _, h := range edge.Registries() {
			return e.Status().Registry.Feed.Behind(), h
		}
		return "", edge.Holding{}
	}
	if text, h := behind(); text != "0 revisions behind" || !h.LagKnown() {
		t.Errorf("with the service it is %q", text)
	}
	restored.publish("b.test")
	now.Store(restored)
	p.hub.Close()
	p.await("that it is lost", func() bool { return e.Status().Registry.Feed.Lost })
	if text, h := behind(); !strings.Contains(text, "not known") || h.LagKnown() {
		t.Errorf("beyond what the service keeps it is %q", text)
	}
}

// TestServiceStale: a service that was not heard of for too long decides nothing, if
// the block says so, until it is heard of again.
func TestServiceStale(t *testing.T) {
	p := newPublishing(t)
	c := p.config(t.TempDir())
	var ahead atomic.Int64 // of the edge's clock
	c.MaxStale, c.OnStale = time.Hour, edge.StaleBlock
	c.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	e := open(t, c)
	rev := p.publish("a.test")
	p.await("the first revision", func() bool { return e.View().Revision() == rev })
	e.Refresh()
	if !filedAt(e, "a.test") {
		t.Error("a registry that was just heard of does not decide")
	}
	ahead.Store(int64(2 * time.Hour)) // as if nothing had come since
	e.Refresh()
	d := registry.MustParseDomain("a.test")
	if got := e.Query(registry.Host{Name: d}, registry.ChannelDNS).Policy.Fail; e.Coverage(d).Loaded || got != registry.FailClosed {
		t.Errorf("after two hours without a word: loaded %t, fail %s", e.Coverage(d).Loaded, got)
	}
	ahead.Store(0)
	p.hub.Beat()
	e.Refresh()
	if !filedAt(e, "a.test") || !e.Coverage(d).Loaded {
		t.Error("it stays stale")
	}
}

// TestServiceAhead: that the clock of the registry is ahead keeps nobody fresh who was
// cut off.
func TestServiceAhead(t *testing.T) {
	p := newPublishing(t)
	c := p.config(t.TempDir())
	var ahead atomic.Int64 // of the edge's clock
	c.MaxStale, c.OnStale = time.Hour, edge.StaleBlock
	c.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	e := open(t, c)
	d := registry.MustParseDomain("a.test")
	f := &feed.Frame{Time: time.Now().Add(240 * time.Hour), Changes: []registry.Change{
		{Kind: registry.ChangeFilings, Name: d, Filings: []registry.Filing{{Site: registry.Site{Domains: []registry.Domain{d}}}}}}}
	if err := p.hub.Publish(f); err != nil {
		t.Fatal(err)
	}
	p.await("the revision", func() bool { return e.View().Revision() == f.Revision })
	e.Refresh()
	if !e.Coverage(d).Loaded {
		t.Error("a registry that was just heard of does not decide")
	}
	ahead.Store(int64(2 * time.Hour)) // as if nothing had come since
	e.Refresh()
	if e.Coverage(d).Loaded {
		t.Error("two hours without a word, and it still decides")
	}
}
