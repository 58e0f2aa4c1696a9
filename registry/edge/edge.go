package edge

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gaissmai/bart"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/index"
	"github.com/icpgate/icpgate/registry/place"
)

// Edge is an `icp` block at work: the registry and the data beside it, always
// as they were last read. All methods may be used concurrently, also while
// files change; those that look something up also after Close.
type Edge struct {
	cfg     Config
	now     func() time.Time
	clients *bart.Table[Treatment]
	exempt  *Exemptions // of the block itself

	registry *shared[*follower]    // nil where the caller keeps the registry, or a service
	remote   *shared[*remote]      // the service, in thin mode
	service  *shared[*service]     // the service that is followed
	lists    Lister                // of the registry; nil where it has none
	stale    atomic.Bool           // the registry is too old to decide
	opened   atomic.Bool           // Open has returned, or is about to
	cache    *shared[*index.Cache] // nil where there is none
	places   *shared[*place.Table]
	suffixes *shared[*place.Suffixes]
	bindings *shared[*place.Bindings]
	profiles *shared[*registry.Profiles]
	exempted []*shared[*Exemptions]

	log      *logWriter // nil: none
	born     uint64     // its number in the process
	data     []func() DataStatus
	closers  []func()
	checkers []func(time.Time)
	closing  sync.Once
	// retired: the process does not tell of it any more.
	retired    atomic.Bool
	closeAdmin func() // gives up the admin port; nil without
}

// edges are the open ones of the process.
var edges = struct {
	mu   sync.Mutex
	set  map[*Edge]struct{}
	born uint64 // of the last one
}{set: map[*Edge]struct{}{}}

// Open reads what cfg names and begins to watch it. An error names the option
// and, from inside a file, file and line.
func Open(cfg Config) (*Edge, error) {
	e := &Edge{cfg: cfg, now: cfg.Now, exempt: &Exemptions{}}
	if e.now == nil {
		e.now = time.Now
	}
	for _, x := range cfg.Exempt {
		e.exempt.add(x)
	}
	if len(cfg.Clients) > 0 {
		e.clients = new(bart.Table[Treatment])
		for _, c := range cfg.Clients {
			e.clients.Insert(c.Prefix, c.Treatment)
		}
	}
	if err := e.holdAll(); err != nil {
		e.release()
		return nil, err
	}
	edges.mu.Lock()
	edges.born++
	e.born = edges.born
	edges.set[e] = struct{}{}
	edges.mu.Unlock()
	e.opened.Store(true)
	return e, nil
}

// holdAll takes hold of all data that the configuration names.
func (e *Edge) holdAll() error {
	for _, hold := range []func() error{e.holdRegistry, e.holdCache, e.holdLists, e.holdPlaces, e.holdNames, e.holdExemptions, e.watchAge, e.holdLog, e.holdAdmin} {
		if err := hold(); err != nil {
			return err
		}
	}
	return nil
}

func (e *Edge) holdRegistry() error {
	switch {
	case e.cfg.Live != nil:
		return nil
	case e.cfg.thin():
		return e.holdRemote()
	case e.cfg.follows():
		return e.holdService()
	case e.cfg.Registry == "":
		return errors.New("registry: no snapshot file is configured")
	}
	return e.holdFile()
}

// holdLists takes hold of the registry's lists: what is held after it is read anew
// when they change.
func (e *Edge) holdLists() error {
	if e.lists = e.cfg.Lists; e.service != nil {
		e.lists = e.service.get()
	}
	return nil
}

func (e *Edge) holdPlaces() (err error) {
	c := place.Config{
		Mainland: e.cfg.Mainland, MainlandAdd: e.cfg.MainlandAdd, Networks: e.cfg.Networks,
		Confirm: e.cfg.Confirm, NAT64: e.cfg.NAT64,
	}
	e.places, err = take(e, "places", files(c.Mainland, c.Networks), fmt.Sprint(c), func() (*place.Table, error) {
		if e.lists != nil {
			return e.openListedPlaces(c)
		}
		return place.Open(c)
	})
	return err
}

