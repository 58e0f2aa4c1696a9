package gate

import (
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/icpgate/icpgate/gate/authz"
	"github.com/icpgate/icpgate/gate/authz/spop"
	"github.com/icpgate/icpgate/gate/sniff"
	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/edge"
)

// namespace begins the name of every metric.
const namespace = "icp_gate"

// metrics are those of a gate. Labels are listeners, and words of the rules and
// of package sniff: never a name.
type metrics struct {
	verdicts   *prometheus.CounterVec
	sniffs     *prometheus.CounterVec
	accepted   *prometheus.CounterVec
	open       *prometheus.GaugeVec
	bytes      *prometheus.CounterVec
	limited    *prometheus.CounterVec
	upstream   *prometheus.CounterVec
	ended      *prometheus.CounterVec
	ech        *prometheus.CounterVec
	acceptErr  *prometheus.CounterVec
	panics     prometheus.Counter
	logDropped prometheus.Counter
	checks     *prometheus.CounterVec
	decision   prometheus.Histogram
	head       prometheus.Histogram
	reloads    *prometheus.CounterVec
	spoeEnds   *prometheus.CounterVec
	quic       quicMetrics
}

func newMetrics(reg prometheus.Registerer) *metrics {
	vec := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
	}
	seconds := func(name, help string, buckets []float64) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: namespace, Name: name, Help: help, Buckets: buckets})
	}
	m := &metrics{
		verdicts:   vec("verdicts_total", "Counter of connections and requests by verdict.", "listener", "protocol", "verdict", "reason", "mode"),
		sniffs:     vec("sniffs_total", "Counter of heads by what they turned out to be.", "listener", "outcome", "cause"),
		accepted:   vec("connections_total", "Counter of accepted connections.", "listener"),
		open:       prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Name: "open_connections", Help: "Gauge of open connections."}, []string{"listener"}),
		bytes:      vec("bytes_total", "Counter of bytes relayed, by direction: in from clients, out to them.", "listener", "direction"),
		limited:    vec("limited_total", "Counter of connections refused or ended by a limit.", "listener", "limit"),
		upstream:   vec("upstream_failures_total", "Counter of connections and requests that no upstream answered.", "listener"),
		ended:      vec("ended_total", "Counter of connections and streams ended because their name is blocked since.", "listener"),
		ech:        vec("ech_total", "Counter of hellos with encrypted_client_hello, in earnest or as GREASE.", "listener"),
		acceptErr:  vec("accept_failures_total", "Counter of failures to accept, for lack of descriptors for example.", "listener"),
		panics:     prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Name: "panics_total", Help: "Counter of connections ended by a defect of this program."}),
		logDropped: prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Name: "connection_log_dropped_total", Help: "Counter of lines of the connection log that could not be written, or not as fast as they came."}),
		checks:     vec("checks_total", "Counter of hosts that programs have asked about, by what they were told.", "listener", "answer"),
		decision:   seconds("decision_duration_seconds", "Histogram of the time to decide, of one decision in 64.", prometheus.ExponentialBuckets(100e-9, 4, 9)),
		head:       seconds("head_duration_seconds", "Histogram of the time until a head was there, of one connection in 16.", prometheus.ExponentialBuckets(10e-6, 4, 11)),
		reloads:    vec("reloads_total", "Counter of configurations and data files read anew, by result.", "data", "result"),
		spoeEnds:   vec("spoe_ends_total", "Counter of connections of HAProxy that ended, by the status that one side told the other.", "listener", "status"),
	}
	reg.MustRegister(m.verdicts, m.sniffs, m.accepted, m.open, m.bytes, m.limited, m.upstream, m.ended, m.ech, m.acceptErr,
		m.panics, m.logDropped, m.checks, m.decision, m.head, m.reloads, m.spoeEnds, registries{})
	m.quic = newQUICMetrics(reg)
	return m
}

// Aged implements edge.Observer.
func (m *metrics) Aged(warning string) {
	if warning == "" {
		slog.Info("icp: the registry is new enough to decide again")
		return
	}
	slog.Warn("icp: " + warning)
}

// Reloaded implements edge.Observer.
func (m *metrics) Reloaded(r edge.Reload) {
	if r.Err != nil {
		m.reloads.WithLabelValues(r.Data, "error").Inc()
		slog.Error("files have changed but cannot be used; what was in force stays", "data", r.Data, "files", r.Files, "error", r.Err)
		return
	}
	m.reloads.WithLabelValues(r.Data, "success").Inc()
	slog.Info("files read anew", "data", r.Data, "files", r.Files, "took", r.Took)
	for _, w := range r.Warnings {
		slog.Warn("icp: "+w, "data", r.Data)
	}
}

