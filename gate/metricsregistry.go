package gate

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/icpgate/icpgate/registry/edge"
)

// registries collects what is held of the registries, and what became of what is
// blocked: its gauges depend on the clock and on reloads, so they are made when
// they are asked for.
type registries struct{}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(prometheus.BuildFQName(namespace, "", name), help, labels, nil)
}

var (
	revisionDesc  = desc("registry_revision", "Gauge of the revision of the registry in force, within its epoch.", "source")
	ageDesc       = desc("registry_age_seconds", "Gauge of the age of the registry in force.", "source")
	filingsDesc   = desc("registry_filings", "Gauge of the filings in the registry in force.", "source")
	connectedDesc = desc("feed_connected", "Gauge of whether the registry service answers or, where it is followed, frames come: 1 or 0.", "source")
	lagDesc       = desc("feed_lag_revisions", "Gauge of how many revisions behind the registry service this process is.", "source")
	hitsDesc      = desc("cache_hits_total", "Counter of answers from the cache.", "source")
	missesDesc    = desc("cache_misses_total", "Counter of answers that were not in the cache.", "source")
	evictionsDesc = desc("cache_evictions_total", "Counter of answers that others displaced.", "source")
	entriesDesc   = desc("cache_entries", "Gauge of the answers in the cache.", "source")
	droppedDesc   = desc("log_dropped_total", "Counter of lines of the block log that were not written, by cause.", "cause")
	sightingsDesc = desc("sightings", "Gauge of the rows that count what is blocked.")
	otherDesc     = desc("sightings_other_total", "Counter of what is blocked and found no row.")
)

// Describe implements prometheus.Collector.
func (registries) Describe(c chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		revisionDesc, ageDesc, filingsDesc, connectedDesc, lagDesc, hitsDesc, missesDesc, evictionsDesc, entriesDesc,
		droppedDesc, sightingsDesc, otherDesc,
	} {
		c <- d
	}
}

// Collect implements prometheus.Collector.
func (registries) Collect(c chan<- prometheus.Metric) {
	now := time.Now()
	emit := func(d *prometheus.Desc, t prometheus.ValueType, v float64, labels ...string) {
		c <- prometheus.MustNewConstMetric(d, t, v, labels...)
	}
	for source, held := range edge.Registries() {
		if held.Thin || held.Followed {
			emit(connectedDesc, prometheus.GaugeValue, truth(held.Connected), source)
		}
		if held.LagKnown() {
			emit(lagDesc, prometheus.GaugeValue, float64(held.Lag), source)
		}
		if !held.Thin {
			info := held.View.Info()
			emit(revisionDesc, prometheus.GaugeValue, float64(info.Revision.Rev), source)
			emit(filingsDesc, prometheus.GaugeValue, float64(info.Filings), source)
		}
		if !held.Since.IsZero() {
			emit(ageDesc, prometheus.GaugeValue, now.Sub(held.Since).Seconds(), source)
		}
		emit(hitsDesc, prometheus.CounterValue, float64(held.Cache.Hits), source)
		emit(missesDesc, prometheus.CounterValue, float64(held.Cache.Misses), source)
		emit(evictionsDesc, prometheus.CounterValue, float64(held.Cache.Evictions), source)
		emit(entriesDesc, prometheus.GaugeValue, float64(held.Cache.Entries), source)
	}
	for _, d := range edge.Drops() {
		emit(droppedDesc, prometheus.CounterValue, float64(edge.Dropped(d)), d.String())
	}
	rows, other := edge.ProcessSightings().Size()
	emit(sightingsDesc, prometheus.GaugeValue, float64(rows))
	emit(otherDesc, prometheus.CounterValue, float64(other))
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
