//go:build !linux || portable

package udp

import (
	"sync"
	"time"
)

// Poller waits for datagrams on many sockets at once, by a goroutine for each.
// Make one with NewPoller. Wait is for one goroutine, the other methods may be
// used concurrently.
type Poller struct {
	wake chan struct{}

	mu   sync.Mutex
	told []*Socket // since the last Wait

	// Of Wait alone.
	sockets []*Socket // that it has returned
	tokens  []uint64
}

// NewPoller makes a Poller.
func NewPoller() (*Poller, error) { return &Poller{wake: make(chan struct{}, 1)}, nil }

// Add has Wait tell of a socket by token until it is closed.
func (p *Poller) Add(s *Socket, token uint64) error {
	s.mu.Lock()
	s.poller, s.token, s.told = p, token, true
	reading := s.reading
	s.reading = true
	s.mu.Unlock()
	if !reading {
		go s.read()
	}
	p.ready(s) // perhaps; Wait looks
	return nil
}

// Remove has Wait tell of a socket no more.
func (p *Poller) Remove(s *Socket) {
	s.mu.Lock()
	s.poller = nil
	s.mu.Unlock()
}

func (p *Poller) ready(s *Socket) {
	p.mu.Lock()
	p.told = append(p.told, s)
	p.mu.Unlock()
	p.Wake()
}

// Wait waits until there is something to read on a socket, or was woken, or d has
// passed; it has no end if d is negative. It returns the tokens of the sockets,
// valid until the next call.
func (p *Poller) Wait(d time.Duration) ([]uint64, error) {
	if p.look() {
		return p.tokens, nil
	}
	var over <-chan time.Time
	if d >= 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		over = t.C
	}
	select {
	case <-p.wake:
	case <-over:
	}
	p.look()
	return p.tokens, nil
}

// look finds the sockets that have something: those that it was told of, and
// those of the last time that were not read to the end.
func (p *Poller) look() bool {
	p.mu.Lock()
	p.sockets = append(p.sockets, p.told...)
	p.told = p.told[:0]
	p.mu.Unlock()
	p.tokens = p.tokens[:0]
	kept := p.sockets[:0]
	for _, s := range p.sockets {
		s.mu.Lock()
		if s.told = s.poller == p && !s.closed && (len(s.came) > 0 || s.refused.Load()); s.told {
			kept = append(kept, s)
			p.tokens = append(p.tokens, s.token)
		}
		s.mu.Unlock()
	}
	clear(p.sockets[len(kept):])
	p.sockets = kept
	return len(kept) > 0
}

// Wake has Wait return.
func (p *Poller) Wake() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// Close closes it. The sockets stay open.
func (p *Poller) Close() {}
