package edge

import (
	"fmt"
	"iter"
	"path/filepath"
	"time"

	"github.com/icpgate/icpgate/registry/index"
)

// Holding is a registry that the process holds, as it stands at one moment.
type Holding struct {
	// View is the registry in force; nil where none is loaded, and in thin mode.
	View *index.View
	// Since is when the registry was made; where that is not known, when its file
	// was written, and in thin mode when the service answered last. Zero: never.
	Since time.Time
	// Thin tells that it is asked for, name by name. Connected is whether the last
	// call of the service succeeded.
	Thin, Connected bool
	// Followed tells that it is a service's that is followed, and Lag how many
	// revisions behind this process is; Lost, that the service has no changes since any
	// more, and a snapshot has not come yet. Connected is whether frames come.
	Followed bool
	Lag      uint64
	Lost     bool
	Cache    CacheStats
}

// LagKnown reports whether Lag tells anything.
func (h *Holding) LagKnown() bool { return h.Followed && (!h.Lost || h.Lag > 0) }

// CacheStats are the counters of the caches before a registry.
type CacheStats struct {
	Hits, Misses, Evictions uint64
	Entries                 int
}

// Registries yields the registries that the process holds, each once, by the
// file or URL it comes from.
func Registries() iter.Seq2[string, Holding] {
	return func(yield func(string, Holding) bool) {
		for source, h := range held() {
			if !yield(source, h) {
				return
			}
		}
	}
}

// held gathers the registries of the open Edges.
func held() map[string]Holding {
	edges.mu.Lock()
	defer edges.mu.Unlock()
	all, caches := map[string]Holding{}, map[*index.Cache]bool{}
	for e := range edges.set {
		source := e.Source()
		if source == "" || e.retired.Load() {
			continue
		}
		h, ok := all[source]
		if !ok {
			h = e.held()
		}
		if c := e.cacheInUse(); c != nil && !caches[c] {
			caches[c] = true
			h.Cache.add(c.Stats())
		}
		all[source] = h
	}
	return all
}

func (c *CacheStats) add(s index.CacheStats) {
	c.Hits += s.Hits
	c.Misses += s.Misses
	c.Evictions += s.Evictions
	c.Entries += s.Entries
}

// Source is where the registry comes from: its file's absolute path, or its URL;
// "" where the caller keeps it.
func (e *Edge) Source() string {
	switch {
	case e.registry != nil:
		return e.registry.files[0]
	case e.remote != nil, e.service != nil:
		return e.cfg.Service
	}
	return ""
}

func (e *Edge) held() Holding {
	if e.remote != nil {
		return e.remote.get().holding()
	}
	if e.service != nil {
		return e.service.get().holding()
	}
	return Holding{View: e.View(), Since: e.since()}
}

// since is Holding.Since.
func (e *Edge) since() time.Time {
	if e.remote != nil {
		return e.remote.get().since()
	}
	if e.service != nil {
		return e.service.get().since()
	}
	if e.registry == nil {
		return e.View().Info().MadeAt
	}
	return time.Unix(e.registry.get().since.Load(), 0)
}

// holdFile takes hold of the registry of a snapshot file, and of the cache before
// it.
func (e *Edge) holdFile() (err error) {
	var f *follower
	path := e.cfg.Registry
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	e.registry, err = take(e, "registry", files(path), fmt.Sprintf("%q%t", e.cfg.State, e.cfg.InMemory), func() (*follower, error) {
		first := f == nil
		if first {
			var err error
			if f, err = newFollower(path, &e.cfg); err != nil {
				return nil, err
			}
		}
		err := f.load()
		if err != nil && first {
			f.release()
		}
		return f, err
	})
	return err
}

// holdCache takes hold of the cache for names that are costly to read. Blocks
// with the same registry and size share it.
func (e *Edge) holdCache() (err error) {
	if e.cfg.thin() || e.cfg.Cache < 0 {
		return nil
	}
	size := e.cfg.Cache
	if size == 0 {
		size = DefaultCache
	}
	source := e.Source()
	if source == "" {
		source = fmt.Sprintf("%p", e.cfg.Live)
	}
	e.cache, err = take(e, "cache", nil, fmt.Sprint(source, " ", size), func() (*index.Cache, error) { return index.NewCache(size), nil })
	return err
}

func (e *Edge) cacheInUse() *index.Cache {
	if e.cache == nil {
		return nil
	}
	return e.cache.get()
}
