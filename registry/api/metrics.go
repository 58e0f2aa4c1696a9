package api

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/store"
)

// namespace begins the name of every metric.
const namespace = "icp_registry"

// metrics are those of a service. Labels are routes as the description has them,
// classes of statuses and words of this package: never a name, a path or a token.
type metrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	denied   *prometheus.CounterVec
	dropped  *prometheus.CounterVec
	rounds   *prometheus.CounterVec
}

func newMetrics(s *Service, reg prometheus.Registerer) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "requests_total", Help: "Counter of requests by route and class of status; a stream counts when it begins.",
		}, []string{"route", "class"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Name: "request_duration_seconds", Help: "Histogram of the time that requests take, streams left out.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 4, 9), // to 33 s; snapshots take longer
		}, []string{"route"}),
		denied: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "denied_total", Help: "Counter of requests that were not let through, by what they lacked: token or scope; ended are streams whose token was revoked or has expired.",
		}, []string{"lack"}),
	}
	m.dropped = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: namespace, Name: "dropped_total", Help: "Counter of what was dropped since it was too old: sightings, reports of imports, and imports that nobody has published.",
	}, []string{"kind"})
	m.rounds = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: namespace, Name: "keeping_rounds_total", Help: "Counter of rounds that drop what is too old, by result.",
	}, []string{"result"})
	if reg != nil {
		reg.MustRegister(m.requests, m.duration, m.denied, m.dropped, m.rounds, state{s})
	}
	return m
}

// kept counts a round of Keep.
func (m *metrics) kept(k Kept, err error) {
	m.dropped.WithLabelValues("sightings").Add(float64(k.Sightings))
	m.dropped.WithLabelValues("reports").Add(float64(k.Reports))
	m.dropped.WithLabelValues("imports").Add(float64(k.Imports))
	result := "success"
	if err != nil {
		result = "error"
	}
	m.rounds.WithLabelValues(result).Inc()
}

// state collects how the registry and the edges are when it is asked for.
type state struct{ s *Service }

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(prometheus.BuildFQName(namespace, "", name), help, labels, nil)
}

var (
	revisionDesc  = desc("registry_revision", "Gauge of the revision that is served, within its epoch.")
	filingsDesc   = desc("registry_filings", "Gauge of the filings that are served.")
	ageDesc       = desc("registry_age_seconds", "Gauge of the time since the registry of record was known to be at the revision that is served.")
	connectedDesc = desc("feed_connected", "Gauge of whether revisions come, from the database or from upstream: 1 or 0.")
	streamsDesc   = desc("streams", "Gauge of the streams that are open.")
	cutDesc       = desc("slow_streams_total", "Counter of streams that were ended since their reader was too slow.")
	logDesc       = desc("feed_log_bytes", "Gauge of the frames that are kept.")
	snapshotDesc  = desc("snapshot_revision", "Gauge of the revision of the newest snapshot.")
	edgesDesc     = desc("edges", "Gauge of edges by how they are: current, behind, failing, or silent for more than a minute.", "state")
	importsDesc   = desc("imports", "Gauge of imports that are not over, by state: those that wait for somebody, or were interrupted.", "state")
	upstreamDesc  = desc("upstream_revision", "Gauge of the revision that upstream said to be at, of a relay.")
	behindDesc    = desc("feed_lag_revisions", "Gauge of how many revisions a relay is behind what upstream said; how old what it serves is, registry_age_seconds tells.")
	lagDesc       = desc("edge_lag_revisions", "Gauge of how many revisions the last of the edges that report is behind.")
)

// silentAfter is when an edge, which reports every ten seconds or so, counts as
// silent.
const silentAfter = time.Minute

// Describe implements prometheus.Collector.
func (state) Describe(c chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		revisionDesc, filingsDesc, ageDesc, connectedDesc, streamsDesc, cutDesc, logDesc, snapshotDesc, edgesDesc, lagDesc, importsDesc,
		upstreamDesc, behindDesc,
	} {
		c <- d
	}
}

