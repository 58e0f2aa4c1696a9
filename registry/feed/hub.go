package feed

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/icpgate/icpgate/registry"
)

// Defaults of a hub.
const (
	// DefaultHeartbeat is how often a hub that signs says that it is alive.
	DefaultHeartbeat = time.Second
	// DefaultWriteTimeout is how long a reader may take for one piece of the stream.
	DefaultWriteTimeout = 10 * time.Second
	// DefaultDownloads is how many snapshots go out at a time.
	DefaultDownloads = 8
	// ringSize bounds the frames that are kept in memory; older ones come from the
	// log.
	ringSize = 64 << 20
	// pieceSize bounds what is written to a reader at once.
	pieceSize = 1 << 20
)

// HubOptions say how a hub serves. The zero value is a relay with the defaults.
type HubOptions struct {
	// Signer signs; nil for a relay, which hands on what it was given.
	Signer *Signer
	// Upstream is what a relay asks for digests and repairs, which bear signatures of
	// their own; nil: its edges fetch a snapshot where they differ.
	Upstream *Client
	// Heartbeat, WriteTimeout and Downloads are the defaults where zero.
	Heartbeat    time.Duration
	WriteTimeout time.Duration
	Downloads    int
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Hub hands out what a replica holds: frames to streams, each encoded once for all
// of them, and snapshots. It is safe for concurrent use. Handler serves it.
type Hub struct {
	r         *Replica
	o         HubOptions
	downloads chan struct{}

	publishing sync.Mutex // held over Publish, so that frames reach the ring in order

	mu     sync.Mutex
	ring   [][]byte // the newest frames, of revisions that follow each other
	first  uint64   // revision of ring[0]
	at     registry.Revision
	bytes  int
	beat   []byte        // the newest heartbeat; nil once a frame came after it
	beats  uint64        // counts heartbeats
	wake   chan struct{} // closed and made anew when something came
	closed bool

	streams int
	cut     uint64 // readers that were too slow

	turn    uint64        // counts changes of at
	level   int           // streams that have sent all up to at
	settled chan struct{} // closed when that are enough; nil: nobody waits
}

// NewHub returns the hub of a replica that nobody but the hub may Apply to or
// Publish in from now on.
func NewHub(r *Replica, o HubOptions) *Hub {
	if o.Heartbeat == 0 {
		o.Heartbeat = DefaultHeartbeat
	}
	if o.WriteTimeout == 0 {
		o.WriteTimeout = DefaultWriteTimeout
	}
	if o.Downloads == 0 {
		o.Downloads = DefaultDownloads
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Hub{r: r, o: o, downloads: make(chan struct{}, o.Downloads), at: r.Revision(), wake: make(chan struct{}), turn: 1}
}

// Replica is what the hub serves.
func (h *Hub) Replica() *Replica { return h.r }

// Publish makes the next revision and hands it to the streams. See
// Replica.Publish; where the disk takes nothing, the frame waits for the next call
// or Flush.
func (h *Hub) Publish(f *Frame) error {
	h.publishing.Lock()
	defer h.publishing.Unlock()
	b, err := h.r.Publish(f, h.o.Signer)
	if err != nil {
		if errors.Is(err, ErrUnwritten) {
			h.reset()
		}
		return err
	}
	h.push(f.Revision, b)
	return nil
}

// Take hands a frame of upstream to the replica and, if it takes it, to the
// streams, byte for byte; b may be used again afterwards.
func (h *Hub) Take(f *Frame, b []byte) error {
	h.publishing.Lock()
	defer h.publishing.Unlock()
	err := h.r.Apply(f, b)
	switch {
	case err != nil && !errors.Is(err, ErrDiverged):
		if errors.Is(err, ErrUnwritten) {
			h.reset()
		}
	case f.Type == FrameHeartbeat:
		h.pulse(bytes.Clone(b))
	default:
		h.push(f.Revision, bytes.Clone(b))
	}
	return err
}

// Restart ends all streams after the replica was given another snapshot: their
// readers come again and hear where to go on.
func (h *Hub) Restart() {
	h.publishing.Lock()
	defer h.publishing.Unlock()
	h.reset()
}

// Run sends heartbeats until ctx ends, and tries again what the disk did not take.
// A relay needs it not.
func (h *Hub) Run(ctx context.Context) {
	t := time.NewTicker(h.o.Heartbeat)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			h.Beat()
		}
	}
}

