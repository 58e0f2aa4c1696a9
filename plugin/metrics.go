package icp

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/coredns/coredns/plugin"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/edge"
)

var (
	verdictCount = promauto.NewCounterVec(prometheus.CounterOpts{
		Namespace: plugin.Namespace, Subsystem: name, Name: "verdicts_total",
		Help: "Counter of answers by the worst verdict on their addresses.",
	}, []string{"server", "zone", "view", "verdict", "reason", "mode"})

	unreadableCount = promauto.NewCounter(prometheus.CounterOpts{
		Namespace: plugin.Namespace, Subsystem: name, Name: "unreadable_answers_total",
		Help: "Counter of packed answers that could not be unpacked.",
	})

	// A block answer holds none of the records, so those are not counted one by one.
	recordCount = promauto.NewCounterVec(prometheus.CounterOpts{
		Namespace: plugin.Namespace, Subsystem: name, Name: "refused_records_total",
		Help: "Counter of records that answers lost, or that lost hints, for an address in them, by section.",
	}, []string{"section"})

	reloadCount = promauto.NewCounterVec(prometheus.CounterOpts{
		Namespace: plugin.Namespace, Subsystem: name, Name: "reloads_total",
		Help: "Counter of data files read anew after a change, by result.",
	}, []string{"data", "result"})

	inspectDuration = promauto.NewHistogram(prometheus.HistogramOpts{
		Namespace: plugin.Namespace, Subsystem: name, Name: "inspect_duration_seconds",
		Help: "Histogram of the time to inspect an answer, of one answer in 64.",
		// An inspection takes from a tenth of a microsecond to a few.
		Buckets:                     prometheus.ExponentialBuckets(100e-9, 4, 9),
		NativeHistogramBucketFactor: plugin.NativeHistogramBucketFactor,
	})
)

var (
	refusedAnswers    = recordCount.WithLabelValues("answer")
	refusedAuthority  = recordCount.WithLabelValues("authority")
	refusedAdditional = recordCount.WithLabelValues("additional")
)

func init() { prometheus.MustRegister(registries{}, blocks{}) }

// blocks is the collector of what is told of blocks beside the verdicts, which
// edge counts.
type blocks struct{}

var (
	droppedDesc = prometheus.NewDesc(prometheus.BuildFQName(plugin.Namespace, name, "log_dropped_total"),
		"Counter of lines of the block log that were not written, by cause.", []string{"cause"}, nil)
	sightingsDesc = prometheus.NewDesc(prometheus.BuildFQName(plugin.Namespace, name, "sightings"),
		"Gauge of the rows in which blocked names are counted.", nil, nil)
	otherDesc = prometheus.NewDesc(prometheus.BuildFQName(plugin.Namespace, name, "sightings_other_total"),
		"Counter of blocks that found no row to be counted in.", nil, nil)
)

// Describe implements prometheus.Collector.
func (blocks) Describe(c chan<- *prometheus.Desc) {
	c <- droppedDesc
	c <- sightingsDesc
	c <- otherDesc
}

// Collect implements prometheus.Collector.
func (blocks) Collect(c chan<- prometheus.Metric) {
	for _, d := range edge.Drops() {
		c <- prometheus.MustNewConstMetric(droppedDesc, prometheus.CounterValue, float64(edge.Dropped(d)), d.String())
	}
	rows, other := edge.ProcessSightings().Size()
	c <- prometheus.MustNewConstMetric(sightingsDesc, prometheus.GaugeValue, float64(rows))
	c <- prometheus.MustNewConstMetric(otherDesc, prometheus.CounterValue, float64(other))
}

// registries is the collector of what is held of the registries: its gauges
// depend on the clock and on reloads, so they are made when they are asked for.
type registries struct{}

var (
	revisionDesc  = registryDesc("registry_revision", "Gauge of the revision of the registry in force, within its epoch.")
	ageDesc       = registryDesc("registry_age_seconds", "Gauge of the age of the registry in force, since its snapshot was made; in thin mode, since the last answer.")
	filingsDesc   = registryDesc("registry_filings", "Gauge of the filings in the registry in force.")
	connectedDesc = registryDesc("feed_connected", "Gauge of whether the last call of the registry service succeeded or, where it is followed, frames come.")
	lagDesc       = registryDesc("feed_lag_revisions", "Gauge of how many revisions behind the registry service this process is.")

	hitsDesc      = registryDesc("cache_hits_total", "Counter of look-ups that the cache before the registry answered.")
	missesDesc    = registryDesc("cache_misses_total", "Counter of look-ups that the cache before the registry did not answer.")
	evictionsDesc = registryDesc("cache_evictions_total", "Counter of entries that others displaced from the cache.")
	entriesDesc   = registryDesc("cache_entries", "Gauge of the entries in the cache before the registry.")
)