// holdNames holds what is known of names and providers beside the registry. The
// built-in data are held like files, for the rest of the Edge to be one.
func (e *Edge) holdNames() (err error) {
	suffixes, bindings, profiles := e.cfg.Suffixes, e.cfg.Bindings, e.cfg.Profiles
	if e.suffixes, err = take(e, "suffixes", files(suffixes), "", func() (*place.Suffixes, error) {
		if e.lists != nil {
			return e.openListedSuffixes(suffixes)
		}
		if suffixes == "" {
			return place.BuiltinSuffixes(), nil
		}
		return place.OpenSuffixes(suffixes)
	}); err != nil {
		return err
	}
	if e.bindings, err = take(e, "bindings", files(bindings), "", func() (*place.Bindings, error) {
		if e.lists != nil {
			return e.openListedBindings(bindings)
		}
		if bindings == "" {
			return nil, nil
		}
		return place.OpenBindings(bindings)
	}); err != nil {
		return err
	}
	e.profiles, err = take(e, "profiles", files(profiles), "", func() (*registry.Profiles, error) {
		if e.lists != nil {
			return e.openListedProfiles(profiles)
		}
		return ReadProfiles(profiles)
	})
	return err
}

func (e *Edge) holdExemptions() error {
	for _, f := range e.cfg.ExemptFiles {
		x, err := take(e, "exempt", files(f.Path), fmt.Sprint(f), func() (*Exemptions, error) { return openExemptions(f) })
		if err != nil {
			return err
		}
		e.exempted = append(e.exempted, x)
	}
	if e.lists != nil {
		x, err := take(e, "exempt", nil, "of the registry", e.openListedExemptions)
		if err != nil {
			return err
		}
		e.exempted = append(e.exempted, x)
	}
	return nil
}

// take holds one piece of shared data for e. What files and data do not tell of
// the settings stands in extra.
func take[T any](e *Edge, data string, files []string, extra string, load func() (T, error)) (*shared[T], error) {
	every := e.cfg.Poll
	if every <= 0 {
		every = DefaultPoll
	}
	o := e.cfg.Observer
	var generation func() uint64
	switch {
	case e.service != nil:
		extra += e.service.key
	case e.lists != nil:
		extra += fmt.Sprintf("%p", e.cfg.Live)
	}
	if e.lists != nil {
		generation = e.lists.ListsState
	}
	s, err := hold(fmt.Sprintf("%s%q%s", data, files, extra), data, files, every, o, generation, load)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", data, err)
	}
	e.closers = append(e.closers, func() { s.release(o) })
	e.checkers = append(e.checkers, s.check)
	e.data = append(e.data, s.status)
	return s, nil
}

// files returns the paths that are given, absolute: they are what is shared by.
func files(paths ...string) []string {
	var given []string
	for _, p := range paths {
		if p == "" {
			continue
		}
		// Abs fails only where the working directory is gone; the path as it stands
		// is as good then.
		if abs, err := filepath.Abs(p); err == nil {
			p = abs
		}
		given = append(given, p)
	}
	return given
}

// ReadProfiles reads a file of product profiles, with the line in the errors of what
// cannot be read; nil for the path "".
func ReadProfiles(path string) (*registry.Profiles, error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return registry.ParseProfiles(path, f)
}

// Close gives up what e holds and waits until nobody watches files for it any
// more. What was in force last stays so for queries that are still under way.
// Closing twice does nothing.
func (e *Edge) Close() {
	e.closing.Do(func() {
		edges.mu.Lock()
		delete(edges.set, e)
		edges.mu.Unlock()
		e.release()
	})
}

// Retire has e decide on, for those who have come by it and will go, but be no block
// of the process any more: what that tells of its blocks is without e, and the admin
// port is given up. Close does the rest.
func (e *Edge) Retire() {
	if !e.retired.Swap(true) && e.closeAdmin != nil {
		e.closeAdmin()
	}
}

func (e *Edge) release() {
	for _, close := range e.closers {
		close()
	}
}

// Refresh looks at all files at once, without waiting for the next poll or for
// writers to finish; what has changed is in force when it returns.
func (e *Edge) Refresh() {
	for _, check := range e.checkers {
		check(time.Time{})
	}
}

// Config returns what e was opened with.
func (e *Edge) Config() Config { return e.cfg }

// View returns the registry in force; nil if none is loaded, and in thin mode.
func (e *Edge) View() *index.View {
	switch {
	case e.cfg.Live != nil:
		return e.cfg.Live.View()
	case e.registry != nil:
		return e.registry.get().live.View()
	case e.service != nil:
		return e.service.get().view()
	}
	return nil
}

