package edge

import (
	"cmp"
	"net/url"
	"slices"
	"time"

	"github.com/icpgate/icpgate/registry"
)

// Status is what a block is at. It is made for JSON and holds no secret.
type Status struct {
	Label    string              `json:"label,omitempty"`
	Zones    []string            `json:"zones,omitempty"` // none: all of the server block
	Ready    bool                `json:"ready"`
	Mode     string              `json:"mode"`
	Fail     string              `json:"fail"`
	Provider registry.ProviderID `json:"provider"`        // empty: nobody's
	Block    string              `json:"block,omitempty"` // of DNS answers; empty for a program that gives none
	Registry RegistryStatus      `json:"registry"`
	Data     []DataStatus        `json:"data"`
	Warnings []string            `json:"warnings,omitempty"`
}

// RegistryStatus is what a registry is at.
type RegistryStatus struct {
	Source      string            `json:"source"` // file or URL; empty where the program keeps it
	Loaded      bool              `json:"loaded"`
	Revision    registry.Revision `json:"revision"`
	MadeAt      *time.Time        `json:"made_at,omitempty"`
	Age         *float64          `json:"age_seconds,omitempty"`
	Filings     int               `json:"filings"`
	Names       int               `json:"names"`
	Addresses   int               `json:"addresses"`
	Blacklisted int               `json:"blacklisted"`
	Bytes       int64             `json:"bytes"`
	Cache       *CacheStatus      `json:"cache,omitempty"` // before it; none: no cache
	Thin        *ThinStatus       `json:"thin,omitempty"`  // of a service that is asked name by name
	Feed        *FeedStatus       `json:"feed,omitempty"`  // of a service that is followed
}

// CacheStatus are the counters of the cache before a registry, which blocks may
// share.
type CacheStatus struct {
	Hits      uint64 `json:"hits"`
	Misses    uint64 `json:"misses"`
	Evictions uint64 `json:"evictions"`
	Entries   int    `json:"entries"`
}

// ThinStatus is how it goes with a registry service since it was first named.
type ThinStatus struct {
	Connected  bool       `json:"connected"` // the last call succeeded
	AnsweredAt *time.Time `json:"answered_at,omitempty"`
	Requests   uint64     `json:"requests"`   // calls of the service
	Errors     uint64     `json:"errors"`     // calls that failed
	Timeouts   uint64     `json:"timeouts"`   // look-ups that waited in vain
	Stale      uint64     `json:"stale"`      // look-ups that an old answer served
	Unanswered uint64     `json:"unanswered"` // look-ups of which nothing is known
}

// DataStatus is what became of data that an option names when they were last
// read. After an error, what was read before is in force.
type DataStatus struct {
	Data   string    `json:"data"`  // the option
	Files  []string  `json:"files"` // none: the built-in data
	ReadAt time.Time `json:"read_at"`
	Took   float64   `json:"took_seconds"`
	Result string    `json:"result"` // success or error
	Error  string    `json:"error,omitempty"`
}

// Status tells what e is at.
func (e *Edge) Status() Status {
	s := Status{
		Label: e.cfg.Label, Zones: e.cfg.Zones, Ready: e.Ready(),
		Mode: e.cfg.Policy.Mode.String(), Fail: e.cfg.Policy.Fail.String(), Provider: e.cfg.Provider,
		Registry: e.registryStatus(), Warnings: e.Warnings(), Data: []DataStatus{},
	}
	if e.cfg.Channel == registry.ChannelDNS {
		s.Block = e.cfg.Block.Action.String()
	}
	for _, status := range e.data {
		s.Data = append(s.Data, status())
	}
	return s
}

func (e *Edge) registryStatus() RegistryStatus {
	x := e.View()
	info := x.Info()
	s := RegistryStatus{
		Source: shown(e.cfg.Registry), Loaded: e.Loaded(), Revision: info.Revision,
		Filings: info.Filings, Names: info.Names, Addresses: info.Addresses, Blacklisted: info.Blacklisted, Bytes: info.Bytes,
	}
	if !info.MadeAt.IsZero() {
		age := e.now().Sub(info.MadeAt).Seconds()
		s.MadeAt, s.Age = &info.MadeAt, &age
	}
	if e.remote != nil {
		s.Source = shown(e.cfg.Service)
		s.Cache, s.Thin = e.remote.get().status()
	}
	if e.service != nil {
		s.Source = shown(e.cfg.Service)
		s.Feed = e.service.get().status()
	}
	if c := e.cacheInUse(); c != nil {
		x := c.Stats()
		s.Cache = &CacheStatus{Hits: x.Hits, Misses: x.Misses, Evictions: x.Evictions, Entries: x.Entries}
	}
	return s
}

// shown is a source without the password that a URL may hold.
func shown(source string) string {
	if u, err := url.Parse(source); err == nil && u.Host != "" {
		u.RawQuery = ""
		return u.Redacted()
	}
	return source
}

// openEdges are the open ones of the process in the order in which they were
// opened.
func openEdges() []*Edge {
	edges.mu.Lock()
	defer edges.mu.Unlock()
	all := make([]*Edge, 0, len(edges.set))
	for e := range edges.set {
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b *Edge) int { return cmp.Compare(a.born, b.born) })
	return all
}

// blocks are the open ones without those that are retired.
func blocks() []*Edge {
	return slices.DeleteFunc(openEdges(), func(e *Edge) bool { return e.retired.Load() })
}
