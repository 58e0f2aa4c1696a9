package gate

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/icpgate/icpgate/gate/sniff"
)

// quicDrop is why a datagram goes nowhere, beside those that sniff tells of.
type quicDrop uint8

const (
	quicTooFast   quicDrop = iota // more than limits initials
	quicTooMuch                   // more than can be held
	quicPushedOut                 // waited for the rest of its hello, and newer ones needed the room
	quicSilent                    // nothing came for long, and new ones needed the room
	quicForeign                   // with the id of another client's connection
	quicUnknown                   // of no connection that is known
	quicRefused                   // of a connection that was refused
	quicLate                      // with an Initial packet, of a connection past its handshake
	quicEnding                    // the listener ends
	quicBusy                      // began a connection, while more came than could be judged
	quicSystem                    // no socket could be opened for it, or none took it
	quicDrops
)

var quicDropWords = [...]string{"rate", "held", "pushed-out", "silent", "foreign-id", "unknown", "refused", "late", "ending", "busy", "system"}

// quicAnswer is what a client is told by the gate.
type quicAnswer uint8

const (
	quicClosed     quicAnswer = iota // CONNECTION_CLOSE
	quicNegotiated                   // Version Negotiation
	quicAnswers
)

var quicAnswerWords = [...]string{"close", "version-negotiation"}

// moved is how a client that has moved was followed.
type moved uint8

const (
	movedByID   moved = iota // by the id of its connection
	movedUnseen              // since there is only one upstream
)

var movedWords = [...]string{"id", "upstream"}

// quicCounts collects what a turn of a loop counts. The zero value is ready.
type quicCounts struct {
	s           *service // whose bytes are counted
	read, wrote uint64
	dirty       bool
	drops       [quicDrops]uint32
	causes      [sniffCauses]uint32
	answers     [quicAnswers]uint32
	// waits and waitBytes are how many more connections wait, and how much they hold;
	// refused is how many of those that were refused all can see.
	waits, waitBytes, refused int
}

// sniffCauses is above all of sniff.Causes.
const sniffCauses = 64

func (c *quicCounts) in(s *service, n int) {
	c.of(s)
	c.read += uint64(n)
}

func (c *quicCounts) out(s *service, n int) {
	c.of(s)
	c.wrote += uint64(n)
}

// of has bytes count for a service: those of a listener rarely have two, after a
// reload.
func (c *quicCounts) of(s *service) {
	if c.s != s {
		c.bytes()
		c.s = s
	}
}

func (c *quicCounts) bytes() {
	if c.read > 0 {
		c.s.metrics.in.Add(c.read)
	}
	if c.wrote > 0 {
		c.s.metrics.out.Add(c.wrote)
	}
	c.read, c.wrote = 0, 0
}

func (c *quicCounts) drop(d quicDrop)          { c.drops[d]++; c.dirty = true }
func (c *quicCounts) refuse(cause sniff.Cause) { c.causes[cause]++; c.dirty = true }
func (c *quicCounts) answered(a quicAnswer)    { c.answers[a]++; c.dirty = true }

// flush counts for all to see.
func (c *quicCounts) flush(l *quicLoop) {
	c.bytes()
	c.waiting(l)
	if n := l.up.Dropped + l.down.Dropped; n > 0 {
		c.drops[quicSystem] += uint32(n)
		l.up.Dropped, l.down.Dropped, c.dirty = 0, 0, true
	}
	if !c.dirty {
		return
	}
	c.dirty = false
	m := l.l.metrics
	for i := range c.drops {
		count(m.dropped, l.l.name, quicDropWords[i], &c.drops[i])
	}
	for _, cause := range sniff.Causes() {
		count(m.dropped, l.l.name, cause.String(), &c.causes[cause])
	}
	for i := range c.answers {
		count(m.answers, l.l.name, quicAnswerWords[i], &c.answers[i])
	}
}

// waiting counts those that wait, and those that were refused.
func (c *quicCounts) waiting(l *quicLoop) {
	more := l.refusals.n - c.refused
	c.refused += more
	if n := c.waits + more; n != 0 {
		l.l.pending.Add(float64(n))
	}
	if n := c.waitBytes + more*quicRefusedSize; n != 0 {
		l.l.pendingBytes.Add(float64(n))
	}
	c.waits, c.waitBytes = 0, 0
}

// count adds n to a counter, and sets it to zero.
func count(to *prometheus.CounterVec, listener, word string, n *uint32) {
	if *n > 0 {
		to.WithLabelValues(listener, word).Add(float64(*n))
		*n = 0
	}
}

// quicMetrics are those that only QUIC has.
type quicMetrics struct {
	dropped, answers, moved *prometheus.CounterVec
	pending, pendingBytes   *prometheus.GaugeVec
}

func newQUICMetrics(reg prometheus.Registerer) (m quicMetrics) {
	counter := func(name, help, label string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, []string{"listener", label})
	}
	gauge := func(name, help string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help}, []string{"listener"})
	}
	m.dropped = counter("quic_dropped_total", "Counter of datagrams of QUIC's listeners that went nowhere, by cause.", "cause")
	m.answers = counter("quic_answers_total", "Counter of datagrams of QUIC that the gate has answered itself.", "answer")
	m.moved = counter("quic_moved_total", "Counter of clients of QUIC that came from another address and were followed, by what they were known.", "by")
	m.pending = gauge("quic_pending_connections", "Gauge of connections of QUIC whose hello is not all there, or that were refused a moment ago.")
	m.pendingBytes = gauge("quic_pending_bytes", "Gauge of what they hold, in bytes.")
	reg.MustRegister(m.dropped, m.answers, m.moved, m.pending, m.pendingBytes)
	return m
}