// Index returns the snapshot beneath the registry in force; nil if none is
// loaded.
func (e *Edge) Index() *index.Index { return e.View().Snapshot() }

// Loaded reports whether there is a registry to answer: a service is one when it
// has answered once.
func (e *Edge) Loaded() bool {
	if e.remote != nil {
		return e.remote.get().answered.Load() > 0
	}
	return e.View() != nil
}

// Ready reports whether e can answer as it is meant to: with a registry, or
// under `fail open` without. Who keeps a registry with its lists, to serve it, is
// ready with one.
func (e *Edge) Ready() bool {
	return e.Loaded() || e.cfg.Policy.Fail == registry.FailOpen && e.cfg.Lists == nil
}

// Ready reports whether every open Edge of the process is ready, and that there
// is one.
func Ready() bool {
	edges.mu.Lock()
	defer edges.mu.Unlock()
	n := 0
	for e := range edges.set {
		switch {
		case e.retired.Load():
			continue
		case !e.Ready():
			return false
		}
		n++
	}
	return n > 0
}

// Locate tells where an address is, whose it is and what answers there.
func (e *Edge) Locate(a netip.Addr) place.Where { return e.places.get().Lookup(a) }

// Warnings tell an operator what in the files in force has no effect, one
// sentence each.
func (e *Edge) Warnings() []string {
	all := e.places.get().Warnings()
	if w := e.staleWarning(); w != "" {
		all = append([]string{w}, all...)
	}
	if e.registry != nil {
		if w := e.registry.get().warning.Load(); w != nil {
			all = append([]string{*w}, all...)
		}
	}
	if e.service != nil {
		all = slices.Concat(e.service.get().warned(), all)
	}
	return all
}

// Coverage returns what the registry knows of a name.
func (e *Edge) Coverage(d registry.Domain) registry.Coverage {
	return e.CoverageContext(context.Background(), d)
}

// CoverageContext is Coverage for a question that ends with ctx: in thin mode it
// may have to wait for the service, for thin-timeout at most. Where nobody answers,
// or the registry is too old, nothing is known and the coverage is not Loaded.
func (e *Edge) CoverageContext(ctx context.Context, d registry.Domain) registry.Coverage {
	switch {
	case e.stale.Load():
		return registry.Coverage{}
	case e.remote != nil:
		return e.remote.get().thin.Cover(ctx, d)
	}
	return e.View().Cover(d)
}

// CoverageAddr returns what the registry knows of an address. A service is not
// asked for addresses: nothing is known of them in thin mode.
func (e *Edge) CoverageAddr(a netip.Addr) registry.Coverage {
	if e.stale.Load() {
		return registry.Coverage{}
	}
	return e.View().CoverAddr(a)
}

// Find reads a name as registry.ParseDomain does and returns it with what the
// registry knows of it. It is Coverage for names as they arrive, some of which
// cost more to read than to remember.
func (e *Edge) Find(name string) (registry.Domain, registry.Coverage, error) {
	if c := e.cacheInUse(); c != nil && !e.stale.Load() {
		return c.Cover(e.View(), name)
	}
	d, err := registry.ParseDomain(name)
	if err != nil {
		return d, registry.Coverage{}, err
	}
	return d, e.Coverage(d), nil
}

// FindDNS is Find for a name in the presentation form of DNS, which it reads as
// registry.ParseDNSName does.
func (e *Edge) FindDNS(name string) (registry.Domain, registry.Coverage, error) {
	if c := e.cacheInUse(); c != nil && !e.stale.Load() {
		return c.CoverDNS(e.View(), name)
	}
	d, err := registry.ParseDNSName(name)
	if err != nil {
		return d, registry.Coverage{}, err
	}
	return d, e.Coverage(d), nil
}

// Treatment tells how a client is treated: as the longest network says that it
// is in.
func (e *Edge) Treatment(client netip.Addr) Treatment {
	if e.clients == nil {
		return Usual
	}
	t, _ := e.clients.Lookup(client.Unmap())
	return t
}

// TreatsClients reports whether any client is treated differently, so that
// callers need not ask who asks.
func (e *Edge) TreatsClients() bool { return e.clients != nil }