// Collect implements prometheus.Collector.
func (x state) Collect(c chan<- prometheus.Metric) {
	emit := func(d *prometheus.Desc, t prometheus.ValueType, v float64, labels ...string) {
		c <- prometheus.MustNewConstMetric(d, t, v, labels...)
	}
	hub, now := x.s.cfg.Hub, x.s.cfg.Now()
	r := hub.Replica()
	rev, _, heard := r.State()
	streams, cut := hub.Status()
	emit(streamsDesc, prometheus.GaugeValue, float64(streams))
	emit(cutDesc, prometheus.CounterValue, float64(cut))
	if x.s.cfg.Connected != nil {
		emit(connectedDesc, prometheus.GaugeValue, truth(x.s.cfg.Connected()))
	}
	if rev != (registry.Revision{}) {
		info := r.Live().View().Info()
		snapshot, _ := r.Snapshot()
		emit(revisionDesc, prometheus.GaugeValue, float64(rev.Rev))
		emit(filingsDesc, prometheus.GaugeValue, float64(info.Filings))
		emit(ageDesc, prometheus.GaugeValue, max(0, now.Sub(heard).Seconds()))
		emit(logDesc, prometheus.GaugeValue, float64(r.Log().Size()))
		emit(snapshotDesc, prometheus.GaugeValue, float64(snapshot.Rev))
	}
	if x.s.cfg.Follows != nil && rev != (registry.Revision{}) {
		if up := x.s.cfg.Follows().Upstream; up.Epoch == rev.Epoch {
			emit(upstreamDesc, prometheus.GaugeValue, float64(up.Rev))
			emit(behindDesc, prometheus.GaugeValue, float64(lagOf(rev, up)))
		}
	}
	states, most := x.s.edges.states(rev, now)
	for name, n := range states {
		emit(edgesDesc, prometheus.GaugeValue, float64(n), name)
	}
	emit(lagDesc, prometheus.GaugeValue, float64(most))
	if x.s.cfg.Upstream != nil {
		return
	}
	// Where the database does not answer there is no number.
	if open, err := x.s.openImports(); err == nil {
		for state, n := range open {
			emit(importsDesc, prometheus.GaugeValue, float64(n), string(state))
		}
	}
}

// Limits of the question for imports: it comes with every look at the metrics.
const (
	importsTime = 2 * time.Second
	importsSeen = 100 // the newest
)

// openImports counts the imports that are not over.
func (s *Service) openImports() (map[store.ImportState]int, error) {
	ctx, cancel := context.WithTimeout(context.Background(), importsTime)
	defer cancel()
	list, err := s.cfg.Store.Imports(ctx, importsSeen)
	if err != nil {
		return nil, err
	}
	n := map[store.ImportState]int{store.ImportStaging: 0, store.ImportStaged: 0, store.ImportWaiting: 0, store.ImportPublishing: 0}
	for i := range list {
		if _, open := n[list[i].State]; open {
			n[list[i].State]++
		}
	}
	return n, nil
}

// states counts edges by how they are, and tells how far the last one is behind.
func (e *edges) states(at registry.Revision, now time.Time) (n map[string]int, most uint64) {
	n = map[string]int{"current": 0, "behind": 0, "failing": 0, "silent": 0}
	for _, x := range e.all(now) {
		lag := lagOf(x.Status.Revision, at)
		switch {
		case now.Sub(x.At) > silentAfter:
			n["silent"]++
			continue
		case x.Status.Error != "":
			n["failing"]++
		case x.Status.Revision == at:
			n["current"]++
		default:
			n["behind"]++
		}
		most = max(most, lag)
	}
	return n, most
}

// lagOf is how many revisions of one epoch lie between.
func lagOf(edge, at registry.Revision) uint64 {
	if edge.Epoch == at.Epoch && edge.Rev < at.Rev {
		return at.Rev - edge.Rev
	}
	return 0
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