// Beat sends one heartbeat.
func (h *Hub) Beat() {
	h.publishing.Lock()
	defer h.publishing.Unlock()
	if h.r.Flush() != nil {
		return
	}
	if b, err := h.r.Heartbeat(h.o.Now(), h.o.Signer); err == nil {
		h.mu.Lock()
		h.at = h.r.Revision()
		h.mu.Unlock()
		h.pulse(b)
	}
}

// Close ends all streams; their readers come again elsewhere.
func (h *Hub) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	h.broadcast()
	h.settle()
}

// Status tells how many streams there are and how many readers were cut off for
// being slow.
func (h *Hub) Status() (streams int, cut uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.streams, h.cut
}

// broadcast wakes all streams; h.mu is held.
func (h *Hub) broadcast() {
	close(h.wake)
	h.wake = make(chan struct{})
}

// Settle returns when a revision, or one after it, is with nine in ten of the
// streams: whoever publishes much waits for it, so that what others publish does
// not queue behind. Streams that are slower hold up nobody. It also ends with ctx.
func (h *Hub) Settle(ctx context.Context, rev registry.Revision) {
	for {
		h.mu.Lock()
		if h.closed || h.at.Compare(rev) >= 0 && h.isSettled() {
			h.mu.Unlock()
			return
		}
		if h.settled == nil {
			h.settled = make(chan struct{})
		}
		settled := h.settled
		h.mu.Unlock()
		select {
		case <-settled:
		case <-ctx.Done():
			return
		}
	}
}

func (h *Hub) isSettled() bool { return h.level >= h.streams-h.streams/10 }

// settle wakes those that wait in Settle, to look again; h.mu is held.
func (h *Hub) settle() {
	if h.settled != nil && (h.closed || h.isSettled()) {
		close(h.settled)
		h.settled = nil
	}
}

// turned notes that at is another one; h.mu is held.
func (h *Hub) turned() {
	h.turn++
	h.level = 0
	h.settle()
}

// push puts a frame into the ring.
func (h *Hub) push(rev registry.Revision, b []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.ring) == 0 || rev.Epoch != h.at.Epoch || rev.Rev != h.first+uint64(len(h.ring)) {
		h.ring, h.bytes, h.first = nil, 0, rev.Rev
	}
	h.ring = append(h.ring, b)
	h.bytes += len(b)
	h.at, h.beat = rev, nil
	drop := 0
	for h.bytes > ringSize && drop < len(h.ring)-1 {
		h.bytes -= len(h.ring[drop])
		h.ring[drop] = nil
		drop++
	}
	h.ring, h.first = h.ring[drop:], h.first+uint64(drop)
	h.turned()
	h.broadcast()
}

// pulse hands a heartbeat to the streams.
func (h *Hub) pulse(b []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.beat = b
	h.beats++
	h.broadcast()
}

// reset empties the ring: what follows comes from the log.
func (h *Hub) reset() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ring, h.bytes, h.beat = nil, 0, nil
	h.at = registry.Revision{}
	if log := h.r.Log(); log != nil {
		h.at = log.Last()
	}
	h.turned()
	h.broadcast()
}

// news is what a stream that is at a revision has to send.
type news struct {
	frames  [][]byte
	beat    []byte // to be sent after frames
	beats   uint64
	fromLog bool   // frames are older than the ring
	newest  uint64 // revision of the hub
	ended   bool   // the stream has to end
	wake    <-chan struct{}
}

// news looks for what comes after what a stream has sent.
func (h *Hub) news(s *stream) (n news) {
	h.mu.Lock()
	defer h.mu.Unlock()
	at, beats := s.at, s.beats
	n.wake, n.beats, n.newest = h.wake, h.beats, h.at.Rev
	switch {
	case h.closed || at.Epoch != h.at.Epoch || at.Rev > h.at.Rev:
		n.ended = true
	case at.Rev == h.at.Rev:
		if s.turn != h.turn {
			s.turn = h.turn
			h.level++
			h.settle()
		}
		if h.beat != nil && beats != h.beats {
			n.beat = h.beat
		}
	case len(h.ring) == 0 || at.Rev+1 < h.first:
		n.fromLog = true
	default:
		size := 0
		for _, b := range h.ring[at.Rev+1-h.first:] {
			if size += len(b); size > pieceSize && len(n.frames) > 0 {
				break
			}
			n.frames = append(n.frames, b)
		}
	}
	return n
}

func (h *Hub) join() { h.mu.Lock(); h.streams++; h.mu.Unlock() }

func (h *Hub) leave(s *stream, slow bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.streams--
	if s.turn == h.turn {
		h.level--
	}
	h.settle()
	if slow {
		h.cut++
	}
}