// registryDesc describes a gauge that is told apart by the file it comes from:
// several server blocks may hold several registries.
func registryDesc(metric, help string) *prometheus.Desc {
	return prometheus.NewDesc(prometheus.BuildFQName(plugin.Namespace, name, metric), help, []string{"source"}, nil)
}

// Describe implements prometheus.Collector.
func (registries) Describe(c chan<- *prometheus.Desc) {
	c <- revisionDesc
	c <- ageDesc
	c <- filingsDesc
	c <- connectedDesc
	c <- lagDesc
	c <- hitsDesc
	c <- missesDesc
	c <- evictionsDesc
	c <- entriesDesc
}

// Collect implements prometheus.Collector.
func (registries) Collect(c chan<- prometheus.Metric) {
	now := time.Now()
	for source, held := range edge.Registries() {
		emit := func(d *prometheus.Desc, t prometheus.ValueType, v float64) {
			c <- prometheus.MustNewConstMetric(d, t, v, source)
		}
		if held.Thin || held.Followed {
			emit(connectedDesc, prometheus.GaugeValue, truth(held.Connected))
		}
		if held.LagKnown() {
			emit(lagDesc, prometheus.GaugeValue, float64(held.Lag))
		}
		if !held.Thin {
			info := held.View.Info()
			emit(revisionDesc, prometheus.GaugeValue, float64(info.Revision.Rev))
			emit(filingsDesc, prometheus.GaugeValue, float64(info.Filings))
		}
		if !held.Since.IsZero() {
			emit(ageDesc, prometheus.GaugeValue, now.Sub(held.Since).Seconds())
		}
		emit(hitsDesc, prometheus.CounterValue, float64(held.Cache.Hits))
		emit(missesDesc, prometheus.CounterValue, float64(held.Cache.Misses))
		emit(evictionsDesc, prometheus.CounterValue, float64(held.Cache.Evictions))
		emit(entriesDesc, prometheus.GaugeValue, float64(held.Cache.Entries))
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// counterSets are a handler's counters by server and view, resolved once: a
// look-up by labels costs more than a verdict. There are as many as listeners
// and views, so a list is searched. The zero value is ready; it is safe for
// concurrent use.
type counterSets struct {
	list atomic.Pointer[[]*counterSet]
	mu   sync.Mutex // held to add one
}

// counterSet are the counters of one server, zone and view.
type counterSet struct {
	server, zone, view string
	// counters are by mode and reason, and a last one for what is blocked only
	// because no registry is loaded.
	counters [2][]prometheus.Counter
}

// of returns the counters of a server, zone and view.
func (s *counterSets) of(server, zone, view string) *counterSet {
	if set := s.find(server, zone, view); set != nil {
		return set
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if set := s.find(server, zone, view); set != nil {
		return set
	}
	set := newCounterSet(server, zone, view)
	var list []*counterSet
	if old := s.list.Load(); old != nil {
		list = append(list, *old...)
	}
	list = append(list, set)
	s.list.Store(&list)
	return set
}

func (s *counterSets) find(server, zone, view string) *counterSet {
	list := s.list.Load()
	if list == nil {
		return nil
	}
	for _, set := range *list {
		if set.server == server && set.zone == zone && set.view == view {
			return set
		}
	}
	return nil
}

func newCounterSet(server, zone, view string) *counterSet {
	set := &counterSet{server: server, zone: zone, view: view}
	for _, mode := range []registry.Mode{registry.Enforce, registry.Monitor} {
		counter := func(v registry.Verdict) prometheus.Counter {
			return verdictCount.WithLabelValues(server, zone, view, v.String(), v.Reason.String(), mode.String())
		}
		for _, r := range registry.Reasons() {
			set.counters[mode] = append(set.counters[mode], counter(registry.Verdict{Reason: r, Block: r.Blocks()}))
		}
		set.counters[mode] = append(set.counters[mode], counter(registry.Verdict{Block: true}))
	}
	return set
}

// count adds one.
func (s *counterSet) count(v registry.Verdict, mode registry.Mode) {
	counters := s.counters[mode]
	i := int(v.Reason)
	if v.Reason == registry.Undecided && v.Block {
		i = len(counters) - 1
	}
	counters[i].Inc()
}