// counters are those of a listener, resolved beforehand: a look-up by labels
// costs more than a verdict. Safe for concurrent use.
type counters struct {
	m        *metrics
	listener string
	// verdicts are by channel, mode and reason; the last of each is for what is
	// blocked only because no registry is loaded. They are resolved when they are
	// first counted, or there would be hundreds of zeros a listener.
	verdicts [channels][2][]atomic.Pointer[prometheus.Counter]
	sniffs   [][]atomic.Pointer[prometheus.Counter]

	accepted, upstream, ended, ech, acceptErr prometheus.Counter
	perClient, total, proxy, destination      prometheus.Counter // of limited
	unlisted, frames                          prometheus.Counter // the same
	open                                      prometheus.Gauge
	in, out                                   byteCounter
}

// channels are HTTP, HTTPS and QUIC; DNS is none of ours.
const channels = int(registry.ChannelQUIC) + 1

// byteCounter counts bytes.
type byteCounter struct{ c prometheus.Counter }

// Add adds n of them.
func (b byteCounter) Add(n uint64) { b.c.Add(float64(n)) }

func (m *metrics) of(listener string) *counters {
	c := &counters{
		m: m, listener: listener,
		accepted: m.accepted.WithLabelValues(listener), upstream: m.upstream.WithLabelValues(listener),
		ended: m.ended.WithLabelValues(listener), ech: m.ech.WithLabelValues(listener), acceptErr: m.acceptErr.WithLabelValues(listener),
		perClient: m.limited.WithLabelValues(listener, "per-client"), total: m.limited.WithLabelValues(listener, "connections"),
		proxy: m.limited.WithLabelValues(listener, "proxy-protocol"), destination: m.limited.WithLabelValues(listener, "original-dst"),
		unlisted: m.limited.WithLabelValues(listener, "peers"), frames: m.limited.WithLabelValues(listener, "frames"),
		open: m.open.WithLabelValues(listener),
		in:   byteCounter{m.bytes.WithLabelValues(listener, "in")}, out: byteCounter{m.bytes.WithLabelValues(listener, "out")},
	}
	for ch := range c.verdicts {
		for mode := range c.verdicts[ch] {
			c.verdicts[ch][mode] = make([]atomic.Pointer[prometheus.Counter], len(registry.Reasons())+1)
		}
	}
	c.sniffs = make([][]atomic.Pointer[prometheus.Counter], int(sniff.Other)+1)
	for k := range c.sniffs {
		c.sniffs[k] = make([]atomic.Pointer[prometheus.Counter], len(sniff.Causes()))
	}
	return c
}

// verdict counts one; enforced tells whether it is acted on.
func (c *counters) verdict(ch registry.Channel, v registry.Verdict, enforced bool) {
	mode := registry.Monitor
	if enforced {
		mode = registry.Enforce
	}
	list := c.verdicts[ch][mode]
	i := int(v.Reason)
	if v.Reason == registry.Undecided && v.Block {
		i = len(list) - 1
	}
	resolve(&list[i], c.m.verdicts, c.listener, ch.String(), v.String(), v.Reason.String(), mode.String()).Inc()
}

// sniffed counts what a head turned out to be.
func (c *counters) sniffed(k sniff.Kind, cause sniff.Cause) {
	if p := c.sniffs[k][cause].Load(); p != nil {
		(*p).Inc()
		return
	}
	resolve(&c.sniffs[k][cause], c.m.sniffs, c.listener, k.String(), cause.String()).Inc()
}

func resolve(p *atomic.Pointer[prometheus.Counter], vec *prometheus.CounterVec, labels ...string) prometheus.Counter {
	if c := p.Load(); c != nil {
		return *c
	}
	c := vec.WithLabelValues(labels...)
	p.Store(&c)
	return c
}

// farewell counts a connection that ended with a word.
func (c *counters) farewell(why spop.Status) {
	c.m.spoeEnds.WithLabelValues(c.listener, why.String()).Inc()
}

// checked counts what a program was told. Nothing waits for it, so that it is
// looked up by labels.
func (c *counters) checked(t authz.Tell) { c.m.checks.WithLabelValues(c.listener, string(t)).Inc() }

func (c *counters) upstreamFailed() { c.upstream.Inc() }
func (c *counters) acceptFailed()   { c.acceptErr.Inc() }

// sampling: reading the clock twice costs as much as a decision.
const (
	decisionSampling = 64
	headSampling     = 16
)

// timed reports whether this one is measured.
func timed(sampling uint32) bool { return rand.Uint32()%sampling == 0 }

func (c *counters) headTook(begun time.Time) {
	if timed(headSampling) {
		c.m.head.Observe(time.Since(begun).Seconds())
	}
}

// panicked counts a defect, and says where it is: once a connection that is more
// than is written of any other.
func (s *service) panicked(p any, stack []byte) {
	s.metrics.m.panics.Inc()
	slog.Error("a connection was ended by a defect of this program", "listener", s.name, "panic", p, "stack", string(stack))
}
